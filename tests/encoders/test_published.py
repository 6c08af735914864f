"""Text side of published files: read by the cards, it computes what the layers of the releases do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from refusing import refusal
from torch import Tensor
from torch.nn import functional
from transformers import BertConfig, BertModel

from g2d_bench.adapters.base import NotApplicable
from g2d_bench.adapters.text_image import TextImage
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.encoders.checkpoint import match_part, open_checkpoint
from g2d_bench.encoders.doctor import diagnose, render
from g2d_bench.encoders.image import ImageEncoder, seeded_encoder
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.encoders.published import initial_heads
from g2d_bench.encoders.tokenizer import train_tokenizer

MakeCard = Callable[[str], EncoderCard]
SAID = ("no pneumothorax is seen", "left pneumonia", "")
WIDTH = 16
NAMES = (
    *("gloria.chexpert-r50", "gloria.mimic-r50", "mgca.r50", "mgca.vit-b16", "convirt.benchx-r50"),
    *("g2d.r50", "biovil.r50", "mflag.r50"),
)


MakeRelease = Callable[..., Any]


def embedded(encoder: Encoder) -> tuple[Any, Any, Any, Any]:
    """Return features, tokens, image embedding and text embedding of an encoder."""
    assert encoder.text is not None
    assert encoder.heads is not None
    size = encoder.card.image.size
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (3, size, size), dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        features = encoder.image(encoder.preprocess(images))
        tokens = encoder.text.tokenize(SAID)
        text = encoder.heads.embed_text(encoder.text(tokens), tokens)
        return features, tokens, encoder.heads.embed_image(features), text


def expected(made: Any, features: Any, tokens: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Compute image vectors, cells and text vectors with the layers of the release."""
    mask = tokens["attention_mask"]
    # The released MGCA tells its BERT that every token stands at position 0.
    zero = made.card.name.startswith("mgca")
    where = {"position_ids": torch.zeros_like(tokens["input_ids"])} if zero else {}
    out = made.text(tokens["input_ids"], mask.long(), output_hidden_states=True, **where)
    last, parts, layer3, layer4 = (
        out.last_hidden_state,
        made.parts,
        features.pyramid[-2],
        features.pyramid[-1],
    )
    match made.card.name.split(".")[0]:
        case "gloria":
            embed, local = parts.values()
            summed = torch.stack(out.hidden_states[-4:]).sum(0) * mask[..., None]
            return embed(features.pooled), local(layer3), summed.sum(1) / mask.sum(1, keepdim=True)
        case "mgca":
            image, local, text, _ = parts.values()
            grid = layer4 if "vit" in made.card.name else layer3
            cells = local(grid.flatten(2)).reshape(len(grid), 8, *grid.shape[2:])
            return image(features.pooled), cells, text(last[:, 0])
        case "convirt":
            image, text = parts.values()
            cells = image(layer4.movedim(1, -1)).movedim(-1, 1)
            return image(features.pooled), cells, text(out.pooler_output)
        case "mflag":
            image, text = parts.values()
            cells = image(layer4.movedim(1, -1).flatten(0, 2)).reshape(len(layer4), *layer4.shape[2:], -1)
            return image(features.pooled), cells.movedim(-1, 1), text(last[:, 0])
        case "g2d":
            image, text, pool = parts.values()
            small: Any = pool
            grid = image(layer4)
            rows = grid.flatten(2).permute(2, 0, 1)
            rows = torch.cat([rows.mean(0, keepdim=True), rows]) + small.positional_embedding[:, None]
            vector = small.c_proj(small.mhsa(rows[:1], rows, rows)[0][0])
            return vector, grid, text(last.permute(0, 2, 1))[..., 0]
    projector, head = parts.values()
    cells = projector(layer4)
    bare: Any = head
    hidden = bare.LayerNorm(functional.gelu(bare.dense_to_hidden(last[:, 0])))
    return cells.mean((2, 3)), cells, bare.dense_to_output(hidden)


