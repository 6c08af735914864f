"""Looks of films: their spread, and what is burned in."""

from __future__ import annotations

import numpy as np

from g2d_bench.phantom.look import Look, make_look
from g2d_bench.phantom.render.lettering import LETTERS
from g2d_bench.phantom.seeds import stream

VIEWS = ("PA", "AP", "AP supine")


def _looks(view: str, count: int = 400) -> list[Look]:
    return [make_look(stream("test look", number), view) for number in range(count)]


def test_same_stream_same_look() -> None:
    assert make_look(stream("a"), "AP") == make_look(stream("a"), "AP")
    assert make_look(stream("a"), "AP") != make_look(stream("b"), "AP")


def test_values_stay_in_their_ranges() -> None:
    for view in VIEWS:
        for look in _looks(view, 200):
            assert 0 <= look.black < look.white <= 1
            assert look.speed > 0
            assert 0 <= look.toe <= 0.8
            assert -0.3 <= look.equal <= 0.8
            assert look.detail > 0


def test_films_differ_as_real_ones() -> None:
    looks = _looks("PA")
    white = np.array([look.white for look in looks])
    # Real films' 98th percentile of grey: 0.77 with a deviation of 0.13; few have another black than air's.
    assert 0.08 < white.std() < 0.18
    assert 0.2 < np.mean([look.black > 0.05 for look in looks]) < 0.4
    assert 0.3 < np.mean([look.equal > 0.4 for look in looks]) < 0.7


def test_captions_tell_the_view_and_can_be_written() -> None:
    shares = {}
    for view in VIEWS:
        texts = [look.captions for look in _looks(view) if look.captions]
        shares[view] = len(texts) / 400
        assert all(set(line) <= LETTERS | {" "} for text in texts for line in text)
        assert not any("PA" in line for text in texts for line in text if view != "PA")
        assert not any("SUPINE" in line for text in texts for line in text if view != "AP supine")
    assert shares["PA"] < 0.2 < shares["AP"]
