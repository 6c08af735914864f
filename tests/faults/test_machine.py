"""Full and read-only disks, odd caches and homes, few open files: one line and exit code 2, nothing torn."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from g2d_bench.encoders.row_table import RowTable
from g2d_bench.errors import InputError

Start = Callable[..., Any]
Grid = Callable[..., list[str]]
Measured = Callable[[Path], dict[str, Any]]


def end(process: Any) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=900)
    assert "Traceback" not in err, err
    assert process.returncode >= 0, f"ended by signal {-process.returncode}"
    return process.returncode, out, err


def one_line(process: Any, *words: str) -> str:
    """See that a run ended with 2 and, at its end, one line that says why."""
    code, _, err = end(process)
    assert code == 2, err
    last: str = err.splitlines()[-1]
    assert last.startswith("g2d-bench: "), err
    for word in words:
        assert word in last, err
    return last


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a small disk of its own."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "g2d-bench-test", str(place)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no small disk can be mounted here")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def read_only(place: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)


@pytest.fixture(scope="module")
def warm(
    tmp_path_factory: pytest.TempPathFactory, tiny_root: Path, quick_protocols: Path
) -> tuple[Path, Path]:
    """A complete cache, and the results of the run that filled it."""
    folder = tmp_path_factory.mktemp("warm")
    subprocess.run(
        [
            *(sys.executable, "-m", "g2d_bench", "run", "--data-root", str(tiny_root)),
            *("--protocols-dir", str(quick_protocols), "--encoder", "random", "--protocol", "quick"),
            *("--task", "covid-cxr-seg", "--fraction", "100%", "--jobs", "1"),
            *("--results", str(folder / "results")),
        ],
        env={**os.environ, "G2D_BENCH_CACHE": str(folder / "cache")},
        check=True,
        capture_output=True,
    )
    return folder / "cache", folder / "results"


@pytest.mark.parametrize("size", ["0.1M", pytest.param("0.7M", marks=pytest.mark.slow)])
def test_a_full_disk_under_the_cache(
    size: str, disk: Callable[[str], Path], start: Start, grid: Grid, tmp_path: Path
) -> None:
    place = disk(str(int(float(size[:-1]) * 1024)) + "k")
    one_line(start(*grid(), cache=place / "c", results=tmp_path / "r"), "No space left on device")
    assert not [path for path in (place / "c").rglob("*") if path.name.startswith(".") and path.is_file()]
    assert not list((tmp_path / "r").rglob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("room", range(100, 1500, 200))
def test_a_disk_that_is_full_at_any_moment(
    room: int, disk: Callable[[str], Path], start: Start, grid: Grid, measured: Measured, tmp_path: Path
) -> None:
    place = disk(f"{room}k")
    code, out, err = end(start(*grid("0-1", "--jobs", "1"), cache=place / "c", results=place / "r"))
    assert code in (0, 2), err
    found = measured(place / "r")
    for name in found:
        with (place / "r" / name).open() as stream:
            assert json.load(stream)["metrics"]
    assert ("dice_positive" in out) == bool(found), "what is finished is shown"
    if code == 2:
        assert "No space left on device" in err.splitlines()[-1]


@pytest.mark.slow
def test_a_full_disk_under_the_results_ends_the_run_and_shows_what_is_finished(
    warm: tuple[Path, Path], start: Start, grid: Grid, disk: Callable[[str], Path], measured: Measured
) -> None:
    place = disk("64k")
    process = start(*grid("0-9", "--jobs", "1"), cache=warm[0], results=place / "r")
    code, out, err = end(process)
    assert code == 2
    assert err.splitlines()[-1].startswith("g2d-bench: ")
    assert "No space left on device" in err.splitlines()[-1]
    found = measured(place / "r")
    assert 0 < len(found) < 10
    assert "dice_positive" in out
    assert f"[{len(found)}/10" in err
    assert f"[{len(found) + 1}/10" not in err, "it does not go on for nothing"


def test_files_of_limited_size_are_a_full_disk_where_none_can_be_mounted(
    start: Start, grid: Grid, tmp_path: Path
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

    # A measure of coverage in that process would meet the limit with a file of its own.
    process = start(
        *grid(),
        cache=tmp_path / "c",
        results=tmp_path / "r",
        env={"COVERAGE_PROCESS_CONFIG": None, "COVERAGE_PROCESS_START": None},
        preexec_fn=limit,
    )
    one_line(process, "cannot be written: File too large", str(tmp_path / "c"))
    assert not [path for path in (tmp_path / "c").rglob(".*") if path.is_file()]


def test_draws_that_cannot_be_kept_cost_no_table(
    warm: tuple[Path, Path], disk: Callable[[str], Path], start: Start
) -> None:
    place = disk("4k")
    code, out, err = end(start("table", cache=place, results=warm[1]))
    assert code == 0, err
    assert "dice_positive" in out
    assert err.count("bootstrap draws are not kept") == 1


@pytest.mark.parametrize("again", ["run", "table"])
def test_a_complete_cache_works_read_only(
    again: str,
    warm: tuple[Path, Path],
    disk: Callable[[str], Path],
    start: Start,
    grid: Grid,
    measured: Measured,
    tmp_path: Path,
) -> None:
    place = disk("32m")
    shutil.copytree(warm[0], place, dirs_exist_ok=True, symlinks=True)
    read_only(place)
    if again == "table":
        code, out, err = end(start("table", cache=place, results=warm[1]))
        assert (code, err) == (0, "")
        assert "dice_positive" in out
        return
    code, _, err = end(start(*grid(), cache=place, results=tmp_path / "r"))
    assert code == 0, err
    assert measured(tmp_path / "r") == measured(warm[1])


def test_a_table_of_features_on_a_full_and_on_a_read_only_disk(disk: Callable[[str], Path]) -> None:
    place, rows = disk("200k"), np.arange(100)
    values = torch.randn(100, 300)
    with RowTable(place, "key", 100, (300,)) as table:
        table.write(rows[:50], values[:50])
        table.seal(rows[:50])
        (place / "else").write_bytes(bytes(100_000))
        # Written through a memory map, this would end the process.
        with pytest.raises(InputError, match=r"key\.npy: cannot be written: No space left on device"):
            table.write(rows[50:], values[50:])
    (place / "else").unlink()
    read_only(place)
    with RowTable(place, "key", 100, (300,)) as table:
        assert table.missing(rows).tolist() == rows[50:].tolist()
        assert np.array_equal(table.read(rows[:50]), values[:50].numpy())
        with pytest.raises(InputError, match=r"key\.npy: cannot be written: Read-only file system"):
            table.write(rows[50:], values[50:])


def test_an_incomplete_cache_that_is_read_only(
    disk: Callable[[str], Path], start: Start, grid: Grid, tmp_path: Path
) -> None:
    place = disk("1m")
    read_only(place)
    one_line(start(*grid(), cache=place / "c", results=tmp_path / "r"), "Read-only file system", str(place))
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("cache", "words"),
    [
        ("/dev/null/x", ("/dev/null/x", "a file is where a folder should be")),
        ("FILE", ("FILE", "a file is where a folder should be")),
        ("~nobody-of-that-name/x", ("G2D_BENCH_CACHE", "no such home folder")),
        ("/proc/nowhere", ("/proc/nowhere", "cannot be written")),
        ("n" * 300, ("too long",)),
    ],
)
def test_odd_caches(cache: str, words: tuple[str, ...], start: Start, grid: Grid, tmp_path: Path) -> None:
    (tmp_path / "FILE").write_text("mine")
    one_line(start(*grid(), cache=cache, results=tmp_path / "r"), *words)
    assert (tmp_path / "FILE").read_text() == "mine"
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("results", "words"),
    [
        ("/dev/null/x", ("is not a folder",)),
        ("/dev/full", ("is not a folder",)),
        ("FILE", ("is not a folder",)),
        ("PIPE", ("is not a folder",)),
        ("LINK", ("is a link to nothing",)),
        ("~nobody-of-that-name/x", ("G2D_BENCH_RESULTS", "no such home folder")),
        ("n" * 300, ("results", "has a name of 300 bytes")),
    ],
)
def test_odd_results(
    results: str, words: tuple[str, ...], start: Start, grid: Grid, warm: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "FILE").write_text("mine")
    (tmp_path / "LINK").symlink_to("nowhere")
    os.mkfifo(tmp_path / "PIPE")
    one_line(start(*grid(), cache=warm[0], results=results), *words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FILE", "LINK", "PIPE"]


def test_no_home_folder(start: Start, grid: Grid, tmp_path: Path) -> None:
    environment = {"HOME": "/dev/null", "G2D_BENCH_CACHE": None, "XDG_CACHE_HOME": None}
    process = start(*grid(), cache="", results=tmp_path / "r", env=environment)
    one_line(process, "/dev/null/.cache/g2d-bench", "a file is where a folder should be")


def test_names_that_are_no_utf8(start: Start, grid: Grid, warm: tuple[Path, Path], tmp_path: Path) -> None:
    """A record could not say where it lies, so such results are refused at once; a cache may be called so."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9sultats")
    process = start(*grid("0", "--results", odd), cache=warm[0], results=tmp_path / "r")
    one_line(process, "sultats", "results: is not UTF-8")
    assert not Path(odd).exists()
    code, out, err = end(start(*grid("0"), cache=tmp_path / os.fsdecode(b"c\xe9"), results=tmp_path / "r"))
    assert code == 0, err
    assert "dice_positive" in out


