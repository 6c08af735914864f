"""Comparable result tables: one block per task, fraction and protocol."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from g2d_bench.errors import InputError
from g2d_bench.plan import percent
from g2d_bench.results import Record

GENERATED = "GENERATED DATA (phantom): compares encoders trained on phantom with each other, and with nothing published."


@dataclass(frozen=True)
class Value:
    """One number of a table, in percent where the metric is a share.

    Attributes:
        mean: over seeds; NaN where undefined.
        spread: what stands behind ±, or NaN.
        seeds: how many seeds the mean is over.
    """

    mean: float
    spread: float
    seeds: int

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "n/a"
        return f"{self.mean:.1f}" + ("" if math.isnan(self.spread) else f" ± {self.spread:.1f}")


@dataclass(frozen=True)
class Row:
    """One encoder, or a trivial predictor of the same test set."""

    name: str
    values: tuple[Value, ...]
    reference: bool = False


@dataclass(frozen=True)
class Block:
    """The comparable part of a table."""

    task: str
    fraction: float
    protocol: str
    generated: bool
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    train: int
    test: int
    positive: int
    seeds: tuple[int, ...]
    spread: str
    signatures: tuple[str, ...]
    leaks: tuple[str, ...]


def blocks(
    records: Iterable[Record],
    order: Sequence[str] = (),
    *,
    metrics: dict[str, tuple[str, ...]],
    allow_mixed: bool = False,
) -> list[Block]:
    """Sort records into comparable blocks.

    Args:
        records: any records.
        order: encoder names in the order of rows; others follow by name.
        metrics: columns per task name.
        allow_mixed: let several signatures share a column; they are then listed.

    Raises:
        InputError: signatures are mixed, or one cell has two records.
    """
    groups: dict[tuple[str, float, str, str], list[Record]] = {}
    for record in records:
        cell = record.cell
        groups.setdefault((cell.task, cell.fraction, cell.protocol, record.data.kind), []).append(record)
    return [
        _block(group, order, metrics[task], allow_mixed)
        for (task, *_), group in sorted(groups.items(), key=lambda item: item[0])
    ]


def _block(group: list[Record], order: Sequence[str], metrics: tuple[str, ...], allow_mixed: bool) -> Block:
    signatures = sorted({record.signature for record in group})
    first = group[0]
    if len(signatures) > 1 and not allow_mixed:
        raise InputError(
            f"{first.cell.task} at {percent(first.cell.fraction)}: numbers with different signatures cannot share "
            f"a column ({' and '.join(signatures)}); choose one with --signature, or --allow-mixed marks them"
        )
    rows: dict[str, dict[int, Record]] = {}
    for record in group:
        seeds = rows.setdefault(record.cell.encoder, {})
        if record.cell.seed in seeds:
            keys = f"{seeds[record.cell.seed].key[:8]} and {record.key[:8]}"
            raise InputError(
                f"two records for one cell: {record.cell.task}, {record.cell.encoder}, "
                f"{percent(record.cell.fraction)}, seed {record.cell.seed} (keys {keys}); "
                "remove the one that should not count"
            )
        seeds[record.cell.seed] = record
    ranks = {name: n for n, name in enumerate(order)}
    names = sorted(rows, key=lambda name: (ranks.get(name, len(ranks)), name))
    all_seeds = sorted({seed for seeds in rows.values() for seed in seeds})
    made = [
        Row(name, tuple(_value(list(rows[name].values()), metric, all_seeds) for metric in metrics))
        for name in names
    ]
    for name, values in first.references.items():
        made.append(Row(name, tuple(_number(values.get(metric)) for metric in metrics), reference=True))
    return Block(
        task=first.cell.task,
        fraction=first.cell.fraction,
        protocol=first.cell.protocol,
        generated=first.data.kind == "phantom",
        metrics=metrics,
        rows=tuple(made),
        train=max(record.data.images["train"] for record in group),
        test=first.data.images["test"],
        positive=first.data.positive["test"],
        seeds=tuple(all_seeds),
        spread="sd over seeds" if len(all_seeds) > 1 else "",
        signatures=tuple(signatures),
        leaks=tuple(sorted({record.data.leaks for record in group if record.data.leaks})),
    )


def _value(records: list[Record], metric: str, seeds: Sequence[int]) -> Value:
    """Average over seeds; a row that lacks a seed of the others has no mean."""
    numbers = [record.metrics.get(metric) for record in records]
    if len(records) < len(seeds) or any(number is None for number in numbers):
        return Value(math.nan, math.nan, len(records))
    shares = [100 * number for number in numbers if number is not None]
    mean = sum(shares) / len(shares)
    if len(shares) == 1:
        return Value(mean, math.nan, 1)
    variance = sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
    return Value(mean, math.sqrt(variance), len(shares))


def _number(value: float | None) -> Value:
    return Value(math.nan if value is None else 100 * value, math.nan, 1)
