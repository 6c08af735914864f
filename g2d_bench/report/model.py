"""What stands in a table, whatever the format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from g2d_bench.cards.pretraining import Sight
from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.spec import MetricSpec
from g2d_bench.records.cell import amount
from g2d_bench.report.origin import Origin, tagged

GENERATED = (
    "GENERATED DATA (phantom): compare these encoders with each other, and not with published results."
)
"""Stands in every table, figure and file with a number that was measured on generated data."""
INTERVAL = "[ ] is the 95 % bootstrap interval by patient over the test set"

SEEN: dict[Sight, str] = {"": "", "images": "§", "labels": "¶"}
"""Mark of a number whose encoder saw the images, or the labels, of the data set in its pre-training."""

Sort = Literal["measured", "reference", "quoted"]
Missing = Literal["", "not measured", "seed missing", "undefined"]


@dataclass(frozen=True)
class Column:
    """What a column holds.

    Attributes:
        task: task name.
        fraction: share of the labels.
        metric: name of the convention.
        protocol: protocol name.
        heads: headings from the coarsest to the finest.
        shots: training images per class, in the place of a share; 0 where the share counts.
    """

    task: str
    fraction: float
    metric: str
    protocol: str
    heads: tuple[str, ...]
    shots: int = 0

    @property
    def amount(self) -> str:
        """The amount of training labels, as tables write it."""
        return amount(self.fraction, self.shots)

    @property
    def spec(self) -> MetricSpec:
        """The metric's convention; one of somebody's own adapter is taken for a share."""
        try:
            return metric_spec(self.metric)
        except InputError:
            return MetricSpec(self.metric, "")


@dataclass(frozen=True)
class Value:
    """One number of a table, in percent where the metric is a share, unrounded.

    Attributes:
        column: what it is a value of.
        mean: over seeds; NaN where there is none.
        spread: what stands behind ±, or NaN.
        spread_is: ``seeds`` (standard deviation over seeds), ``patients`` (bootstrap standard deviation by
            patient, where there is one seed), ``printed`` (quoted), or "".
        low: lower limit of the 95 % bootstrap interval by patient, or NaN.
        high: upper limit.
        seeds: the seeds in the mean.
        best: whether it is not significantly worse than the best of the column.
        p: of the paired difference to the best of the column, corrected by Holm; NaN for the best itself and
            where nothing was tested.
        shows_p: whether readers are shown it.
        marks: letters of the signatures, where a column mixes them.
        of: whose value it is, where that differs by row: the worst group.
        sight: what the encoder's pre-training saw of the data set on which it is tested.
        leaks: the reasons for which leaks were allowed, and what parts of a published split share.
        defects: what is wrong with the published split.
        missing: why there is no number, in a word.
        reason: the same for readers, in a clause.
    """

    column: Column
    mean: float = math.nan
    spread: float = math.nan
    spread_is: Literal["", "seeds", "patients", "printed"] = ""
    low: float = math.nan
    high: float = math.nan
    seeds: tuple[int, ...] = ()
    best: bool = False
    p: float = math.nan
    shows_p: bool = False
    marks: str = ""
    of: str = ""
    missing: Missing = ""
    reason: str = ""
    sight: Sight = ""
    leaks: tuple[str, ...] = ()
    defects: tuple[str, ...] = ()

    @property
    def digits(self) -> int:
        """Decimals to print: percent with one, plain numbers with three."""
        return 1 if self.column.spec.share else 3

    def show(self, number: float) -> str:
        """Write a number of this cell, ``n/a`` for NaN."""
        return "n/a" if math.isnan(number) else f"{number:.{self.digits}f}"

    @property
    def centre(self) -> str:
        """The value without spread: a number, ``n/a`` where a part of it is missing, ``–`` where all is."""
        return "–" if self.missing == "not measured" else self.show(self.mean)

    @property
    def behind(self) -> str:
        """What stands behind ±, or ""."""
        return "" if math.isnan(self.spread) else self.show(self.spread)

    @property
    def limits(self) -> str:
        """The interval in brackets, or ""."""
        return "" if math.isnan(self.low) else f"[{self.show(self.low)}, {self.show(self.high)}]"

    @property
    def tested(self) -> str:
        """The p value as papers write it, or "" where readers are not shown one."""
        if not self.shows_p or math.isnan(self.p):
            return ""
        return "p<0.001" if self.p < 0.001 else f"p={self.p:.3f}" if self.p < 0.1 else f"p={self.p:.2f}"

    @property
    def below(self) -> tuple[str, ...]:
        """What stands below the number where there is room: interval and p value."""
        return tuple(text for text in (self.limits, self.tested) if text)

    @property
    def line(self) -> str:
        """The number with its spread and marks, without what stands below."""
        return self._number + self._marked

    @property
    def _number(self) -> str:
        text = self.centre + self.seen + ("*" if self.best else "")
        return text + (f" ± {self.behind}" if self.behind else "")

    @property
    def _marked(self) -> str:
        said = ", ".join(part for part in (self.marks, self.of) if part)
        return f" ({said})" if said else ""

    def __str__(self) -> str:
        return " ".join([self._number, *self.below]) + self._marked

    @property
    def seen(self) -> str:
        """The mark of :data:`SEEN`, or ""; a cell without a number bears none."""
        return "" if self.missing else SEEN[self.sight]


@dataclass(frozen=True)
class Row:
    """An encoder, a trivial predictor of the same test set, or a quoted row.

    Attributes:
        name: of the encoder or predictor.
        values: one per column.
        sort: measured rows come first, then quoted ones, trivial predictors last.
        panel: rows of different panels (label fractions of a paper's table) are not compared.
        origin: scale and pre-training of a measured encoder; None for other rows.
        tag: what the name bears where it could be taken for another model's.
    """

    name: str
    values: tuple[Value, ...]
    sort: Sort = "measured"
    panel: str = ""
    origin: Origin | None = None
    tag: str = ""

    @property
    def title(self) -> str:
        """The name; quoted rows, and encoders that are not the model of their name, marked as such."""
        return tagged(self.name, "quoted" if self.sort == "quoted" else self.tag)


@dataclass(frozen=True)
class Table:
    """A table ready to be written in any format.

    Attributes:
        title: one line.
        columns: from left to right.
        rows: from top to bottom.
        generated: whether a measured value rests on generated data.
        warnings: sentences against a wrong reading; they stand above all else.
        facts: sentences that the reader needs (test set, seeds, meaning of ±).
        notes: footnotes (why n/a, marks, remarks on quoted numbers).
        signatures: of all measured values.
        turned: whether readers are shown it with encoders side by side; see
            :func:`g2d_bench.report.formats.turn.turn`.
        stub: heading of the rows' names.
        narrow: whether it has to fit a column of a paper; see :func:`g2d_bench.report.look.parts`.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    generated: bool
    facts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    turned: bool = False
    stub: str = "encoder"
    warnings: tuple[str, ...] = ()
    narrow: bool = False

    @property
    def best(self) -> str:
        """What bold type (in plain text ``*``) says."""
        where = "column" if self.stub == "encoder" else "line"
        return (
            f"not significantly worse than the best of its {where} (paired bootstrap by patient, Holm, 5 %)"
        )

    @property
    def tested(self) -> bool:
        """Whether any value was found not to be significantly worse than the best."""
        return any(value.best for row in self.rows for value in row.values)