@pytest.mark.parametrize("what", ["run", "table"])
def test_few_open_files(what: str, start: Start, grid: Grid, warm: tuple[Path, Path], tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

    arguments = grid("0", "--jobs", "2") if what == "run" else ["table"]
    results = tmp_path / "r" if what == "run" else warm[1]
    code, out, err = end(start(*arguments, cache=warm[0], results=results, preexec_fn=limit))
    assert code == 0 or (code == 2 and "Too many open files" in err.splitlines()[-1]), err
    assert code == 2 or "dice_positive" in out


def another(path: Path) -> None:
    """Give a file or folder to another user, who lets nobody in; who is not root shuts out himself."""
    if os.getuid() == 0:
        os.chown(path, 65534, 65534)
    path.chmod(0o700 if path.is_dir() else 0o600) if os.getuid() == 0 else path.chmod(0)


def as_any_user() -> None:
    """Take from this process root's right to pass over permissions; it stays away in what it starts."""
    if os.getuid() == 0:
        for right in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
            assert ctypes.CDLL(None).prctl(24, right, 0, 0, 0) == 0  # PR_CAPBSET_DROP


@pytest.mark.parametrize(
    ("whose", "words"),
    [
        ("cache", ("Permission denied", "/c")),
        ("results", ("cannot be written to", "/r")),
        ("data", ("--data-root", "/root", "is not readable")),
        ("film", ("Permission denied",)),
        ("card", ("Permission denied", "quick.toml")),
        ("checkpoint", ("--checkpoint", "weights.pt", "is not readable")),
    ],
)
def test_files_of_another_user(
    whose: str,
    words: tuple[str, ...],
    start: Start,
    grid: Grid,
    tiny_root: Path,
    quick_protocols: Path,
    tmp_path: Path,
) -> None:
    root, cards = tmp_path / "root", tmp_path / "cards"
    shutil.copytree(tiny_root, root)
    shutil.copytree(quick_protocols, cards)
    for name in ("c", "r"):
        (tmp_path / name).mkdir()
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"x" * 100)
    place = {
        "cache": tmp_path / "c",
        "results": tmp_path / "r",
        "data": root,
        "film": sorted((root / "covid-cxr").rglob("*.png"))[0],
        "card": cards / "quick.toml",
        "checkpoint": weights,
    }[whose]
    another(place)
    moved = {str(tiny_root): str(root), str(quick_protocols): str(cards)}
    arguments = [moved.get(word, word) for word in grid("0", "--jobs", "1")]
    if whose == "checkpoint":
        arguments += ["--encoder", "mgca.r50", "--checkpoint", f"mgca.r50={weights}"]
    try:
        process = start(*arguments, cache=tmp_path / "c", results=tmp_path / "r", preexec_fn=as_any_user)
        one_line(process, *words)
    finally:
        if os.getuid() != 0:
            place.chmod(0o700)
    assert whose == "results" or not list((tmp_path / "r").rglob("*.json"))