@pytest.mark.parametrize("name", NAMES)
def test_vectors_are_those_of_the_release(name: str, release: MakeRelease) -> None:
    made = release(name)
    encoder = load_encoder(made.card, checkpoint=made.file)
    features, tokens, image, text = embedded(encoder)
    with torch.inference_mode():
        vector, cells, said = expected(made, features, tokens)
    close: Any = torch.testing.assert_close
    close(image.vector, vector, rtol=1e-4, atol=1e-5)
    close(image.cells, cells, rtol=1e-4, atol=1e-5)
    close(text.vector, said, rtol=1e-4, atol=1e-5)
    first, second = encoder.text_reports
    assert encoder.text is not None
    assert encoder.heads is not None
    for report, module in ((first, encoder.text.bert), (second, encoder.heads)):
        assert report.ok
        assert report.matched == report.expected == len(module.state_dict())
        assert (report.missing, report.unexpected, report.excused) == ((), (), ())
    assert any(one.endswith("embeddings.position_ids") for one in first.dropped)
    assert any("crossattention" in one for one in first.dropped) == name.startswith("mgca")
    assert not encoder.text.training
    assert not encoder.heads.training


def test_mgca_words_are_projected_by_the_local_head(release: MakeRelease) -> None:
    made = release("mgca.r50")
    encoder = load_encoder(made.card, checkpoint=made.file)
    _, tokens, _, text = embedded(encoder)
    with torch.inference_mode():
        ids = tokens["input_ids"]
        told = {"attention_mask": tokens["attention_mask"].long(), "position_ids": torch.zeros_like(ids)}
        last = made.text(ids, **told).last_hidden_state
        # "left pneumonia": its words, each whole or in pieces that are summed.
        index = tokens["word_index"][1]
        sums = torch.stack([last[1][index == word].sum(0) for word in range(1, int(index.max()))])
        projected = made.parts["text_encoder_q.local_embed.head."](sums.T[None])[0].T
    torch.testing.assert_close(text.words[1][text.mask[1]], projected, rtol=1e-4, atol=1e-5)


def by_hand(state: dict[str, Tensor], ids: Tensor, heads: int, layers: int) -> Tensor:
    """A BERT without positions and token types, written out: words, the one position, and the layers."""

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name: str, x: Tensor) -> Tensor:
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-12).sqrt()
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    first = state["embeddings.position_embeddings.weight"][0]
    x = norm("embeddings.LayerNorm", state["embeddings.word_embeddings.weight"][ids] + first)
    for n in range(layers):
        at = f"encoder.layer.{n}."
        split = [
            linear(f"{at}attention.self.{part}", x).reshape(len(ids), heads, -1).transpose(0, 1)
            for part in ("query", "key", "value")
        ]
        shares = torch.softmax(split[0] @ split[1].transpose(1, 2) / split[0].shape[-1] ** 0.5, dim=-1)
        read = (shares @ split[2]).transpose(0, 1).reshape(len(ids), -1)
        x = norm(f"{at}attention.output.LayerNorm", x + linear(f"{at}attention.output.dense", read))
        inner = functional.gelu(linear(f"{at}intermediate.dense", x))
        x = norm(f"{at}output.LayerNorm", x + linear(f"{at}output.dense", inner))
    return x


