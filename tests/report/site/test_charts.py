"""Charts as vector graphics."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest

from g2d_bench.report.model import Column, Value
from g2d_bench.report.sampled import Sampled
from g2d_bench.report.site.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    MARKS,
    NARROWEST,
    TOP,
    WIDTH,
    curve,
    looks,
    outline,
    scale,
    scatter,
)


def column(fraction: float, **numbers: float) -> Sampled:
    """Make a column with intervals of three points either way; NaN is a missing number."""
    made = Column("siim-seg", fraction, "dice_positive", "clean", ("siim-seg",))
    values = {
        name: Value(made, missing="seed missing")
        if math.isnan(number)
        else Value(made, number, low=number - 3, high=number + 3)
        for name, number in numbers.items()
    }
    return Sampled(made, "segmentation", "phantom", "siim", values, {})


def test_points_lie_where_the_axes_say() -> None:
    chart = curve([column(1.0, g2d=60, mgca=50), column(0.01, g2d=20, mgca=math.nan)], looks(["mgca", "g2d"]))
    assert [text for _, text in chart.xs] == ["1 %", "100 %"]
    ticks = {float(text): y for y, text in chart.ys}
    by_name = {line.encoder: line for line in chart.lines}
    assert [len(by_name[name].points) for name in ("g2d", "mgca")] == [2, 1]
    assert by_name["g2d"].points[1].y == ticks[60]
    assert by_name["g2d"].points[0].y == ticks[20]
    for line in chart.lines:
        for point in line.points:
            assert TOP <= point.high < point.y < point.low <= HEIGHT - BOTTOM
    assert by_name["g2d"].points[1].told == "g2d, 100 %: 60.0 [57.0, 63.0]"


@pytest.mark.parametrize("fractions", [(0.01, 0.1, 1.0), (0.01, 1.0), (0.1, 0.2, 0.3, 0.5, 1.0)])
@pytest.mark.parametrize("count", [1, 2, 12, 22, 100])
def test_points_of_many_encoders_stay_at_their_share(count: int, fractions: tuple[float, ...]) -> None:
    names = [f"encoder-{n}" for n in range(count)]
    columns = [column(fraction, **dict.fromkeys(names, 50.0)) for fraction in fractions]
    chart = curve(columns, looks(names))
    ticks = [place for place, _ in chart.xs]
    assert len(chart.lines) == count
    for line in chart.lines:
        for tick, point in zip(ticks, line.points, strict=True):
            assert min(ticks, key=lambda one: abs(one - point.x)) == tick
            assert abs(point.x - tick) < 15
            assert point.x - 5 > LEFT
            assert point.x + 5 < WIDTH
    firsts = [line.points[0].x for line in chart.lines]
    assert firsts == sorted(firsts)


def test_a_line_breaks_where_the_signature_changes() -> None:
    columns = [column(fraction, g2d=60) for fraction in (0.01, 0.1, 1.0)]
    looked = looks(["g2d"])
    (line,) = curve(columns, looked).lines
    assert line.path.count("M") == 1
    columns[2].filled.signatures.append("another")
    (line,) = curve(columns, looked).lines
    assert [point.joined for point in line.points] == [False, True, False]
    assert (line.path.count("M"), line.path.count("L")) == (2, 1)


def test_an_encoder_looks_the_same_in_every_chart_and_like_no_other() -> None:
    names = [f"encoder-{n}" for n in range(70)]
    looked = looks(names)
    # Points have no dashes.
    assert len({(look.colour, look.mark) for look in looked.values()}) == len(names)
    first = curve([column(0.1, **{"encoder-1": 5}), column(1.0, **{"encoder-1": 7})], looked)
    second = curve([column(0.1, **{"encoder-0": 5, "encoder-1": 5})], looked)
    assert first.lines[0].look == second.lines[1].look == looked["encoder-1"]


@pytest.mark.parametrize(
    "numbers", [[3.0], [0.0, 0.0], [98.1, 98.4], [-0.3, 0.2], [1e-6, 2e-6], [12.0, 77.0]]
)
def test_axes_hold_all_numbers_between_round_ticks(numbers: list[float]) -> None:
    low, high, ticks = scale(numbers)
    assert low - 1e-9 <= min(numbers) <= max(numbers) <= high + 1e-9
    assert low < high
    assert ticks[0] == pytest.approx(low)
    assert ticks[-1] == pytest.approx(high)
    assert 2 <= len(ticks) <= 7


def test_cost_needs_two_encoders() -> None:
    looked = looks(["a", "b", "c"])
    assert scatter("cost", "up", "across", [("a", 1.0, 50.0)], looked) is None
    assert scatter("cost", "up", "across", [("a", 1.0, 50.0), ("b", math.nan, 60.0)], looked) is None
    chart = scatter("cost", "up", "across", [("a", 1.0, 50.0), ("b", 100.0, 60.0), ("c", 10.0, 55.0)], looked)
    assert chart is not None
    xs = {line.encoder: line.points[0].x for line in chart.lines}
    # Ten times as much is the same step everywhere.
    assert xs["c"] - xs["a"] == pytest.approx(xs["b"] - xs["c"], abs=0.2)


@pytest.mark.parametrize("costs", [(358, 363), (4.18, 8.25), (1, 1000), (0.011, 0.0111), (3, 9.5e5), (5, 5)])
def test_an_axis_of_costs_has_ticks_and_does_not_spread_noise(costs: tuple[float, float]) -> None:
    chart = scatter("cost", "up", "across", [("a", costs[0], 50.0), ("b", costs[1], 60.0)], looks(["a", "b"]))
    assert chart is not None
    places = [place for place, _ in chart.xs]
    assert 2 <= len(places) <= 5
    assert all(LEFT <= place <= WIDTH for place in places)
    apart = chart.lines[1].points[0].x - chart.lines[0].points[0].x
    assert 0 <= apart <= (WIDTH - LEFT) * math.log10(costs[1] / costs[0]) / NARROWEST + 0.2


@pytest.mark.parametrize("mark", MARKS)
def test_marks_are_paths(mark: str) -> None:
    text = f'<path d="{outline(mark, 10, 20)}"/>'
    assert ET.fromstring(text).attrib["d"].startswith("M")
