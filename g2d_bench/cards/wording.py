"""Texts of a card that must have a form, refused in words and not by a regular expression."""

from __future__ import annotations

import re

from pydantic import AfterValidator


def formed(pattern: str, words: str) -> AfterValidator:
    """Return what a text of a card is checked by.

    Args:
        pattern: a regular expression that the whole text must match.
        words: what is wanted, to be said after "want".

    Returns:
        For ``Annotated[str, formed(...)]``; it raises ValueError with the words.

    Example:
        >>> formed(r"[0-9]+", "a number, such as 3").func("three")
        Traceback (most recent call last):
        ...
        ValueError: want a number, such as 3
    """
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"want {words}")
        return text

    return AfterValidator(check)


VERSION = formed(r"\d+\.\d+", 'a version in quotes, such as "1.0"')
"""Of tasks and protocols."""
