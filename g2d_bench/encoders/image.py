"""The image encoder: a model of some library that gives a pyramid of maps and one pooled vector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from g2d_bench.encoders.library import library_of
from g2d_bench.errors import InputError


class ImageFeatures(NamedTuple):
    """What an image encoder gives.

    Attributes:
        pyramid: maps [B, C_k, H_k, W_k], fine to coarse.
        pooled: one vector per image, [B, D].
    """

    pyramid: list[Tensor]
    pooled: Tensor


class ImageEncoder(nn.Module):
    """A model without classifier, of timm or of another library; see :mod:`g2d_bench.encoders.libraries`.

    Args:
        model: name of the model in its library, for example ``resnet50`` or ``vit_base_patch16_224``.
        upsample_inside: side to which the input is upsampled (bilinear, corners aligned) before the
            model, as GLoRIA and MGCA do for ResNets (224 to 299); None to leave it.
        options: what the library is told beside the name; keyword arguments of ``timm.create_model``.
        pretrained: start from the library's weights, which must be in its cache or within reach.
        library: whose model it is.
        pool: how the vector is made, in the words of a card; None for the library's own, which must be the
            class token where the model has tokens.
        channels: of the input.
        folder: where a configuration may lie beside the weights.

    Attributes:
        plan: what is read of the model.
        channels: C_k of the pyramid.
        strides: input pixels per map cell of the pyramid, of the (upsampled) input.
        num_features: D.
        input_size: the only side that the model takes, or None where any will do.
        blocks: which blocks of a transformer make the pyramid; empty for other models.
        body: the model; its state-dict keys are the canonical names of checkpoints.

    Raises:
        InputError: the library does not know the model or an option, or is not installed; the model does not
            tell its maps, or makes its vector otherwise than the card says.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    num_features: int

    def __init__(
        self,
        model: str,
        *,
        upsample_inside: int | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
        pretrained: bool = False,
        library: str = "timm",
        pool: str | None = None,
        channels: int = 3,
        folder: Path | None = None,
    ) -> None:
        super().__init__()
        self.upsample_inside = upsample_inside
        self.library = library
        found = library_of(library)
        self.body: nn.Module = found.build(
            model, options, channels=channels, folder=folder, pretrained=pretrained
        )
        self.plan = found.plan(self.body, model, options, pool)
        self.channels, self.strides = self.plan.channels, self.plan.strides
        self.num_features, self.blocks = self.plan.num_features, self.plan.blocks

    @property
    def input_size(self) -> int | None:
        """The only side that the model takes, or None where any will do."""
        return self.plan.input_size

    def forward(self, x: Tensor) -> ImageFeatures:
        """Compute the features of normalised images [B, C, S, S].

        Raises:
            InputError: the model makes no vector [D] of an image.
        """
        if self.upsample_inside is not None:
            side = (self.upsample_inside, self.upsample_inside)
            x = F.interpolate(x, size=side, mode="bilinear", align_corners=True)
        pyramid, pooled = library_of(self.library).features(self.body, self.plan, x)
        if tuple(pooled.shape) != (len(x), self.num_features):
            raise InputError(
                f"the model makes {list(pooled.shape[1:])} of an image in the place of a vector "
                f"[{self.num_features}]; choose another pooling",
                field="image.options.global_pool" if self.library == "timm" else "image.options",
            )
        return ImageFeatures(pyramid, pooled)


def seeded_encoder(
    model: str,
    *,
    seed: int,
    upsample_inside: int | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
    **more: Any,
) -> ImageEncoder:
    """Build an encoder whose random initialisation depends on ``seed`` alone.

    The caller's random state is left as it was. ``more`` is as :class:`ImageEncoder` takes it.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return ImageEncoder(model, upsample_inside=upsample_inside, options=options, **more)


def hold_batchnorm(module: nn.Module) -> None:
    """Put all BatchNorm layers of a module in eval mode, so that their statistics stay."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()