@pytest.mark.parametrize("name", ["mgca.r50", "mgca.vit-b16"])
def test_mgca_reads_without_positions_and_token_types(name: str, release: MakeRelease) -> None:
    made = release(name)
    state = open_checkpoint(made.file).states["state_dict"]
    start = "text_encoder_q.model."
    own = {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
    assert not any("token_type" in key for key in own)
    encoder = load_encoder(made.card, checkpoint=made.file)
    text = encoder.text
    assert text is not None
    assert encoder.text_reports[0].matched == len(text.bert.state_dict())
    assert not any("token_type" in key for key in text.bert.state_dict())
    tokens = text.tokenize(SAID)
    with torch.inference_mode():
        states = text(tokens).hidden[-1]
        for row, mask in enumerate(tokens["attention_mask"]):
            ids = tokens["input_ids"][row][mask]
            torch.testing.assert_close(states[row][mask], by_hand(own, ids, 2, 6), rtol=1e-4, atol=1e-5)
        # Positions that are counted give other vectors, by more than any rounding.
        text.places = "counted"
        assert abs(text(tokens).hidden[-1][0, 0] - states[0, 0]).max() > 0.01


def test_a_file_of_mgca_with_token_types_is_another_file(release: MakeRelease) -> None:
    types = "text_encoder_q.model.embeddings.token_type_embeddings.weight"
    made = release("mgca.r50", lambda state: state.update({types: torch.zeros(2, WIDTH)}))
    text = refusal(lambda: load_encoder(made.card, checkpoint=made.file))
    assert f"1 unexpected ({types})" in text


@pytest.mark.parametrize(("layers", "count"), [(12, 197), (6, 101)])
def test_full_size_text_encoders_have_the_published_number_of_entries(
    layers: int, count: int, tmp_path: Path
) -> None:
    config = BertConfig(vocab_size=300, num_hidden_layers=layers)
    with torch.device("meta"):
        bert = BertModel(config, add_pooling_layer=False)
    state = {f"lm_model.{key}": torch.zeros(value.shape) for key, value in bert.state_dict().items()}
    part = Catalogue.open().encoders["g2d.r50"].checkpoint[0].text
    assert part is not None
    report = match_part(tmp_path, "checkpoint", state, part, bert)
    assert report.ok
    assert report.matched == report.expected == count


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("gloria.chexpert-r50", 3),
        ("mgca.r50", 48),
        ("mgca.vit-b16", 48),
        ("convirt.benchx-r50", 10),
        ("g2d.r50", 17),
        ("biovil.r50", 14),
        ("mflag.r50", 24),
    ],
)
def test_full_size_heads_have_the_published_number_of_entries(name: str, count: int) -> None:
    card = Catalogue.open().encoders[name]
    wide = 768 if "vit" in name else 2048

    class Shape:
        channels = (768,) * 4 if "vit" in name else (64, 256, 512, 1024, 2048)
        strides = (16,) * 4 if "vit" in name else (2, 4, 8, 16, 32)
        num_features = wide

    heads = initial_heads(card, Shape(), 768, 0)  # type: ignore[arg-type]
    assert len(heads.state_dict()) == count
    assert heads.dim == {"gloria": 768, "convirt": 768, "mflag": 1024}.get(name.split(".")[0], 128)


# Files that must not load, and files that bring less


def _without(start: str) -> Callable[[dict[str, Tensor]], None]:
    def change(state: dict[str, Tensor]) -> None:
        for name in [name for name in state if name.startswith(start)]:
            del state[name]

    return change


def _renamed(old: str, new: str) -> Callable[[dict[str, Tensor]], None]:
    def change(state: dict[str, Tensor]) -> None:
        for name in [name for name in state if name.startswith(old)]:
            state[new + name.removeprefix(old)] = state.pop(name)

    return change


TEXT = "gloria.text_encoder.model."
UNSEEN = "; these names come from the code of the release, not from a file"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            _without(f"{TEXT}encoder.layer.3."),
            "text encoder of layout 'lightning': 181 of 197 entries match, 16 missing "
            "(encoder.layer.3.attention.self.query.weight, ",
        ),
        (
            _renamed(f"{TEXT}encoder.layer.11.", f"{TEXT}encoder.layer.12."),
            "16 missing (encoder.layer.11.attention.self.query.weight, "
            "encoder.layer.11.attention.self.query.bias, ...), 16 unexpected (",
        ),
        (
            _without("gloria.img_encoder.local_embedder."),
            "projection heads of layout 'lightning': 2 of 3 entries match, 1 missing (local_embedder.weight)",
        ),
        (
            _renamed("gloria.img_encoder.global_", "old.gloria.img_encoder.global_"),
            "1 of 3 entries match, 2 missing (global_embedder.weight, global_embedder.bias)",
        ),
        (
            lambda state: state.update({"gloria.img_encoder.global_embedder.weight": torch.ones(WIDTH, 7)}),
            "1 of other shape (global_embedder.weight is (16, 7), not (16, 32))",
        ),
        (
            lambda state: state.update({f"{TEXT}embeddings.LayerNorm.bias": torch.full((WIDTH,), torch.nan)}),
            "text encoder of layout 'lightning': NaN or infinity in embeddings.LayerNorm.bias",
        ),
    ],
)
def test_text_side_that_does_not_fit(
    change: Callable[[dict[str, Tensor]], None], message: str, release: MakeRelease
) -> None:
    made = release("gloria.chexpert-r50", change)
    text = refusal(lambda: load_encoder(made.card, checkpoint=made.file))
    assert text.startswith(f"{made.file}: checkpoint: ")
    assert message in text
    assert text.endswith(UNSEEN)
    # Tasks that ask nothing have the image encoder all the same.
    assert load_encoder(made.card, checkpoint=made.file, text=False).text is None


