"""Bootstrap draws of many records on all processors, before a table asks for them one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import require_sound
from g2d_bench.errors import InputError
from g2d_bench.metrics.resample import REPLICATES
from g2d_bench.processes import cores, deaf_to_interrupts, one_thread_each, worker_pool
from g2d_bench.progress import track
from g2d_bench.records.draws import DrawCache
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.parts import Pairs, parts_of, undrawn_pairs
from g2d_bench.records.record import Record, read_record
from g2d_bench.records.selection import Found

T = TypeVar("T")

FEW = 24
"""Up to so many records are drawn quicker than processes start."""


class Lacking(NamedTuple):
    """What was not drawn yet of the record in a file.

    Attributes:
        path: of the record.
        metrics: to draw on all test images.
        pairs: to draw on groups of them.
    """

    path: Path
    metrics: tuple[str, ...] = ()
    pairs: Pairs = ()


def all_metrics(record: Record) -> Sequence[str]:
    """Return the metrics that a record states."""
    return tuple(record.metrics)


def no_groups(_: Found) -> Pairs:
    """Ask for no groups."""
    return ()


def drawn_ahead(
    make: Callable[[Evidence], T],
    found: Sequence[Found],
    metrics: Callable[[Record], Sequence[str]] = all_metrics,
    settings: Settings | None = None,
    more: Sequence[str] = (),
    groups: Callable[[Found], Pairs] = no_groups,
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
        groups: by what a record's images are grouped in what is made afterwards, and the metrics drawn there.

    Raises:
        InputError: see :func:`g2d_bench.cells.verify.require_sound`, and whatever ``make`` refuses.
    """
    lacking = undrawn(found, metrics, groups)
    if lacking:
        make(Evidence(0, more=more))
    require_sound(found, settings)
    draw_ahead(lacking)
    return make(Evidence(more=more))


def undrawn(
    found: Sequence[Found],
    metrics: Callable[[Record], Sequence[str]] = all_metrics,
    groups: Callable[[Found], Pairs] = no_groups,
) -> list[Lacking]:
    """Return what is not kept of the draws that will be asked for, records of which all is kept left out.

    Args:
        found: records, with their files.
        metrics: which of a record's metrics will be asked for.
        groups: by what its images will be grouped, with the metrics.
    """
    cache, lacking = DrawCache(), []
    for one in found:
        kept = one.record.predictions
        if one.path is None or kept is None:
            continue
        names, pairs = tuple(metrics(one.record)), undrawn_pairs(kept.sha256, groups(one))
        whole = cache.holds(kept.sha256, REPLICATES, names)
        if pairs or not whole:
            lacking.append(Lacking(one.path, () if whole else names, pairs))
    return lacking


def draw_ahead(work: Sequence[Lacking]) -> None:
    """Fill the cache of draws, a record per task of a worker process.

    It changes how long a table takes and nothing else: what a record lacks or hides is left to the table to
    say, and draws that could not be kept are made again there.

    Args:
        work: see :func:`undrawn`.
    """
    if len(work) <= FEW or cores() == 1:
        return
    with worker_pool(min(cores(), len(work)), one_thread_each) as pool:
        with deaf_to_interrupts():
            tasks = [pool.submit(_draw, *one) for one in work]
        for task in track(as_completed(tasks), "bootstrap", total=len(tasks), unit="record"):
            # Where a process was killed, as happens when memory runs out, the table draws what is lacking.
            with suppress(BrokenProcessPool):
                task.result()


def _draw(path: Path, names: Sequence[str], pairs: Pairs) -> None:
    """Draw the metrics of one record, and its groups; runs in a worker."""
    with suppress(InputError):
        found, evidence = Found(read_record(path), path), Evidence(more=names)
        for name in names:
            evidence.mean([found], name)
        for by, metric in pairs:
            parts_of(found, by, metric)
