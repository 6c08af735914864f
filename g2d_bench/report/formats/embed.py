"""A table inside a text of somebody's own, such as a README."""

from __future__ import annotations

from pathlib import Path

from g2d_bench.errors import InputError
from g2d_bench.files import write_out

BEGIN, END = "<!-- g2d-bench table: begin -->", "<!-- g2d-bench table: end -->"
"""Lines between which a table stands; what is between them is replaced."""


def embed(path: Path, text: str) -> bool:
    """Replace what stands between the marker lines of a file.

    Args:
        path: a text file with one line :data:`BEGIN` and, below it, one line :data:`END`.
        text: what shall stand there.

    Returns:
        Whether the file changed.

    Raises:
        InputError: no such file, or the marker lines are not there once each in this order.
    """
    lines = _read_lines(path)
    first, last = _markers(lines, path)
    made = "\n".join([*lines[: first + 1], "", text, "", *lines[last:]])
    if made == "\n".join(lines):
        return False
    write_out(path, made.encode())
    return True


def embedded(path: Path) -> str:
    """Return what stands between the marker lines of a file; see :func:`embed`."""
    lines = _read_lines(path)
    first, last = _markers(lines, path)
    return "\n".join(lines[first + 1 : last]).strip("\n")


def _read_lines(path: Path) -> list[str]:
    """Read a text file.

    Raises:
        InputError: it is not there or no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read ({error})", file=path) from None


def _markers(lines: list[str], path: Path) -> tuple[int, int]:
    places = []
    for marker in (BEGIN, END):
        if lines.count(marker) != 1:
            raise InputError(f"has {lines.count(marker)} lines {marker}, want one", file=path)
        places.append(lines.index(marker))
    first, last = places
    if last < first:
        raise InputError(f"{END} stands above {BEGIN}", file=path)
    return first, last
