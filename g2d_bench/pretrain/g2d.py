"""G2D (Liu et al., 2024): reports against pooled images, and a decoder against masks made of the pooling.

``paper``: the masks of :mod:`g2d_bench.pretrain.pseudo_mask`, variant ``paper``; half of soft Dice plus
cross-entropy; both losses from the start; negatives of all processes (equation 1 goes over the batch).
``released``: masks as released; Dice on raw logits plus a fifth of the cross-entropy; alignment alone for the
first 200 steps; negatives of the own process.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from torch import Tensor
from torch.nn import functional

from g2d_bench.encoders.decoder import PHANTOM_WIDTHS, UNetDecoder
from g2d_bench.encoders.heads.base import widened
from g2d_bench.encoders.heads.g2d import G2DHeads
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.errors import InputError, refused_argument
from g2d_bench.pretrain.augment import Augment
from g2d_bench.pretrain.objective import Batch, Objective, TextRecipe, Variant, alignment_loss, gather
from g2d_bench.pretrain.pseudo_mask import PseudoMaskConfig, pseudo_masks
from g2d_bench.pretrain.recipe_check import check_options

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageFeatures
    from g2d_bench.encoders.text import TextStates

TEMPERATURE = 0.07
"""tau, by which cosines are divided (section 3.1)."""
ALIGNMENT_STEPS = 200
"""Steps of alignment alone (released code)."""
SMOOTH = 1.0
"""Added to both sides of the Dice fraction in the paper's loss; not stated there."""
RELEASED_SMOOTH = 1e-5
"""The same in the released code."""
RELEASED_CROSS_ENTROPY = 0.2
"""Weight of the cross-entropy in the released code."""
BOUND = 10.0
"""Where the guard stops the released Dice term, on both sides. On probabilities it would lie in [0, 1]."""

Guard = Literal["clamp", "error", "none"]
GUARDS: tuple[Guard, ...] = ("clamp", "error", "none")

_ADVICE = "Dice on raw logits has no lower bound"


def segmentation_loss(logits: Tensor, masks: Tensor, *, smooth: float = SMOOTH) -> Tensor:
    """Compute ``1/2 (Dice + BCE)`` on probabilities p = sigmoid(logits) (section 3.3).

    ``Dice = 1 - (2 sum p m + s) / (sum p + sum m + s)``, sums over the pixels of an image, mean over images;
    BCE is the mean over all pixels. The paper prints Dice as a sum of fractions per pixel, which is no Dice;
    smoothing and reduction are chosen here.

    Args:
        logits: [B, 1, H, W].
        masks: m, [B, 1, H, W] in [0, 1].
        smooth: s.

    Returns:
        A scalar, at least 0.
    """
    above, below = _dice(logits.sigmoid(), masks, smooth)
    dice = 1 - above / below
    return 0.5 * (dice.mean() + functional.binary_cross_entropy_with_logits(logits, masks))


def released_segmentation_loss(
    logits: Tensor,
    masks: Tensor,
    *,
    smooth: float = RELEASED_SMOOTH,
    cross_entropy: float = RELEASED_CROSS_ENTROPY,
    guard: Guard = "clamp",
) -> Tensor:
    """Compute the loss of the released code: Dice on raw logits z, plus weighted cross-entropy.

    ``D = 1 - (2 sum z m + s) / (sum z + sum m + s)`` is a Dice loss only while z lies in [0, 1]. The
    denominator is zero where the logits sum to minus the size of the mask: before that D falls without
    bound, beyond it comes back from plus infinity. With 14 % of the pixels in the mask, logits of 5 inside
    and -0.98 outside give -899. A good decoder passes by there, since the cross-entropy draws logits outside
    below zero.

    Args:
        logits: z, [B, 1, H, W].
        masks: m, [B, 1, H, W].
        smooth: s.
        cross_entropy: weight of the mean cross-entropy.
        guard: ``clamp`` holds D of each image within :data:`BOUND` on both sides (an image beyond learns from
            the cross-entropy alone), ``error`` stops there (which waits for the device), ``none`` is the
            released loss as it is.

    Returns:
        A scalar.

    Raises:
        InputError: D is out of bounds and the guard is ``error``.
    """
    above, below = _dice(logits, masks, smooth)
    dice = 1 - above / below
    if guard != "none":
        good = dice.abs() <= BOUND  # false for NaN, too
        if guard == "error" and not bool(good.all()):
            worst = float(dice[dice.abs().nan_to_num(torch.inf).argmax()])
            raise InputError(
                f"the released pseudo-segmentation loss has reached {worst:.4g}: {_ADVICE}; "
                "use variant 'paper' or guard 'clamp'",
                field="segmentation",
            )
        # The denominator is exchanged before the division: behind it, the gradient would be 0 times infinity.
        held = dice.detach().clamp(-BOUND, BOUND).nan_to_num(BOUND)
        dice = torch.where(good, 1 - above / torch.where(good, below, 1.0), held)
    bce = functional.binary_cross_entropy_with_logits(logits, masks)
    return dice.mean() + cross_entropy * bce