def test_text_encoder_of_another_width(release: MakeRelease) -> None:
    made = release("g2d.r50")
    config = json.loads((made.folder / "config.json").read_text()) | {"hidden_size": 32}
    (made.folder / "config.json").write_text(json.dumps(config))
    text = refusal(lambda: load_encoder(made.card, checkpoint=made.file))
    assert "of other shape (embeddings.word_embeddings.weight is (" in text


def test_text_part_missing(release: MakeRelease) -> None:
    made = release("mgca.r50", _without("text_encoder_q."))
    encoder = load_encoder(made.card, checkpoint=made.file)
    assert (encoder.text, encoder.heads, encoder.text_reports) == (None, None, ())
    with pytest.raises(NotApplicable) as caught:
        TextImage.of(encoder)
    assert str(caught.value) == (
        "no text encoder in the weights that were read: "
        "mgca.r50.pth has no entry under 'text_encoder_q.model.'"
    )


def test_other_prefix_is_not_taken_for_it(release: MakeRelease) -> None:
    made = release("g2d.r50", _renamed("lm_model.", "module.lm_model."))
    assert "no entry under 'lm_model.'" in load_encoder(made.card, checkpoint=made.file).no_text


def test_tokenizer_is_not_to_be_had(release: MakeRelease, monkeypatch: pytest.MonkeyPatch) -> None:
    made = release("gloria.chexpert-r50", folder=False)
    for download in (False, True):
        encoder = load_encoder(made.card, checkpoint=made.file, download=download)
        assert encoder.report is not None
        assert encoder.report.matched == 318
        assert encoder.text is None
        assert encoder.no_text.startswith(
            "no tokenizer: emilyalsentzer/Bio_ClinicalBERT is not in the Hugging Face cache; "
            f"put a copy of it at {made.folder}, "
            f"or run `g2d-bench doctor --encoder gloria.chexpert-r50 --checkpoint {made.file}` "
        )
        assert "\n" not in encoder.no_text
    report = diagnose(made.card, made.file, installed=lambda _: False)
    assert report.ok
    assert "text        n/a: no tokenizer: emilyalsentzer/Bio_ClinicalBERT is not in" in render(report)


def test_folder_without_tokenizer_or_of_another_model(release: MakeRelease) -> None:
    made = release("gloria.chexpert-r50")
    config = json.loads((made.folder / "config.json").read_text())
    (made.folder / "config.json").write_text(json.dumps(config | {"model_type": "roberta"}))
    assert refusal(lambda: load_encoder(made.card, checkpoint=made.file)).endswith(
        "is a 'roberta', not a 'bert'"
    )
    (made.folder / "config.json").write_text("[]")
    assert "config.json: cannot be read" in refusal(lambda: load_encoder(made.card, checkpoint=made.file))
    (made.folder / "config.json").unlink()
    assert "cannot be read: No such file" in refusal(lambda: load_encoder(made.card, checkpoint=made.file))
    (made.folder / "tokenizer.json").unlink()
    assert "folder without tokenizer" in refusal(lambda: load_encoder(made.card, checkpoint=made.file))


def test_biovil_folder_without_weights(release: MakeRelease) -> None:
    made = release("biovil.r50")
    (made.folder / "pytorch_model.bin").unlink()
    text = refusal(lambda: load_encoder(made.card, checkpoint=made.file))
    assert text == f"{made.folder}: text encoder folder without model.safetensors or pytorch_model.bin"


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch exploded",)


