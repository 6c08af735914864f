"""Text sides of MedCLIP, CXR-CLIP and BioViL-T: files with their names load whole and give their numbers."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertModel

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError

_SPEC = importlib.util.spec_from_file_location("made", Path(__file__).with_name("made.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
made: Any = sys.modules.setdefault("made", importlib.util.module_from_spec(_SPEC))
_SPEC.loader.exec_module(made)

SAID = ["no acute process", "left lower lobe pneumonia with a small effusion", "effusion"]


class Written(NamedTuple):
    """A release in miniature: its card, its file, and the modules that wrote it."""

    card: EncoderCard
    file: Path
    image: Any
    text: Any
    parts: dict[str, Any]


def bert(place: Path, kind: str = "bert") -> BertModel:
    """Write configuration and tokenizer as they lie on the hub; return a model with its pooler."""
    made.bert_folder(place)
    for name in ("model.safetensors", "pytorch_model.bin"):
        (place / name).unlink(missing_ok=True)
    said = json.loads((place / "config.json").read_text()) | {"num_hidden_layers": 4}
    (place / "config.json").write_text(json.dumps(said | {"model_type": kind}))
    said.pop("model_type")
    found: BertModel = made.stirred(BertModel(BertConfig.from_dict(said)), seed=11)
    return found


def write(name: str, folder: Path) -> Written:
    """Write a release; everything in it is random, and everything that the release has is in it."""
    card = made.tiny(name)
    file, image = made.write(name, folder)
    content = torch.load(file, weights_only=True)
    assert card.text is not None
    text = bert(folder / card.text.source.split("/")[-1], card.text.model)
    words: dict[str, Tensor] = {**text.state_dict(), "embeddings.position_ids": torch.arange(512)[None]}
    known, width = name.split(".")[0], 64 if name.endswith("swin-t") else 32
    parts: dict[str, Any]
    state = content
    if known == "medclip":
        see = "vision_model.model.fc." if name.endswith("r50") else "vision_model.projection_head."
        parts = {see: nn.Linear(width, 512, bias=False)}
        parts["text_model.projection_head."] = nn.Linear(24, 512, bias=False)
        state |= {f"text_model.model.{key}": value for key, value in words.items()}
    elif known == "cxr-clip":
        parts = {"image_projection.projection.": nn.Linear(width, 512)}
        parts["text_projection.projection."] = nn.Linear(24, 512)
        state = content["model"]
        state |= {f"text_encoder.text_encoder.{key}": value for key, value in words.items()}
    else:
        head = nn.Module()
        head.dense_to_hidden, head.dense_to_output = nn.Linear(24, 128), nn.Linear(128, 128)
        head.LayerNorm = nn.LayerNorm(128, eps=1e-12)
        projector = nn.Sequential(
            nn.Conv2d(512, 128, 1, bias=False), nn.BatchNorm2d(128), nn.ReLU(), nn.Conv2d(128, 128, 1)
        )
        parts = {"encoder.backbone_to_vit.": nn.Conv2d(width, 256, 1, bias=False)}
        parts["projector.model."] = projector
        state["encoder.missing_previous_emb"] = torch.randn(1, 256, 1, 1)
        state["encoder.vit_pooler.blocks.0.attn.proj_q.weight"] = torch.zeros(256, 256)
        made.stirred(head, seed=12)
        own = {f"bert.{key}": value for key, value in words.items()}
        own |= {f"cls_projection_head.{key}": value for key, value in head.state_dict().items()}
        own["cls.predictions.bias"] = torch.zeros(16)
        torch.save(own, folder / card.text.source.split("/")[-1] / "pytorch_model.bin")
    for start, part in parts.items():
        made.stirred(part, seed=len(start))
        state |= {start + key: value for key, value in part.state_dict().items()}
    if known == "biovil-t":
        parts |= {"head": head, "missing": state["encoder.missing_previous_emb"]}
    else:
        state["logit_scale"] = torch.tensor(2.6)
    torch.save(content, file)
    layouts = [one.model_copy(update={"expect": 1}) for one in card.checkpoint]
    return Written(card.model_copy(update={"checkpoint": layouts}), file, image, text, parts)


def ours(encoder: Encoder) -> tuple[Tensor, Any, Any, Any]:
    """Return normalised images, their embedding, tokens and the texts' embedding."""
    assert encoder.text is not None, encoder.no_text
    assert encoder.heads is not None
    size = encoder.card.image.size
    generator = torch.Generator().manual_seed(3)
    x = encoder.preprocess(torch.randint(0, 256, (2, size, size), dtype=torch.uint8, generator=generator))
    tokens = encoder.text.tokenize(SAID)
    image = encoder.heads.embed_image(encoder.image(x))
    return x, image, tokens, encoder.heads.embed_text(encoder.text(tokens), tokens)


