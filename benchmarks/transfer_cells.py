"""Cells of :mod:`transfer`: encoders on real films (parts a and b) and on generated ones (for part d)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from does_it_learn import trained
from numpy.typing import NDArray

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.workers import execute
from g2d_bench.errors import InputError
from g2d_bench.files import write_atomically
from g2d_bench.readers.registry import open_dataset
from g2d_bench.records.cell import Cell

FRACTIONS = (0.1, 1.0)
NEAR = 5.0
"""Greys of 255 by which the means of two films may differ that are called equally bright."""
RATIOS = (0.5, 0.15, 0.35)
"""Shares of train, validation and test, those of the card of ``nih1k-cls``."""
ALL_TEST = (0.01, 0.01, 0.98)
"""The same where nothing is trained."""
LINEAR, ZERO_SHOT, LUNGS = "nih1k-split{}-cls", "nih1k-all-zeroshot", "lungs-across-seg"
"""Names of the tasks on real films that are written here."""
HEADS = {"head": "clean-linear", "decoder": "clean"}
"""What is trained for the lungs, and the protocol that says how."""
GENERATED = {
    "linear": ("rsna-cls", "cxr14-cls"),
    "zero-shot": ("rsna-zeroshot", "cxr14-zeroshot"),
    "lungs": ("covid-cxr-seg",),
}
"""By kind, the tasks on generated films whose order of encoders is compared with that on real ones."""

SPLIT_CARD = """version = "1.0"
title = "Pneumonia or no finding, a thousand open films of ChestX-ray14{title}"
kind = "{kind}"
dataset = "nih1k"
labels = ["Pneumonia"]
metrics = ["auroc"]
main = "auroc"
fractions = [{fractions}]
{more}
[split.clean]
by = "patient"
ratios = [{ratios}]
ids = "{ids}"
"""
LUNGS_CARD = """version = "1.0"
title = "Lung segmentation, trained on generated films and tested on real ones"
kind = "segmentation"
dataset = "covid-cxr"
labels = ["Lung"]
metrics = ["dice_positive", "iou_positive"]
main = "dice_positive"
fractions = [1.0]
eval_size = 256

[split.clean]
by = "patient"
ratios = [0.60, 0.15, 0.25]

