"""The one way to the terminal: what is printed passes here and acts on nothing."""

from __future__ import annotations

import errno
import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from g2d_bench.plain import layout


class _Nowhere(io.TextIOBase):
    """A text stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)


NOWHERE = cast(TextIO, _Nowhere())


def present(stream: TextIO | None) -> TextIO:
    """Return a stream, or :data:`NOWHERE` where there is none or it is closed (``2>&-``, a service)."""
    return NOWHERE if stream is None or getattr(stream, "closed", False) else stream


class Neutral:
    """A text stream that shows control characters instead of obeying them; see :mod:`g2d_bench.plain`.

    Args:
        stream: where the text goes. Letters that it cannot encode are spelled, too.
    """

    def __init__(self, stream: TextIO) -> None:
        self.raw_stream = stream
        """For what has to move the cursor itself, such as a progress bar."""

    def write(self, text: str) -> int:
        """Write a text; line ends and tabulators stay."""
        shown = layout(text)
        try:
            self.raw_stream.write(shown)
        except UnicodeEncodeError:
            encoding = self.raw_stream.encoding or "ascii"
            self.raw_stream.write(shown.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write texts one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        # Whoever found the bytes below would write past this.
        if name in ("buffer", "detach", "raw_stream"):
            raise AttributeError(name)
        return getattr(self.raw_stream, name)


@contextmanager
def neutral_output() -> Iterator[None]:
    """Pass whatever is printed within through :class:`Neutral`; without a stream it goes nowhere."""
    _take_descriptors()
    before = sys.stdout, sys.stderr
    make_neutral()
    made = sys.stdout, sys.stderr
    try:
        yield
    finally:
        # Whoever put another stream there, as click does after a broken pipe, means it to stay.
        for name, old, mine in zip(("stdout", "stderr"), before, made, strict=True):
            if getattr(sys, name) is mine:
                setattr(sys, name, old)


def make_neutral() -> None:
    """Pass whatever this process prints from now on through :class:`Neutral`; see :func:`present`."""
    for name in ("stdout", "stderr"):
        stream = present(getattr(sys, name))
        if not isinstance(stream, Neutral):
            setattr(sys, name, cast(TextIO, Neutral(stream)))


class _Silence:
    """What of this process is silenced: the threads that asked for it share one change of descriptor 2."""

    def __init__(self) -> None:
        self._lock, self._count, self._kept = threading.Lock(), 0, -1

    def begin(self) -> None:
        with self._lock:
            if not self._count:
                self._kept = os.dup(2)
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, 2)
                os.close(nothing)
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if not self._count:
                os.dup2(self._kept, 2)
                os.close(self._kept)


_silence = _Silence()


@contextmanager
def silenced() -> Iterator[None]:
    """Drop what libraries write to the error stream past Python, as libtiff and Rust's panics do.

    What other threads write there meanwhile goes, too: meant for a short while.
    """
    try:
        _silence.begin()
    except OSError:  # There is no such stream, or no descriptor left.
        yield
        return
    try:
        yield
    finally:
        _silence.end()


def _take_descriptors() -> None:
    """Open what the shell has closed of 0, 1 and 2: a file that got such a number would be written into.

    A script that the shell has started may hold its own file there, which cannot be written to.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if number and not _writable(number):
            nothing = os.open(os.devnull, os.O_RDWR)
            os.dup2(nothing, number)
            os.close(nothing)


def _writable(number: int) -> bool:
    try:
        os.write(number, b"")
    except OSError as error:
        return error.errno != errno.EBADF
    return True


def raw(stream: TextIO) -> TextIO:
    """Return the stream below a :class:`Neutral` one."""
    return stream.raw_stream if isinstance(stream, Neutral) else stream
