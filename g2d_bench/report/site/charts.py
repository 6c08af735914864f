"""Charts of the pages as vector graphics: label-efficiency curves, rank intervals, cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from g2d_bench.records.cell import percent
from g2d_bench.report.model import Value
from g2d_bench.report.sampled import Sampled

WIDTH, HEIGHT = 340, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 30
FORMS = ("circle", "square", "triangle", "diamond", "cross")
HOLLOW = "hollow "
MARKS = (*FORMS, *(HOLLOW + form for form in FORMS))
APART, ROOM = 3.0, 28.0
"""Pixels between the points of two encoders at one share of the labels, and between those of all, at most."""
NARROWEST = 0.4
"""Tens from one end of a logarithmic axis to the other, at least: 2.5 times as much."""
COLOURS = 7
"""Colours of the style sheet, ``--c0`` and on; encoders beyond get another mark and dashes."""


@dataclass(frozen=True)
class Look:
    """How an encoder looks in every chart.

    Attributes:
        colour: number of its colour.
        mark: form of its points.
        dash: dashes of its line, "" for none.
    """

    colour: int
    mark: str
    dash: str


@dataclass(frozen=True)
class Point:
    """One number in a chart.

    Attributes:
        x: pixels from the left.
        y: pixels from the top.
        low: where its interval ends below, or NaN.
        high: where it ends above.
        told: what it is.
        path: outline of its mark.
        joined: whether a line leads here from the point before it; numbers of another signature are apart.
    """

    x: float
    y: float
    low: float
    high: float
    told: str
    path: str
    joined: bool = True


@dataclass(frozen=True)
class Line:
    """An encoder in a chart."""

    encoder: str
    look: Look
    points: tuple[Point, ...]

    @property
    def path(self) -> str:
        """The line through its points."""
        return "".join(
            f"{'L' if n and point.joined else 'M'}{point.x} {point.y}" for n, point in enumerate(self.points)
        )


@dataclass(frozen=True)
class Chart:
    """Axes and lines.

    Attributes:
        name: what is shown.
        task: task name.
        data: ``phantom`` or ``real``.
        protocol: protocol name.
        xs: place and text of the ticks below.
        ys: place and text of the ticks on the left.
        lines: encoders.
        across: what the horizontal axis is.
        up: what the vertical axis is.
    """

    name: str
    task: str
    kind: str
    data: str
    protocol: str
    xs: tuple[tuple[float, str], ...]
    ys: tuple[tuple[float, str], ...]
    lines: tuple[Line, ...]
    across: str
    up: str


def looks(order: Sequence[str]) -> dict[str, Look]:
    """Give every encoder its look, the same in all charts.

    Colour and mark alone tell as many encoders apart as there are pairs of them.

    Args:
        order: encoder names.
    """
    found = {}
    for n, name in enumerate(order):
        # Forms and colours in step are a new pair each, until both begin anew together.
        turn = n // (COLOURS * len(FORMS))
        mark = MARKS[(n % len(FORMS) + turn * len(FORMS)) % len(MARKS)]
        found[name] = Look(n % COLOURS, mark, ("", "6 3", "2 3")[(n // COLOURS) % 3])
    return found


def of_shares(columns: Sequence[Sampled]) -> list[Sampled]:
    """Return what was measured with a share of the labels, smallest first; shots are none."""
    return sorted((one for one in columns if not one.column.shots), key=lambda one: one.column.fraction)


def curve(columns: Sequence[Sampled], looked: Mapping[str, Look]) -> Chart:
    """Draw one task's main metric against the share of the labels.

    Args:
        columns: of one task, protocol and kind of data, one per fraction, at least one.
        looked: of :func:`looks`.
    """
    columns = of_shares(columns)
    first = columns[0].column
    xs = {one.column.fraction: x for one, x in zip(columns, _spread(columns), strict=True)}
    shown: dict[str, list[tuple[Sampled, Value]]] = {}
    for one in columns:
        for name, value in one.values.items():
            if not value.missing:
                shown.setdefault(name, []).append((one, value))
    values = [value for part in shown.values() for _, value in part]
    low, high, ticks = scale([b for v in values for b in (v.mean, v.low, v.high) if not math.isnan(b)])

    def place(number: float) -> float:
        return round(HEIGHT - BOTTOM - (number - low) / (high - low) * (HEIGHT - BOTTOM - TOP), 1)

    lines = []
    apart = _apart(len(shown), sorted(xs.values()))
    for n, (name, part) in enumerate(sorted(shown.items(), key=lambda item: list(looked).index(item[0]))):
        shift = apart * (n - (len(shown) - 1) / 2)
        look = looked[name]
        points = []
        for k, (one, value) in enumerate(part):
            at, y = round(xs[one.column.fraction] + shift, 1), place(value.mean)
            joined = k > 0 and one.alike(part[k - 1][0])
            ends = [math.nan if math.isnan(b) else place(b) for b in (value.low, value.high)]
            where = f"{name}{value.seen}, {percent(value.column.fraction)}"
            told = f"{where}: {value.centre} {value.limits}".rstrip()
            points.append(Point(at, y, ends[0], ends[1], told, outline(look.mark, at, y), joined))
        lines.append(Line(name, look, tuple(points)))
    spec = first.spec
    return Chart(
        f"{first.task}: {first.metric} against the share of the labels",
        first.task,
        columns[0].kind,
        columns[0].data,
        first.protocol,
        tuple((xs[one.column.fraction], percent(one.column.fraction)) for one in columns),
        tuple((place(tick), f"{tick:g}") for tick in ticks),
        tuple(lines),
        "share of the training labels",
        f"{first.metric}{' in %' if spec.share else ''}"
        f"{'' if spec.higher_is_better else ' (lower is better)'}",
    )


def scatter(
    name: str, up: str, across: str, points: Sequence[tuple[str, float, float]], looked: Mapping[str, Look]
) -> Chart | None:
    """Draw encoders by cost (logarithmic) and by what they reach.

    Args:
        name: of the chart.
        up: what the vertical axis is.
        across: what the horizontal axis is.
        points: encoder, cost, number.
        looked: of :func:`looks`.

    Returns:
        None where there are fewer than two points.
    """
    known = [(who, x, y) for who, x, y in points if x > 0 and not math.isnan(y)]
    if len(known) < 2:
        return None
    low, high, ticks = scale([y for *_, y in known])
    logs = [math.log10(x) for _, x, _ in known]
    first, last = min(logs), max(logs)
    # Encoders of one size cost the same but for the noise of a clock: that shall not fill the axis.
    pad = max(0.15 * (last - first), (NARROWEST - (last - first)) / 2)
    first, last = first - pad, last + pad

    def across_at(log: float) -> float:
        return round(LEFT + (log - first) / (last - first) * (WIDTH - LEFT - RIGHT), 1)

    def up_at(number: float) -> float:
        return round(HEIGHT - BOTTOM - (number - low) / (high - low) * (HEIGHT - BOTTOM - TOP), 1)

    lines = []
    for who, x, y in known:
        at, over, look = across_at(math.log10(x)), up_at(y), looked[who]
        told = f"{who}: {x:.3g} ({across}), {y:.1f}"
        point = Point(at, over, math.nan, math.nan, told, outline(look.mark, at, over))
        lines.append(Line(who, look, (point,)))
    steps = _log_ticks(first, last)
    return Chart(
        name,
        "",
        "",
        "",
        "",
        tuple((across_at(math.log10(tick)), f"{tick:g}") for tick in steps),
        tuple((up_at(tick), f"{tick:g}") for tick in ticks),
        tuple(lines),
        across,
        up,
    )


def _log_ticks(first: float, last: float) -> list[float]:
    """Choose two to five round ticks of a logarithmic axis that is :data:`NARROWEST` or wider."""
    for leading in ((1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)):
        there = [m * 10.0**e for e in range(math.floor(first), math.ceil(last) + 1) for m in leading]
        ticks = [tick for tick in there if first <= math.log10(tick) <= last]
        if len(ticks) > 1:
            break
    return ticks[:: math.ceil(len(ticks) / 5)]


def scale(numbers: Sequence[float]) -> tuple[float, float, list[float]]:
    """Choose the ends of an axis and about five round ticks.

    Example:
        >>> scale([12.0, 77.0])
        (0.0, 80.0, [0.0, 20.0, 40.0, 60.0, 80.0])
    """
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    rough = (high - low or abs(high) or 1.0) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return first * step, last * step, [round(n * step, 10) for n in range(first, last + 1)]


def outline(mark: str, x: float, y: float, size: float = 4.0) -> str:
    """Return the outline of a mark around a point; a hollow one has a smaller one inside."""
    if mark.startswith(HOLLOW):
        form = mark.removeprefix(HOLLOW)
        return outline(form, x, y, size) + outline(form, x, y, size / 2)
    s = size
    if mark == "square":
        return f"M{x - s:.1f} {y - s:.1f}h{2 * s}v{2 * s}h{-2 * s}z"
    if mark == "triangle":
        return f"M{x:.1f} {y - s - 1:.1f}l{s + 1} {2 * s}h{-2 * s - 2}z"
    if mark == "diamond":
        return f"M{x:.1f} {y - s - 1:.1f}l{s + 1} {s + 1}l{-s - 1} {s + 1}l{-s - 1} {-s - 1}z"
    if mark == "cross":
        t = s / 2.5
        return (
            f"M{x - t:.1f} {y - s:.1f}h{2 * t}v{s - t}h{s - t}v{2 * t}h{t - s}v{s - t}h{-2 * t}v{t - s}"
            f"h{t - s}v{-2 * t}h{s - t}z"
        )
    return f"M{x - s:.1f} {y:.1f}a{s} {s} 0 1 0 {2 * s} 0a{s} {s} 0 1 0 {-2 * s} 0z"


def _apart(count: int, ticks: Sequence[float]) -> float:
    """Return how far apart points of encoders stand: at every tick they keep clear of the next one's."""
    room = min([ROOM, *(0.4 * (b - a) for a, b in pairwise(ticks))])
    return min(APART, room / max(1, count - 1))


def _spread(columns: Sequence[Sampled]) -> list[float]:
    """Place fractions on a logarithmic axis, with room beside the outermost."""
    logs = [math.log10(one.column.fraction) for one in columns]
    first, last = min(logs), max(logs)
    wide = WIDTH - LEFT - RIGHT - 60
    if first == last:
        return [LEFT + 30 + wide / 2 for _ in logs]
    return [round(LEFT + 30 + (log - first) / (last - first) * wide, 1) for log in logs]
