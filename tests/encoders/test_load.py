from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from g2d_bench.cards.encoder import EncoderCard, ImageInput
from g2d_bench.encoders import weights as weights_module
from g2d_bench.encoders.checkpoint import open_checkpoint
from g2d_bench.encoders.decoder import UNetDecoder
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import ImageEncoder, seeded_encoder
from g2d_bench.encoders.load import build_image, load_encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.weights import weights_digest, weights_file, weights_state
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file

MakeCard = Callable[[str], EncoderCard]
MakeState = Callable[[str], "OrderedDict[str, Tensor]"]


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    return text


# Random encoders


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


# Published files


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


# Cards and files that do not agree


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


def test_where_weights_are_looked_for(
    small_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_module, "PACKAGE", tmp_path)
    card = small_card("g2d")
    assert weights_file(small_card("random")) is None
    assert weights_state(small_card("random")) == (True, "")
    usable, reason = weights_state(card)
    assert not usable
    assert reason == "g2d: g2d.safetensors is not in this installation; `make weights` makes it"
    shipped = tmp_path / "weights" / "g2d.safetensors"
    shipped.parent.mkdir()
    shipped.write_bytes(b"x")
    assert weights_state(card) == (True, "")
    assert weights_file(card) == shipped
    assert weights_state(card, tmp_path / "absent")[1] == f"{tmp_path / 'absent'}: no such file"
    assert weights_state(card, tmp_path)[1] == f"{tmp_path}: not a file"
    usable, reason = weights_state(small_card("mgca.r50"))
    assert not usable
    assert reason == "mgca.r50: published weights are not shipped; give --checkpoint mgca.r50=FILE"


def test_digest_follows_the_file(small_card: MakeCard, tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"one")
    first = weights_digest(small_card("g2d"), path)
    path.write_bytes(b"three")
    assert weights_digest(small_card("g2d"), path) == digest_file(path) != first


def test_imagenet_weights_come_from_the_hub_cache(
    small_card: MakeCard, saved: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    card = small_card("imagenet.r50")
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: None)
    assert "is not in the Hugging Face cache; run `g2d-bench doctor" in weights_state(card)[1]

    def offline(*_: object, **__: object) -> str:
        raise OSError("offline mode is enabled\nmore advice")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", offline)
    text = refusal(lambda: load_encoder(card, download=True))
    assert text.endswith("neither from the cache nor by network: offline mode is enabled")
    file = saved("imagenet.r50")
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *_, **__: str(file))
    assert load_encoder(card, download=True).weights_hash == digest_file(file)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_, **__: str(file))
    assert weights_state(card) == (True, "")
    report = load_encoder(card, download=True).report
    assert report is not None
    assert report.dropped == ("fc.weight", "fc.bias")


def test_state_of_weights_is_told_without_torch() -> None:
    code = (
        "import sys, pathlib\n"
        "from g2d_bench.cards.catalogue import Catalogue\n"
        "from g2d_bench.cards.encoder import EncoderCard\n"
        "from g2d_bench.encoders.weights import weights_state\n"
        "from g2d_bench.paths import shipped\n"
        "for card in Catalogue.open().encoders:\n"
        "    weights_state(card)\n"
        "assert 'torch' not in sys.modules and 'timm' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})


# Files of our own pre-training


def _own_file(
    folder: Path, card: EncoderCard, change: Callable[[dict[str, Any]], None] | None = None
) -> Path:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "heart", "lung", "##s", "normal"]
    tokenizer = Tokenizer(models.WordPiece({word: n for n, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    image = seeded_encoder(card.image.model, seed=77, options=card.image.options)
    text = TextEncoder.small(folder / "tokenizer.json", hidden=16, layers=2, heads=2, intermediate=16)
    shape: dict[str, Any] = {
        "channels": image.channels,
        "strides": image.strides,
        "num_features": image.num_features,
    }
    heads = make_heads("convirt", text_width=text.width, dim=8, **shape)
    decoder = UNetDecoder(image.channels, image.strides, (8, 8, 4, 4, 4))
    parts: dict[str, nn.Module] = {"image": image.body, "text": text.bert, "heads": heads, "decoder": decoder}
    tensors = {
        f"{part}.{name}": (tensor.half() if tensor.is_floating_point() else tensor).contiguous().clone()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    metadata = {
        "text": {"source": "small", "options": text.options},
        "tokenizer": digest_file(folder / "tokenizer.json"),
        "heads": {"method": "convirt", "options": {"dim": 8}},
        "decoder": decoder.options,
    }
    if change is not None:
        change(metadata)
    path = folder / "own.safetensors"
    save_file(tensors, path, metadata={"g2d_bench": json.dumps(metadata)})
    return path


def test_own_file_brings_everything(small_card: MakeCard, tmp_path: Path) -> None:
    card = small_card("convirt")
    encoder = load_encoder(card, checkpoint=_own_file(tmp_path, card))
    assert encoder.report is not None
    assert encoder.report.layout == "g2d-bench"
    assert encoder.text is not None
    assert encoder.heads is not None
    assert encoder.decoder is not None
    original = seeded_encoder(card.image.model, seed=77, options=card.image.options)
    half = _first(original).half().float()
    assert torch.equal(_first(encoder.image), half)
    images = torch.randint(0, 256, (2, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        tokens = encoder.text.tokenize(["heart normal", "lungs"], 16)
        features = encoder.image(encoder.preprocess(images))
        embeddings = encoder.heads(features, encoder.text(tokens), tokens)
        logits = encoder.decoder(features.pyramid)
    assert embeddings.image_global.shape == embeddings.text_global.shape == (2, 8)
    assert logits.shape == (2, 1, 32, 32)
    for module in (encoder.image, encoder.text, encoder.heads, encoder.decoder):
        assert not module.training
        assert all(parameter.dtype == torch.float32 for parameter in module.parameters())


def test_own_file_fits_any_card_of_its_architecture(small_card: MakeCard, tmp_path: Path) -> None:
    path = _own_file(tmp_path, small_card("g2d"))
    assert load_encoder(small_card("random"), checkpoint=path).decoder is not None


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("heads", None, "g2d_bench.heads: the file has heads tensors but does not describe them"),
        (
            "heads",
            {"method": "convirt", "options": {"dim": 9}},
            "g2d_bench.heads: description and tensors disagree: ",
        ),
        ("heads", {"method": "convert"}, "did you mean 'convirt'?"),
        ("text", {}, "g2d_bench.text: description and tensors disagree: 'source'"),
        ("text", {"source": "nowhere"}, "must be 'hf-hub:NAME' or 'local-dir:PATH'"),
        ("decoder", {"widths": [8, 8, 4, 4, 5]}, "g2d_bench.decoder: description and tensors disagree: "),
        (
            "tokenizer",
            "0" * 64,
            "tokenizer: tokenizer.json is not the one that the text encoder was trained with",
        ),
    ],
)
def test_own_file_with_a_wrong_description(
    key: str, value: object, expected: str, small_card: MakeCard, tmp_path: Path
) -> None:
    card = small_card("convirt")
    path = _own_file(tmp_path, card, lambda metadata: metadata.update({key: value}))
    assert expected in refusal(lambda: load_encoder(card, checkpoint=path))


def test_own_file_without_its_tokenizer(
    small_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = small_card("convirt")
    path = _own_file(tmp_path, card)
    monkeypatch.setattr("g2d_bench.encoders.own.PACKAGE", tmp_path / "nowhere")
    (tmp_path / "tokenizer.json").unlink()
    assert "tokenizer.json is missing" in refusal(lambda: load_encoder(card, checkpoint=path))
