"""Data sets are made once, whole, and anew where the generator changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.data.source import Source
from g2d_bench.errors import InputError
from g2d_bench.phantom import ensure
from g2d_bench.phantom.ensure import ABANDONED, CHUNK
from g2d_bench.phantom.writers import cxr14, writer_of
from g2d_bench.readers.base import PHANTOM_MARKER, Sample

SIZE = 64


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def hidden(root: Path) -> set[str]:
    """What unfinished work left, lock files excepted."""
    return {path.name for path in root.glob(".*") if path.suffix != ".lock"}


@pytest.mark.parametrize("name", ["siim", "cxr14"])
def test_bytes_do_not_depend_on_processes_or_place(name: str, make: Any, tmp_path: Path) -> None:
    first = make(name)
    assert make.count(name) > CHUNK
    second = ensure(name, root=tmp_path / "else", count=make.count(name), size=SIZE, workers=2)
    assert contents(first) == contents(second)


def test_marker_and_second_call(make: Any, root: Path) -> None:
    folder = make("siim")
    marker = json.loads((folder / PHANTOM_MARKER).read_text())
    generator, files = marker.pop("generator"), marker.pop("files")
    assert len(generator) == len(marker.pop("check")) == 64
    assert sorted(files) == sorted(contents(folder).keys() - {PHANTOM_MARKER})
    assert marker == {"dataset": "siim", "seed": 0, "count": make.count("siim"), "size": SIZE}
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert make("siim") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert not hidden(root)


def test_other_parameters_make_it_anew(tmp_path: Path) -> None:
    first = contents(ensure("cxr14", root=tmp_path, count=3, size=SIZE, workers=1))
    second = contents(ensure("cxr14", root=tmp_path, count=3, size=SIZE, seed=1, workers=1))
    assert first != second
    assert len([name for name in second if name.endswith(".png")]) == 3
    assert not hidden(tmp_path)


def test_another_generator_makes_it_anew_and_the_same_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Source(root=None, phantom=tmp_path)
    monkeypatch.setattr(cxr14, "COUNT", 3)
    monkeypatch.setattr(cxr14, "SIZE", SIZE)
    assert source.state("cxr14") == "no"
    folder = ensure("cxr14", root=tmp_path, workers=1)
    before, marker = contents(folder), (folder / PHANTOM_MARKER).read_text()
    (folder / "left.txt").write_text("of the earlier drawing")
    ensure("cxr14", root=tmp_path, workers=1)
    assert (folder / "left.txt").is_file()
    assert source.state("cxr14") == "phantom"
    monkeypatch.setattr(sys.modules[ensure.__module__], "digest_package", lambda folder: "edited")
    # What would be made anew is not there, and to ask makes nothing.
    assert source.state("cxr14") == "no"
    assert (folder / "left.txt").is_file()
    ensure("cxr14", root=tmp_path, workers=1)
    assert source.state("cxr14") == "phantom"
    assert not (folder / "left.txt").exists()
    assert marker != (folder / PHANTOM_MARKER).read_text()
    after = contents(folder)
    assert {k: v for k, v in after.items() if k != PHANTOM_MARKER} == {
        k: v for k, v in before.items() if k != PHANTOM_MARKER
    }


def test_prefix_of_a_larger_set_is_the_smaller_set(make: Any, tmp_path: Path) -> None:
    large, small = make("cxr14"), ensure("cxr14", root=tmp_path, count=12, size=SIZE, workers=1)
    images = {name: value for name, value in contents(small).items() if name.startswith("images/")}
    assert images.items() <= contents(large).items()


def test_one_generates_and_the_others_wait(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    read: Callable[[Path], list[Sample]],
) -> None:
    module = sys.modules[ensure.__module__]
    started, go, make = threading.Event(), threading.Event(), module._make

    def slowly(*arguments: object) -> None:
        assert not started.is_set(), "made twice"
        started.set()
        assert go.wait(60)
        make(*arguments)

    monkeypatch.setattr(module, "_make", slowly)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(ensure, "cxr14", root=tmp_path, count=2, size=SIZE, workers=1)]
        assert started.wait(60)
        calls.append(pool.submit(ensure, "cxr14", root=tmp_path, count=2, size=SIZE, workers=1))
        said = ""
        while "another process generates it, waiting" not in said:
            time.sleep(0.01)
            said += capsys.readouterr().err
        go.set()
        assert [call.result() for call in calls] == [tmp_path / "cxr14"] * 2
    assert len(read(tmp_path / "cxr14")) == 2


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "siim").mkdir()
    (tmp_path / "siim" / "train-rle.csv").write_text("mine")
    with pytest.raises(InputError, match="left alone"):
        ensure("siim", root=tmp_path, count=2, size=SIZE, workers=1)
    assert (tmp_path / "siim" / "train-rle.csv").read_text() == "mine"


def test_what_a_killed_run_left_is_swept_and_living_work_is_not(tmp_path: Path) -> None:
    ensure("cxr14", root=tmp_path, count=2, size=SIZE, workers=1)
    old, living, other = (tmp_path / name for name in (".cxr14-aaaa", ".cxr14-bbbb", ".cxr14-x"))
    past = time.time() - 2 * ABANDONED
    for folder in (old, living):
        (folder / "images").mkdir(parents=True)
        (folder / "images" / "a.png").touch()
        for place in (folder / "images" / "a.png", folder / "images", folder):
            os.utime(place, (past, past))
    (living / "images" / "b.png").touch()  # Only the folder deep inside has changed.
    other.touch()
    unrelated = tmp_path / ".siim-aaaa"
    unrelated.mkdir()
    os.utime(unrelated, (past, past))
    for _ in range(2):
        ensure("cxr14", root=tmp_path, count=2, size=SIZE, workers=1)
        assert hidden(tmp_path) == {living.name, other.name, unrelated.name}
    # Who generates holds the lock: then nobody works in such a folder, however young it is.
    shutil.rmtree(tmp_path / "cxr14")
    ensure("cxr14", root=tmp_path, count=2, size=SIZE, workers=1)
    assert (tmp_path / "cxr14").is_dir()
    assert hidden(tmp_path) == {other.name, unrelated.name}


def test_nothing_is_left_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path, items: object, seed: int) -> None:
        raise RuntimeError("disc full")

    monkeypatch.setattr(writer_of("siim"), "write_tables", fail)
    with pytest.raises(RuntimeError, match="disc full"):
        ensure("siim", root=tmp_path, count=2, size=SIZE, workers=1)
    assert not hidden(tmp_path)
    assert not (tmp_path / "siim").exists()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"count": -1}, "count"), ({"size": 32}, "size"), ({"size": 5000}, "size")],
)
def test_bad_arguments(tmp_path: Path, arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        ensure("siim", root=tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_root_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        ensure("siim", root=tmp_path / "file", count=2, size=SIZE)
