"""What an objective is: heads, a loss, and how it wants its text.

Every objective is called as ``objective(batch, image_features, text_states)`` and gives its total under
``loss`` and its parts under their own names. Losses are pure functions of embeddings, computed in single
precision at least, outside of autocast.

Across processes, gradients are meant to be *averaged* (as ``DistributedDataParallel`` does): an objective
that gathers negatives computes on every process the loss of the whole batch, and :func:`gather` sums what
the processes send back, so the average is the gradient that one process with the whole batch would get.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.encoders.heads.base import Embeddings, unit, widened
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.pretrain.augment import Augment

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageEncoder, ImageFeatures
    from g2d_bench.encoders.text import TextStates

Variant = Literal["paper", "released"]
VARIANTS: tuple[Variant, ...] = ("paper", "released")


class Batch(NamedTuple):
    """One batch.

    Attributes:
        grey: images [B, 1, S, S] in [0, 1], augmented, before normalisation.
        tokens: of :meth:`TextEncoder.tokenize <g2d_bench.encoders.text.TextEncoder.tokenize>`.
        ids: of the pairs.
    """

    grey: Tensor
    tokens: dict[str, Tensor]
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """How a method uses a BERT of twelve layers.

    Attributes:
        layers: how many layers are used; all if None.
        frozen_layers: how many of the first layers do not train.
        freeze_embeddings: whether the embeddings do not train either.
        max_length: tokens at which texts are cut, [CLS] and [SEP] included.
        part: ``impression`` where sentences should come from that section if the report has it.
    """

    layers: int | None = None
    frozen_layers: int = 0
    freeze_embeddings: bool = False
    max_length: int = 112
    part: Literal["report", "impression"] = "report"


class Objective(nn.Module):
    """A pre-training objective.

    Args:
        heads: its projection heads.

    Attributes:
        name: of the objective.
        text: its use of the text encoder, as published.
        text_reads: how the text encoder reads where that is not as usual, by variant; see
            :class:`~g2d_bench.encoders.text.TextEncoder`.
        head_options: keyword arguments of its heads, by variant.
        loss_options: keyword arguments of the class, by variant.
        recipe: fields of a :class:`~g2d_bench.pretrain.presets.Recipe` as published, by variant; those of
            ``released`` go before those of ``paper``.
        augment: of the images, as published, by variant; where ``released`` is not given, it is the paper's.
        phantom: fields of a recipe at phantom scale in which the objective may differ from the others:
            ``heads`` and ``constants``.
        gather_negatives: whether it contrasts with the pairs of all processes (see :func:`gather`); if not,
            each process needs two pairs or more.
        epoch: number of the current epoch, from 0; see :meth:`at`.
        step: number of the current step, from 0.
    """

    name: ClassVar[str]
    text: ClassVar[TextRecipe] = TextRecipe()
    text_reads: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {}
    head_options: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {}
    loss_options: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {}
    recipe: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {}
    augment: ClassVar[Mapping[Variant, Augment]] = {}
    phantom: ClassVar[Mapping[str, Any]] = {}
    gather_negatives: bool = False

    @classmethod
    def published(cls, variant: Variant) -> dict[str, Any]:
        """Return the fields of a recipe as published, text and images included."""
        fields = dict(cls.recipe.get("paper", {}))
        if variant == "released":
            fields |= cls.recipe.get("released", {})
        return {
            "text_layers": cls.text.layers,
            "frozen_layers": cls.text.frozen_layers,
            "freeze_embeddings": cls.text.freeze_embeddings,
            "max_length": cls.text.max_length,
            "augment": cls.augment.get(variant, cls.augment.get("paper", Augment())),
            **fields,
        }

    def __init__(self, heads: nn.Module) -> None:
        super().__init__()
        self.heads: Any = heads
        self.epoch = self.step = 0

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
        **constants: Any,
    ) -> Self:
        """Make the objective and its heads for given encoders.

        Args:
            variant: ``paper`` or ``released``.
            channels: of the image encoder.
            strides: of the image encoder.
            num_features: of the image encoder.
            text_width: of the text encoder.
            heads: keyword arguments of the heads that differ from the variant's.
            constants: keyword arguments of the class that differ from the variant's.
        """
        head_options = dict(cls.head_options.get(variant, {})) | dict(heads or {})
        made = make_heads(
            cls.name,
            channels=channels,
            strides=strides,
            num_features=num_features,
            text_width=text_width,
            **head_options,
        )
        return cls(made, **(dict(cls.loss_options.get(variant, {})) | constants))

    def choose_text(self, sentences: Sequence[str], rng: np.random.Generator) -> str:
        """Make the text of a pair for one step: here the whole report.

        Args:
            sentences: of the report (see :attr:`TextRecipe.part`), cleaned; at least one.
            rng: the source of chance; it must depend on seed, step and pair alone.
        """
        return " ".join(sentences)

    def watch(self, image: ImageEncoder) -> None:
        """Tell the objective which image encoder it trains, before the run; few need more of it than maps."""

    def at(self, step: int, epoch: int) -> None:
        """Tell the objective where the run stands, before each step; a resumed run needs no more."""
        self.step, self.epoch = step, epoch

    def phase(self) -> Hashable | None:
        """Name what, beside the tensors of a batch, decides what the next step computes.

        A GPU records a step and replays it as long as this stays the same (see
        :mod:`g2d_bench.encoders.replay`), so an objective that goes by :attr:`step`, :attr:`epoch`, the ids
        of the pairs or anything else of Python must name it here, or return None, as by default: then nothing
        is recorded.
        """
        return None

    def losses(self, embeddings: Embeddings) -> dict[str, Tensor]:
        """Compute the total (``loss``) and its parts from embeddings."""
        raise NotImplementedError

    def forward(
        self, batch: Batch, image_features: ImageFeatures, text_states: TextStates
    ) -> dict[str, Tensor]:
        """Compute the total (``loss``) and its parts."""
        embeddings = self.heads(image_features, text_states, batch.tokens)
        with torch.autocast(embeddings.image_global.device.type, enabled=False):
            return self.losses(full_precision(embeddings))


def make_objective(name: str, **arguments: Any) -> Objective:
    """Make an objective by name; see :meth:`Objective.build`.

    Raises:
        InputError: unknown objective or variant.
    """
    if name not in OBJECTIVES:
        raise InputError(f"no objective {name!r}; {did_you_mean(name, OBJECTIVES.names)}", field="objective")
    variant = arguments.get("variant", "paper")
    if variant not in VARIANTS:
        raise InputError(f"no variant {variant!r}; {did_you_mean(variant, VARIANTS)}", field="variant")
    kind: type[Objective] = OBJECTIVES[name]
    return kind.build(**arguments)


def full_precision(embeddings: Embeddings) -> Embeddings:
    """Return half-precision embeddings in single precision."""
    return Embeddings(*(None if part is None else widened(part) for part in embeddings))  # type: ignore[arg-type]


def alignment_loss(
    image: Tensor,
    text: Tensor,
    *,
    temperature: float,
    image_to_text: float = 1.0,
    text_to_image: float = 1.0,
) -> Tensor:
    """Contrast N images with N texts, both ways; image i belongs to text i.

    ``S = cos(image_i, text_j) / temperature``; the loss is the weighted sum of the cross-entropies of the
    rows and of the columns of S with its diagonal, each a mean over the batch. ConVIRT weighs them 0.75 and
    0.25 (section 3); GLoRIA (global), MGCA (ITA) and G2D (VLA) sum them in their released code.

    Args:
        image: [N, d], of any length.
        text: [N, d].
        temperature: by which cosines are divided.
        image_to_text: weight of the rows: one image among all texts.
        text_to_image: weight of the columns.

    Returns:
        A scalar.
    """
    return diagonal_loss(unit(image) @ unit(text).T / temperature, image_to_text, text_to_image)


def diagonal_loss(scores: Tensor, rows: float = 1.0, columns: float = 1.0) -> Tensor:
    """Return the weighted sum of the cross-entropies of rows and columns of [N, N] with the diagonal."""
    target = torch.arange(len(scores), device=scores.device)
    row_loss = functional.cross_entropy(scores, target)
    return rows * row_loss + columns * functional.cross_entropy(scores.T, target)


def gather(part: Tensor) -> Tensor:
    """Collect the parts of all processes along the first dimension, with gradient.

    All processes must bring the same shape. What flows back is the *sum* over processes of the gradients with
    respect to this process's part. With one process it is the identity.
    """
    return part if _world() == 1 else _Gather.apply(part)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, part: Tensor) -> Tensor:
        parts = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(_world())]
        torch.distributed.all_gather(parts, part.contiguous())
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, whole: Tensor) -> Tensor:
        whole = whole.clone(memory_format=torch.contiguous_format)
        torch.distributed.all_reduce(whole)
        return whole.chunk(_world())[torch.distributed.get_rank()]


def _world() -> int:
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1
