"""How long a run may take, from cells that were timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.records.cell import Cell
from g2d_bench.records.forecast import Forecast, costs
from g2d_bench.records.record import Record

TASK = "siim-seg"


def _cell(encoder: str = "g2d", fraction: float = 0.01, protocol: str = "clean", seed: int = 0) -> Cell:
    return Cell(TASK, fraction, protocol, seed, encoder)


@pytest.fixture
def timed(folder: Any) -> Callable[[Cell, float], Record]:
    def add(cell: Cell, seconds: float) -> Record:
        phases = {"data": 0.2 * seconds, "train and predict": 0.8 * seconds}
        found: Record = folder.add(**cell.as_dict(), seconds=phases).record
        return found

    return add


def test_the_closest_likeness_counts(timed: Callable[[Cell, float], Record]) -> None:
    forecast = Forecast([timed(_cell(), 10.0), timed(_cell(seed=1), 20.0), timed(_cell("mgca"), 60.0)])
    assert forecast.seconds(_cell(seed=2)) == 15.0
    assert forecast.seconds(_cell("gloria")) == 20.0
    # One that was held up is no rule.
    for seed, seconds in ((2, 15.0), (3, 5000.0), (4, 15.0)):
        forecast.learn(timed(_cell(seed=seed), seconds))
    assert forecast.seconds(_cell(seed=5)) == 15.0
    # Work of another amount tells nothing.
    assert forecast.seconds(_cell(fraction=1.0)) is None
    assert forecast.seconds(_cell(protocol="legacy")) is None


def test_cheap_cells_first_do_not_hide_the_dear_ones(timed: Callable[[Cell, float], Record]) -> None:
    cheap, dear = (
        [_cell(seed=seed) for seed in range(4)],
        [_cell(fraction=1.0, seed=seed) for seed in range(4)],
    )
    forecast = Forecast([timed(dear[3], 100.0)])
    for cell in cheap[:2]:
        forecast.learn(timed(cell, 5.0))
    # Two processes: ten seconds of work in five.
    assert forecast.left([*cheap[2:], *dear[:3]], cheap[:2], 5.0) == pytest.approx((2 * 5 + 3 * 100) / 2)
    # What was never timed lasts as what was done.
    assert forecast.left([_cell(fraction=0.1)], cheap[:2], 10.0) == pytest.approx(5.0)
    assert forecast.left([], cheap[:2], 5.0) == 0.0


def test_nothing_done_tells_nothing(timed: Callable[[Cell, float], Record]) -> None:
    forecast = Forecast([timed(_cell(), 10.0)])
    assert forecast.left([_cell(seed=1)], [], 3.0) is None
    assert Forecast([timed(_cell(), 0.0)]).left([_cell(seed=1)], [_cell()], 3.0) is None


def test_an_encoder_of_another_size_is_scaled(timed: Callable[[Cell, float], Record]) -> None:
    """On two cores a ResNet-50 at 224 px took half an hour where small ones take 15 s."""
    cost = costs(Catalogue.open())
    forecast = Forecast([timed(_cell("g2d"), 15.0), timed(_cell("g2d+decoder"), 15.0)], cost)
    known, full = _cell("mgca"), _cell("mgca.r50")
    assert forecast.seconds(known) == pytest.approx(15.0)
    assert not forecast.timed(known)
    assert forecast.timed(_cell("g2d", seed=4))
    expected = forecast.seconds(full)
    assert expected is not None
    # A fifth of the time was spent on data, which are the same.
    small, large = cost("g2d"), cost("mgca.r50")
    assert small is not None
    assert large is not None
    assert expected == pytest.approx(3.0 + 12.0 * large / small)
    assert 10 * 60 < expected < 60 * 60
    # What is left of a run, and what nothing like it was timed for.
    assert forecast.left([full], [_cell("g2d")], 15.0) == pytest.approx(expected)
    other = _cell("mgca.r50", fraction=1.0)
    assert forecast.left([other], [_cell("g2d")], 15.0) == pytest.approx(15.0 * large / small)
    # One that had nothing to do is no measure.
    idle = timed(_cell("random"), 0.1).model_copy(update={"notes": {"n/a": "no text encoder"}})
    assert Forecast([idle], cost).seconds(full) is None
    assert Forecast([idle], cost).seconds(_cell("random", seed=1)) == pytest.approx(0.1)
    # Records of a card that is not here are taken as they are.
    assert cost("nobodys") is None
    assert Forecast([timed(_cell("nobodys"), 15.0)], cost).seconds(full) == 15.0
