"""What an export is, and what those of encoders share: a number per task, fraction and protocol."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from g2d_bench.cards.kind import untrained
from g2d_bench.metrics.resample import interval
from g2d_bench.metrics.spec import MetricSpec
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import Found
from g2d_bench.report.marks import caveats
from g2d_bench.report.model import Column
from g2d_bench.report.reasons import what_was_trained


@dataclass(frozen=True)
class Request:
    """What is to be exported.

    Attributes:
        found: the records; none for an export that is of the suite itself.
        main: the main metric per task and protocol.
        titles: encoder name to the title of its card.
        dataset: id of the benchmark's data set on a hub.
        source: address where the numbers stand.
        intervals: whether bootstrap intervals are computed.
    """

    found: Sequence[Found] = ()
    main: Mapping[tuple[str, str], str] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    dataset: str = ""
    source: str = ""
    intervals: bool = True


@dataclass(frozen=True)
class Export:
    """A format.

    Attributes:
        write: what is asked for to files: path to content.
        file: name of the one file; "" for an export that is a folder.
        of_records: whether it is about records.
        asks: options without which it makes no sense.
    """

    write: Callable[[Request], Mapping[str, bytes]]
    file: str = ""
    of_records: bool = True
    asks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Number:
    """The main metric of an encoder in a task with some amount of labels, over its seeds.

    Attributes:
        encoder: name.
        found: its records, one per seed.
        metric: name of the convention.
        value: mean over seeds, in percent where the metric is a share.
        spread: standard deviation over seeds; NaN for one.
        low: of the 95 % bootstrap interval by patient; NaN where there is none.
        high: likewise.
    """

    encoder: str
    found: tuple[Found, ...]
    metric: str
    value: float
    spread: float
    low: float
    high: float

    @property
    def spec(self) -> MetricSpec:
        """The metric's convention."""
        cell = self.found[0].cell
        return Column(cell.task, cell.fraction, self.metric, cell.protocol, ()).spec

    @property
    def generated(self) -> bool:
        """Whether it was measured on generated data."""
        return self.found[0].record.data.kind == "phantom"

    @property
    def name(self) -> str:
        """A short name of task, data, amount of labels and protocol: letters, digits, hyphens."""
        cell = self.found[0].cell
        labels = f"{cell.shots}shots" if cell.shots else f"{100 * cell.fraction:g}pct"
        labels = "untrained" if untrained(self.found[0].record.kind) else labels
        words = ["phantom"] * self.generated + [cell.task, labels, cell.protocol]
        return re.sub(r"[^a-z0-9.]+", "-", "-".join(words).lower()).strip("-")

    @property
    def told(self) -> str:
        """One line that says how the number was made, and first against what readings."""
        cell, record = self.found[0].cell, self.found[0].record
        digits = 1 if self.spec.share else 3
        parts = caveats(self.found)
        parts += [f"{self.metric}{' in %' if self.spec.share else ''}: {self.spec.description}"]
        parts += [what_was_trained(self.found[0]), f"protocol {cell.protocol}"]
        seeds = sorted(one.cell.seed for one in self.found)
        parts += [f"mean over seeds {', '.join(map(str, seeds))}" if len(seeds) > 1 else f"seed {seeds[0]}"]
        if not np.isnan(self.spread):
            parts.append(f"standard deviation over seeds {self.spread:.{digits}f}")
        if not np.isnan(self.low):
            parts.append(f"95 % interval by patient {self.low:.{digits}f} to {self.high:.{digits}f}")
        return "; ".join([*parts, f"signature {record.signature}"])


def numbers(request: Request) -> Iterator[Number]:
    """Yield the numbers of all encoders, by encoder and task; those that are undefined are left out."""
    cells: dict[tuple[str, str, tuple[float, int], str, str], list[Found]] = defaultdict(list)
    for one in request.found:
        cell = one.cell
        cells[cell.encoder, cell.task, cell.drawn, cell.protocol, one.record.signature].append(one)
    evidence = Evidence()
    for (encoder, task, _, protocol, _), some in sorted(cells.items()):
        some.sort(key=lambda one: one.cell.seed)
        metric = request.main.get((task, protocol)) or next(iter(some[0].record.metrics))
        stated = [one.record.metrics.get(metric) for one in some]
        values = [value for value in stated if value is not None]
        if len(values) < len(some):
            continue
        cell = some[0].cell
        scale = 100.0 if Column(task, cell.fraction, metric, protocol, ()).spec.share else 1.0
        drawn = evidence.mean(some, metric) if request.intervals else None
        low, high = interval(drawn.draws) if drawn is not None else (np.nan, np.nan)
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else np.nan
        mean = float(np.mean(values))
        limits = scale * float(low), scale * float(high)
        yield Number(encoder, tuple(some), metric, scale * mean, scale * spread, *limits)
