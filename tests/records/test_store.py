from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.files import write_atomically
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import (
    Failure,
    Record,
    read_predictions,
    read_record,
)
from g2d_bench.records.store import Store

CELL = Cell(task="siim-seg", fraction=0.01, protocol="clean", seed=2, encoder="g2d+decoder")


ARRAYS = {"id": np.array(["a", "b"]), "true": np.array([3, 0])}


def _saved(plain: Record, tmp_path: Path) -> tuple[Store, Path, Record]:
    store, record = Store(tmp_path / "runs"), plain
    path = store.path(CELL, kind="phantom", version="1.0", key=record.key)
    return store, path, store.save(path, record, ARRAYS)


def test_what_is_saved_is_read_again(plain: Record, tmp_path: Path) -> None:
    store, path, record = _saved(plain, tmp_path)
    assert path.relative_to(store.root).as_posix() == (
        f"phantom/g2d+decoder/siim-seg@1.0/clean/0.01-s2-{record.key[:8]}.json"
    )
    assert read_record(path) == record
    assert list(store) == [(path, record)]
    for name, array in read_predictions(path, record).items():
        assert np.array_equal(array, ARRAYS[name])
    assert store.find(path, record.key) == record
    assert store.find(path, "another") is None
    assert [p.name for p in path.parent.iterdir() if p.name.startswith(".")] == []


def test_only_what_lies_where_records_do_is_read(plain: Record, tmp_path: Path) -> None:
    store, path, record = _saved(plain, tmp_path)
    # What a user keeps in the same folder: a pre-training run, other results.
    others = store.root / "nights" / "first" / path.relative_to(store.root)
    others.parent.mkdir(parents=True)
    others.write_text("not looked at")
    (store.root / "g2d").mkdir()
    (store.root / "g2d" / "config.json").write_text("{}")
    assert store.files() == [path]
    # Each part of the folder alone, down to a folder that holds a record and nothing else.
    for folder in path.parents[:5]:
        assert list(Store(folder)) == [(path, record)]
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(path, flat)
    assert [read for _, read in Store(flat)] == [record]


def test_where_no_records_are_those_below_are_named(plain: Record, tmp_path: Path) -> None:
    store, *_ = _saved(plain, tmp_path)
    night = tmp_path / "all" / "nights" / "1"
    night.parent.mkdir(parents=True)
    store.root.rename(night)
    outer = Store(tmp_path / "all")
    assert outer.files() == []
    assert str(outer.nothing()) == f"{outer.root}: no records here; there are some in {night}"
    empty = Store(tmp_path / "nothing")
    assert str(empty.nothing()) == f"{empty.root}: no records here; `g2d-bench run` makes them"


def test_where_all_failed_there_are_no_records(
    plain: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, path, _ = _saved(plain, tmp_path)
    path.rename(store.failure_path(path))
    monkeypatch.chdir(store.root / "phantom")
    for folder in (store.root, Path(CELL.encoder), Path()):
        there = Store(folder)
        assert [one.name for one in there.files()] == [store.failure_path(path).name]
        assert list(there) == []
        assert str(there.nothing()).endswith("no records here; `g2d-bench run` makes them")


def test_a_success_removes_the_failure_before_it(plain: Record, tmp_path: Path) -> None:
    store, path, record = _saved(plain, tmp_path)
    failure = Failure(
        key=record.key,
        cell=record.cell,
        bad_input=False,
        error="RuntimeError: x",
        traceback="t",
        created="now",
    )
    store.fail(store.failure_path(path), failure)
    assert store.failure_path(path).is_file()
    assert [p for p, _ in store] == [path]
    store.save(path, record, ARRAYS)
    assert not store.failure_path(path).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw | {"schema_version": 7}, "schema_version: is 7, this version of g2d-bench reads 1"),
        (lambda raw: {"x": 1}, "schema_version: not a record"),
        (lambda raw: raw | {"extra": 1}, "extra"),
        (lambda raw: raw | {"metrics": {"dice_positive": "high"}}, r"metrics\.dice_positive"),
        (lambda raw: {k: v for k, v in raw.items() if k != "signature"}, "signature"),
        (lambda raw: [raw], "not a record"),
    ],
)
def test_a_wrong_record_is_named(plain: Record, tmp_path: Path, change: Any, message: str) -> None:
    _, path, _ = _saved(plain, tmp_path)
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(InputError, match=message) as caught:
        read_record(path)
    assert path.name in str(caught.value)


def test_what_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(InputError, match=r"x\.json: not a readable JSON record"):
        list(Store(tmp_path))


def test_changed_or_missing_predictions_are_named(plain: Record, tmp_path: Path) -> None:
    _, path, record = _saved(plain, tmp_path)
    arrays = path.with_suffix(".npz")
    arrays.write_bytes(arrays.read_bytes() + b"x")
    with pytest.raises(InputError, match="changed after the record was written"):
        read_predictions(path, record)
    arrays.unlink()
    with pytest.raises(InputError, match="missing"):
        read_predictions(path, record)
    with pytest.raises(InputError, match="keeps no predictions"):
        read_predictions(path, plain)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def broken(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"key": 1}'])
def test_what_is_no_record_is_said_and_kept_beside_the_new_one(
    plain: Record, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    store, path, record = _saved(plain, tmp_path)
    path.write_bytes(content)
    assert store.find(path, record.key) is None
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path}: ")
    assert line.endswith(f"measured again, and this file is kept as {path.name}.damaged")
    # Looking alone moves nothing.
    assert path.read_bytes() == content
    assert store.save(path, plain, ARRAYS) == record
    assert store.find(path, record.key) == record
    assert path.with_name(f"{path.name}.damaged").read_bytes() == content
    assert list(store) == [(path, record)]


def test_a_pipe_among_failures_is_not_waited_for(tmp_path: Path) -> None:
    folder = tmp_path / "phantom" / "random" / "siim-cls@1.0" / "clean"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "0.01-s0.failed.json")
    with (folder / "0.01-s1.failed.json").open("wb") as stream:
        stream.truncate(20 << 30)
    assert Store(tmp_path).failures() == []
