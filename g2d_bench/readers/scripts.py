"""What a word, a stop and a title are in scripts other than Latin."""

from __future__ import annotations

import re

STOPS = "。！？।۔؟"
"""Stops that end a sentence wherever they stand: none is part of a number or an abbreviation."""
QUOTES = "”’」』"
"""What may close behind a stop."""
# Of Chinese, Japanese and Korean one sign may be a word, and no blank stands between two.
_SIGN = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff]"
WORD = re.compile(rf"[^\W\d_]{{2,}}|{_SIGN}")
"""A word that says something: two letters of any script, or a sign that is a word."""
WORDS = re.compile(rf"{_SIGN}|(?:(?!{_SIGN})\w)+")
"""All words and numbers, to count them."""
_LATIN_ENDS = "\u024f"


def tells(text: str) -> bool:
    """Whether a text is no title in capitals: it has small letters, or some of a script without capitals."""
    return any(
        "a" <= one <= "z" or (one > _LATIN_ENDS and one.isalpha() and not one.isupper()) for one in text
    )
