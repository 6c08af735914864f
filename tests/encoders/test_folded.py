"""Encoders with their BatchNorm folded in."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from g2d_bench.encoders.features import frozen_hash
from g2d_bench.encoders.folded import folded
from g2d_bench.encoders.image import ImageEncoder, ImageFeatures, seeded_encoder


def trained(image: nn.Module) -> nn.Module:
    """Move statistics, scales and offsets from where they start, as training does."""
    generator = torch.Generator().manual_seed(0)
    for module in image.modules():
        if isinstance(module, nn.BatchNorm2d):
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(module, name).data = torch.rand(module.num_features, generator=generator) + 0.5
    return image.eval()


def norms(image: nn.Module) -> list[nn.Module]:
    return [module for module in image.modules() if isinstance(module, nn.BatchNorm2d)]


def noise(side: int = 32) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def require_same(image: Any, other: Any, x: Tensor) -> None:
    with torch.inference_mode():
        wanted, found = image(x), other(x)
    for one, two in zip([*wanted.pyramid, wanted.pooled], [*found.pyramid, found.pooled], strict=True):
        assert float((one - two).abs().max()) <= 1e-4 * float(one.abs().max())


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("resnet18", {"channels": [8, 8, 16, 16], "stem_type": "deep", "stem_width": 8, "avg_down": True}),
        ("resnet50", {"channels": [8, 8, 8, 8]}),
        ("vit_base_patch16_224", {"embed_dim": 12, "num_heads": 2, "img_size": 32}),
    ],
)
def test_a_folded_encoder_says_the_same_and_leaves_the_other_alone(
    model: str, options: dict[str, Any]
) -> None:
    image = seeded_encoder(model, seed=2, options=options)
    trained(image)
    before = frozen_hash(image)
    found = folded(image, noise())
    require_same(image, found, noise())
    assert frozen_hash(image) == before
    assert not norms(found)


@pytest.mark.parametrize(
    "model",
    [
        "densenet121",
        "efficientnet_b0",
        "mobilenetv3_small_100",
        "resnetv2_50",
        "regnety_002",
        "darknet53",
    ],
)
def test_activations_within_a_normalisation_stay(model: str) -> None:
    image = seeded_encoder(model, seed=2, pool="library")
    trained(image)
    acting = [norm for norm in norms(image) if isinstance(norm, BatchNormAct2d)]
    assert acting
    found = folded(image, noise(64))
    require_same(image, found, noise(64))


class Late(nn.Module):
    """The normalisation stands behind the convolution, and is computed behind what follows it."""

    def __init__(self, *, asks: bool = False) -> None:
        super().__init__()
        self.conv, self.norm, self.asks = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), asks

    def forward(self, x: Tensor) -> ImageFeatures:
        maps = self.conv(x)
        maps = maps * self.norm.eps if self.asks else maps.relu()
        maps = self.norm(maps)
        return ImageFeatures([maps], maps.mean(dim=(2, 3)))


@pytest.mark.parametrize("asks", [False, True])
def test_where_a_fold_would_say_something_else_nothing_is_folded(asks: bool) -> None:
    image: Any = trained(Late(asks=asks))
    found: ImageEncoder = folded(image, noise())
    require_same(image, found, noise())
    assert len(norms(found)) == 1


class Scaled(nn.Conv2d):
    """A convolution that makes its weights anew in every step."""

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = nn.functional.conv2d(x, self.weight / self.weight.norm(), self.bias)
        return found


def test_a_convolution_of_another_kind_keeps_its_normalisation() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = (
                nn.Sequential(kind(channels, 8, 3), nn.BatchNorm2d(8))
                for kind, channels in ((nn.Conv2d, 3), (Scaled, 8))
            )

        def forward(self, x: Tensor) -> ImageFeatures:
            maps = self.second(self.first(x))
            return ImageFeatures([maps], maps.mean(dim=(2, 3)))

    image: Any = trained(Both())
    found: Any = folded(image, noise())
    require_same(image, found, noise())
    assert not norms(found.first)
    assert len(norms(found.second)) == 1