@pytest.mark.parametrize("what", ["record", "predictions"])
@pytest.mark.parametrize("command", ["verify", "table", "run"])
def test_records_of_another_user(
    what: str, command: str, start: Start, grid: Grid, warm: tuple[Path, Path], tmp_path: Path
) -> None:
    results = tmp_path / "r"
    shutil.copytree(warm[1], results)
    (path,) = results.rglob("*.json")
    place = path if what == "record" else path.with_suffix(".npz")
    before = place.read_bytes()
    another(place)
    arguments = {"verify": ["verify", str(results)], "table": ["table"], "run": grid()}[command]
    process = start(*arguments, cache=warm[0], results=results, preexec_fn=as_any_user)
    code, out, err = end(process)
    if os.getuid() != 0:
        for one in (place, place.with_name(f"{place.name}.damaged")):
            with suppress(FileNotFoundError):
                one.chmod(0o600)
    if command == "run" and what == "record":
        # The folder is the user's own: what is in the way is said, kept, and measured again.
        assert code == 0, err
        assert f"{place.name}.damaged" in err
        place = place.with_name(f"{place.name}.damaged")
    else:
        assert code == (1 if command == "verify" else 2), err
        assert place.name in out + err
    assert "Permission denied" in out + err
    assert place.read_bytes() == before
