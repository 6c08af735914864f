"""Regular expressions of cards, of which anybody may have written one: only such as come to an end."""

from __future__ import annotations

import re

LONGEST, REPEATS, BRANCHES = 200, 3, 8
"""Characters of an expression, repeats in it (``*``, ``+``, ``?``, ``{2,3}``), bars between alternatives."""

_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<open>\((?:\?(?:P<\w+>|[:=!]|<[=!]))?)|(?P<close>\))|(?P<bar>\|)"
    r"|(?P<repeat>(?:[*+?]|\{\d*,?\d*\})[+?]?)|.",
    re.DOTALL,
)


def require_tame(pattern: str) -> None:
    """Refuse an expression that could search in one name for hours.

    That takes repeats inside of a repeat (``(a+)+``), or many side by side; what renames the weights of
    published models has neither.

    Raises:
        ValueError: it is none, is too long, has too many repeats or alternatives, or repeats a group in which
            something is repeated or left open.
    """
    shown = repr(pattern if len(pattern) <= 80 else f"{pattern[:80]}…")
    if len(pattern) > LONGEST:
        raise ValueError(f"{shown} has more than the {LONGEST} characters that are allowed")
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{shown} is no regular expression: {error}") from None
    if re.search(r"\(\?(?!P<|[:=!]|<[=!])", pattern):
        raise ValueError(f"{shown} holds flags, comments or conditions; write it without")
    repeats, branches = _count(pattern, shown)
    if repeats > REPEATS:
        raise ValueError(f"{shown} has {repeats} repeats, {REPEATS} are allowed")
    if branches > BRANCHES:
        raise ValueError(f"{shown} has {branches + 1} alternatives, {BRANCHES + 1} are allowed")


def _count(pattern: str, shown: str) -> tuple[int, int]:
    """Count repeats and bars; refuse the repeat of a group that holds one."""
    repeats = branches = 0
    # Of each open group, and of the one that has just closed: whether a search in it may go several ways.
    within, closed = [False], False
    for token in _TOKEN.finditer(pattern):
        kind = token.lastgroup
        if kind == "repeat":
            if closed and token[0] != "?":
                raise ValueError(f"{shown} repeats a group in which something is repeated or left open")
            repeats += 1
            within[-1] = True
        elif kind == "bar":
            branches += 1
            within[-1] = True
        elif kind == "open":
            within.append(False)
        ended = within.pop() if kind == "close" else False
        if kind == "close":
            within[-1] |= ended
        closed = ended
    return repeats, branches
