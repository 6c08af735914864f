"""How much work an image is for an encoder, from its card alone; rough, and without importing torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from g2d_bench.cards.encoder import EncoderCard

RESNETS = {
    "18": (False, (2, 2, 2, 2)),
    "34": (False, (3, 4, 6, 3)),
    "50": (True, (3, 4, 6, 3)),
    "101": (True, (3, 4, 23, 3)),
    "152": (True, (3, 8, 36, 3)),
}
"""Whether blocks are bottlenecks, and blocks per stage (He et al., CVPR 2016, table 1)."""
VITS = {
    "tiny": (192, 12),
    "small": (384, 12),
    "base": (768, 12),
    "large": (1024, 24),
    "huge": (1280, 32),
    "giant": (1408, 40),
}
"""Width and layers (Dosovitskiy et al., ICLR 2021, table 1; tiny and small as in DeiT)."""
OTHERS = {
    "convnext_tiny": 4.5,
    "convnext_small": 8.7,
    "convnext_base": 15.4,
    "densenet121": 2.9,
    "densenet169": 3.4,
    "densenet201": 4.3,
    "efficientnet_b0": 0.4,
    "swin_tiny": 4.5,
    "swin_small": 8.7,
    "swin_base": 15.4,
}
"""Billions of multiplications at 224 pixels, as their papers state them."""
USUAL = 4.1
"""Of a model that is not known here: as many as a ResNet-50."""


def gigamacs(card: EncoderCard) -> float:
    """Return about how many billions of multiplications one image takes, forwards.

    Convolutions and linear maps only; of an architecture that is not known here it is that of a ResNet-50.
    """
    image = card.image
    side = image.resize_inside or image.size
    resnet = re.match(r"(?:wide_)?(?:resnet|resnext)(\d+)", image.model)
    vit = re.match(r"(?:vit|deit3?|eva02|beit)_([a-z]+)_(?:distilled_)?patch(\d+)", image.model)
    if resnet and resnet[1] in RESNETS:
        return _resnet(*RESNETS[resnet[1]], side, image.options) / 1e9
    if vit and vit[1] in VITS:
        return _vit(*VITS[vit[1]], int(vit[2]), side, image.options) / 1e9
    known = next((macs for name, macs in OTHERS.items() if image.model.startswith(name)), USUAL)
    return known * (side / 224) ** 2


def _resnet(bottleneck: bool, blocks: Sequence[int], side: int, options: dict[str, Any]) -> float:
    """Count a ResNet's multiplications; widths other than usual are those of timm's ``channels``."""
    widths = _numbers(options.get("channels"), (64, 128, 256, 512))
    grow = 4 if bottleneck else 1
    at = side / 2
    total = 49 * 3 * widths[0] * at**2
    before = float(widths[0])
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=False)):
        at = side / 4 / 2**stage
        for block in range(count):
            inside = width * width * (9 if bottleneck else 18)
            ends = before * width + grow * width * width if bottleneck else (before - width) * width * 9
            shortcut = before * grow * width if block == 0 and before != grow * width else 0
            total += (inside + ends + shortcut) * at**2
            before = grow * width
    return total


def _vit(width: int, layers: int, patch: int, side: int, options: dict[str, Any]) -> float:
    """Count a vision transformer's multiplications: 12 d^2 per token and layer, and attention."""
    width = int(_number(options.get("embed_dim"), width))
    layers = int(_number(options.get("depth"), layers))
    patch = int(_number(options.get("patch_size"), patch))
    tokens = (side / max(1, patch)) ** 2 + 1
    return layers * (12 * width**2 * tokens + 2 * width * tokens**2) + 3 * patch**2 * width * tokens


def _number(value: object, otherwise: float) -> float:
    """Take an option of somebody's card, if it is a number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else otherwise


def _numbers(value: object, otherwise: Sequence[float]) -> Sequence[float]:
    """Take an option of somebody's card, if it is a list of as many numbers."""
    items = value if isinstance(value, list | tuple) else ()
    known = [float(item) for item in items if isinstance(item, int | float)]
    return known if len(known) == len(items) == len(otherwise) else otherwise


def parameters(card: EncoderCard) -> float | None:
    """Return about how many millions of weights the image encoder has; None of an unknown architecture.

    Convolutions and linear maps only, without a classifier: norms add less than a percent.
    """
    image = card.image
    resnet = re.fullmatch(r"resnet(\d+)", image.model)
    vit = re.match(r"(?:vit|deit3?)_([a-z]+)_(?:distilled_)?patch(\d+)", image.model)
    if resnet and resnet[1] in RESNETS:
        return _resnet_weights(*RESNETS[resnet[1]], image.options) / 1e6
    if vit and vit[1] in VITS:
        width, layers = VITS[vit[1]]
        width = int(_number(image.options.get("embed_dim"), width))
        layers = int(_number(image.options.get("depth"), layers))
        patch = int(_number(image.options.get("patch_size"), int(vit[2])))
        tokens = (image.size / max(1, patch)) ** 2 + 1
        return (layers * (12 * width**2 + 13 * width) + (3 * patch**2 + tokens) * width) / 1e6
    return None


def _resnet_weights(bottleneck: bool, blocks: Sequence[int], options: dict[str, Any]) -> float:
    """Count a ResNet's weights; a deep stem has three small convolutions instead of a large one."""
    widths = _numbers(options.get("channels"), (64, 128, 256, 512))
    grow = 4 if bottleneck else 1
    stem = _number(options.get("stem_width"), widths[0] / 2)
    total = (
        9 * stem * (3 + stem + 2 * stem) if "deep" in str(options.get("stem_type", "")) else 147 * widths[0]
    )
    before = float(2 * stem if "deep" in str(options.get("stem_type", "")) else widths[0])
    for width, count in zip(widths, blocks, strict=False):
        for _ in range(count):
            if bottleneck:
                total += before * width + 9 * width * width + grow * width * width
            else:
                total += 9 * (before * width + width * width)
            total += before * grow * width if before != grow * width else 0
            before = grow * width
    return total
