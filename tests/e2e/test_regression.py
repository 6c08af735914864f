"""`make regress`: passes on a repeat, fails on a drift of two points, never passes for want of records."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.records.recompute import recompute
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Filter, select
from g2d_bench.records.store import Store

ROOT = Path(__file__).resolve().parents[2]
ENCODERS = ("convirt", "gloria", "mgca", "g2d")


def options(name: str) -> list[str]:
    """Return what the Makefile passes to `compare`."""
    found = re.search(rf"(?m)^{name} := (.*)$", (ROOT / "Makefile").read_text())
    assert found is not None
    return shlex.split(found[1])


def tasks(name: str) -> list[str]:
    words = options(name)
    return words[words.index("--task") + 1].split(",")


def share(name: str) -> float:
    """The share of the labels of the cells that are compared; any where none is given."""
    words = options(name)
    return float(words[words.index("--fraction") + 1].rstrip("%")) / 100 if "--fraction" in words else 0.01


@pytest.fixture
def compare(cli: Callable[..., Any]) -> Callable[..., Any]:
    """What `make regress` calls; records of the repeat are given instead of run."""
    return lambda name, to, *more: cli("compare", "--to", to, *options(name), *more)


@pytest.fixture
def reference(other: Any) -> Any:
    """A committed folder with all that the Makefile asks for, three seeds each."""
    for name in ("STABLE", "TRAINED"):
        for task in tasks(name):
            other.grid(dict.fromkeys(ENCODERS, 0.5), (share(name),), task=task)
    return other


@pytest.fixture
def repeat(folder: Any, reference: Any) -> Any:
    """Its repeat, in the folder where `compare` looks."""
    shutil.copytree(reference.root, folder.root)
    return folder


def drift(folder: Any, name: str, seed: int, quality: float) -> None:
    """Replace a record of the last task by that of a machine that predicts otherwise."""
    task, fraction = tasks(name)[-1], share(name)
    wanted = Filter(task=(task,), encoder=("g2d",), seed=(seed,), fraction=(fraction,))
    (record,) = select(folder.root, wanted)
    assert record.path is not None
    record.path.unlink()
    folder.add("g2d", quality, task=task, seed=seed, fraction=fraction)


def test_what_is_asked_for_exists() -> None:
    catalogue = Catalogue.open()
    assert set(tasks("STABLE")) <= set(catalogue.tasks.names)
    assert not {catalogue.tasks[name].kind for name in tasks("STABLE")} & {"segmentation", "detection"}
    kinds = {catalogue.tasks[name].kind for name in (*tasks("STABLE"), *tasks("TRAINED"))}
    assert kinds >= {"zero-shot", "grounding", "classification", "segmentation"}


@pytest.mark.usefixtures("repeat")
def test_a_repeat_passes(compare: Callable[..., Any], reference: Any) -> None:
    for name in ("STABLE", "TRAINED"):
        result = compare(name, reference.root)
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith("numbers compared, none moved\n")


def test_two_points_are_found(compare: Callable[..., Any], reference: Any, repeat: Any) -> None:
    task = tasks("STABLE")[-1]
    drift(repeat, "STABLE", 1, 0.48)
    result = compare("STABLE", reference.root)
    assert result.exit_code == 1
    assert f"{task} · g2d · 1 % · seed 1 · clean: dice_positive: " in result.stdout
    assert "tolerance 0.50" in result.stdout


def test_a_trained_cell_may_move_with_its_seeds_and_no_further(
    compare: Callable[..., Any], reference: Any, repeat: Any
) -> None:
    drift(repeat, "TRAINED", 0, 0.51)  # It was 0.49, and the deviation over seeds is about a point.
    assert compare("TRAINED", reference.root).exit_code == 0
    drift(repeat, "TRAINED", 0, 0.40)
    assert compare("TRAINED", reference.root).exit_code == 1


def test_without_records_it_fails_and_says_so(
    compare: Callable[..., Any], reference: Any, tmp_path: Path
) -> None:
    result = compare("STABLE", tmp_path / "nowhere", "--run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "nowhere: no such folder" in result.stderr
    for found in select(reference.root, Filter(task=(tasks("STABLE")[0],))):
        assert found.path is not None
        found.path.unlink()
    result = compare("STABLE", reference.root, "--run")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"no record of task {tasks('STABLE')[0]}" in result.stderr


def test_the_committed_records_show_a_drift(compare: Callable[..., Any], tmp_path: Path) -> None:
    """As above, on the very records that CI compares with."""
    committed = ROOT / "results" / "phantom"
    if not committed.is_dir():
        pytest.skip("no reference records here; `make reference` makes them")
    copy = tmp_path / "runs"
    shutil.copytree(committed, copy)
    for name in ("STABLE", "TRAINED"):
        result = compare(name, committed)
        assert result.exit_code == 0, result.output
    main_metric = {task.name: task.main for task in Catalogue.open().tasks}
    moved = 0
    for task in tasks("STABLE"):
        found = next(one for one in select(copy, Filter(task=(task,), encoder=("g2d",))))
        assert found.path is not None
        metric = main_metric[task]
        worse = drifted(read_predictions(found.path, found.record))
        metrics = {name: recompute(name, worse) for name in found.record.metrics}
        before = found.record.metrics[metric]
        assert before is not None
        assert metrics[metric] < before - 0.02
        moved += sum(
            abs(value - (found.record.metrics[name] or 0)) > 0.005 for name, value in metrics.items()
        )
        Store(copy).save(found.path, found.record.model_copy(update={"metrics": metrics}), worse)
    result = compare("STABLE", committed)
    assert result.exit_code == 1
    assert f"{moved} moved" in result.stdout
    # A number that was only written over is no drift, and is not compared at all.
    assert found.path is not None
    raw = json.loads(found.path.read_text())
    raw["metrics"][metric] = before
    found.path.write_text(json.dumps(raw))
    result = compare("STABLE", committed)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"metrics.{metric}: says {before:.6g}, the predictions give" in result.stderr


def drifted(predictions: dict[str, Any]) -> dict[str, Any]:
    """Predict as a worse machine would: some scores are those of the image before, regions are half found."""
    swapped = np.random.default_rng(0).random(len(predictions["id"])) < 0.4
    for name, array in predictions.items():
        if name == "scores":
            predictions[name] = np.where(swapped[:, None], np.roll(array, 1, axis=0), array)
        elif name.endswith("_common"):
            predictions[name] = array // 2
    return predictions
