"""Claims between real processes, some of which are killed."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from g2d_bench import locks
from g2d_bench.locks import Lease, alone, owner_of

HOLD = """
import sys, time
from pathlib import Path
from g2d_bench.locks import Lease
lease = Lease.take(Path(sys.argv[1]))
print("got" if lease else "busy", flush=True)
if lease:
    sys.stdin.readline()
    lease.release()
"""

Holder = Callable[[Path], "tuple[subprocess.Popen[str], str]"]


@pytest.fixture
def holder() -> Iterator[Holder]:
    """Start a process that claims a path and holds it until its input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(path: Path) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_claim_is_one_processs(tmp_path: Path, holder: Holder) -> None:
    path = tmp_path / "folder" / ".work.lease"
    other, word = holder(path)
    assert word == "got"
    assert Lease.take(path) is None
    assert owner_of(path).startswith(f"process {other.pid} on ")
    assert json.loads(path.read_text())["pid"] == other.pid
    other.communicate("\n")
    assert not path.exists(), "what is released is gone"
    lease = Lease.take(path)
    assert lease is not None
    assert holder(path)[1] == "busy"
    lease.release()
    lease.release()
    assert not path.exists()


def test_the_claim_of_a_killed_process_is_free_at_once(tmp_path: Path, holder: Holder) -> None:
    path = tmp_path / ".work.lease"
    other, _ = holder(path)
    other.kill()
    other.wait(60)
    assert path.is_file(), "nobody was left to remove it"
    with Lease.take(path) or pytest.fail("not free"):
        assert owner_of(path).startswith(f"process {os.getpid()} on ")
    assert not path.exists()


def test_an_owner_that_removed_its_file_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking it: the lock of a removed file is worth nothing."""
    path = tmp_path / ".work.lease"
    looked: list[int] = []
    real = locks.try_lock

    def late(handle: int) -> bool | None:
        if not looked:
            looked.append(handle)
            path.unlink()
        return real(handle)

    monkeypatch.setattr(locks, "try_lock", late)
    with Lease.take(path) or pytest.fail("not free"):
        assert path.is_file()
        assert Lease.take(path) is None


@pytest.mark.parametrize("trouble", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_the_disk_keeps_no_locks_everybody_gets_the_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: int
) -> None:
    def none(*_: object) -> None:
        raise OSError(trouble, "no locks")

    monkeypatch.setattr("fcntl.flock", none)
    with (
        Lease.take(tmp_path / "a") or pytest.fail("refused"),
        Lease.take(tmp_path / "a") or pytest.fail("refused"),
    ):
        pass


def test_where_nothing_can_be_written_everybody_gets_the_claim(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Lease.take(tmp_path / "file" / "a") or pytest.fail("refused"):
        assert owner_of(tmp_path / "file" / "a") == "another process"


def test_one_at_a_time_and_the_others_say_that_they_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    order: list[str] = []
    started = threading.Event()

    def first() -> None:
        with alone(tmp_path / "lease", "counting"):
            started.set()
            time.sleep(0.5)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    assert started.wait(60)
    with alone(tmp_path / "lease", "counting"):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    said = capsys.readouterr().err
    assert f"counting: process {os.getpid()} on " in said
    assert "is at it, waiting" in said
