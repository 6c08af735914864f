from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from refusing import refusal
from torch import Tensor

from g2d_bench.cards.encoder import EncoderCard, ImageInput
from g2d_bench.encoders.image_side import OWN, build_image, fill_image

MakeCard = Callable[[str], EncoderCard]


def test_card_with_wrong_architecture_names_its_file(small_card: MakeCard) -> None:
    card = small_card("random")
    wrong = card.model_copy(update={"image": ImageInput(model="resnet181", size=32)})
    assert refusal(lambda: build_image(wrong, 0)).startswith(
        "random.toml: image.model: timm has no 'resnet181'"
    )
    wrong = card.model_copy(update={"image": ImageInput(model="vit_base_patch16_224", size=256)})
    assert refusal(lambda: build_image(wrong, 0)) == (
        "random.toml: image.size: vit_base_patch16_224 takes 224 px, not 256; set image.options.img_size"
    )


def test_a_file_fills_all_but_what_its_card_lets_it_lack(
    small_card: MakeCard,
    saved: Callable[[str], Path],
    trained_state: Callable[[str], OrderedDict[str, Tensor]],
) -> None:
    card = small_card("medklip.r50")
    image, blank = build_image(card, 3), build_image(card, 3)
    before = torch.get_rng_state()
    report, opened = fill_image(card, image, saved("medklip.r50"), seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    assert report.layout == "medklip" != OWN
    assert opened is not None
    wanted, drawn = trained_state("resnet50"), blank.body.state_dict()
    for name, value in image.body.state_dict().items():
        assert torch.equal(value, (drawn if name.startswith("layer4.") else wanted)[name]), name
