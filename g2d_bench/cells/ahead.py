"""Bootstrap draws of many records on all processors, before a table asks for them one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import require_sound
from g2d_bench.errors import InputError
from g2d_bench.metrics.resample import REPLICATES
from g2d_bench.processes import cores, deaf_to_interrupts, worker_pool
from g2d_bench.progress import track
from g2d_bench.records.draws import DrawCache
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.record import Record, read_record
from g2d_bench.records.selection import Found

T = TypeVar("T")

FEW = 24
"""Up to so many records are drawn quicker than processes start."""


def all_metrics(record: Record) -> Sequence[str]:
    """Return the metrics that a record states."""
    return tuple(record.metrics)


def drawn_ahead(
    make: Callable[[Evidence], T],
    found: Sequence[Found],
    metrics: Callable[[Record], Sequence[str]] = all_metrics,
    settings: Settings | None = None,
    more: Sequence[str] = (),
) -> T:
    """Make tables from records with which nothing is wrong, their draws made by all processors.

    Where draws are lacking, tables are first made without any, so that what is refused is refused at once: a
    bootstrap takes minutes.

    Args:
        make: makes the tables from where draws come from.
        found: their records, with their files.
        metrics: which of a record's metrics they ask for.
        settings: where the cards are.
        more: metrics to compute from predictions although the records do not state them.

    Raises:
        InputError: see :func:`g2d_bench.cells.verify.require_sound`, and whatever ``make`` refuses.
    """
    lacking = undrawn(found, metrics)
    if lacking:
        make(Evidence(0, more=more))
    require_sound(found, settings)
    draw_ahead(lacking)
    return make(Evidence(more=more))


def undrawn(
    found: Sequence[Found], metrics: Callable[[Record], Sequence[str]] = all_metrics
) -> list[tuple[Path, Sequence[str]]]:
    """Return the files of records of which draws are not kept, with the metrics that will be asked for.

    Args:
        found: records, with their files.
        metrics: which of a record's metrics will be asked for.
    """
    cache = DrawCache()
    asked = [(one.path, one.record.predictions, tuple(metrics(one.record))) for one in found]
    return [
        (path, names)
        for path, kept, names in asked
        if path is not None and kept is not None and not cache.holds(kept.sha256, REPLICATES, names)
    ]


def draw_ahead(work: Sequence[tuple[Path, Sequence[str]]]) -> None:
    """Fill the cache of draws, a record per task of a worker process.

    It changes how long a table takes and nothing else: what a record lacks or hides is left to the table to
    say, and draws that could not be kept are made again there.

    Args:
        work: see :func:`undrawn`.
    """
    if len(work) <= FEW or cores() == 1:
        return
    with worker_pool(min(cores(), len(work))) as pool:
        with deaf_to_interrupts():
            tasks = [pool.submit(_draw, path, names) for path, names in work]
        for task in track(as_completed(tasks), "bootstrap", total=len(tasks), unit="record"):
            task.result()


def _draw(path: Path, names: Sequence[str]) -> None:
    """Draw the metrics of one record; runs in a worker."""
    with suppress(InputError):
        found, evidence = Found(read_record(path), path), Evidence(more=names)
        for name in names:
            evidence.mean([found], name)
