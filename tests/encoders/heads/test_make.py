"""Heads by name."""

from __future__ import annotations

import pytest
from image_text import SHAPE

from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.errors import InputError


def test_wrong_method_and_option() -> None:
    with pytest.raises(InputError, match="did you mean 'mgca'"):
        make_heads("mcga", **SHAPE)
    with pytest.raises(InputError, match="heads of convirt: got an unexpected keyword argument 'hidden'"):
        make_heads("convirt", **SHAPE, hidden=3)


def test_what_a_library_says_at_length_is_cut_to_its_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some versions of torch list all forms of a call that they know."""

    def refuse(*_: object, **__: object) -> None:
        raise TypeError("empty(): an invalid combination of arguments\n" + " * (tuple of ints)\n" * 40)

    monkeypatch.setattr("torch.nn.Linear.__init__", refuse)
    with pytest.raises(InputError, match=r"heads of convirt: .* invalid combination of arguments$"):
        make_heads("convirt", **SHAPE)
