"""Claims on a file that end with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from g2d_bench.progress import clock, tell

if sys.platform != "win32":
    import fcntl

PATIENCE = 1.0
"""Seconds of waiting for another process after which a line says so."""
SLOWEST = 2.0
"""Seconds between two looks at a claim of another process, at most."""


def try_lock(handle: int) -> bool | None:
    """Lock an open file, without waiting; closing it, or the end of the process, gives the lock back.

    Returns:
        Whether the lock is ours now; None where the system or the disk keeps no locks.
    """
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK) else None
    return True


def same_file(handle: int, path: Path) -> bool:
    """Say whether an open file still stands at its path."""
    try:
        there = path.lstat()
    except OSError:
        return False
    opened = os.fstat(handle)
    return (there.st_dev, there.st_ino) == (opened.st_dev, opened.st_ino)


class Lease:
    """A claim on a piece of work: a locked file, which goes when the claim ends.

    The lock dies with its owner, so nothing has to be guessed from process numbers, clocks or heartbeats, and
    a claim of a killed process is free at once. On disks that keep no locks a claim is always granted: work
    may then be done twice, as without claims.
    """

    def __init__(self, path: Path, handle: int | None) -> None:
        self._path, self._handle = path, handle

    @classmethod
    def take(cls, path: Path) -> Lease | None:
        """Claim the work that ``path`` stands for; None if another process, or an earlier call, has it."""
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o644)
            except OSError:
                # Read-only or full: whoever comes to write there will say so.
                return cls(path, None)
            got = try_lock(handle)
            if got is True and not same_file(handle, path):
                # Its owner removed the file between our opening and locking it.
                os.close(handle)
                continue
            if got is not True:
                os.close(handle)
                return None if got is False else cls(path, None)
            owner = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%F %T")}
            with suppress(OSError):
                os.truncate(handle, 0)
                os.write(handle, json.dumps(owner).encode())
            return cls(path, handle)

    def release(self) -> None:
        """End the claim."""
        if self._handle is not None:
            # Removed while it is locked: so nobody removes the file of the next owner.
            with suppress(OSError):
                self._path.unlink()
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def owner_of(path: Path) -> str:
    """Say who holds the claim at ``path``, for people; "another process" where that cannot be read."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as stream:
            owner = json.loads(stream.read(1000))
        return f"process {int(owner['pid'])} on {str(owner['host'])[:60]!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def pauses() -> Iterator[float]:
    """Yield the seconds to wait before each look at somebody else's claim: short at first."""
    pause = 0.02
    while True:
        yield pause
        pause = min(1.5 * pause, SLOWEST)


@contextmanager
def alone(path: Path, work: str) -> Iterator[None]:
    """Let one process at a time do some work; the others wait, and say so once.

    Args:
        path: the file that stands for the work; its folder is made.
        work: what it is, in a few words.
    """
    start, said = time.monotonic(), False
    for pause in pauses():
        lease = Lease.take(path)
        if lease is not None:
            break
        if not said and time.monotonic() - start > PATIENCE:
            said = True
            tell(f"{work}: {owner_of(path)} is at it, waiting")
        time.sleep(pause)
    assert lease is not None
    if said:
        tell(f"{work}: waited {clock(time.monotonic() - start)}")
    with lease:
        yield
