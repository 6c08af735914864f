"""Measure a model, from Python as from the command line."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from g2d_bench.api.around import ALONE, as_found, undisturbed
from g2d_bench.api.asked import folder_of, fractions_of, jobs_of, seeds_of, sets_of, shots_of, tasks_of, word
from g2d_bench.api.results import Results
from g2d_bench.api.spec import ImageSpec
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.plan import make_cells
from g2d_bench.cells.settings import Settings, resolve
from g2d_bench.cells.workers import execute
from g2d_bench.data.source import Source
from g2d_bench.errors import InputError
from g2d_bench.progress import silence
from g2d_bench.records.record import Failure


class EvaluationError(InputError):
    """Some cells failed.

    Attributes:
        results: those that are finished.
        failures: what became of the others.
    """

    def __init__(self, results: Results, failures: Sequence[Failure]) -> None:
        others = f" (and {len(failures) - 1} more cells failed)" if len(failures) > 1 else ""
        super().__init__(f"{failures[0].cell}: {failures[0].error}{others}")
        self.results, self.failures = results, tuple(failures)


class Kept:
    """A folder that lives as long as this does, without a warning in its end."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="g2d-bench-"))
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


def evaluate(
    model: Any,
    tasks: str | Sequence[str],
    *,
    spec: ImageSpec | None = None,
    name: str = "",
    fractions: Sequence[float] = (),
    shots: Sequence[int] = (),
    seeds: int | Sequence[int] = 1,
    protocol: str = "clean",
    results: str | Path | None = None,
    data_root: str | Path | None = None,
    pretraining: Sequence[str] = (),
    jobs: int = 1,
    progress: bool = False,
) -> Results:
    """Measure a model on tasks. One call is at work at a time in a process; those of other threads wait.

    Args:
        model: the name of an encoder, the path of a card, a module or function that gives features, or an
            object with ``encode_image`` and ``encode_text``; see :mod:`g2d_bench.api.model`.
        tasks: names of tasks; ``all`` for every task.
        spec: what a model in memory takes.
        name: what to call a model in memory; by default its class.
        fractions: shares of the training labels; by default those on the card of the task.
        shots: numbers of training images per class, in the place of fractions or beside them.
        seeds: how many, or which.
        protocol: name of the protocol.
        results: folder of records; finished cells of a *named* encoder are not run again. By default
            nothing stays on disk; see :meth:`Results.save`.
        data_root: folder of real data; by default as the command line finds it, else generated data.
        pretraining: data sets that a model in memory has seen, as on a card.
        jobs: processes; a model in memory is measured by one.
        progress: say on stderr how far the work is.

    Returns:
        One record per cell. Where a task asks for what the model lacks, the record has no number and says
        why.

    Raises:
        InputError: an unknown name, data that are not there, or a model that takes or gives something else.
        EvaluationError: some cells failed; it holds the results of the others.

    Example:
        >>> results = evaluate("random", "rsna-zeroshot")
        >>> results.frame().loc[0, "reason"]
        'no text encoder'
    """
    asked, shares, counts = tasks_of(tasks), fractions_of(fractions), shots_of(shots)
    wanted, processes, root = seeds_of(seeds), jobs_of(jobs), folder_of(data_root, "data_root")
    word(protocol, "protocol")
    folder, kept = folder_of(results, "results"), None
    if folder is None:
        kept = Kept()
        folder = kept.folder
    settings = resolve(data_root=root, results=folder)
    with ALONE, silence(not progress), undisturbed():
        bench, called = _bench(model, settings, spec, name, pretraining)
        cells, _ = make_cells(
            bench.catalogue,
            tasks=asked,
            encoders=[called],
            fractions=shares,
            shots=counts,
            seeds=wanted,
            protocol=protocol,
            weights=bench.weights,
        )
        try:
            with _in_memory(bench):
                report = execute(cells, bench, 1 if bench.models else processes)
        except InputError:
            # What was missing may be there when it is tried again.
            _source.cache_clear()
            raise
    finished = Results(report.found, bench.catalogue, kept)
    if report.failures:
        _source.cache_clear()
        raise EvaluationError(finished, report.failures)
    return finished


