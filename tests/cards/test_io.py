"""A card of any sort is read, or refused in one line."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.errors import InputError


def write(folder: Path, text: str, name: str = "test.r50.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_card(path, EncoderCard)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    size: int = 1


class _Odd(BaseModel):
    model_config = ConfigDict(extra="forbid")
    parts: dict[str, _Part] = {}
    pair: tuple[_Part, ...] = ()
    maybe: _Part | None = None
    kind: Annotated[Literal["one", "two"] | None, Field(description="x")] = None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[parts.left]\nsise = 1", "parts.left.sise: unknown key; did you mean 'size'?"),
        ("[[pair]]\nsiz = 1", "pair[0].siz: unknown key; did you mean 'size'?"),
        ("[maybe]\nsizes = 1", "maybe.sizes: unknown key; did you mean 'size'?"),
        ("kind = 'tow'", "kind: 'tow' is not allowed; did you mean 'two'?"),
        ("maybe = 3", "maybe: Input should be a valid dictionary"),
        ("zzzzzz = 3", "zzzzzz: unknown key; allowed: kind, maybe, pair, parts"),
    ],
)
def test_explanations_reach_into_any_nesting(tmp_path: Path, text: str, expected: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as caught:
        load_card(path, _Odd)
    assert str(caught.value).startswith(f"{path}: {expected}")


def test_toml_mistake_names_the_line(tmp_path: Path) -> None:
    assert "line 4" in refusal(write(tmp_path, "a = 1\nb = 2\n\nc = = 3\n"))


def test_unreadable_cards(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.toml") == "cannot be read: No such file or directory"
    path = tmp_path / "latin.toml"
    path.write_bytes(b'title = "\xe9"')
    assert refusal(path) == "not UTF-8 text (byte 9)"


def test_cards_that_would_take_long_or_never_end(tmp_path: Path) -> None:
    start = time.monotonic()
    for key in (".".join("a" * 30000), "[" + ". ".join(["b"] * 30000) + "]", '"a".' * 20000 + "b"):
        assert refusal(write(tmp_path, f"# ...\n{key} = 1\n")) == "is nested deeper than 24 levels"
    with (tmp_path / "hole.toml").open("wb") as stream:
        stream.truncate(20 << 30)
    assert (
        refusal(tmp_path / "hole.toml")
        == "cannot be read: is larger than the 256 KiB that such a file may have"
    )
    said = refusal(write(tmp_path, "k" * 200_000 + " = 1\n"))
    assert len(said) < 4000
    assert time.monotonic() - start < 10


def test_dots_that_are_in_no_key_are_many(tmp_path: Path) -> None:
    dots = "a." * 500
    text = f"kind = 'one' # {dots}\n\n[maybe]\n# {dots}\n" + "".join(f"# {n}.{n}\n" for n in range(999))
    assert load_card(write(tmp_path, "\ufeff" + text), _Odd).kind == "one"