@pytest.mark.parametrize("where", ["checkpoint", "folder"])
def test_code_in_either_file_is_never_run(
    where: str, release: MakeRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = release("biovil.r50")
    path = made.file if where == "checkpoint" else made.folder / "pytorch_model.bin"
    armed = path.with_name("armed")
    torch.save({**open_checkpoint(path).states[""], "x": _Bomb()}, armed)
    armed.replace(path)
    refusal(lambda: load_encoder(made.card, checkpoint=made.file))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "file", "reason"),
    [
        ("g2d.r50", "g2d.r50 encoder-decoder", "files of layout 'encoder-decoder' hold none"),
        ("medklip.r50", "medklip.r50", "it knows a fixed list of entities"),
        ("mflag.r50", "mflag.r50 encoder", "files of layout 'encoder' hold none"),
        ("mrm.vit-b16", "mrm.vit-b16", "it reconstructs masked reports and images"),
    ],
)
def test_files_without_text_say_why(
    name: str, file: str, reason: str, small_card: MakeCard, saved: Callable[[str], Path]
) -> None:
    card = small_card(name)
    encoder = load_encoder(card, checkpoint=saved(file))
    with pytest.raises(NotApplicable, match=f"^no text encoder.*: {reason}"):
        TextImage.of(encoder)
    assert f"text        n/a: {reason}" in render(diagnose(card, saved(file), installed=lambda _: False))


@pytest.mark.parametrize("name", NAMES)
def test_cards_say_what_is_grounded_with(name: str) -> None:
    card = Catalogue.open().encoders[name]
    side = card.image.size
    with torch.device("meta"):
        image = ImageEncoder(card.image.model, upsample_inside=card.image.resize_inside).eval()
        heads = initial_heads(card, image, 768, 0)
        features = image(torch.zeros(1, 3, side, side))
        cells = heads.embed_image(features).cells
    assert cells is not None
    dim, height, width = cells.shape[1:]
    channels = next(one.shape[1] for one in reversed(features.pyramid) if one.shape[2:] == (height, width))
    assert f"({channels} x {height} x {width}) " in card.local_features
    assert f" to {dim}" in card.local_features
    asked = "words" if name.startswith(("gloria", "mgca")) else "cosine with the text"
    assert asked in card.local_features


# A user's own CLIP


CLIP = """
title = "Mine"
objective = "other"
scale = "published"
[image]
model = "resnet50"
options = { channels = [8, 8, 8, 8] }
size = 32
[[checkpoint]]
layout = "mine"
prefix = "module.image_encoder."
[checkpoint.text]
names = { "module.text_encoder." = "" }
drop = ["pooler.*"]
[checkpoint.heads]
names = { "module.image_projection." = "image.", "module.text_projection." = "text." }
[text]
source = "hf-hub:emilyalsentzer/Bio_ClinicalBERT"
layers = 2
[heads]
"""


def clip(folder: Path, heads: str, parts: dict[str, Any]) -> tuple[EncoderCard, Path]:
    """Write a card and the file of a CLIP that was trained on several GPUs, with its tokenizer's folder."""
    folder.mkdir(exist_ok=True)
    (folder / "mine.toml").write_text(CLIP + heads)
    place = folder / "Bio_ClinicalBERT"
    place.mkdir(exist_ok=True)
    tokenizer = train_tokenizer([*SAID, "right lung clear opacity"], min_frequency=1)
    tokenizer.save(str(place / "tokenizer.json"))
    torch.manual_seed(3)
    sizes = {"hidden_size": WIDTH, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": 2}
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(with_added_tokens=True), **sizes)
    (place / "config.json").write_text(json.dumps(config.to_dict() | {"model_type": "bert"}))
    image = seeded_encoder("resnet50", seed=9, options={"channels": [8, 8, 8, 8]}).body
    modules = {"image_encoder": image, "text_encoder": BertModel(config), **parts}
    state = {
        f"module.{part}.{name}": value.clone()
        for part, module in modules.items()
        for name, value in module.state_dict().items()
    }
    torch.save(state, folder / "mine.pth")
    return load_card(folder / "mine.toml", EncoderCard), folder / "mine.pth"


