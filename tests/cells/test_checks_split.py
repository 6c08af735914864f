"""Records of every kind of task held against the data that they were measured on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from forging import call_real

from g2d_bench.cards.task import PUBLISHED
from g2d_bench.cells.checks_split import leaks_again
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import verify
from g2d_bench.cli.main import main
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.splits import Split
from g2d_bench.readers.base import Sample
from g2d_bench.records.groups import NAMES
from g2d_bench.records.record import read_predictions, read_record, sealed, to_json

CELLS = {
    "segmentation": ("covid-cxr-seg", "random"),
    "detection": ("covid-cxr-det", "random"),
    "phrase": ("covid-cxr-phrase", "convirt"),
    "classification": ("rsna-cls", "random"),
    "zero-shot": ("rsna-zeroshot", "convirt"),
    "grounding": ("rsna-ground", "convirt"),
    "tested elsewhere": ("rsna-to-cxr14-cls", "random"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a cache in which generated data sets are small."""
    from g2d_bench.phantom.writers import covid_cxr, cxr14, rsna

    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covid_cxr, "COUNT", 60)
        patch.setattr(rsna, "COUNT", 60)
        patch.setattr(cxr14, "COUNT", 60)
        patch.setenv("G2D_BENCH_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(params=CELLS)
def measured(
    request: pytest.FixtureRequest, place: Path, quick_protocols: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Settings]:
    """A record of a kind, and where its cards are."""
    monkeypatch.setenv("G2D_BENCH_CACHE", str(place / "cache"))
    task, encoder = CELLS[request.param]
    root = place / task
    options = [
        "--protocol",
        "quick",
        "--protocols-dir",
        str(quick_protocols),
        "--phantom",
        "--results",
        str(root),
    ]
    arguments = ["run", "--task", task, "--encoder", encoder, "--fraction", "1", "--jobs", "1", *options]
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    # A task that is tested elsewhere brings the one along that measures its inside score.
    (path,) = (path for path in root.rglob("*.json") if f"/{task}@" in str(path.relative_to(root)))
    return path, Settings(protocol_dirs=(quick_protocols,))


def test_generated_data_that_are_here_are_known_for_what_they_are(
    measured: tuple[Path, Settings], tmp_path: Path
) -> None:
    """Relabelled, a record agrees with itself, its predictions and its cards: no key depends on the kind."""
    path, settings = measured
    root = tmp_path / "forged"
    shutil.copytree(path.parents[4], root)
    for one in root.rglob("*.json"):
        if one.name != path.name:
            one.unlink()
    (forged,) = call_real(root)
    said = "data.kind: says real, but by their hash the data are generated, as in the cache of generated data"
    assert verify(root, settings).problems == (f"{forged}: {said}",)


def forge(path: Path, how: Callable[[dict[str, Any]], object], arrays: Any = None) -> None:
    """Edit a record, or its predictions, and make hash and seal fit."""
    raw = json.loads(path.read_text())
    if arrays is not None:
        np.savez_compressed(path.with_suffix(".npz"), allow_pickle=False, **arrays)
        raw["predictions"]["sha256"] = hashlib.sha256(path.with_suffix(".npz").read_bytes()).hexdigest()
    how(raw)
    path.write_text(json.dumps(raw))
    path.write_bytes(to_json(sealed(read_record(path))))


def setter(place: tuple[str, str, str], value: float) -> Callable[[dict[str, Any]], None]:
    """Return what writes a number over another."""
    first, second, name = place

    def change(raw: dict[str, Any]) -> None:
        raw[first][second][name] = value

    return change


def test_a_record_is_held_against_its_data(measured: tuple[Path, Settings]) -> None:
    path, settings = measured
    root = path.parents[4]
    record = read_record(path)
    before = {one: one.read_bytes() for one in (path, path.with_suffix(".npz"))}
    checked = verify(root, settings)
    assert (checked.problems, checked.undecided) == ((), ())
    arrays = read_predictions(path, record)

    # All patients one, and images in another order: metrics stay as they are.
    forge(path, lambda raw: None, arrays | {"patient": np.full(len(arrays["id"]), "one")})
    assert [line.removeprefix(f"{path}: ") for line in verify(root, settings).problems] == [
        "predictions: ids and patients are not those of the split's test part, in its order"
    ]
    for one, data in before.items():
        one.write_bytes(data)

    # The parts of the split.
    for part, count in record.data.images.items():
        forge(path, setter(("data", "images", part), count + 1))
        assert f"{path}: data.images.{part}: says {count + 1}, " in verify(root, settings).problems[0]
        path.write_bytes(before[path])

    # Truth, where no metric and no count can tell: boxes a little larger, labels of two images swapped.
    other = dict(arrays)
    if record.kind == "detection":
        other["true_box"] = arrays["true_box"] + 1e-9
    elif "scores" in arrays:
        rows = np.r_[
            np.flatnonzero(arrays["targets"][:, 0] == 1)[:1], np.flatnonzero(arrays["targets"][:, 0] == 0)[:1]
        ]
        for name in ("scores", "targets"):
            other[name] = arrays[name].copy()
            other[name][rows] = arrays[name][rows[::-1]]
    else:
        order = np.argsort(arrays["true"], kind="stable")[::-1]
        other |= {n: a[order] for n, a in arrays.items() if n not in ("id", "patient")}
    # Where no test image shows the label, there are no two to swap.
    alike = "targets" in arrays and not (arrays["targets"] == 1).any()
    forge(path, lambda raw: None, other)
    assert alike or [line.removeprefix(f"{path}: ") for line in verify(root, settings).problems] == [
        "predictions: the truth is not that of these images"
    ]
    for one, data in before.items():
        one.write_bytes(data)

    # The groups of patients, which no metric reads.
    if told := [name for name in NAMES if name in arrays]:
        forge(path, lambda raw: None, arrays | {told[0]: np.full(len(arrays["id"]), "F")})
        assert [line.removeprefix(f"{path}: ") for line in verify(root, settings).problems] == [
            "predictions: sex, age, view or device of the images are not those that the data tell"
        ]
        for one, data in before.items():
            one.write_bytes(data)

    # Trivial predictors that know the training images.
    for predictor in {"mean-box", "prevalence", "centre-prior", "category-prior"} & set(record.references):
        metric, value = next(
            (n, v)
            for n, v in record.references[predictor].items()
            if v not in (None, 0.0) and n not in ("auroc", "auprc")
        )
        moved = value + 0.01 if value < 0.5 else value - 0.01
        forge(path, setter(("references", predictor, metric), moved))
        (problem,) = verify(root, settings).problems
        assert (
            f"references.{predictor}.{metric}: says {moved:.6g}, the training images give {value:.6g}"
            in problem
        )
        path.write_bytes(before[path])

    # Notes, one after the other: what predictions, cards or images tell.
    for name, value in record.notes.items():
        if name in UNTOLD:
            continue
        forge(path, noting(name, other_than(value)))
        problems = verify(root, settings).problems
        assert problems, name
        assert all(line.startswith(f"{path}: notes.{name}") for line in problems), (name, problems)
        path.write_bytes(before[path])

    # A leak that nobody overrode, one that was and is none, and one that the record keeps silent about.
    forge(path, lambda raw: raw["data"].update(leaks="twins"))
    assert verify(root, settings).problems == (
        f"{path}: data.leaks: says 'twins', but the command allows no leaks",
    )

    def overridden(raw: dict[str, Any]) -> None:
        raw["data"]["leaks"], raw["command"] = "twins", raw["command"] + " --allow-leaks twins"

    forge(path, overridden)
    assert verify(root, settings).problems == (
        f"{path}: data.leaks: says 'twins', but the parts share nothing",
    )
    path.write_bytes(before[path])


UNTOLD = (
    *("encoder_state", "threshold", "converged", "dense_features", "steps", "chosen_step", "validation"),
    "images_per_second",
)
"""Notes that nothing else tells; of linear heads, protocols name the grid of a threshold."""


def noting(name: str, value: Any) -> Callable[[dict[str, Any]], object]:
    """Return what writes a note over another."""
    return lambda raw: raw["notes"].update({name: value})


def other_than(value: Any) -> Any:
    """Return something of the same type that says something else."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return f"{value}?"
    if isinstance(value, dict):
        name = next(iter(value))
        return {**value, name: other_than(value[name])}
    assert isinstance(value, list)
    return [*value, "x"]


def test_leaks_are_looked_for_again() -> None:
    people = {"a": "p", "b": "q", "c": "p", "d": "r"}
    samples = tuple(Sample(name, patient, Path(f"{name}.png")) for name, patient in people.items())
    whole, leaky = Split("mine", ("a",), ("b",), ("d",)), Split("mine", ("a",), ("b",), ("c", "d"))
    alike = "data.leaks: films that are alike are not looked for again"
    for kind, open_ in (("phantom", []), ("real", [alike])):
        manifest = Manifest("mine", kind, samples, ("1", "2", "3", "4"), np.ones((4, 2), np.int32), "0")
        task = SimpleNamespace(split={"clean": SimpleNamespace(function="")})
        data: Any = SimpleNamespace(split=leaky, manifest=manifest, split_name="clean", task=task)
        record: Any = SimpleNamespace(data=SimpleNamespace(leaks=""))
        silent = "data.leaks: says nothing, but the parts share: train and test 1 patients"
        assert leaks_again(record, data) == ([silent], [])
        data.split = whole
        assert leaks_again(record, data) == ([], open_)


def test_what_a_published_split_shares_is_worked_out_again() -> None:
    rule = SimpleNamespace(function="published")
    data: Any = SimpleNamespace(
        task=SimpleNamespace(split={"legacy": rule}),
        split_name="legacy",
        check_leaks=lambda: f"{PUBLISHED}train and test 3 images in common",
    )
    record: Any = SimpleNamespace(data=SimpleNamespace(leaks=data.check_leaks()))
    assert leaks_again(record, data) == ([], [])
    record.data.leaks = ""
    (problem,), _ = leaks_again(record, data)
    assert problem.startswith("data.leaks: says '', the split says 'published split")
