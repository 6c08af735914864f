"""Errors that a user can mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.errors import InputError, did_you_mean, first_line, refused_argument


def test_an_input_error_is_one_line_whatever_the_names() -> None:
    error = InputError("bad\n thing \x1b[1m", file="a\nb\x1b", field="c\u202e")
    assert str(error) == "a\\x0ab\\x1b: c\\u202e: bad thing \\x1b[1m"


def test_file_and_field_stand_before_the_message(tmp_path: Path) -> None:
    assert str(InputError("is empty", file=tmp_path / "a.csv", field="patient")) == (
        f"{tmp_path / 'a.csv'}: patient: is empty"
    )
    assert str(InputError("is empty", field="--seed")) == "--seed: is empty"
    assert str(InputError("is\n   empty")) == "is empty"


@pytest.mark.parametrize(
    ("word", "allowed", "says"),
    [
        ("siim-sg", ["rsna-seg", "siim-seg"], "did you mean 'siim-seg'?"),
        ("xyz", ["rsna", "chexpert"], "allowed: chexpert, rsna"),
        ("xyz", [], "allowed: none"),
    ],
)
def test_the_nearest_word_or_all(word: str, allowed: list[str], says: str) -> None:
    assert did_you_mean(word, allowed) == says


def test_a_refused_argument_is_named_without_the_class() -> None:
    class Decoder:
        def __init__(self, width: int) -> None: ...

    with pytest.raises(TypeError) as raised:
        Decoder(depth=3)  # type: ignore[call-arg]
    assert refused_argument(raised.value) == "got an unexpected keyword argument 'depth'"


def test_of_what_a_library_says_the_first_line_is_kept() -> None:
    assert first_line(ValueError("\n no such layer\nall layers:\n...")) == "no such layer"
    assert first_line(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_what_is_said_at_great_length_is_shortened() -> None:
    said = str(InputError("x" * 1_000_000, file="y" * 1_000_000, field="z" * 1_000_000))
    assert len(said) < 5000
    assert said.count(" … ") == 3
    assert did_you_mean("a" * 300_000, ["b"]) == "allowed: b"
