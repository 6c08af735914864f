"""Files on disks that are full, read-only or something else."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.files import CannotWrite, draft, read_regular, sweep, write_at, write_atomically, write_out
from g2d_bench.locks import try_lock


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow past some bytes, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_is_there_in_full_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    with at_most(1000), pytest.raises(InputError, match=r"b\.json: cannot be written: File too large"):
        write_atomically(path, bytes(5000))
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]
    with at_most(1000), pytest.raises(InputError, match="cannot be written: File too large"):
        write_atomically(tmp_path / "a" / "new" / "below" / "c.json", bytes(5000))
    assert list(path.parent.iterdir()) == [path], "nor does an empty folder stay"


def test_room_is_reserved_before_long_work(tmp_path: Path) -> None:
    begun = False
    too_large = pytest.raises(InputError, match=r"t\.npy: cannot be written: File too large")
    with at_most(1000), too_large, draft(tmp_path / "t.npy", 5000):
        begun = True
    assert not begun
    assert not list(tmp_path.iterdir())
    with draft(tmp_path / "t.npy", 5000) as handle:
        assert os.fstat(handle).st_size == 5000
        assert os.fstat(handle).st_blocks * 512 >= 4096, "room is taken, not promised"
        write_at(handle, b"xy", 10)
    assert (tmp_path / "t.npy").read_bytes() == bytes(10) + b"xy" + bytes(4988)


def test_where_the_system_reserves_nothing_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    with draft(tmp_path / "t", (1 << 20) + 17):
        pass
    assert (tmp_path / "t").read_bytes() == bytes((1 << 20) + 17)


@pytest.mark.parametrize("inside", [(), ("deeper",)])
def test_a_file_where_a_folder_should_be(tmp_path: Path, inside: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="cannot be written: a file is where a folder should be"):
        write_atomically(tmp_path.joinpath("file", *inside, "x"), b"")
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(InputError, match="cannot be written: "):
        write_atomically(Path("/dev/null/x/y"), b"")


def test_names_as_long_as_they_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_atomically(path, b"1")
    assert path.read_bytes() == b"1"
    with pytest.raises(InputError, match="File name too long"):
        write_atomically(tmp_path / ("n" * 256), b"")


def test_an_error_of_the_work_is_not_said_of_the_file(tmp_path: Path) -> None:
    image = pytest.raises(InputError, match=r"^/nowhere/image\.png: No such file or directory$")
    with image, draft(tmp_path / "table"):
        Path("/nowhere/image.png").read_bytes()
    with pytest.raises(KeyError), draft(tmp_path / "table"):
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told_across_processes(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CannotWrite) as caught:
        write_atomically(tmp_path / "file" / "x", b"")
    there = pickle.loads(pickle.dumps(caught.value))
    assert (str(there), there.path) == (str(caught.value), tmp_path / "file" / "x")


def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    start = time.monotonic()
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="no regular file"):
            read_regular(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    assert time.monotonic() - start < 5
    (tmp_path / "good").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"text")
    assert read_regular(tmp_path / "good") == b"text"


WRITER = """
import sys, time
from pathlib import Path
from g2d_bench.files import CannotWrite, draft, write_at
with draft(Path(sys.argv[1]), 100) as handle:
    print("begun", flush=True)
    time.sleep(600)
"""


def test_drafts_of_killed_processes_are_swept_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path / name)], stdout=subprocess.PIPE)
        for name in ("killed.npy", "living.npy")
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
        assert len(list(tmp_path.glob(".*.draft"))) == 2
        os.kill(started[0].pid, signal.SIGKILL)
        started[0].wait(60)
        for name in (".npz.lease", ".mine.draft.txt", ".hidden", "a.draft", ".x.json.backup"):
            (tmp_path / name).touch()
        old, new = tmp_path / ".pixels.npy.4711", tmp_path / ".record.json.ab_12cd3"
        old.touch()
        new.touch()
        os.utime(old, (0, 0))
        sweep(tmp_path)
        left = sorted(path.name for path in tmp_path.iterdir())
        [living] = [name for name in left if name.startswith(".living.npy.")]
        # A claim without owner goes; of drafts without lock those that are old; nothing of the user's.
        assert left == sorted([living, ".mine.draft.txt", ".hidden", "a.draft", ".x.json.backup", new.name])
        # Once per process: folders of a hundred thousand records are not read for each of them.
        old.touch()
        os.utime(old, (0, 0))
        sweep(tmp_path)
        assert old.exists()
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_a_draft_that_was_swept_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[int] = []

    def late(handle: int) -> bool | None:
        if not swept:
            swept.append(handle)
            [place] = tmp_path.glob(".*.draft")
            place.unlink()
        return try_lock(handle)

    monkeypatch.setattr("g2d_bench.files.try_lock", late)
    write_atomically(tmp_path / "a", b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_device_is_not_replaced_by_a_file_and_a_pipe_where_a_file_should_be_is(tmp_path: Path) -> None:
    device, pipe = tmp_path / "null", tmp_path / "pipe"
    os.mkfifo(pipe)
    write_atomically(pipe, b"one")
    assert pipe.read_bytes() == b"one"
    try:
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("nobody but root makes devices")
    with pytest.raises(InputError, match=r"null: cannot be written: is a device"):
        write_atomically(device, b"one")
    assert stat.S_ISCHR(device.lstat().st_mode)
    assert sorted(tmp_path.iterdir()) == [device, pipe]


def test_a_link_leads_to_what_is_written_and_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "target.md", tmp_path / "link.md"
    link.symlink_to("target.md")
    for content in (b"made where the link leads", b"again"):
        write_out(link, content)
        assert link.is_symlink()
        assert target.read_bytes() == content
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"loop: cannot be written: Too many levels"):
        write_out(tmp_path / "loop", b"x")
    with pytest.raises(InputError, match=r"cannot be written: Is a directory"):
        write_out(tmp_path, b"x")


def test_pipes_and_streams_take_what_is_written(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_out(pipe, b"through")
        assert os.read(end, 100) == b"through"
    finally:
        os.close(end)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    # What the shell added to is added to, not replaced.
    log = tmp_path / "log"
    log.write_text("before\n")
    code = "from g2d_bench.files import *; write_out(Path('/dev/stdout'), b'after')"
    with log.open("ab") as stream:
        subprocess.run([sys.executable, "-c", code], stdout=stream, check=True)
    assert log.read_text() == "before\nafter"
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    assert said.stdout == b"after"
