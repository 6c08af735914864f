"""Files of our own form."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from refusing import refusal
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.decoder import UNetDecoder
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import ImageEncoder, seeded_encoder
from g2d_bench.encoders.load import load_encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "wide": (lambda m: m["text"]["options"].update(hidden=40_000, intermediate=160_000), "text: description"),
    "layers": (
        lambda m: m["text"]["options"].update(layers=100_000),
        "text: description and tensors disagree",
    ),
    "many layers": (lambda m: m["text"]["options"].update(layers=1 << 40), "a number is out of range"),
    "no layers": (lambda m: m["text"]["options"].update(layers=-1), "-1 layers, but "),
    "words": (lambda m: m["text"]["options"].update(layers="3"), "'3' layers, but "),
    "positions": (lambda m: m["text"]["options"].update(positions=1_000_000), "position_embeddings"),
    "unknown": (lambda m: m["text"]["options"].update(hiden=3), "text: description and tensors disagree"),
    "number for a source": (lambda m: m["text"].update(source=5), "text: source: 5 must be 'hf-hub:NAME'"),
    "hub": (
        lambda m: m["text"].update(source="hf-hub:stranger/model"),
        "no tokenizer: hf-hub:stranger/model is not on this machine, and is fetched for no file; put a copy",
    ),
    "hub way out": (lambda m: m["text"].update(source="hf-hub:../.."), "is not on this machine"),
    "nobody's home": (lambda m: m["text"].update(source="local-dir:~nosuchuser/x"), "is not on this machine"),
    "deep": (lambda m: m["text"].update(options=_deep(900)), "nested too deeply"),
    "deep heads": (lambda m: m["heads"]["options"].update(dim=_deep(30)), "nested too deeply"),
    "wide heads": (lambda m: m["heads"]["options"].update(dim=1_000_000), "heads: description and tensors"),
    "g2d heads": (
        lambda m: m.update(heads={"method": "g2d", "options": {"dim": 1 << 20, "grid": 1 << 20, "heads": 1}}),
        "heads: description and tensors disagree",
    ),
    "list for a method": (lambda m: m["heads"].update(method=["g2d"]), "heads: description and tensors"),
    "list for heads": (lambda m: m.update(heads=[1]), "has heads tensors but does not describe them"),
    "a number without end": (lambda m: m["heads"]["options"].update(dim=float("inf")), "out of range"),
    "another's tokenizer": (lambda m: m.update(tokenizer=5), "tokenizer.json is not the one"),
}
MakeCard = Callable[[str], EncoderCard]


def _first(image: ImageEncoder) -> Tensor:
    return next(parameter for parameter in image.parameters() if parameter.ndim == 4).detach()


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


def test_descriptions_are_held_against_the_tensors_first(strangers: Any, tmp_path: Path) -> None:
    card, _ = strangers.card(tmp_path)
    files = {"honest": strangers.own(tmp_path / "honest.safetensors")}
    for name, (change, _) in LIES.items():
        files[name] = strangers.own(tmp_path / f"{name}.safetensors", change)
    found = strangers.outcomes(list(files.values()), card)
    assert found["honest.safetensors"][0] == "loads"
    for name, (_, expected) in LIES.items():
        text, seconds = found[f"{name}.safetensors"]
        assert text.startswith(f"{tmp_path}"), (name, text)
        assert expected in text, (name, text)
        assert seconds < 5, name


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
    # A task that asks with no text needs none.
    encoder = load_encoder(card, checkpoint=path, text=False)
    assert (encoder.text, encoder.heads) == (None, None)
    assert "text" not in encoder.gives


def test_two_files_in_one_folder_keep_their_tokenizers(
    small_card: MakeCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = small_card("convirt")
    monkeypatch.setattr("g2d_bench.encoders.own.PACKAGE", tmp_path / "nowhere")
    first = _own_file(tmp_path, card).rename(tmp_path / "first.safetensors")
    (tmp_path / "tokenizer.json").rename(tmp_path / "first.tokenizer.json")
    second = _own_file(tmp_path, card)
    other = Tokenizer(models.WordPiece({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3}, unk_token="[UNK]"))
    other.save(str(tmp_path / "own.tokenizer.json"))
    for file in (first, second):
        encoder = load_encoder(card, checkpoint=file)
        assert encoder.text is not None
        assert encoder.text.tokenizer.get_vocab_size() == 9
    # Any other name will do as long as it is the very tokenizer.
    (tmp_path / "first.tokenizer.json").rename(tmp_path / "of-the-first-tokenizer.json")
    (tmp_path / "tokenizer.json").unlink()
    assert load_encoder(card, checkpoint=first).text is not None
    (tmp_path / "of-the-first-tokenizer.json").unlink()
    assert "keep it beside the weights, as first.tokenizer.json where there are several" in refusal(
        lambda: load_encoder(card, checkpoint=first)
    )


def test_a_released_text_side_comes_back_as_it_read(small_card: MakeCard, tmp_path: Path) -> None:
    """What MGCA's released variant leaves: no entry of token types, and every token at position 0."""
    from safetensors.torch import load_file

    card = small_card("convirt")
    path = _own_file(tmp_path, card, lambda m: m["text"]["options"].update(places="zero", token_types=False))
    types = "text.embeddings.token_type_embeddings.weight"
    with pytest.raises(InputError, match="token_type"):
        load_encoder(card, checkpoint=path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = {name: value for name, value in load_file(path).items() if name != types}
    save_file(tensors, path, metadata=metadata)
    text = load_encoder(card, checkpoint=path).text
    assert text is not None
    assert text.reads == {"places": "zero", "token_types": False}
    assert text.options["places"] == "zero"
