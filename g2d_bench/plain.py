"""Text that does nothing but show itself, wherever it is printed; and counts in words.

Names, reasons and paths come from strangers' records, cards and files. In a terminal an escape sequence among
them could move the cursor, rename the window or hide a line; a sign that turns the direction of writing could
make one name look like another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar, cast

_ACTIVE = (
    r"\x00-\x1f\x7f-\x9f"  # control characters of ASCII and Latin-1: ESC, line ends, CSI
    r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction of writing
    r"\u2028\u2029"  # line and paragraph ends
    r"\ud800-\udfff"  # halves of a pair, and bytes of a file name that are no UTF-8
)
_ALL = re.compile(f"[{_ACTIVE}]")
_BUT_LAYOUT = re.compile(rf"(?![\n\t])[{_ACTIVE}]")


def visible(text: str) -> str:
    r"""Write what would act on its surroundings as a program would: ``\x1b``, ``\x0a``, ``\u202e``.

    Args:
        text: a name, a reason, a path: something that stands on one line.
    """
    return _ALL.sub(_spelled, text)


def shortened(text: str, most: int = 1500) -> str:
    """Leave out the middle of a text that has more than some characters."""
    half = most // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"


def layout(text: str) -> str:
    """Do as :func:`visible`, but leave line ends and tabulators: for whole texts, whose names are visible."""
    return _BUT_LAYOUT.sub(_spelled, text)


def counted(count: int, what: str) -> str:
    """Write how many there are of something: ``1 seed``, ``3 seeds``."""
    return f"{count} {what}{'s' * (count != 1)}"


def in_json(text: str) -> str:
    r"""Write what is left raw in a JSON text as its escapes (``\u009b``): the same value.

    Args:
        text: valid JSON; its line ends stay.
    """
    return _BUT_LAYOUT.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def in_toml(value: Any) -> str:
    """Write a value as TOML: as JSON, but for tables, signs beyond 16 bits (no halves of pairs) and DEL.

    Args:
        value: a text without halves of surrogate pairs, a number, a truth value, or a list or table of such.
    """
    if isinstance(value, Mapping):
        rows = (f"{in_toml_key(key)} = {in_toml(one)}" for key, one in value.items())
        return "{ " + ", ".join(rows) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(in_toml, value)) + "]"
    return in_json(json.dumps(value, ensure_ascii=False))


def in_toml_key(key: str) -> str:
    """Write a key as TOML, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else in_toml(key)


def _spelled(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


T = TypeVar("T")


def visible_parts(thing: T) -> T:
    """Return a copy in which every text is :func:`visible`, at any depth.

    Args:
        thing: texts, dataclasses, lists, tuples and dicts of such; whatever else is in it stays as it is.
    """
    return cast(T, _visible(thing, {}))


def _visible(thing: Any, seen: dict[int, Any]) -> Any:
    if isinstance(thing, str):
        return visible(thing)
    if isinstance(thing, (list, tuple)):
        return type(thing)([_visible(part, seen) for part in thing])
    if isinstance(thing, dict):
        return {_visible(key, seen): _visible(value, seen) for key, value in thing.items()}
    if is_dataclass(thing) and not isinstance(thing, type):
        # All values of a column hold the column.
        if id(thing) not in seen:
            parts = {f.name: _visible(getattr(thing, f.name), seen) for f in fields(thing)}
            seen[id(thing)] = replace(thing, **parts)
        return seen[id(thing)]
    return thing