def test_a_clip_with_linear_heads_loads_as_it_comes(tmp_path: Path) -> None:
    linear = {
        "image_projection": torch.nn.Linear(32, 6),
        "text_projection": torch.nn.Linear(WIDTH, 6),
    }
    card, file = clip(tmp_path, 'method = "clip"\noptions = { dim = 6, pooling = "mean" }', linear)
    encoder = load_encoder(card, checkpoint=file)
    features, tokens, image, text = embedded(encoder)
    assert image.cells is not None
    assert encoder.text is not None
    with torch.inference_mode():
        torch.testing.assert_close(image.vector, linear["image_projection"](features.pooled))
        last = encoder.text(tokens).hidden[-1]
        mean = torch.stack([last[n][mask].mean(0) for n, mask in enumerate(tokens["attention_mask"])])
        torch.testing.assert_close(text.vector, linear["text_projection"](mean))
    # Nobody stated how many entries there should be: all of the model's must be there.
    assert encoder.report is not None
    assert encoder.report.matched == encoder.report.expected == 318
    report = render(diagnose(card, file, installed=lambda _: False))
    assert "expect = 318 in the card's layout 'mine' would pin it" in report
    assert (
        "heads       clip, 6 dimensions in common; their entries: image.weight [6, 32], image.bias [6], "
        in report
    )


def test_a_clip_whose_heads_are_others_is_told_what_is_there_and_what_is_expected(tmp_path: Path) -> None:
    linear = {"image_projection": torch.nn.Linear(32, 6), "text_projection": torch.nn.Linear(WIDTH, 6)}
    card, file = clip(tmp_path, 'method = "convirt"\noptions = { dim = 6 }', linear)
    text = refusal(lambda: load_encoder(card, checkpoint=file))
    assert "no entry under" not in text
    assert (
        "the entries under 'module.image_projection.' or 'module.text_projection.' have other names" in text
    )
    assert "(module.image_projection.weight, module.image_projection.bias, ...; expected" in text
    assert "heads expect image.0.weight [6, 32], image.0.bias [6], image.2.weight [6, 6], " in text


def test_a_clip_behind_a_neck(tmp_path: Path) -> None:
    neck, head = torch.nn.Linear(32, 5, bias=False), torch.nn.Linear(5, 6)
    parts: dict[str, Any] = {
        "neck": neck,
        "image_projection": head,
        "text_projection": torch.nn.Linear(WIDTH, 6),
    }
    heads = 'method = "clip"\noptions = { dim = 6 }\nneck = { dim = 5, bias = false }'
    names = 'names = { "module.neck." = "neck.projection.", "module.image_projection." = "heads.image.", '
    names += '"module.text_projection." = "heads.text." }'
    _, file = clip(tmp_path, heads, parts)
    path = tmp_path / "mine.toml"
    old = 'names = { "module.image_projection." = "image.", "module.text_projection." = "text." }'
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, names))
    encoder = load_encoder(load_card(path, EncoderCard), checkpoint=file)
    features, _, image, _ = embedded(encoder)
    with torch.inference_mode():
        torch.testing.assert_close(image.vector, head(neck(features.pooled)))


def test_a_layout_that_states_no_number_takes_none_for_an_answer(tmp_path: Path) -> None:
    linear = {"image_projection": torch.nn.Linear(32, 6), "text_projection": torch.nn.Linear(WIDTH, 6)}
    card, file = clip(tmp_path, 'method = "clip"\noptions = { dim = 6 }', linear)
    state = open_checkpoint(file).states[""]
    other = file.with_name("other.pth")  # the opened one is still read from
    torch.save({n: v for n, v in state.items() if not n.endswith("layer4.2.bn3.weight")}, other)
    text = refusal(lambda: load_encoder(card, checkpoint=other))
    assert "317 of 318 entries match, 1 missing (layer4.2.bn3.weight)" in text
