"""What an encoder costs: weights, multiplications, seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from g2d_bench.cards.cost import gigamacs, parameters
from g2d_bench.records.record import IMAGES_PER_SECOND
from g2d_bench.records.selection import Found
from g2d_bench.report.ranks import Group
from g2d_bench.report.site.board import Board
from g2d_bench.report.site.charts import Chart, Look, scatter

WORK = "train and predict"
"""Phase of a record in which the head is trained and the test set predicted."""
SPEED = IMAGES_PER_SECOND
"""Note of a record that measured how many images the encoder takes in a second."""


@dataclass(frozen=True)
class Cost:
    """An encoder's cost; None where it is not known.

    Attributes:
        encoder: its name.
        parameters: weights of the image encoder, in millions.
        gflops: billions of operations for one film: two per multiplication.
        side: of the input, in pixels.
        speed: images per second on the machine on which most encoders were measured: the median.
        machine: which one that is; empty where none was measured.
        seconds: that a cell took, the median over the cells that all encoders have; over its own, if they
            have none together.
    """

    encoder: str
    parameters: float | None
    gflops: float | None
    side: float | None
    speed: float | None
    seconds: float | None
    machine: str = ""


def costs(board: Board) -> list[Cost]:
    """Return the cost of every encoder, in the order of rows."""
    rows = []
    speeds = _speeds(board)
    machine = max(sorted(speeds), key=lambda place: len(speeds[place]), default="")
    took = {name: _took(one for one in board.found if one.cell.encoder == name) for name in board.order}
    common = set.intersection(*(set(mine) for mine in took.values() if mine)) if any(took.values()) else set()
    for name in board.order:
        mine = [seconds for cell, seconds in took[name].items() if cell in common or not common]
        measured = speeds.get(machine, {}).get(name)
        card = board.card(name)
        rows.append(
            Cost(
                name,
                parameters(card) if card else None,
                2 * gigamacs(card) if card else None,
                float(card.image.size) if card else None,
                median(measured) if measured else None,
                median(mine) if mine else None,
                machine,
            )
        )
    return rows


def _took(found: Iterable[Found]) -> dict[tuple[object, ...], float]:
    """Return what cells of one encoder took, by all else that a cell is; failed ones are left out."""
    return {
        (
            one.record.data.kind,
            one.cell.task,
            one.cell.drawn,
            one.cell.protocol,
            one.cell.seed,
        ): one.record.seconds[WORK]
        for one in found
        if one.record.seconds.get(WORK) and set(one.record.metrics.values()) != {None}
    }


def _shots(group: Group) -> int:
    return group.columns[0].column.shots


def _in_group(group: Group) -> dict[str, float]:
    """Return the median seconds that cells of a group took, by encoder: all have the same cells."""
    found: dict[str, list[float]] = {}
    for column in group.columns:
        for encoder, seeds in column.records.items():
            found.setdefault(encoder, []).extend(_took(seeds.values()).values())
    return {encoder: median(seconds) for encoder, seconds in found.items() if seconds}


def _speeds(board: Board) -> dict[str, dict[str, list[float]]]:
    """Return what records measured, by machine and encoder: speeds of unlike machines are not compared."""
    found: dict[str, dict[str, list[float]]] = {}
    for one in board.found:
        speed, said = one.record.notes.get(SPEED), one.record.hardware
        if isinstance(speed, int | float) and speed > 0:
            machine = str(said.get("accelerator", "none"))
            if machine == "none":
                name = said.get("processor") or f"{said.get('machine', 'unknown')} processor"
                machine = f"{name}, threads: {said.get('threads', '?')}"
            found.setdefault(machine, {}).setdefault(one.record.cell.encoder, []).append(float(speed))
    return found


def cost_charts(board: Board, rows: list[Cost], looked: Mapping[str, Look]) -> list[Chart]:
    """Draw what encoders reach against what they cost, for each group of tasks at the largest fraction."""
    charts = []
    shares = [group.fraction for group in board.groups if group.trained and not _shots(group)]
    largest = max(shares, default=1.0)
    for group in board.groups:
        smaller = group.trained and (group.fraction != largest or (_shots(group) > 0 and bool(shares)))
        if smaller or not group.metric or len(group.kinds) > 1:
            continue
        for attribute, what in (
            ("parameters", "million parameters"),
            ("gflops", "GFLOPs per film"),
            ("speed", f"images per second, {rows[0].machine}" if rows else ""),
            ("seconds", "median seconds of a cell"),
        ):
            by_name = {row.encoder: getattr(row, attribute) for row in rows}
            if attribute == "seconds":
                by_name = _in_group(group)
            points = [(p.encoder, by_name.get(p.encoder) or math.nan, p.mean) for p in group.places]
            # Encoders of one size have nothing to show along this axis.
            if len({round(x, 6) for _, x, _ in points if not math.isnan(x)}) < 2:
                continue
            share = group.columns[0].column.spec.share
            up = f"mean of {group.metric}{' in %' if share else ''}"
            data = "real" if group.data == "real" else "generated"
            name = f"{group.heading}, {group.share}, {data} data, protocol {group.protocol}"
            chart = scatter(name, up, what, points, looked)
            charts += [chart] if chart is not None else []
    return charts
