"""Resolved cells, from data to records."""

from __future__ import annotations

import gc
import math
import shlex
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.scorer import SCORERS
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.resolve import Resolved
from g2d_bench.data.crossed import Joined
from g2d_bench.data.task_data import TaskData
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_code
from g2d_bench.plain import visible
from g2d_bench.processes import cores, give_back_memory
from g2d_bench.provenance import (
    Stopwatch,
    commit,
    forget_peak_memory,
    hardware,
    now,
    peak_memory_mb,
    versions,
)
from g2d_bench.records.cell import Cell
from g2d_bench.records.groups import group_arrays
from g2d_bench.records.record import (
    CODE,
    IMAGES_PER_SECOND,
    NOT_APPLICABLE,
    SHARED,
    SPLIT_DEFECTS,
    TESTED_ON,
    TRAINED_ON,
    WHY_UNDEFINED,
    DataPart,
    EncoderPart,
    Failure,
    Record,
)
from g2d_bench.records.signature import signature
from g2d_bench.records.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from g2d_bench.adapters.base import Outcome


@dataclass(frozen=True)
class Measured:
    """What is a cell's own, whatever it was run together with.

    Attributes:
        data: its images.
        leaks: why it was run in spite of a leak, or what a published split shares.
        overridden: whether ``leaks`` is the user's reason.
        outcome: what was measured.
    """

    data: TaskData
    leaks: str
    overridden: bool
    outcome: Outcome


@dataclass(frozen=True)
class Shared:
    """What cells have in common that were run together.

    Attributes:
        seconds: what each of them took, phase by phase.
        together: how many they are.
        pace: how many images the encoder took in a second; None where all were in the cache.
    """

    seconds: dict[str, float]
    together: int
    pace: float | None


def run_cell(cell: Resolved, store: Store, options: Options) -> Record:
    """Run one cell and save its record; see :func:`run_cells`."""
    return run_cells([cell], store, options)[0]


def run_cells(cells: Sequence[Resolved], store: Store, options: Options) -> list[Record]:
    """Run cells of one task, encoder and protocol together and save their records.

    What they need is opened once. The numbers are those that the cells have one by one; the seconds are
    shared out evenly.

    Args:
        cells: at least one.
        store: where records go.
        options: what is allowed.

    Raises:
        InputError: bad data, card or weights of any of them; nothing is written.
    """
    from g2d_bench.adapters.base import Job, adapter, run_jobs

    clock, first = Stopwatch(), cells[0]
    forget_peak_memory()
    with clock.phase("data"):
        opened = [cell.data() for cell in cells]
        leaks = [allowed_leaks(data, options) for data in opened]
    with clock.phase("imports"):
        adapter(first.task.kind)
    with clock.phase("encoder"):
        fix_threads(first.card)
        # Seeds of a trained encoder share its weights; each is loaded once.
        encoders = {digest: cell.load() for digest, cell in {cell.weights: cell for cell in cells}.items()}
        for encoder in encoders.values():
            encoder.pace.forget()
    with clock.phase("train and predict"):
        outcomes = run_jobs(
            [
                Job(
                    task=cell.protocol.view(cell.task),
                    protocol=cell.protocol,
                    data=data,
                    encoder=encoders[cell.weights],
                    seed=cell.cell.seed,
                    with_decoder=cell.cell.with_decoder,
                    memory_budget=options.memory_budget,
                )
                for cell, data in zip(cells, opened, strict=True)
            ]
        )
    if KINDS[first.task.kind].trained:
        # A trained model hangs in reference cycles of its loop, with its maps; the next cell needs the room.
        gc.collect()
    give_back_memory()
    seconds = {phase: round(spent / len(cells), 3) for phase, spent in clock.seconds.items()}
    pace = next((rate for one in encoders.values() if (rate := one.pace.images_per_second)), None)
    shared = Shared(seconds, len(cells), pace)
    measured = [
        Measured(data, *why, outcome) for data, why, outcome in zip(opened, leaks, outcomes, strict=True)
    ]
    return [
        store.save(cell.path, _record(cell, own, shared), with_groups(own.outcome.predictions, own.data))
        for cell, own in zip(cells, measured, strict=True)
    ]


