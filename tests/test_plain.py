"""Texts that act on nothing, and the one way to the terminal."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

from g2d_bench.errors import InputError
from g2d_bench.plain import in_json, layout, visible, visible_parts
from g2d_bench.terminal import Neutral, neutral_output, raw


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


def test_all_texts_of_a_thing() -> None:
    @dataclass(frozen=True)
    class Thing:
        name: str
        more: tuple[object, ...]

    made = visible_parts([Thing("\x1b", ({"\n": ["\x9b", 3, None]},))])
    assert made == [Thing("\\x1b", ({"\\x0a": ["\\x9b", 3, None]},))]


def test_an_input_error_is_one_line_whatever_the_names() -> None:
    error = InputError("bad\n thing \x1b[1m", file="a\nb\x1b", field="c\u202e")
    assert str(error) == "a\\x0ab\\x1b: c\\u202e: bad thing \\x1b[1m"


def test_a_neutral_stream() -> None:
    below = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream = Neutral(below)
    stream.write("a\x1b[1m\n")
    stream.writelines(["é\n", "b"])
    below.flush()
    assert below.buffer.getvalue() == b"a\\x1b[1m\n\\xe9\nb"
    assert stream.encoding == "ascii"
    assert not hasattr(stream, "buffer")
    assert raw(stream) is below  # type: ignore[arg-type]
    assert raw(below) is below


def test_all_that_is_printed_passes_through(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with neutral_output():
        print("\x1b[2J")
        print("\u202e", file=sys.stderr)
        with neutral_output():
            print("\x07")
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("\\x1b[2J\n\\x07\n", "\\u202e\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "g2d_bench", "list", "tasks"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
