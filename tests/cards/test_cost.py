"""The work that an image is for an encoder, against what papers and timm's own layers say."""

from __future__ import annotations

from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.cost import gigamacs, parameters
from g2d_bench.cards.encoder import EncoderCard


def card(model: str, size: int = 224, **options: Any) -> EncoderCard:
    known = Catalogue.open().encoders["random"]
    image = known.image.model_copy(update={"model": model, "size": size, "options": options})
    return known.model_copy(update={"image": image})


@pytest.mark.parametrize(
    ("model", "published"),
    [
        ("resnet18", 1.8),
        ("resnet34", 3.6),
        ("resnet50", 3.8),
        ("resnet101", 7.6),
        ("resnet152", 11.3),
        ("vit_tiny_patch16_224", 1.3),
        ("vit_small_patch16_224", 4.6),
        ("deit_base_patch16_224", 17.6),
        ("vit_large_patch16_224", 61.6),
    ],
)
def test_as_published(model: str, published: float) -> None:
    """ResNets as in table 1 of He et al., transformers as in DeiT and timm's tables."""
    assert gigamacs(card(model)) == pytest.approx(published, rel=0.06)


def test_the_side_counts_in_the_square_and_the_inner_one_first() -> None:
    assert gigamacs(card("resnet50", 448)) == pytest.approx(4 * gigamacs(card("resnet50")))
    inside = card("resnet50")
    image = inside.image.model_copy(update={"resize_inside": 448})
    assert gigamacs(inside.model_copy(update={"image": image})) == gigamacs(card("resnet50", 448))


def test_narrow_ones_are_counted_layer_by_layer() -> None:
    """Against the layers of the module itself."""
    import torch
    from torch import nn

    from g2d_bench.encoders.image import seeded_encoder

    small = Catalogue.open().encoders["random"]
    body = seeded_encoder(small.image.model, seed=0, options=small.image.options).eval()
    total = 0

    def count(module: nn.Conv2d, _: Any, out: torch.Tensor) -> None:
        nonlocal total
        total += module.weight.numel() * out.shape[2] * out.shape[3]

    for module in body.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad():
        body(torch.zeros(1, 3, small.image.size, small.image.size))
    assert gigamacs(small) == pytest.approx(total / 1e9, rel=0.35)


def test_the_published_scale_is_many_times_the_small_one() -> None:
    encoders = Catalogue.open().encoders
    assert 50 < gigamacs(encoders["random.r50"]) / gigamacs(encoders["random"]) < 100


@pytest.mark.parametrize(
    "options", [{"channels": "wide"}, {"channels": [1]}, {"embed_dim": True}, {"depth": None}]
)
def test_odd_options_count_as_usual(options: dict[str, Any]) -> None:
    for model in ("resnet50", "vit_base_patch16_224"):
        assert gigamacs(card(model, **options)) == gigamacs(card(model))


def test_what_is_not_known_counts_as_a_resnet_50() -> None:
    assert gigamacs(card("mobilenetv3_large")) == pytest.approx(gigamacs(card("resnet50")), rel=0.1)
    assert gigamacs(card("convnext_tiny.in12k", 448)) == pytest.approx(18.0)


@pytest.mark.parametrize("name", ["random", "g2d.r50", "mgca.vit-b16"])
def test_weights_are_counted_as_timm_has_them(name: str) -> None:
    import timm

    known = Catalogue.open().encoders[name]
    model = timm.create_model(known.image.model, num_classes=0, **known.image.options)
    there = sum(part.numel() for part in model.parameters()) / 1e6
    assert parameters(known) == pytest.approx(there, rel=0.01)


def test_weights_of_unknown_architectures_are_not_guessed() -> None:
    assert parameters(card("convnext_tiny")) is None
