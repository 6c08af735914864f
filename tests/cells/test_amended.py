"""Words of a card that are corrected reach the records that it has already; numbers and seals stay right."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cells.amended import AMENDED, amended, asked_of, bring_up_to_date, union_of
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.resolve import Resolved
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import verify
from g2d_bench.cells.workers import execute
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import read_record, sealed
from g2d_bench.records.selection import Found
from g2d_bench.report.contamination import seen_by


def card(cards: Path, **changes: Any) -> EncoderCard:
    return load_card(cards / "mine.toml", EncoderCard).model_copy(update=changes)


def path_of(found: Found) -> Path:
    assert found.path is not None
    return found.path


def todays(found: Found, card: EncoderCard) -> Resolved:
    """A cell as far as it is looked at here."""
    return cast(Resolved, SimpleNamespace(cell=found.cell, card=card, path=found.path))


def test_sets_are_joined_and_none_is_taken_away() -> None:
    assert union_of(None, None) is None
    assert union_of(None, ("rsna",)) == ("rsna",)
    assert union_of(("rsna",), None) == ("rsna",)
    assert union_of(("rsna", "siim"), ("cxr14:labels", "rsna")) == ("rsna", "siim", "cxr14:labels")


def test_a_card_that_says_the_same_leaves_its_records_alone(
    measured: Callable[..., Found], cards: Path, folder: Any
) -> None:
    found = measured()
    before = path_of(found).read_bytes()
    assert bring_up_to_date([(todays(found, card(cards)), found.record)], folder.store) == ({}, [])
    assert path_of(found).read_bytes() == before


def test_records_are_sealed_anew_and_keep_what_they_said(
    measured: Callable[..., Found], cards: Path, folder: Any
) -> None:
    found = measured()
    now = card(cards, title="Mine (ResNet-18)", pretraining=["mimic-cxr", "siim:labels"])
    written, lines = bring_up_to_date([(todays(found, now), found.record)], folder.store)
    record = read_record(path_of(found))
    assert written == {found.cell: record}
    assert (record.encoder.title, record.encoder.pretraining) == (
        "Mine (ResNet-18)",
        ("mimic-cxr", "siim:labels"),
    )
    assert record.notes[AMENDED] == {"title": "Mine", "pretraining": ["mimic-cxr"]}
    assert sealed(record).digest == record.digest != found.record.digest
    assert (record.key, record.metrics, record.predictions) == (
        *(found.record.key, found.record.metrics, found.record.predictions),
    )
    assert lines == [
        "mine: 1 finished record now with the card's words (title 'Mine (ResNet-18)', pre-trained on "
        "mimic-cxr + siim:labels); no number moves"
    ]
    # What was said first stays there.
    again = amended(record, card(cards, title="Ours", pretraining=["cxr14"]))
    assert again.notes[AMENDED] == {"title": "Mine", "pretraining": ["mimic-cxr"]}


def test_a_mark_does_not_go_by_an_edit(measured: Callable[..., Found], cards: Path, folder: Any) -> None:
    found = measured()
    written, lines = bring_up_to_date(
        [(todays(found, card(cards, pretraining=[])), found.record)], folder.store
    )
    assert written == {}
    assert lines == [
        "mine: 1 finished record with a pre-training that the card no longer names, or changed by hand; run "
        "with --force to measure anew"
    ]


def test_a_record_that_was_changed_by_hand_gets_no_new_seal(
    measured: Callable[..., Found], cards: Path, folder: Any
) -> None:
    found = measured()
    forged = found.record.model_copy(update={"metrics": dict.fromkeys(found.record.metrics, 0.99)})
    path_of(found).write_text(forged.model_dump_json())
    before = path_of(found).read_bytes()
    now = card(cards, pretraining=["mimic-cxr", "siim"])
    written, [line] = bring_up_to_date([(todays(found, now), forged)], folder.store)
    assert (written, path_of(found).read_bytes()) == ({}, before)
    assert "changed by hand" in line


def test_an_older_record_is_left_as_it_is(folder: Any, cards: Path) -> None:
    found = folder.add("mine")
    assert found.record.encoder.scale is None
    assert amended(found.record, card(cards)) is found.record


def test_names_that_mark_nothing_are_asked_about(cards: Path) -> None:
    [line] = asked_of({"mine": card(cards, pretraining=["RSNA", "rsna-pneumonia", "padchest"])})
    assert line.startswith("mine: pretraining: no data set is called 'rsna-pneumonia'")
    assert line.endswith("did you mean 'rsna'?")


def test_a_corrected_card_marks_its_finished_cells(
    cards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "data" / "rsna" / "stage_2_train_images"
    films.mkdir(parents=True)
    rows: list[list[object]] = []
    for n in range(60):
        pixels = np.random.default_rng(n).normal(100 + 20 * (n % 2), 20, (48, 48))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(films / f"p{n:03}.png")
        rows.append([f"p{n:03}", *((8.0, 8.0, 20.0, 20.0, 1) if n % 2 else ("", "", "", "", 0))])
    with (films.parent / "stage_2_train_labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["patientId", "x", "y", "width", "height", "Target"], *rows])
    text = (cards / "mine.toml").read_text().replace('weights = "mine.safetensors"', 'weights = "none"')
    text = text.replace("size = 128", "size = 32").replace('["mimic-cxr"]', "[]")
    cell = Cell(task="rsna-cls", fraction=1.0, protocol="clean", seed=0, encoder="mine")

    def run(text: str) -> Found:
        (cards / "mine.toml").write_text(text)
        settings = Settings(data_root=tmp_path / "data", results=tmp_path / "runs", encoder_dirs=(cards,))
        [found] = execute([cell], Bench(settings), jobs=1).found
        assert read_record(path_of(found)) == found.record
        return found

    first = run(text)
    assert (first.record.encoder.pretraining, seen_by(first)) == (None, "")
    capsys.readouterr()
    second = run(text.replace("pretraining = []", 'pretraining = ["RSNA", "mimic"]'))
    assert second.record.created == first.record.created
    assert (second.record.encoder.pretraining, seen_by(second)) == (("RSNA", "mimic"), "images")
    said = capsys.readouterr().err
    assert (
        "mine: 1 finished record now with the card's words (title 'Mine', pre-trained on RSNA + mimic)"
        in said
    )
    assert "mine: pretraining: no data set is called 'mimic', so that it marks nothing" in said
    assert verify(tmp_path / "runs").problems == ()