def _dice(values: Tensor, masks: Tensor, smooth: float) -> tuple[Tensor, Tensor]:
    """Return numerator and denominator of the Dice fraction of each image, [B] each."""
    values, masks = values.flatten(1), masks.flatten(1)
    overlap = (values * masks).sum(dim=1)
    return 2 * overlap + smooth, values.sum(dim=1) + masks.sum(dim=1) + smooth


class G2D(Objective):
    """G2D's objective: ``L_VLA + L_PA``.

    Args:
        heads: :class:`~g2d_bench.encoders.heads.g2d.G2DHeads`.
        decoder: over the image encoder's pyramid, to the input's size.
        temperature: tau.
        gather_negatives: contrast with the pairs of all processes.
        alignment_steps: first steps, whose loss is ``L_VLA`` alone.
        loss: the pseudo-segmentation loss, ``paper`` or ``released``.
        guard: of the released loss; see :func:`released_segmentation_loss`.
        pseudo_mask: fields of :class:`~g2d_bench.pretrain.pseudo_mask.PseudoMaskConfig`.

    Attributes:
        decoder: transferred to segmentation, and stored under ``decoder.``.

    Raises:
        InputError: an unknown loss, guard or field.
    """

    name = "g2d"
    # The paper does not say what of the text encoder trains; this is the released configuration.
    text: ClassVar[TextRecipe] = TextRecipe(frozen_layers=9, max_length=256)
    head_options: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "paper": {},
        "released": {"text_rows": "all"},
    }
    loss_options: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "paper": {},
        "released": {
            "gather_negatives": False,
            "alignment_steps": ALIGNMENT_STEPS,
            "loss": "released",
            "pseudo_mask": {"variant": "released"},
        },
    }
    # Section 4 and appendix. The length of the warm-up is not stated; a tenth of the steps is chosen. The
    # released code: 256 px without crop, ImageNet statistics, restarts every 200 steps, no warm-up; its loop
    # from 0 to max_epochs = 51 is inclusive.
    recipe: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "paper": {
            "lr": 2e-4,
            "weight_decay": 1e-8,
            "batch": 2048,
            "schedule": "cosine",
            "warmup": 0.1,
            "epochs": 50,
        },
        "released": {
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
            "size": 256,
            "lr": 2e-5,
            "batch": 512,
            "schedule": "restarts",
            "warmup": 0.0,
            "period": 200,
            "epochs": 52,
        },
    }
    # Section 4: random grayscale (nothing, on grey images), perspective, autocontrast. Strengths are not
    # stated; chosen: distortion 0.5 and probability 0.5, what torchvision takes when it is told nothing. The
    # released data set class: affine 15 degrees with shear 15, colour jitter 0.2 and 0.2.
    augment: ClassVar[Mapping[Variant, Augment]] = {
        "paper": Augment(perspective=0.5, perspective_p=0.5, autocontrast=0.5),
        "released": Augment(rotate=15, shear=15, brightness=(0.8, 1.2), contrast=(0.8, 1.2)),
    }
    # The published 8 x 8 cells: at 128 px they are those of the map before the last.
    phantom: ClassVar[Mapping[str, Any]] = {
        "heads": {"dim": 128, "level": -2},
        "constants": {"decoder": {"widths": list(PHANTOM_WIDTHS)}},
    }

    def __init__(
        self,
        heads: G2DHeads,
        decoder: UNetDecoder,
        *,
        temperature: float = TEMPERATURE,
        gather_negatives: bool = True,
        alignment_steps: int = 0,
        loss: Literal["paper", "released"] = "paper",
        guard: Guard = "clamp",
        pseudo_mask: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(heads)
        for name, value, allowed in (("loss", loss, ("paper", "released")), ("guard", guard, GUARDS)):
            if value not in allowed:
                raise InputError(f"must be {', '.join(allowed)}, not {value!r}", field=f"constants.{name}")
        try:
            self.config = PseudoMaskConfig(**dict(pseudo_mask or {}))
        except TypeError as error:
            raise InputError(refused_argument(error), field="pseudo_mask") from None
        if loss == "released" and guard != "error":
            held = f"its Dice term is held within {BOUND:g}" if guard == "clamp" else "it is not guarded"
            warnings.warn(f"released G2D loss: {_ADVICE}; {held}", stacklevel=2)
        self.decoder = decoder
        self.temperature, self.gather_negatives = temperature, gather_negatives
        self.alignment_steps, self.loss, self.guard = alignment_steps, loss, guard

    @classmethod
    def build(
        cls,
        *,
        variant: Variant = "paper",
        channels: Sequence[int],
        strides: Sequence[int],
        num_features: int,
        text_width: int,
        heads: Mapping[str, Any] | None = None,
        decoder: Mapping[str, Any] | None = None,
        **constants: Any,
    ) -> Self:
        """Make the objective, its heads and its decoder for given encoders.

        Args:
            variant: ``paper`` or ``released``.
            channels: of the image encoder.
            strides: of the image encoder.
            num_features: of the image encoder.
            text_width: of the text encoder.
            heads: keyword arguments of the heads that differ from the variant's.
            decoder: keyword arguments of the decoder, such as ``widths``.
            constants: keyword arguments of the class that differ from the variant's; of ``pseudo_mask`` only
                the fields that differ.
        """
        head_options = dict(cls.head_options[variant]) | dict(heads or {})
        options = dict(cls.loss_options[variant])
        masks = dict(options.pop("pseudo_mask", {})) | dict(constants.pop("pseudo_mask", None) or {})
        check_options(dict(decoder or {}), UNetDecoder, "--set constants.decoder")
        try:
            made = UNetDecoder(channels, strides, **dict(decoder or {}))
        except TypeError as error:
            raise InputError(refused_argument(error), field="decoder") from None
        projections: Any = make_heads(
            cls.name,
            channels=channels,
            strides=strides,
            num_features=num_features,
            text_width=text_width,
            **head_options,
        )
        return cls(projections, made, **(options | constants), pseudo_mask=masks)

    def phase(self) -> Hashable | None:
        """Whether the decoder learns yet; None where the guard asks for the loss in every step."""
        return None if self.loss == "released" and self.guard == "error" else self._late

    @property
    def _late(self) -> bool:
        return self.step >= self.alignment_steps

    def forward(
        self, batch: Batch, image_features: ImageFeatures, text_states: TextStates
    ) -> dict[str, Tensor]:
        """Compute ``loss`` and its parts ``alignment`` (L_VLA) and ``segmentation`` (L_PA)."""
        image, attention = self.heads.pool(image_features)
        text = self.heads.embed_text(text_states, batch.tokens)
        logits = self.decoder(image_features.pyramid)
        with torch.autocast(logits.device.type, enabled=False):
            alignment = self._alignment(widened(image.vector), widened(text.vector))
            segmentation = self._segmentation(widened(logits), widened(attention), batch.grey)
            total = alignment + segmentation if self._late else alignment
        return {"loss": total, "alignment": alignment, "segmentation": segmentation}

    def _alignment(self, image: Tensor, text: Tensor) -> Tensor:
        if self.gather_negatives:
            image, text = gather(image), gather(text)
        return alignment_loss(image, text, temperature=self.temperature)

    def _segmentation(self, logits: Tensor, attention: Tensor, grey: Tensor) -> Tensor:
        masks = pseudo_masks(attention.detach(), grey, self.config)
        if logits.shape[2:] != masks.shape[2:]:
            # Where the input is no multiple of the coarsest stride, or is enlarged inside of the encoder.
            size = (masks.shape[2], masks.shape[3])
            logits = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        if self.loss == "paper":
            return segmentation_loss(logits, masks)
        return released_segmentation_loss(logits, masks, guard=self.guard)


OBJECTIVE = G2D
