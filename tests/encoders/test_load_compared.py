"""The encoders that people compare: a file with the published names loads whole and gives its numbers."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from transformers import AutoConfig, AutoModel

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError

_SPEC = importlib.util.spec_from_file_location("made", Path(__file__).with_name("made.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
made: Any = sys.modules.setdefault("made", importlib.util.module_from_spec(_SPEC))
_SPEC.loader.exec_module(made)

OLDER = {
    *("biovil.r50", "convirt.benchx-r50", "g2d.r50", "gloria.chexpert-r50", "gloria.mimic-r50"),
    *("imagenet.r50", "imagenet.vit-b16", "medklip.r50", "mflag.r50", "mgca.r50", "mgca.vit-b16"),
    *("mrm.vit-b16", "random.r50"),
}
"""Cards that other tests hold against their files."""
CARDS = {card.name: card for card in Catalogue.open().encoders if card.scale == "published"}
COMPARED = sorted(CARDS.keys() - OLDER)


def images(card: EncoderCard) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    size = card.image.size
    return torch.randint(0, 256, (2, size, size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("name", COMPARED)
def test_a_published_file_loads_whole_and_gives_the_librarys_own_numbers(name: str, tmp_path: Path) -> None:
    card = made.tiny(name)
    file, reference = made.write(name, tmp_path / "file")
    layouts = [one.model_copy(update={"expect": 1}) for one in card.checkpoint]
    card = card.model_copy(update={"checkpoint": layouts, "ensemble": 1})
    encoder = load_encoder(card, checkpoint=file)
    report = encoder.report
    assert report is not None
    assert report.ok
    assert not report.missing
    assert not report.unexpected
    assert not report.shape_mismatch
    if card.image.library != "transformers" or card.checkpoint:
        assert len(encoder.image.body.state_dict()) - report.matched == len(report.excused)
    if card.image.library != "transformers":
        assert {one.rpartition(".")[2] for one in report.excused} <= {"num_batches_tracked"}
    with torch.inference_mode():
        x = encoder.preprocess(images(card))
        features = encoder.image(x)
        vector = features.pooled
        if card.image.library == "open_clip":
            assert encoder.heads is not None, encoder.no_text
            vector = encoder.heads.embed_image(features).vector
        torch.testing.assert_close(vector, reference(x), atol=1e-5, rtol=1e-5)
    assert len(features.pyramid) == len(encoder.image.channels) >= 3
    cells = [level.shape[-1] for level in features.pyramid]
    assert cells == sorted(cells, reverse=True)
    assert all(bool(torch.isfinite(level).all()) for level in features.pyramid)


def test_the_tower_of_medgemma_is_found_under_the_names_of_either_version(tmp_path: Path) -> None:
    file, reference = made.write("medgemma", tmp_path)
    now = torch.load(file, weights_only=True)
    before = {
        key.replace("vision_tower.", "vision_tower.vision_model.", 1): value for key, value in now.items()
    }
    assert now.keys() != before.keys()
    torch.save(before, tmp_path / "before.pt")
    card = made.tiny("medgemma")
    card = card.model_copy(update={"checkpoint": [card.checkpoint[0].model_copy(update={"expect": 1})]})
    for one in (file, tmp_path / "before.pt"):
        encoder = load_encoder(card, checkpoint=one)
        assert encoder.report is not None
        assert not encoder.report.missing
        with torch.inference_mode():
            x = encoder.preprocess(images(card))
            torch.testing.assert_close(encoder.image(x).pooled, reference(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["rad-dino.dinov2", "kad.r50", "torchxrayvision.densenet121", "chexzero"])
def test_a_file_that_lacks_an_entry_is_refused(name: str, tmp_path: Path) -> None:
    card = made.tiny(name).model_copy(update={"ensemble": 1})
    file, _ = made.write(name, tmp_path / "file")
    content = torch.load(file, weights_only=True)
    state = content.get("image_encoder", content)
    state.pop(next(key for key, value in state.items() if value.ndim == 4))
    torch.save(content, file)
    with pytest.raises(InputError, match=r"fits no layout of the card.* 1 missing"):
        load_encoder(card, checkpoint=file)


def test_a_folder_of_transformers_that_lacks_an_entry_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    file, _ = made.write("rad-dino", tmp_path / "file")
    state = load_file(file)
    del state["encoder.layer.3.norm1.weight"]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"fits no layout of the card: .*1 missing \(encoder.layer.3"):
        load_encoder(made.tiny("rad-dino"), checkpoint=file)


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    made.write("cxformer.b14", tmp_path / "file")
    with pytest.raises(InputError, match="is a 'dinov2_with_registers', not a 'dinov2' as the card says"):
        load_encoder(made.tiny("rad-dino"), checkpoint=tmp_path / "file")


@pytest.mark.parametrize("name", [name for name in COMPARED if CARDS[name].image.library != "open_clip"])
def test_a_card_expects_as_many_entries_as_the_published_model_has(name: str) -> None:
    card, image = CARDS[name], CARDS[name].image
    with torch.device("meta"):
        if image.library == "transformers":
            model: Any = AutoModel.from_config(AutoConfig.for_model(image.model, **image.options))
        else:
            options = {k: tuple(v) if isinstance(v, list) else v for k, v in image.options.items()}
            model = timm.create_model(image.model, num_classes=0, in_chans=image.channels, **options)
    entries = model.state_dict()
    for layout in card.checkpoint:
        optional = [key for key in entries if any(_like(key, one) for one in layout.missing_ok)]
        assert layout.expect == len(entries) - len(optional)


def _like(name: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern)


@pytest.mark.parametrize("name", ["biomedclip", "unimed-clip.b16", "chexzero"])
def test_texts_of_an_open_clip_file_are_the_librarys_own(name: str, tmp_path: Path) -> None:
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    card = made.tiny(name).model_copy(update={"ensemble": 1})
    layouts = [one.model_copy(update={"expect": 1}) for one in card.checkpoint]
    card = card.model_copy(update={"checkpoint": layouts})
    file, _ = made.write(name, tmp_path / "file")
    encoder = load_encoder(card, checkpoint=file)
    assert encoder.text is not None, encoder.no_text
    assert encoder.heads is not None
    assert encoder.gives >= {"vector", "maps", "text", "cells"}
    said = ["no acute process", "left lower lobe pneumonia with a small effusion"]
    told = dict(card.image.options["text_cfg"])
    if told.get("hf_model_name"):
        place = file.parent / str(told["hf_model_name"]).split("/")[-1]
        told |= {"hf_model_name": str(place), "hf_model_pretrained": False}
        tokens = HFTokenizer(str(place), context_length=256)(said)
        kind: Any = open_clip.CustomTextCLIP
    else:
        tokens, kind = open_clip.tokenize(said), open_clip.CLIP
    options = {**card.image.options, "text_cfg": told}
    model = kind(**options).eval()
    model.load_state_dict(torch.load(file, weights_only=True))
    with torch.inference_mode():
        ours = encoder.text.tokenize(said, card.text.max_length if card.text else None)
        vectors = encoder.heads.embed_text(encoder.text(ours), ours).vector
        torch.testing.assert_close(vectors, model.encode_text(tokens), atol=1e-5, rtol=1e-5)


def test_an_ensemble_is_a_folder_of_its_files(tmp_path: Path) -> None:
    card = made.tiny("chexzero")
    file, _ = made.write("chexzero", tmp_path / "file")
    state = torch.load(file, weights_only=True)
    folder = tmp_path / "ten"
    folder.mkdir()
    for number in range(3):
        state["visual.proj"] = state["visual.proj"] + number
        torch.save(state, folder / f"best_{number}.pt")
    card = card.model_copy(update={"ensemble": 3})
    encoder = load_encoder(card, checkpoint=folder)
    assert len(encoder.others) == 2
    vectors = []
    with torch.inference_mode():
        for member in (encoder, *encoder.others):
            assert member.heads is not None
            features = member.image(member.preprocess(images(card)))
            vectors.append(member.heads.embed_image(features).vector)
    assert not torch.equal(vectors[0], vectors[1])
    (folder / "best_2.pt").unlink()
    with pytest.raises(InputError, match="holds 2 weights files, the ensemble has 3"):
        load_encoder(card, checkpoint=folder)
