"""Commands about encoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from g2d_bench.cli.encoders import _changes
from g2d_bench.errors import InputError


def test_doctor_of_an_encoder_without_a_file(cli: Callable[..., Any]) -> None:
    result = cli("doctor", "--encoder", "random")
    assert result.exit_code == 0
    assert "random" in result.stdout


def test_doctor_names_the_nearest_encoder(cli: Callable[..., Any]) -> None:
    result = cli("doctor", "--encoder", "mcga")
    assert result.exit_code == 2
    assert result.stderr == "g2d-bench: unknown encoder 'mcga'; did you mean 'mgca'?\n"


def test_changes_of_a_recipe_are_toml() -> None:
    assert _changes(("steps=20", 'name = "a=b"', "rates = [0.1, 2]")) == {
        "steps": 20,
        "name": "a=b",
        "rates": [0.1, 2],
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps", "--set: 'steps' is not KEY=VALUE"),
        ("steps=", "--set: 'steps=' is not KEY=VALUE"),
        ("a=" + "[" * 100_000, r"\.\.\.' is not KEY=VALUE \(nested too deeply\)"),
    ],
)
def test_what_is_no_change_is_one_short_line(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        _changes((text,))
    assert len(str(caught.value)) < 400


def test_shipped_weights_are_not_replaced_by_a_mere_word(cli: Callable[..., Any]) -> None:
    for words in ((), ("--into-package", "--out", "there")):
        done = cli("weights", *words)
        assert done.exit_code == 2
        assert "--into-package" in done.stderr
