"""Main numbers of encoders in one column, with draws of patients and of seeds that are the same for all.

Two encoders can then be compared draw by draw. Patients are drawn as everywhere
(:mod:`g2d_bench.metrics.resample`). A few seeds cannot be drawn from: three that happen to agree would make
a difference certain. The mean over S seeds is moved instead as its own uncertainty says, by a t distribution
of S - 1 degrees of freedom (Student, Biometrika 1908), each encoder by its own deviations and all encoders
by the same weights, so that a difference moves as the t of the differences between seeds.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from g2d_bench.metrics.resample import Values, often_undefined
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import Found
from g2d_bench.report.fill import Filled, fill, ranked
from g2d_bench.report.model import Column, Value
from g2d_bench.report.reasons import share_of


@dataclass(frozen=True)
class Sampled:
    """One column: the main metric of a task at a fraction under a protocol, on one kind of data.

    Attributes:
        column: what it holds.
        kind: of the task.
        data: ``phantom`` or ``real``.
        dataset: of the task.
        values: encoder to its number, in percent where the metric is a share, or to why it has none.
        draws: encoder to its draws [R] on the same scale; not there for one that cannot be drawn, and for
            none where the encoders were not tested on the same images.
        records: encoder to its records, by seed.
        filled: the column as tables show it.
    """

    column: Column
    kind: str
    data: str
    dataset: str
    values: Mapping[str, Value]
    draws: Mapping[str, Values]
    records: Mapping[str, Mapping[int, Found]] = field(default_factory=dict)
    filled: Filled = field(default_factory=Filled)

    @property
    def share(self) -> str:
        """With how many labels it was trained, in a word."""
        return share_of(self.kind, self.column)

    @property
    def sign(self) -> float:
        """1 where higher is better, -1 where lower is."""
        return 1.0 if self.column.spec.higher_is_better else -1.0

    def alike(self, other: Sampled) -> bool:
        """Whether both were measured under the same signatures; shares of labels are no part of one."""
        return self.filled.signatures == other.filled.signatures

    def records_of(self, names: Iterable[str]) -> list[Found]:
        """Return the records of some encoders."""
        return [found for name in names for found in self.records.get(name, {}).values()]

    @property
    def ranked(self) -> bool:
        """Whether encoders may be put in an order; see :func:`g2d_bench.report.fill.ranked`."""
        return ranked(self.column, self.filled.records)


def seed_weights(seeds: int, count: int, name: str) -> Values:
    """Draw by what deviations of seeds from their mean are weighted, the same for all encoders of a column.

    Args:
        seeds: how many there are, S, two or more.
        count: how many draws.
        name: of the column: different columns have different draws.

    Returns:
        Weights that add up to 0, [count, S]: values that deviate by what S independent normal ones do give a
        sum that is t distributed with S - 1 degrees of freedom, on the scale of the error of their mean.

    Example:
        >>> seed_weights(3, 2, "siim-seg").shape
        (2, 3)
    """
    rng = np.random.default_rng([zlib.crc32(name.encode()), seeds])
    normal = rng.standard_normal((count, seeds))
    spread = np.sqrt((seeds - 1) / rng.chisquare(seeds - 1, count))
    centred = normal - normal.mean(axis=1, keepdims=True)
    return np.asarray(centred * (spread / np.sqrt(seeds * (seeds - 1)))[:, None], np.float64)


def joined(parts: Sequence[Values], name: str) -> Values:
    """Join draws of patients by seed into draws of patients and seeds.

    Args:
        parts: per seed, in the order of seeds, draws [R] on the same patients.
        name: of the column.

    Returns:
        The mean over seeds per draw, moved by its uncertainty, [R]; the draws themselves where there is one
        seed.
    """
    if len(parts) == 1:
        return parts[0]
    table = np.stack(parts, axis=1)
    mean = table.mean(axis=1)
    weights = seed_weights(len(parts), len(table), name)
    return np.asarray(mean + np.einsum("rs,rs->r", weights, table - mean[:, None]), np.float64)


def sample(
    column: Column, found: Sequence[Found], evidence: Evidence, *, allow_mixed: bool = False
) -> Sampled:
    """Fill a column and draw its numbers.

    Args:
        column: which.
        found: the records of its task, fraction, protocol and kind of data.
        evidence: where draws come from.
        allow_mixed: see :func:`g2d_bench.report.fill.fill`; nothing is drawn where signatures are mixed.

    Raises:
        InputError: see :func:`g2d_bench.report.fill.fill`.
    """
    filled = fill(column, found, evidence, allow_mixed=allow_mixed)
    rows: dict[str, dict[int, Found]] = defaultdict(dict)
    for one in sorted(found, key=lambda one: one.record.cell.seed):
        rows[one.record.cell.encoder][one.record.cell.seed] = one
    draws: dict[str, Values] = {}
    samples: set[str] = set()
    name = f"{column.task} {column.fraction!r} {column.protocol}" + (f" {column.shots}" * bool(column.shots))
    scale = 100.0 if column.spec.share else 1.0
    for encoder, value in filled.values.items():
        if value.missing or len(filled.signatures) > 1:
            continue
        parts = [evidence.mean([rows[encoder][seed]], column.metric) for seed in value.seeds]
        known = [part for part in parts if part is not None]
        if known and len(known) == len(parts):
            drawn = joined([part.draws for part in known], name)
            if often_undefined(drawn):
                continue
            samples |= {part.sample for part in known}
            draws[encoder] = scale * (np.clip(drawn, 0.0, 1.0) if column.spec.share else drawn)
    first = found[0].record
    return Sampled(
        column,
        first.kind,
        first.data.kind,
        first.data.dataset,
        filled.values,
        draws if len(samples) == 1 else {},
        rows,
        filled,
    )