[test]
dataset = "covid-cxr"
labels = { Lung = "Lung" }
training = "phantom"
"""


@dataclass(frozen=True)
class Candidate:
    """An encoder of one training, or of one random initialisation.

    Attributes:
        encoder: its card.
        training: seed of the training, or of the initialisation.
        weights: the file; None for a random encoder.
    """

    encoder: str
    training: int
    weights: Path | None = None

    @property
    def name(self) -> str:
        """Encoder and training in one word."""
        return f"{self.encoder} {self.training}"


def candidates(trainings: int, seeds: int, weights: Path) -> list[Candidate]:
    """Return the encoders to compare: random ones, then those of each method.

    Args:
        trainings: of each method: the shipped one and others, which are trained where they are not there.
        seeds: random encoders.
        weights: folder of trainings, as ``does_it_learn.py`` keeps them.
    """
    from g2d_bench.pretrain.pretrain import shipped_methods

    found = [Candidate("random", seed) for seed in range(seeds)]
    for method in shipped_methods():
        found += [Candidate(method, seed, trained(method, seed, weights)[0]) for seed in range(trainings)]
    return found


def at_hand(weights: Path) -> int:
    """Count the trainings that all methods have finished, on the same pairs as the shipped encoders."""
    from g2d_bench.encoders.checkpoint import open_checkpoint
    from g2d_bench.paths import PACKAGE
    from g2d_bench.pretrain.pretrain import WEIGHTS, shipped_methods

    def learnt_from(path: Path) -> Any:
        return dict(open_checkpoint(path).metadata)["data"]["hash"] if path.is_file() else None

    shipped = {one: learnt_from(PACKAGE / "weights" / f"{one}.safetensors") for one in shipped_methods()}
    count = 1
    while all(
        learnt_from(weights / f"seed{count}" / one / WEIGHTS) == learnt for one, learnt in shipped.items()
    ):
        count += 1
    return count


def write_cards(folder: Path, real: Path, seeds: int) -> None:
    """Write the cards of the tasks on real films, with an id list for each split.

    One test part of some 200 films says little, so each seed has a split by patient of its own.
    """
    from g2d_bench.data.splits import make_split, split_csv

    samples = open_dataset("nih1k", real).samples()
    write_atomically(folder / f"{LUNGS}.toml", LUNGS_CARD.encode())
    # Name, kind, shares of the parts, fractions, and what the kind needs besides.
    cards: list[tuple[str, str, tuple[float, float, float], str, str]] = [
        (LINEAR.format(seed), "classification", RATIOS, "0.1, 1.0", "") for seed in range(seeds)
    ]
    cards.append((ZERO_SHOT, "zero-shot", ALL_TEST, "1.0", 'prompts = "findings"\n'))
    for name, kind, ratios, fractions, more in cards:
        split = make_split(samples, ratios=ratios, salt=f"transfer/{name}", strata=("Pneumonia",))
        write_atomically(folder / f"{name}.csv", split_csv(split.parts).encode())
        card = SPLIT_CARD.format(
            title=f", {name}",
            kind=kind,
            fractions=fractions,
            more=more,
            ratios=", ".join(map(str, ratios)),
            ids=f"{name}.csv",
        )
        write_atomically(folder / f"{name}.toml", card.encode())


Score = dict[str, Any]
"""One measured number: encoder, training, task, fraction, seed, protocol, value, test films, details."""


@dataclass(frozen=True)
class Runner:
    """Runs cells of several trainings and keeps their records apart.

    Attributes:
        runs: folder of records.
        real: folder of real films; None for generated ones.
        cards: folder of task cards; None for the shipped ones alone.
        jobs: processes; as many as this process may use if None.
    """

    runs: Path
    real: Path | None
    cards: Path | None = None
    jobs: int | None = None

    def __call__(
        self,
        plans: Iterable[tuple[Candidate, Sequence[Cell]]],
        details: Callable[[Path], Score] = lambda _: {},
    ) -> list[Score]:
        """Run the cells of each candidate.

        Args:
            plans: candidates, each with its cells.
            details: what to add of the predictions in a file.

        Raises:
            InputError: a cell failed; those that are finished stay so.
        """
        together: dict[int, list[tuple[Candidate, Cell]]] = {}
        for candidate, cells in plans:
            # Random encoders are told apart by the seed of their cells: they share a folder.
            group = candidate.training if candidate.weights else 0
            together.setdefault(group, []).extend((candidate, cell) for cell in cells)
        found = []
        for group, pairs in together.items():
            files = {one.encoder: one.weights for one, _ in pairs if one.weights}
            settings = Settings(
                data_root=self.real,
                results=self.runs / f"training{group}",
                task_dirs=(self.cards,) if self.cards else (),
                checkpoints=files,
            )
            bench = Bench(settings)
            report = execute([cell for _, cell in pairs], bench, self.jobs)
            if report.failures:
                raise InputError(f"{report.failures[0].cell}: {report.failures[0].error}")
            records = {record.cell: record for record in report.records}
            for candidate, cell in pairs:
                record = records[cell]
                task = bench.catalogue.tasks[cell.task]
                found.append(
                    {
                        "encoder": candidate.encoder,
                        "training": candidate.training,
                        "task": cell.task,
                        "fraction": cell.fraction,
                        "seed": cell.seed,
                        "protocol": cell.protocol,
                        "value": record.metrics[task.main],
                        "test": record.data.images["test"],
                        **details(bench.resolve(cell).path.with_suffix(".npz")),
                    }
                )
        return found


def equal_grey(path: Path, greys: Mapping[str, float]) -> Score:
    """Return of predictions of one label the AUROC over pairs of films that are about equally bright.

    Args:
        path: of the predictions.
        greys: mean grey of each film, by id.

    Returns:
        ``equal_grey``: share of the pairs of an ill and a healthy film, with mean greys at most :data:`NEAR`
        apart, in which the ill one has the higher score; equal scores count half.
    """
    with np.load(path, allow_pickle=False) as kept:
        scores, ill = kept["scores"][:, 0].astype(float), kept["targets"][:, 0] == 1
        bright = np.array([greys[name] for name in kept["id"].tolist()])
    near = np.abs(bright[ill][:, None] - bright[~ill][None]) <= NEAR
    higher = np.sign(scores[ill][:, None] - scores[~ill][None])[near]
    return {"equal_grey": float((higher.mean() + 1) / 2) if len(higher) else None}


def mean_greys(real: Path) -> dict[str, float]:
    """Return the mean grey, 0 to 255, of each film of ``nih1k``."""
    dataset = open_dataset("nih1k", real)
    return {sample.id: float(dataset.read_image(sample).mean()) for sample in dataset.samples()}


def views_of(path: Path) -> Score:
    """Return of predictions of one label the AUROC's 95 % interval over patients, and what views do to it.

    Returns:
        ``interval``; ``views``: the AUROC among films of each view; ``bedside``: the AUROC with which the
        score tells AP films from others, 0.5 where the view does not move it.
    """
    from g2d_bench.metrics.ranking import Ranking
    from g2d_bench.metrics.resample import clusters, patient_weights

    with np.load(path, allow_pickle=False) as kept:
        scores, targets = kept["scores"][:, 0], kept["targets"][:, 0].astype(float)
        views, patients = kept["group_view"], kept["patient"]
    index, count = clusters(patients)
    drawn = patient_weights(count).astype(np.float64)[:, index]
    limits = np.nanpercentile(Ranking(scores, targets).auroc(drawn), [2.5, 97.5])

    def auroc(rows: NDArray[np.bool_], truth: NDArray[np.float64]) -> float:
        return float(Ranking(scores[rows], truth[rows]).auroc(np.ones((1, int(rows.sum()))))[0])

    return {
        "interval": [float(value) for value in limits],
        "views": {str(view): auroc(views == view, targets) for view in np.unique(views)},
        "bedside": auroc(np.ones(len(views), np.bool_), (views == "AP").astype(float)),
    }


def pneumonia(everybody: Sequence[Candidate], seeds: int, runner: Runner) -> dict[str, list[Score]]:
    """Part (a): linear heads on the films of each split, and prompts alone on all of them."""

    def linear(candidate: Candidate) -> list[Cell]:
        # A random encoder is drawn by the seed of its cell; it goes through all splits with that one.
        return [
            Cell(
                LINEAR.format(split),
                fraction,
                "clean",
                split if candidate.weights else candidate.training,
                candidate.encoder,
            )
            for split in range(seeds)
            for fraction in FRACTIONS
        ]

    asked = [one for one in everybody if one.weights]
    assert runner.real is not None
    greys = mean_greys(runner.real)
    return {
        "linear": runner(((one, linear(one)) for one in everybody), lambda path: equal_grey(path, greys)),
        "zero-shot": runner(
            ((one, [Cell(ZERO_SHOT, 1.0, "clean", 0, one.encoder)]) for one in asked), views_of
        ),
    }


def lungs(everybody: Sequence[Candidate], runner: Runner, decoders: Sequence[str]) -> dict[str, list[Score]]:
    """Part (b): heads and decoders that saw generated lungs alone, on real ones.

    Args:
        everybody: the encoders.
        runner: for real films.
        decoders: encoders for which a decoder is trained, too, which is slow; of random ones the first.
    """

    def cells(protocol: str) -> Callable[[Candidate], list[Cell]]:
        return lambda one: [Cell(LUNGS, 1.0, protocol, 0 if one.weights else one.training, one.encoder)]

    chosen = [one for one in everybody if one.encoder in decoders and (one.weights or not one.training)]
    return {
        "head": runner((one, cells(HEADS["head"])(one)) for one in everybody),
        "decoder": runner((one, cells(HEADS["decoder"])(one)) for one in chosen),
    }


def on_generated(everybody: Sequence[Candidate], seeds: int, runner: Runner) -> dict[str, list[Score]]:
    """For part (d): the same kinds of tasks on generated films."""

    def linear(candidate: Candidate) -> list[Cell]:
        drawn = range(seeds) if candidate.weights else [candidate.training]
        return [
            Cell(task, fraction, "clean", seed, candidate.encoder)
            for task in GENERATED["linear"]
            for fraction in FRACTIONS
            # With all labels there is nothing to draw.
            for seed in (drawn if fraction < 1 or not candidate.weights else [0])
        ]

    def once(kind: str, protocol: str) -> Callable[[Candidate], list[Cell]]:
        return lambda one: [
            Cell(task, 1.0, protocol, 0 if one.weights else one.training, one.encoder)
            for task in GENERATED[kind]
        ]

    asked = [one for one in everybody if one.weights]
    return {
        "linear": runner((one, linear(one)) for one in everybody),
        "zero-shot": runner((one, once("zero-shot", "clean")(one)) for one in asked),
        "lungs": runner((one, once("lungs", HEADS["head"])(one)) for one in everybody),
    }


def by_candidate(
    scores: Iterable[Score], of: str = "value", **wanted: Any
) -> Mapping[tuple[str, int], float]:
    """Average scores over seeds and tasks: encoder and training to the mean of those that are wanted.

    Args:
        scores: those of a kind.
        of: what of a score; scores without it do not count.
        wanted: what others of a score have to be.
    """
    found: dict[tuple[str, int], list[float]] = {}
    for score in scores:
        if score.get(of) is not None and all(score[key] == value for key, value in wanted.items()):
            found.setdefault((score["encoder"], score["training"]), []).append(score[of])
    return {key: float(np.mean(values)) for key, values in found.items()}
