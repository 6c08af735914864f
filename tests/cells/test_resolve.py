"""A cell with everything that it names opened."""

from __future__ import annotations

import shutil
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any, cast

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells import resolve
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.resolve import identity_of
from g2d_bench.cells.settings import Settings
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.records.cell import Cell
from g2d_bench.records.identity import key_of

CELL = Cell(task="covid-cxr-seg", fraction=1.0, protocol="clean", seed=0, encoder="random")
CARDS = Catalogue.open()


def of(cell: Cell, **changes: Any) -> str:
    """The key of a cell on made-up data."""
    given: dict[str, Any] = {
        "task": CARDS.tasks[cell.task],
        "protocol": CARDS.protocols[cell.protocol],
        "card": CARDS.encoders[cell.encoder],
        "checkpoint": None,
        "weights": "w",
    } | changes
    content = given.pop("content", "c")
    return key_of(identity_of(cell, **given)(content))


def test_key_moves_with_all_that_moves_a_number() -> None:
    keys = [
        of(CELL),
        of(replace(CELL, seed=1)),
        of(replace(CELL, fraction=0.1)),
        of(replace(CELL, encoder="g2d")),
        of(CELL, weights="v"),
        of(CELL, content="d"),
        of(CELL, task=CARDS.tasks[CELL.task].model_copy(update={"eval_size": 128})),
        of(CELL, protocol=CARDS.protocols["clean+fast"]),
    ]
    assert len(set(keys)) == len(keys)


def test_prose_and_the_place_of_a_file_move_no_key(tmp_path: Path) -> None:
    renamed = CARDS.tasks[CELL.task].model_copy(update={"title": "another", "notes": ("new",)})
    assert of(CELL, task=renamed, checkpoint=tmp_path / "weights.pt") == of(CELL)


def test_a_resolved_cell_opens_its_data(tiny_root: Path, tmp_path: Path) -> None:
    found = Bench(Settings(data_root=tiny_root, results=tmp_path / "runs")).resolve(CELL)
    parts = found.data().split.parts
    assert sum(len(ids) for ids in parts.values()) == len(found.manifest.samples) == 40
    with pytest.raises(FrozenInstanceError):
        found.key = "other"  # type: ignore[misc]
    found.fill_caches()
    pixels = found.data().pixels(found.card.image.size)
    assert len(pixels.rows(parts["train"])) == len(parts["train"])


@pytest.mark.parametrize("protocol", ["clean", "clean-linear"])
def test_an_encoder_in_memory_is_taken_as_it_is(protocol: str, tiny_root: Path, tmp_path: Path) -> None:
    model = resolve.Model(encoder=cast(Any, object()), digest="m" * 64)
    settings = Settings(data_root=tiny_root, results=tmp_path / "runs")
    cell = replace(CELL, protocol=protocol)
    found = Bench(settings, models={"random": model}).resolve(cell)
    assert found.load() is model.encoder
    assert found.weights == model.digest
    assert found.key != Bench(settings).resolve(cell).key


def test_weights_that_were_replaced_meanwhile_are_refused(tiny_root: Path, tmp_path: Path) -> None:
    """A record would name the old file, with the numbers of the new one."""
    file = tmp_path / "mine.safetensors"
    shutil.copy(shipped("weights") / "mgca.safetensors", file)
    settings = Settings(data_root=tiny_root, results=tmp_path / "runs", checkpoints={"mgca": file})
    found = Bench(settings).resolve(replace(CELL, encoder="mgca"))
    assert found.load().weights_hash == found.weights
    file.unlink()
    shutil.copy(shipped("weights") / "gloria.safetensors", file)
    with pytest.raises(InputError, match=r"mine.safetensors: weights: changed since this run began"):
        found.load()
    assert Bench(settings).resolve(found.cell).weights != found.weights


def test_a_text_side_that_was_replaced_meanwhile_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = replace(CELL, task="rsna-zeroshot", encoder="biovil.r50")
    told = {"weights": "w", "text": "t"}
    monkeypatch.setattr(resolve, "digests", lambda *_, texts, **more: dict(told) if texts else {})
    monkeypatch.setattr(resolve, "weights_file", lambda *_: Path("biovil.pt"))
    monkeypatch.setattr(resolve.Resolved, "_loaded", lambda _: "loaded")
    given: dict[str, Any] = dict.fromkeys(field.name for field in fields(resolve.Resolved))
    given |= {"cell": cell, "task": CARDS.tasks[cell.task], "card": CARDS.encoders["biovil.r50"]}
    found = resolve.Resolved(**given | {"identity": dict(told)})
    assert cast(Any, found.load()) == "loaded"
    told["text"] = "another"
    with pytest.raises(InputError, match=r"biovil.pt: text: changed since this run began"):
        found.load()
