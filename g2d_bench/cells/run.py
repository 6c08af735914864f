"""One cell, from card to record."""

from __future__ import annotations

import math
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.task import UNTRAINED
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.repeat import command_of
from g2d_bench.data.task_data import TaskData
from g2d_bench.encoders.weights import weights_digest
from g2d_bench.errors import InputError
from g2d_bench.plain import visible
from g2d_bench.processes import cores
from g2d_bench.provenance import Stopwatch, commit, hardware, now, peak_memory_mb, versions
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import (
    SPLIT_DEFECTS,
    WHY_UNDEFINED,
    CellPart,
    DataPart,
    EncoderPart,
    Failure,
    Record,
)
from g2d_bench.records.signature import signature

if TYPE_CHECKING:
    from g2d_bench.adapters.base import Outcome


def run_cell(cell: Cell, bench: Bench) -> Record:
    """Run one cell and save its record.

    Raises:
        InputError: bad data, card or weights; nothing is written.
    """
    return run_cells([cell], bench)[0]


def run_cells(cells: Sequence[Cell], bench: Bench) -> list[Record]:
    """Run cells of one task, encoder and protocol together and save their records.

    What they need is opened once. The numbers are those that the cells have one by one; the seconds are
    shared out evenly.

    Raises:
        InputError: bad data, card or weights of any of them; nothing is written.
    """
    from g2d_bench.adapters.base import Job, adapter, run_jobs
    from g2d_bench.encoders.load import Encoder, load_encoder

    clock = Stopwatch()
    task = bench.catalogue.tasks[cells[0].task]
    card = bench.catalogue.encoders[cells[0].card]
    protocol = bench.catalogue.protocols[cells[0].protocol]
    checkpoint = bench.settings.checkpoint(card.name)
    with clock.phase("data"):
        opened = [bench.task_data(cell) for cell in cells]
        leaks = [bench.check_leaks(data) for data in opened]
        places = [bench.locate(cell) for cell in cells]
    with clock.phase("imports"):
        adapter(task.kind)
    encoders: dict[str, Encoder] = {}
    with clock.phase("encoder"):
        fix_threads(card)
        weights = [weights_digest(card, checkpoint, cell.seed) for cell in cells]
        for cell, own in zip(cells, weights, strict=True):
            if own not in encoders:
                encoders[own] = load_encoder(
                    card, checkpoint=checkpoint, seed=cell.seed, text=task.kind in UNTRAINED
                )
    with clock.phase("train and predict"):
        outcomes = run_jobs(
            [
                Job(
                    task=protocol.view(task),
                    protocol=protocol,
                    data=data,
                    encoder=encoders[own],
                    seed=cell.seed,
                    with_decoder=cell.with_decoder,
                    memory_budget=bench.options.memory_budget,
                )
                for cell, data, own in zip(cells, opened, weights, strict=True)
            ]
        )
    seconds = {phase: round(spent / len(cells), 3) for phase, spent in clock.seconds.items()}
    measured = [
        Measured(cell, key, path, own, data, reason, outcome)
        for cell, (key, path), own, data, reason, outcome in zip(
            cells, places, weights, opened, leaks, outcomes, strict=True
        )
    ]
    return [
        bench.store.save(one.path, _record(one, bench, seconds, together=len(cells)), one.outcome.predictions)
        for one in measured
    ]


@dataclass(frozen=True)
class Measured:
    """One cell with all that is its own, whatever it was run together with.

    Attributes:
        cell: the cell.
        key: digest of everything that moves its number.
        path: where its record belongs.
        weights: digest of its encoder's weights.
        data: its images.
        leaks: why it was run in spite of a leak, or what a published split shares.
        outcome: what was measured.
    """

    cell: Cell
    key: str
    path: Path
    weights: str
    data: TaskData
    leaks: str
    outcome: Outcome


def _record(one: Measured, bench: Bench, seconds: dict[str, float], *, together: int) -> Record:
    """Write down what a cell measured and everything that it came from.

    Args:
        one: the cell.
        bench: opened settings.
        seconds: what it took, phase by phase.
        together: how many cells shared the work.
    """
    cell, data, outcome = one.cell, one.data, one.outcome
    task, card = bench.catalogue.tasks[cell.task], bench.catalogue.encoders[cell.card]
    manifest = data.manifest
    defects = task.split[data.split_name].defects
    return Record(
        key=one.key,
        signature=signature(
            task,
            bench.catalogue.protocols[cell.protocol],
            data_kind=manifest.kind,
            data_hash=manifest.content_hash,
            split_hash=data.split.hash,
        ),
        kind=task.kind,
        cell=CellPart(**cell.as_dict()),
        data=DataPart(
            dataset=task.dataset,
            kind="phantom" if manifest.kind == "phantom" else "real",
            hash=manifest.content_hash,
            split_hash=data.split.hash,
            images={"train": len(data.train), "val": len(data.val), "test": len(data.test)},
            positive={
                "train": data.positives(data.train),
                "val": data.positives(data.val),
                "test": data.positives(data.test),
            },
            leaks=visible(one.leaks),
        ),
        encoder=EncoderPart(
            card_hash=card.digest,
            weights=one.weights,
            title=card.title,
            scale=card.scale,
            pretraining=card.seen,
        ),
        metrics=_finite(outcome.metrics),
        references={name: _finite(values) for name, values in outcome.references.items()},
        notes=_json(outcome.notes)
        | ({"cells_together": together} if together > 1 else {})
        | ({SPLIT_DEFECTS: list(defects)} if defects else {})
        | undefined_notes(outcome, data),
        versions=versions(),
        commit=commit(),
        hardware=hardware(),
        seconds=seconds,
        peak_memory_mb=peak_memory_mb(),
        command=command_of(cell, bench.settings, one.leaks if one.leaks == bench.options.allow_leaks else ""),
        created=now(),
    )


def undefined_notes(outcome: Outcome, data: TaskData) -> dict[str, Any]:
    """Return a note that says of each metric without a value why it has none."""
    names = [name for name, value in outcome.metrics.items() if math.isnan(value)]
    return {WHY_UNDEFINED: {name: data.why_undefined(name) for name in names}} if names else {}


def fix_threads(card: EncoderCard) -> None:
    """Give a cell as many threads as its numbers are defined for.

    Sums split over threads differ in their last bits, and training carries that into the third digit. So the
    small encoders always run on one thread, whether cells run side by side or not.
    """
    import torch

    torch.set_num_threads(1 if card.scale == "phantom" else cores())


def record_failure(cell: Cell, bench: Bench, error: BaseException) -> Failure:
    """Leave a failure record for a cell that raised."""
    key, path = bench.locate_failure(cell)
    failure = Failure(
        key=key,
        cell=CellPart(**cell.as_dict()),
        bad_input=isinstance(error, InputError),
        error=str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}",
        traceback="".join(traceback.format_exception(error)),
        created=now(),
    )
    bench.store.fail(path, failure)
    return failure


def _json(notes: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: what is none of its numbers is null, at any depth."""

    def plain(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {name: plain(value) for name, value in thing.items()}
        if isinstance(thing, list | tuple):
            return [plain(value) for value in thing]
        return None if isinstance(thing, float) and not math.isfinite(thing) else thing

    return {name: plain(value) for name, value in notes.items()}


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN: an undefined metric is null."""
    return {name: None if math.isnan(value) else float(value) for name, value in values.items()}
