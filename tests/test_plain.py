"""Texts that act on nothing."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass

import pytest

from g2d_bench.plain import counted, in_json, in_toml, layout, visible, visible_parts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain · ± é 胸 \\x1b", "plain · ± é 胸 \\x1b"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x9b31m", "a\\x9b31m"),
        ("one\ntwo\r\t", "one\\x0atwo\\x0d\\x09"),
        ("\u202egnp.x", "\\u202egnp.x"),
        ("\u2066\u2069\u2028", "\\u2066\\u2069\\u2028"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("caf\udce9", "caf\\udce9"),
    ],
)
def test_what_would_act_is_spelled(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert visible(shown) == shown
    assert layout(f"{text}\n\tx").endswith("\n\tx")
    assert json.loads(in_json(json.dumps([text], ensure_ascii=False))) == [text]
    assert visible(in_json(json.dumps([text], ensure_ascii=False))).isprintable()


@pytest.mark.parametrize(
    "value",
    [
        *('"', "\\", "\x00\x07\x1b\x7f\x9b", "\u202e", "\N{LUNGS}", "\n\t", True, 3, 0.5, ["a", [1.5]]),
        {"a-b_1": {"of \N{LUNGS}.x": ["\x7f"]}, "": 1},
    ],
)
def test_values_come_back_from_toml(value: object) -> None:
    assert tomllib.loads(f"value = {in_toml(value)}") == {"value": value}
    assert visible(in_toml(value)).isprintable()


def test_all_texts_of_a_thing() -> None:
    @dataclass(frozen=True)
    class Thing:
        name: str
        more: tuple[object, ...]

    made = visible_parts([Thing("\x1b", ({"\n": ["\x9b", 3, None]},))])
    assert made == [Thing("\\x1b", ({"\\x0a": ["\\x9b", 3, None]},))]


def test_one_of_a_kind_has_no_plural() -> None:
    assert [counted(count, "other record") for count in (0, 1, 2)] == [
        "0 other records",
        "1 other record",
        "2 other records",
    ]
