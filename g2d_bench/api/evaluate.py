"""Measure a model, from Python as from the command line."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from g2d_bench.api.results import Results
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.plan import make_cells
from g2d_bench.cells.settings import Settings, resolve
from g2d_bench.cells.workers import execute
from g2d_bench.data.source import Source
from g2d_bench.errors import InputError
from g2d_bench.progress import silence
from g2d_bench.records.record import Failure

if TYPE_CHECKING:
    from torch import nn

    from g2d_bench.api.spec import ImageSpec


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
    """Measure a model on tasks.

    Args:
        model: the name of an encoder, the path of a card, a module that gives features, or an object with
            ``encode_image`` and ``encode_text``; see :mod:`g2d_bench.api.model`.
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
    asked = [tasks] if isinstance(tasks, str) else list(tasks)
    wanted = _seeds(seeds)
    for share in _several(fractions, "fractions"):
        if not _is_a(Real, share) or not 0 < share <= 1:
            raise InputError(f"{share!r} is no share above 0 and up to 1", field="fractions")
    for count in _several(shots, "shots"):
        if not _is_a(Integral, count) or not 0 < count < 10**6:
            raise InputError(f"{count!r} is no number of images per class", field="shots")
    if not asked:
        raise InputError("names none; give one or several, or 'all'", field="tasks")
    kept = None if results is not None else tempfile.TemporaryDirectory(prefix="g2d-bench-")
    folder = Path(results) if results is not None else Path(kept.name if kept else "")
    settings = resolve(data_root=None if data_root is None else Path(data_root), results=folder)
    with silence(not progress), undisturbed():
        bench, called = _bench(model, settings, spec, name, pretraining)
        cells, _ = make_cells(
            bench.catalogue,
            tasks=asked,
            encoders=[called],
            fractions=list(map(float, fractions)),
            shots=list(map(int, shots)),
            seeds=list(wanted),
            protocol=protocol,
            weights=bench.weights,
        )
        try:
            with _in_memory(bench):
                report = execute(cells, bench, 1 if bench.models else jobs)
        except InputError:
            # What was missing may be there when it is tried again.
            _source.cache_clear()
            raise
    finished = Results(report.found, bench.catalogue, kept)
    if report.failures:
        _source.cache_clear()
        raise EvaluationError(finished, report.failures)
    return finished


def _is_a(sort: type, number: Any) -> bool:
    return isinstance(number, sort)


def _several(given: Any, field: str) -> list[Any]:
    """Return the numbers of a list; a word is none, although it has letters."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InputError(f"must be a list of numbers, not {given!r}", field=field)
    return list(given)


def _seeds(given: int | Sequence[int]) -> tuple[int, ...]:
    seeds = tuple(range(given)) if isinstance(given, int) else tuple(given)
    if not seeds or any(not _is_a(Integral, seed) or not 0 <= seed < 1 << 32 for seed in seeds):
        raise InputError("must be how many (1 or more), or which, from 0 to 4294967295", field="seeds")
    return tuple(map(int, seeds))


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
        task,
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
    source = _source(settings.data_root, settings.phantom_root)
    if isinstance(model, str | Path):
        if spec is not None or name or pretraining:
            raise InputError("spec, name and pretraining describe a model in memory", field="evaluate")
        if str(model).endswith(".toml"):
            return Bench(_with_cards(settings, Path(model)), source=source), Path(model).stem
        return Bench(settings, source=source), str(model)
    if spec is None:
        raise InputError("a model in memory needs a spec, such as ImageSpec(224)", field="spec")
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


@contextmanager
def as_found(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put modules back in the end: mode, device, gradients, and what wants some."""
    parts = {part: part.training for module in modules for part in module.modules()}
    parameters = {one for part in parts for one in part._parameters.values() if one is not None}
    # A module that is moved takes the data of its gradients along, not only its own.
    slopes = [(one.grad, one.grad.data) for one in parameters if one.grad is not None]
    held = [(one, one.data, one.grad, one.requires_grad) for one in parameters]
    buffers = [(part, dict(part._buffers)) for part in parts]
    try:
        yield
    finally:
        for slope, there in slopes:
            slope.data = there
        for parameter, data, gradient, wanted in held:
            parameter.data = data
            parameter.requires_grad_(wanted)
            parameter.grad = gradient
        for part, found in buffers:
            part._buffers.update(found)
        for part, mode in parts.items():
            part.training = mode


@contextmanager
def undisturbed() -> Iterator[None]:
    """Work as in a fresh process, and leave the one around it as it is.

    Within, gradients are possible and nothing is cast or placed by default; afterwards random states, number
    of threads, determinism and defaults are those that a training loop had.
    """
    import torch

    from g2d_bench.devices import rounded

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    threads, kind, cudnn = torch.get_num_threads(), torch.get_default_dtype(), torch.backends.cudnn
    deterministic, benchmark = cudnn.deterministic, cudnn.benchmark
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if started else ()
    try:
        torch.set_default_dtype(torch.float32)
        with (
            torch.random.fork_rng(devices=devices),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.device("cpu"),
            torch.autocast("cpu", enabled=False),
            torch.autocast("cuda", enabled=False) if torch.cuda.is_available() else nullcontext(),
            rounded(),
        ):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        torch.set_num_threads(threads)
        torch.set_default_dtype(kind)
        cudnn.deterministic, cudnn.benchmark = deterministic, benchmark
