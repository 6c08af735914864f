from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from refusing import refusal
from safetensors.torch import save_file
from torch import Tensor

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.checkpoint import open_checkpoint
from g2d_bench.encoders.image import ImageEncoder, seeded_encoder
from g2d_bench.encoders.load import load_encoder
from g2d_bench.encoders.weights import weights_digest
from g2d_bench.hashing import digest_file

SMALL_VIT = {"embed_dim": 12, "num_heads": 2, "img_size": 32}
MakeCard = Callable[[str], EncoderCard]
MakeState = Callable[[str], "OrderedDict[str, Tensor]"]


def test_random_encoder_is_drawn_by_the_seed(small_card: MakeCard) -> None:
    card = small_card("random")
    first, again, other = (load_encoder(card, seed=seed) for seed in (1, 1, 2))
    assert first.weights_hash == again.weights_hash == weights_digest(card, seed=1)
    assert first.weights_hash.startswith("init:resnet18:")
    assert other.weights_hash != first.weights_hash
    assert torch.equal(_first(first.image), _first(again.image))
    assert not torch.equal(_first(first.image), _first(other.image))
    assert (first.text, first.heads, first.decoder, first.report) == (None, None, None, None)
    assert not first.image.training
    assert first.device == torch.device("cpu")


def _first(image: ImageEncoder) -> Tensor:
    return next(parameter for parameter in image.parameters() if parameter.ndim == 4).detach()


def test_preprocess_is_the_cards(small_card: MakeCard) -> None:
    card = small_card("imagenet.r50").model_copy(update={"weights": "none"})
    encoder = load_encoder(card)
    images = torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8)
    got = encoder.preprocess(images)
    assert got.shape == (2, 3, 32, 32)
    for channel, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        expected = (images.double() / 255 - mean) / std
        torch.testing.assert_close(got[:, channel].double(), expected, atol=1e-6, rtol=1e-6)
    for wrong in (images.float(), images[:, :16], images[0]):
        with pytest.raises(ValueError, match="expected uint8"):
            encoder.preprocess(wrong)


def test_published_file_loads_through_the_card(small_card: MakeCard, saved: Callable[[str], Path]) -> None:
    path, card = saved("gloria.chexpert-r50"), small_card("gloria.chexpert-r50")
    encoder = load_encoder(card, checkpoint=path)
    assert encoder.weights_hash == digest_file(path) == weights_digest(card, path)
    assert encoder.report is not None
    assert (encoder.report.layout, encoder.report.matched, len(encoder.report.outside)) == (
        "lightning",
        318,
        3,
    )
    assert encoder.decoder is None


@pytest.mark.parametrize(
    ("name", "decoder"),
    [
        ("g2d.r50", True),
        ("g2d.r50 encoder-decoder", True),
        ("g2d.r50 no-decoder", False),
        ("g2d.r50 encoder", False),
    ],
)
def test_g2d_files_bring_their_decoder(
    name: str, decoder: bool, small_card: MakeCard, saved: Callable[[str], Path]
) -> None:
    path = saved(name)
    encoder = load_encoder(small_card("g2d.r50"), checkpoint=path)
    assert (encoder.decoder is not None) == decoder
    if encoder.decoder is not None:
        images = torch.randint(0, 256, (1, 32, 32), dtype=torch.uint8)
        with torch.inference_mode():
            logits = encoder.decoder(encoder.image(encoder.preprocess(images)).pyramid)
        assert logits.shape == (1, 1, 32, 32)
        assert not encoder.decoder.training
        [state] = open_checkpoint(path).states.values()
        starts = {"blocks.": "decoder.blocks.", "head.": "segmentation_head.0."}
        for key, value in encoder.decoder.state_dict().items():
            start = next(one for one in starts if key.startswith(one))
            place = starts[start] + key.removeprefix(start)
            assert torch.equal(value, state["img_model." * (name == "g2d.r50") + place])


@pytest.mark.parametrize("name", ["imagenet.r50", "imagenet.vit-b16"])
def test_imagenet_weights_from_a_local_file(
    name: str, small_card: MakeCard, saved: Callable[[str], Path], trained_state: MakeState, tmp_path: Path
) -> None:
    card, pickled = small_card(name), saved(name)
    [state] = open_checkpoint(pickled).states.values()
    plain = tmp_path / "model.safetensors"
    save_file({key: value.clone() for key, value in state.items()}, plain)
    truth = trained_state(card.image.model)
    for path in (pickled, plain):
        # The file goes before timm's name on the card, which no test could reach.
        encoder = load_encoder(card, checkpoint=path)
        assert encoder.report is not None
        assert (encoder.report.file, encoder.report.matched) == (path, len(truth))
        assert all(torch.equal(value, truth[key]) for key, value in encoder.image.body.state_dict().items())


def test_medklip_fourth_stage_is_random_and_seeded(
    small_card: MakeCard, saved: Callable[[str], Path]
) -> None:
    path, card = saved("medklip.r50"), small_card("medklip.r50")
    states = [load_encoder(card, checkpoint=path, seed=seed).image.body.state_dict() for seed in (0, 1)]
    assert torch.equal(states[0]["layer3.0.conv1.weight"], states[1]["layer3.0.conv1.weight"])
    assert not torch.equal(states[0]["layer4.0.conv1.weight"], states[1]["layer4.0.conv1.weight"])


def test_wrong_file_for_a_card(small_card: MakeCard, saved: Callable[[str], Path]) -> None:
    path = saved("mrm.vit-b16")
    text = refusal(lambda: load_encoder(small_card("mgca.r50"), checkpoint=path))
    assert text.startswith(f"{path}: checkpoint: fits no layout of the card: ")
    assert "layout 'lightning': no state_dict (the file has model)" in text
    assert "layout 'g2d-bench': " in text


def test_mrm_pools_as_its_release_fine_tunes(
    small_card: MakeCard, saved: Callable[[str], Path], trained_state: MakeState
) -> None:
    """The mean of the last block's patches, normalised by a layer that no file holds; not the class token."""
    card = small_card("mrm.vit-b16")
    encoder = load_encoder(card, checkpoint=saved("mrm.vit-b16"))
    assert encoder.report is not None
    assert encoder.report.excused == ("fc_norm.weight", "fc_norm.bias")
    images = torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain = seeded_encoder(card.image.model, seed=1, options=SMALL_VIT)
    plain.body.load_state_dict(trained_state(card.image.model))
    model: Any = plain.eval().body
    with torch.inference_mode():
        x = encoder.preprocess(images)
        patches = model.patch_embed(x)
        tokens = torch.cat([model.cls_token.expand(3, -1, -1), patches], dim=1) + model.pos_embed
        for block in model.blocks:
            tokens = block(tokens)
        mean = tokens[:, 1:].mean(dim=1)
        spread = (mean.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()
        expected = (mean - mean.mean(1, keepdim=True)) / spread
        torch.testing.assert_close(encoder.image(x).pooled, expected, rtol=1e-4, atol=1e-5)
        assert abs(plain(x).pooled - expected).max() > 0.3, "the class token says something else"
