"""The one way to the terminal: what is printed passes here and acts on nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from g2d_bench.plain import layout


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
    """Pass whatever is printed within through :class:`Neutral`."""
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
    """Pass whatever this process prints from now on through :class:`Neutral`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, Neutral):
            setattr(sys, name, cast(TextIO, Neutral(stream)))


def raw(stream: TextIO) -> TextIO:
    """Return the stream below a :class:`Neutral` one."""
    return stream.raw_stream if isinstance(stream, Neutral) else stream
