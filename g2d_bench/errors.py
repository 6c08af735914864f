"""The errors that a user can mend."""

from __future__ import annotations

from pathlib import Path

from g2d_bench.plain import shortened, visible


class InputError(Exception):
    """Bad input: a file, a flag, a card. Its text is one line that names file and field.

    The command line prints it on stderr and exits with code 2. What a file says at great length is shortened.

    Args:
        message: what is wrong, and what would be right.
        file: the file (and row, as ``path:row``) in which it stands.
        field: the column, key or flag.
    """

    def __init__(self, message: str, *, file: Path | str | None = None, field: str | None = None) -> None:
        parts = [str(part) for part in (file, field) if part is not None]
        super().__init__(": ".join(shortened(visible(part)) for part in (*parts, " ".join(message.split()))))


def did_you_mean(word: str, allowed: list[str] | tuple[str, ...]) -> str:
    """Say which allowed word is nearest to a wrong one, or list them all.

    Args:
        word: what the user wrote.
        allowed: what would have been right.

    Returns:
        A clause such as ``did you mean 'siim-seg'?`` or ``allowed: a, b, c``.
    """
    from difflib import get_close_matches

    # The search is slow in long words, and none is allowed.
    near = get_close_matches(word[:100], allowed, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"allowed: {', '.join(sorted(allowed)) or 'none'}"


def first_line(error: BaseException) -> str:
    """Return the first line of what a library says went wrong."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def refused_argument(error: TypeError) -> str:
    """Return what Python says of an argument that a class does not take, without the class's name."""
    return first_line(error).rpartition("__init__() ")[-1]