def allowed_leaks(data: TaskData, options: Options) -> tuple[str, bool]:
    """Stop at a leak, or return the user's reason for going on, or what a published split shares.

    Returns:
        The text for the record, and whether it is the user's reason.

    Raises:
        InputError: there is a leak, and the user allows none.
    """
    try:
        return data.check_leaks(), False
    except InputError:
        if not options.allow_leaks:
            raise
        return options.allow_leaks, True


def _record(cell: Resolved, own: Measured, shared: Shared) -> Record:
    """Write down what a cell measured and everything that it came from."""
    data, manifest, outcome = own.data, cell.manifest, own.outcome
    defects = cell.task.split[data.split_name].defects
    together = {"cells_together": shared.together} if shared.together > 1 else {}
    pace = {IMAGES_PER_SECOND: shared.pace} if shared.pace else {}
    override = f" --allow-leaks {shlex.quote(own.leaks)}" if own.overridden else ""
    return Record(
        key=cell.key,
        signature=signature(
            cell.task,
            cell.protocol,
            data_kind=manifest.kind,
            data_hash=manifest.content_hash,
            split_hash=data.split.hash,
        ),
        kind=cell.task.kind,
        cell=cell.cell,
        data=DataPart(
            dataset=cell.task.data_name,
            kind="phantom" if manifest.kind == "phantom" else "real",
            hash=manifest.content_hash,
            split_hash=data.split.hash,
            images={"train": len(data.train), "val": len(data.val), "test": len(data.test)},
            positive={
                "train": data.positives(data.train),
                "val": data.positives(data.val),
                "test": data.positives(data.test),
            },
            leaks=visible(own.leaks),
        ),
        encoder=EncoderPart(
            card_hash=cell.card.digest,
            weights=cell.weights,
            title=cell.card.title,
            scale=cell.card.scale,
            pretraining=cell.card.seen,
            form=cell.card.form,
        ),
        metrics=_finite(outcome.metrics),
        references={name: _finite(values) for name, values in outcome.references.items()},
        notes=_json(outcome.notes)
        | (dict(cell.model.notes) if cell.model is not None else {})
        | form_notes(cell.card)
        | code_notes(cell)
        | together
        | pace
        | ({SPLIT_DEFECTS: list(defects)} if defects else {})
        | crossed_notes(data)
        | ({"fewer_than_shots": data.short} if data.short else {})
        | undefined_notes(outcome, data),
        versions=versions(),
        commit=commit(),
        hardware=hardware(),
        seconds=shared.seconds,
        peak_memory_mb=peak_memory_mb(),
        command=cell.command + visible(override),
        created=now(),
    )


def with_groups(predictions: dict[str, NDArray[Any]], data: TaskData) -> dict[str, NDArray[Any]]:
    """Add to which groups of patients the samples belong, as far as the data set tells; see `table --by`."""
    ids = predictions["id"].tolist() if "id" in predictions else []
    if not ids or any(name not in data.samples for name in ids):
        return predictions  # Somebody's own adapter may number its samples otherwise.
    return predictions | group_arrays([data.samples[name].meta for name in ids])


def crossed_notes(data: TaskData) -> dict[str, Any]:
    """Return what the record of a cell that is tested elsewhere says of its two data sets."""
    if not isinstance(data.dataset, Joined):
        return {}
    joined = data.dataset
    notes: dict[str, Any] = {TRAINED_ON: asdict(joined.training), TESTED_ON: joined.tested_on}
    return notes | ({SHARED: joined.left_out} if joined.left_out else {})


def form_notes(card: EncoderCard) -> dict[str, Any]:
    """Name what measured in the place of an encoder whose weights are here."""
    if card.embeddings is not None:
        return {"embeddings": {"self_reported": True, "spec": card.embeddings.spec}}
    if not card.scorer:
        return {}
    module = SCORERS.module(card.scorer)
    return {"scorer": {"name": card.scorer, "module": module, "code": digest_code(module)}}


def code_notes(cell: Resolved) -> dict[str, Any]:
    """Name the code of other packages that measured a cell, as its key holds it."""
    code = {name: cell.identity[name] for name in ("kind", "metrics") if name in cell.identity}
    return {CODE: code} if code else {}


def undefined_notes(outcome: Outcome, data: TaskData) -> dict[str, Any]:
    """Return a note that says of each metric without a value why it has none."""
    if NOT_APPLICABLE in outcome.notes:
        return {}
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
        cell=cell,
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
