"""Folders of records become one: by key, checked, with conflicts named and nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench import files as files_module
from g2d_bench.cells import merge as module
from g2d_bench.cells.merge import merge
from g2d_bench.errors import InputError
from g2d_bench.records.record import Failure, sealed, to_json


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def both(folder: Any, other: Any) -> tuple[Path, Path]:
    folder.add("g2d", seed=0)
    folder.add("g2d", seed=1)
    other.add("g2d", seed=1)
    other.add("mgca", 0.5)
    return folder.root, other.root


def test_two_folders_become_one(both: tuple[Path, Path], tmp_path: Path) -> None:
    merged = merge(both, tmp_path / "all")
    assert (merged.copied, merged.same, merged.conflicts, merged.problems) == (3, 1, [], [])
    assert files(tmp_path / "all") == {**files(both[1]), **files(both[0])}
    again = merge([*both, tmp_path / "all"], tmp_path / "all")
    assert (again.copied, again.same) == (0, 7)


def test_a_folder_may_take_from_another(both: tuple[Path, Path]) -> None:
    before = files(both[0])
    assert merge([both[1]], both[0]).copied == 1
    assert files(both[0]).items() >= before.items()


def test_records_find_their_place_from_wherever_they_lie(both: tuple[Path, Path], tmp_path: Path) -> None:
    [place] = {path.parent for path in both[0].rglob("*.json")}
    assert merge([place], tmp_path / "all").copied == 2
    assert files(tmp_path / "all") == files(both[0])


def test_different_numbers_of_one_key_are_named(both: tuple[Path, Path], other: Any, tmp_path: Path) -> None:
    other.add("g2d", 0.9, seed=0)
    merged = merge(both, tmp_path / "all")
    [line] = merged.conflicts
    assert line.startswith("siim-seg · g2d · 1 % · seed 0 · clean (key ")
    assert "dice_positive" in line
    assert str(both[0]) in line
    assert str(both[1]) in line
    assert not (tmp_path / "all").exists()
    assert "nothing was written" in str(merged)


def test_a_number_measured_twice_is_no_conflict(folder: Any, other: Any, tmp_path: Path) -> None:
    folder.add("g2d")
    other.add("g2d", seconds={"train and predict": 9.0})
    merged = merge([folder.root, other.root], tmp_path / "all")
    assert (merged.copied, merged.same) == (1, 1)
    assert files(tmp_path / "all") == files(folder.root)


def bare(found: Any) -> None:
    """Take the predictions of a record away, as `submit --without-predictions` does."""
    found.path.with_suffix(".npz").unlink()
    found.path.write_bytes(to_json(sealed(found.record.model_copy(update={"predictions": None}))))


@pytest.mark.parametrize("first", ["source", "target"])
def test_a_copy_with_predictions_goes_before_one_without(
    folder: Any, other: Any, tmp_path: Path, first: str
) -> None:
    bare(folder.add("g2d"))
    other.add("g2d")
    whole, into = files(other.root), tmp_path / "all"
    if first == "target":
        merge([folder.root], into)
        merged = merge([other.root], into)
        assert (merged.copied, merged.same, merged.completed) == (0, 1, 1)
        assert (
            str(merged)
            == "0 records new, 1 there already (1 without predictions got theirs), 0 failed cells new"
        )
    else:
        merged = merge([folder.root, other.root], into)
        assert (merged.copied, merged.same, merged.completed) == (1, 1, 1)
    assert files(into) == whole
    again = merge([folder.root, other.root], into)
    assert (again.copied, again.same, again.completed) == (0, 2, 0)
    assert files(into) == whole


@pytest.mark.parametrize("what", ["metrics", "predictions", "lost", "no json"])
def test_a_bad_record_stops_it(
    what: str,
    both: tuple[Path, Path],
    tmp_path: Path,
    edit: Callable[[Path, Callable[[dict[str, Any]], None]], None],
) -> None:
    path = sorted(both[1].rglob("*.json"))[0]
    if what == "metrics":
        edit(path, lambda raw: raw["metrics"].update(dice_positive=0.99))
    elif what == "predictions":
        path.with_suffix(".npz").write_bytes(b"other")
    elif what == "lost":
        path.with_suffix(".npz").unlink()
    else:
        path.write_text("{")
    merged = merge(both, tmp_path / "all")
    assert any(path.stem in line for line in merged.problems)
    assert not (tmp_path / "all").exists()


def test_keys_that_begin_alike_are_told(folder: Any, other: Any, tmp_path: Path) -> None:
    record = folder.add("g2d").record
    found = other.add("g2d")
    found.path.write_bytes(to_json(sealed(record.model_copy(update={"key": record.key[:8] + "0" * 56}))))
    [line] = merge([folder.root, other.root], tmp_path / "all").conflicts
    assert "begin alike" in line


def failure(found: Any, root: Path, created: str) -> Path:
    """Leave a failed cell where a record would be."""
    cell = found.cell.__class__(**{**found.cell.as_dict(), "seed": 7})
    place: Path = found.path.relative_to(found.path.parents[4]).with_name("0.01-s7.failed.json")
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).write_bytes(
        to_json(Failure(key="k", cell=cell, bad_input=False, error=created, traceback="", created=created))
    )
    return place


def test_failures_come_along_until_there_is_a_record(folder: Any, other: Any, tmp_path: Path) -> None:
    found = folder.add("g2d", seed=0)
    other.add("mgca")
    place = failure(found, folder.root, "2026-01-01")
    failure(found, other.root, "2026-01-02")
    into = tmp_path / "all"
    assert merge([folder.root, other.root], into).failures == 2
    assert json.loads((into / place).read_text())["error"] == "2026-01-02"
    other.add("g2d", seed=7)
    merge([folder.root, other.root], into)
    assert not (into / place).exists()


def test_a_merge_that_was_cut_short_goes_on(
    both: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, written = files_module.write_atomically, list[Path]()

    def fail_at_third(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 3:
            raise InputError("no space left on device", file=path)
        write(path, content)

    monkeypatch.setattr(module, "write_atomically", fail_at_third)
    with pytest.raises(InputError, match="no space"):
        merge(both, tmp_path / "all")
    assert len(files(tmp_path / "all")) == 2
    monkeypatch.undo()
    merged = merge(both, tmp_path / "all")
    assert (merged.copied, merged.same) == (2, 2)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        merge([tmp_path / "nowhere"], tmp_path / "all")
    with pytest.raises(InputError, match="no records here"):
        merge([tmp_path], tmp_path / "all")
