"""What is checked in a results folder, and that what is wrong is named with the amount."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cells.verify import verify
from g2d_bench.errors import InputError
from g2d_bench.records.record import read_record

Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]


def test_honest_records_pass(folder: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6})
    checked = verify(folder.root)
    assert checked.problems == ()
    assert str(checked) == "6 records, 24 metrics computed again, all as recorded"


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
