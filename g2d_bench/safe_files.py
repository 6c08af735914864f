"""Strangers' files: only regular ones are opened, only so much is read, and JSON only of known depth."""

from __future__ import annotations

import errno
import json
import math
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from g2d_bench.errors import InputError
from g2d_bench.files import read_regular

DEEPEST = 24
"""Levels of nesting in a JSON text; a record has four."""
LARGEST_TOML = 256 << 10
"""Bytes of a card or a configuration; the largest that ships has a thirtieth."""
LARGEST_JSON = 4 << 20
"""Bytes of a JSON file in the folder of a model; vocabularies are larger, and read as tokenizers."""
LARGEST = 1 << 63
"""Whole numbers are smaller."""


def read_strangers(path: Path, limit: int) -> bytes:
    """Read a whole file that anybody may have made; see :func:`g2d_bench.files.read_regular`.

    Args:
        path: the file.
        limit: bytes that it may have.

    Raises:
        InputError: it cannot be read, is no regular file, or is larger.
    """
    try:
        return read_regular(path, limit)
    except (OSError, ValueError) as error:
        raise unreadable(error, path) from None


def unreadable(error: OSError | ValueError, path: Path) -> InputError:
    """Make one line of what :func:`g2d_bench.files.read_regular` raises."""
    if isinstance(error, ValueError):
        return InputError(f"cannot be read ({error})", file=path)
    own = error.errno in (errno.EINVAL, errno.EISDIR, errno.EFBIG)
    return InputError(str(error.strerror) if own else f"cannot be read ({error.strerror})", file=path)


def parse_json(data: bytes, path: Path) -> Any:
    """Parse a JSON text in which everything can be written again.

    Args:
        data: the text.
        path: its file, for complaints.

    Raises:
        InputError: it is no JSON in UTF-8, is nested too deeply, has a key that stands twice, holds a number
            that is infinite, none or out of range, or half of a surrogate pair.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Of a key that stands twice, one reader takes the first and another the last."""
        said = dict(pairs)
        if len(said) < len(pairs):
            [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
            raise InputError("stands twice; leave one", file=path, field=twice[:60])
        return said

    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=once)
    except RecursionError:
        raise InputError(f"is nested deeper than {DEEPEST} levels", file=path) from None
    except ValueError as error:
        raise InputError(f"not a readable JSON record ({error})", file=path) from None
    # Without recursion: what is deep may be too deep for it.
    level: list[tuple[str, Any]] = [("", found)]
    for _ in range(DEEPEST):
        level = [below for name, thing in level for below in _within(name, thing, path)]
        if not level:
            return found
    raise InputError(f"is nested deeper than {DEEPEST} levels", file=path)


def parse_toml(data: bytes, path: Path) -> dict[str, Any]:
    """Parse a TOML text of known depth.

    Args:
        data: the text, with or without a byte order mark.
        path: its file, for complaints.

    Raises:
        InputError: it is no TOML in UTF-8, or is nested too deeply.
    """
    deep = InputError(f"is nested deeper than {DEEPEST} levels", file=path)
    try:
        text = data.decode("utf-8-sig")
        if _has_long_key(text):
            raise deep
        found = tomllib.loads(text)
    except RecursionError:
        raise deep from None
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", file=path) from None
    except tomllib.TOMLDecodeError as error:
        # The text of the error ends in "(at line 3, column 7)" or "(at end of document)".
        raise InputError(f"not valid TOML: {error}", file=path) from None
    except ValueError as error:  # a number of thousands of digits
        raise InputError(f"not valid TOML: {str(error).split(';')[0]}", file=path) from None
    level: list[Any] = [found]
    for _ in range(DEEPEST):
        level = [
            below
            for thing in level
            for below in (thing.values() if isinstance(thing, dict) else thing)
            if isinstance(below, dict | list)
        ]
        if not level:
            return found
    raise deep


_QUOTED = re.compile(
    r""""{3}(?:\\.|[^\\])*?"{3}|'{3}.*?'{3}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*""", re.DOTALL
)


def _has_long_key(text: str) -> bool:
    """Say whether a key has more parts than levels are allowed: the parser's work grows with their cube."""
    bare = _QUOTED.sub(lambda found: "" if found[0][0] == "#" else "x", text)
    parts = re.sub(r"[ \t]+", "", re.sub(r"[\w-]+", "x", bare))
    return "x." * DEEPEST in parts


def _within(name: str, thing: Any, path: Path) -> list[tuple[str, Any]]:
    """Return what a value holds, with names; complain about a value that cannot be used."""
    if isinstance(thing, dict):
        for key in thing:
            _require_text(key, name, path)
        return [(f"{name}.{key}" if name else key, value) for key, value in thing.items()]
    if isinstance(thing, list):
        return [(name, value) for value in thing]
    if isinstance(thing, str):
        _require_text(thing, name, path)
    elif isinstance(thing, float) and not math.isfinite(thing):
        raise InputError("is no finite number", file=path, field=name)
    elif isinstance(thing, int) and abs(thing) >= LARGEST:
        raise InputError("is a whole number out of range", file=path, field=name)
    return []


def _require_text(text: str, name: str, path: Path) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("holds half of a surrogate pair", file=path, field=name) from None