def states(text: Any, tokens: Any, row: int) -> Any:
    """Ask the model that wrote the file for one text, without padding."""
    ids = tokens["input_ids"][row][tokens["attention_mask"][row]]
    return text(input_ids=ids[None], output_hidden_states=True)


@pytest.mark.parametrize("name", ["medclip.r50", "medclip.swin-t"])
def test_medclip(name: str, tmp_path: Path) -> None:
    written = write(name, tmp_path)
    encoder = load_encoder(written.card, checkpoint=written.file)
    see, say = written.parts.values()
    with torch.inference_mode():
        x, image, tokens, text = ours(encoder)
        torch.testing.assert_close(image.vector, see(written.image(x)), atol=1e-5, rtol=1e-5)
        for row in range(len(SAID)):
            hidden = states(written.text, tokens, row).hidden_states
            mean = (hidden[1] + hidden[2] + hidden[4])[0].mean(0) / 3
            torch.testing.assert_close(text.vector[row], say(mean), atol=1e-5, rtol=1e-5)
    _whole(encoder)


@pytest.mark.parametrize("name", ["cxr-clip.r50", "cxr-clip.swin-t"])
def test_cxr_clip(name: str, tmp_path: Path) -> None:
    written = write(name, tmp_path)
    encoder = load_encoder(written.card, checkpoint=written.file)
    see, say = written.parts.values()
    with torch.inference_mode():
        x, image, tokens, text = ours(encoder)
        torch.testing.assert_close(image.vector, see(written.image(x)), atol=1e-5, rtol=1e-5)
        for row in range(len(SAID)):
            last = states(written.text, tokens, row).last_hidden_state[0]
            torch.testing.assert_close(text.vector[row], say(last[-1]), atol=1e-5, rtol=1e-5)
    _whole(encoder)


def test_biovil_t(tmp_path: Path) -> None:
    written = write("biovil-t.r50", tmp_path)
    encoder = load_encoder(written.card, checkpoint=written.file)
    narrow, projector, head, missing = written.parts.values()
    with torch.inference_mode():
        x, image, tokens, text = ours(encoder)
        cells = narrow(written.image.forward_features(x))
        fused = torch.cat([cells, missing.expand(len(cells), -1, *cells.shape[2:])], dim=1)
        projected = projector(fused)
        torch.testing.assert_close(image.cells, projected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(image.vector, projected.mean((2, 3)), atol=1e-5, rtol=1e-5)
        for row in range(len(SAID)):
            first = states(written.text, tokens, row).last_hidden_state[0, 0]
            hidden = head.LayerNorm(functional.gelu(head.dense_to_hidden(first)))
            torch.testing.assert_close(text.vector[row], head.dense_to_output(hidden), atol=1e-5, rtol=1e-5)
    _whole(encoder)


def test_a_projection_with_an_offset_is_another_file_of_medclip(tmp_path: Path) -> None:
    written = write("medclip.r50", tmp_path)
    state = torch.load(written.file, weights_only=True)
    torch.save({**state, "text_model.projection_head.bias": torch.zeros(512)}, written.file)
    with pytest.raises(InputError, match=r"1 unexpected \(text_model\.projection_head\.bias\)"):
        load_encoder(written.card, checkpoint=written.file)


def _whole(encoder: Encoder) -> None:
    assert encoder.text is not None
    assert encoder.heads is not None
    modules = (encoder.text.bert, encoder.heads)
    for report, module in zip(encoder.text_reports, modules, strict=True):
        assert report.ok
        assert report.matched == len(module.state_dict())
        assert (report.missing, report.unexpected, report.excused) == ((), (), ())
    assert encoder.gives == {"vector", "maps", "text", "cells"}