def probe(
    model: Any,
    task: str,
    *,
    spec: ImageSpec | None = None,
    fraction: float = 0.1,
    seed: int = 0,
    protocol: str = "clean",
    data_root: str | Path | None = None,
) -> dict[str, float]:
    """Measure one cell, as inside of a training loop; the model is left as it was.

    Pixels are decoded once per machine, so that a linear probe takes seconds from the second call on.

    Args:
        model: see :func:`evaluate`.
        task: name of the task.
        spec: what a model in memory takes.
        fraction: share of the training labels.
        seed: which draw of it.
        protocol: name of the protocol.
        data_root: see :func:`evaluate`.

    Returns:
        Metric to value, as shares where the metric is one; NaN where it is undefined.

    Raises:
        InputError: see :func:`evaluate`; also where the model lacks what the task asks for.

    Example:
        >>> found = probe("random", "rsna-cls", fraction=1.0)
        >>> 0.0 <= found["auroc"] <= 1.0
        True
    """
    done = evaluate(
        model,
        word(task, "task"),
        spec=spec,
        fractions=[fraction],
        seeds=[seed],
        protocol=protocol,
        data_root=data_root,
    )
    record = done.records[0]
    if "n/a" in record.notes:
        raise InputError(f"n/a: {record.notes['n/a']}", field=task)
    return {name: float("nan") if value is None else value for name, value in record.metrics.items()}


def _bench(
    model: Any, settings: Settings, spec: ImageSpec | None, name: str, pretraining: Sequence[str]
) -> tuple[Bench, str]:
    """Open what an evaluation needs; return it with the name of the encoder."""
    name, pretraining = word(name, "name"), sets_of(pretraining)
    source = _source(settings.data_root, settings.phantom_root)
    if isinstance(model, str | Path):
        if spec is not None or name or pretraining:
            raise InputError("spec, name and pretraining describe a model in memory", field="evaluate")
        if str(model).endswith(".toml"):
            return Bench(_with_cards(settings, Path(model)), source=source), Path(model).stem
        return Bench(settings, source=source), str(model)
    if spec is None:
        raise InputError("a model in memory needs a spec, such as ImageSpec(224)", field="spec")
    if not isinstance(spec, ImageSpec):
        raise InputError(f"must be an ImageSpec, such as ImageSpec(224), not {spec!r}", field="spec")
    from g2d_bench.api.model import wrap

    card, wrapped = wrap(model, spec, name=name, pretraining=pretraining)
    catalogue = Catalogue.open(settings.task_dirs, settings.encoder_dirs, settings.protocol_dirs)
    bench = Bench(
        settings,
        Options(force=True),
        models={card.name: wrapped},
        catalogue=catalogue.with_encoder(card),
        source=source,
    )
    return bench, card.name


def _with_cards(settings: Settings, card: Path) -> Settings:
    from dataclasses import replace

    if not card.is_file():
        raise InputError("no such card", file=card)
    return replace(settings, encoder_dirs=(*settings.encoder_dirs, card.parent))


@lru_cache(maxsize=4)
def _source(root: Path | None, phantom: Path) -> Source:
    """Data sets stay open from call to call."""
    return Source(root, phantom)


@contextmanager
def _in_memory(bench: Bench) -> Iterator[None]:
    """Keep the features of models in memory apart, and leave the models as they were found."""
    from g2d_bench.encoders.dense import apart

    modules = [
        module
        for model in bench.models.values()
        for module in (model.encoder.image, model.encoder.text)
        if module is not None
    ]
    if not modules:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="g2d-bench-") as folder, as_found(modules), apart():
        for model in bench.models.values():
            model.encoder.folder = Path(folder)
        yield
