"""What is checked in a results folder, and that what is wrong is named with the amount."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cells.verify import verify
from g2d_bench.errors import InputError
from g2d_bench.records.compact import compact, write_compact
from g2d_bench.records.record import read_predictions, read_record
from g2d_bench.records.selection import select

Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]


def test_honest_records_pass(folder: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6})
    checked = verify(folder.root)
    assert checked.problems == ()
    assert str(checked) == "6 records, 24 metrics computed again, all as recorded"


def test_an_edited_number_is_named_with_the_amount(folder: Any, edit: Edit) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(dice_positive=raw["metrics"]["dice_positive"] + 0.02))
    (problem,) = verify(folder.root).problems
    assert "metrics.dice_positive" in problem
    assert problem.endswith("edited by +0.02")
    assert str(path) in problem


def test_a_number_in_place_of_undefined_is_named(folder: Any, edit: Edit) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(iou_positive=None))
    (problem,) = verify(folder.root).problems
    assert "metrics.iou_positive: says nan" in problem


def test_changed_predictions_are_named(folder: Any) -> None:
    path = folder.add("g2d").path.with_suffix(".npz")
    path.write_bytes(path.read_bytes() + b"x")
    (problem,) = verify(folder.root).problems
    assert "changed after the record was written" in problem


def test_missing_predictions_are_named(folder: Any) -> None:
    folder.add("g2d").path.with_suffix(".npz").unlink()
    (problem,) = verify(folder.root).problems
    assert "missing" in problem


def test_predictions_that_are_no_archive_are_named(folder: Any, edit: Edit) -> None:
    import hashlib

    path = folder.add("g2d").path
    path.with_suffix(".npz").write_bytes(b"PK\x03\x04 not an archive")
    digest = hashlib.sha256(path.with_suffix(".npz").read_bytes()).hexdigest()
    edit(path, lambda raw: raw["predictions"].update(sha256=digest))
    (problem,) = verify(folder.root).problems
    assert problem.endswith(f"{path.stem}.npz: is no archive as numpy writes them")


def test_another_schema_does_not_stop_the_rest(folder: Any, edit: Edit) -> None:
    edit(folder.add("g2d").path, lambda raw: raw.update(schema_version=2))
    folder.add("random").path.write_text("{")
    folder.add("mgca")
    checked = verify(folder.root)
    assert checked.records == 3
    assert checked.metrics == 4
    assert len(checked.problems) == 2
    assert any("schema_version: is 2, this version of g2d-bench reads 1" in p for p in checked.problems)


@pytest.mark.parametrize(
    ("what", "how", "text"),
    [
        ("data kind", lambda raw: raw["data"].update(kind="real"), "data.kind"),
        ("data hash", lambda raw: raw["data"].update(hash="9" * 64), "data.hash"),
        ("split", lambda raw: raw["data"].update(split_hash="9" * 64), "data.split_hash"),
        ("protocol", lambda raw: raw["cell"].update(protocol="legacy"), "cell.protocol"),
        ("task", lambda raw: raw["cell"].update(task="rsna-seg"), "cell.task"),
        ("encoder", lambda raw: raw["cell"].update(encoder="mgca"), "lies where"),
        ("seed", lambda raw: raw["cell"].update(seed=7), "lies where"),
    ],
)
def test_a_record_that_contradicts_itself(
    folder: Any, edit: Edit, what: str, how: Callable[[dict[str, Any]], None], text: str
) -> None:
    edit(folder.add("g2d").path, how)
    assert any(text in problem for problem in verify(folder.root).problems), what


def test_copies_are_found(folder: Any) -> None:
    path = folder.add("g2d").path
    for suffix in (".json", ".npz"):
        copy = path.with_name("copy").with_suffix(suffix)
        copy.write_bytes(path.with_suffix(suffix).read_bytes())
    assert any("is also in" in problem for problem in verify(folder.root).problems)


def test_a_subfolder_can_be_verified(folder: Any) -> None:
    path = folder.add("g2d").path
    assert verify(path.parent).problems == ()
    assert verify(path.parents[2]).problems == ()


def test_records_without_predictions_and_failures_are_counted(folder: Any) -> None:
    path = folder.add("g2d").path
    record = read_record(path).model_copy(update={"predictions": None})
    path.write_text(record.model_dump_json())
    path.with_suffix(".failed.json").write_text("{}")
    text = str(verify(folder.root))
    assert "1 without predictions" in text
    assert "1 failed cell" in text


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.touch()])
def test_nothing_to_verify(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "runs")
    with pytest.raises(InputError):
        verify(tmp_path / "runs")


def test_compact_copies_verify_and_are_small(folder: Any, other: Any) -> None:
    folder.grid({"g2d": 0.6}, images=400)
    before = select(folder.root)
    written = write_compact(before, folder.root, other.root)
    assert verify(other.root).problems == ()
    for found, path in zip(before, written, strict=True):
        kept = read_record(path)
        assert kept.metrics == found.record.metrics
        assert kept.key == found.record.key
        assert kept.notes["left_out_of_predictions"] == ["mask"]
        assert path.stat().st_size + path.with_suffix(".npz").stat().st_size < 20_000
        arrays = read_predictions(path, kept)
        assert set(arrays) == {"id", "patient", "intersection", "predicted", "true"}
        assert arrays["true"].dtype == np.uint16
    contents = [path.read_bytes() + path.with_suffix(".npz").read_bytes() for path in written]
    write_compact(before, folder.root, other.root)
    assert contents == [path.read_bytes() + path.with_suffix(".npz").read_bytes() for path in written]


def test_compact_keeps_every_value_exactly(folder: Any) -> None:
    found = folder.add("g2d")
    predictions = read_predictions(found.path, found.record)
    predictions |= {"patient": predictions["patient"], "label": np.array(["x"])}
    predictions["true"] = predictions["true"].astype(np.float64)
    kept = compact(found.record, predictions)
    for name, array in kept.items():
        assert np.array_equal(array, predictions[name])
    assert kept["true"].dtype == np.float16 or kept["true"].dtype == np.float32
    assert "label" in kept
    assert kept["intersection"].dtype.itemsize <= 2


def test_what_cannot_be_verified_is_not_made_compact(folder: Any, other: Any, edit: Edit) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(dice_positive=0.9))
    with pytest.raises(InputError, match="only what can be verified"):
        write_compact(select(folder.root), folder.root, other.root)
    assert not other.root.exists() or not list(other.root.rglob("*.json"))


def test_compact_keeps_records_without_numbers(folder: Any, other: Any) -> None:
    found = folder.add("g2d")
    empty = found.record.model_copy(
        update={
            "metrics": dict.fromkeys(found.record.metrics),
            "predictions": None,
            "notes": {"n/a": "no text"},
        }
    )
    found.path.with_suffix(".npz").unlink()
    empty = folder.store.save(found.path, empty, {})
    (path,) = write_compact(select(folder.root), folder.root, other.root)
    assert read_record(path) == empty
    assert str(verify(other.root)) == "1 record, 0 metrics computed again, all as recorded"
    unproven = empty.model_copy(update={"metrics": {"dice_positive": 0.5}})
    folder.store.save(found.path, unproven, {})
    with pytest.raises(InputError, match="keeps no predictions"):
        write_compact(select(folder.root), folder.root, other.root)
