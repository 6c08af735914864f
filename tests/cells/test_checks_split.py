"""Records of every kind of task held against the data that they were measured on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import verify
from g2d_bench.cli.main import main
from g2d_bench.records.record import read_predictions, read_record, sealed, to_json

CELLS = {
    "segmentation": ("covid-cxr-seg", "random"),
    "detection": ("covid-cxr-det", "random"),
    "phrase": ("covid-cxr-phrase", "convirt"),
    "classification": ("rsna-cls", "random"),
    "zero-shot": ("rsna-zeroshot", "convirt"),
    "grounding": ("rsna-ground", "convirt"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a cache in which generated data sets are small."""
    from g2d_bench.phantom.writers import covid_cxr, rsna

    folder = tmp_path_factory.mktemp("small")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covid_cxr, "COUNT", 60)
        patch.setattr(rsna, "COUNT", 60)
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
    (path,) = root.rglob("*.json")
    return path, Settings(protocol_dirs=(quick_protocols,))


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
    assert checked.problems == ()
    priors = [name for name in record.references if name.endswith("-prior")]
    assert checked.undecided == tuple(
        f"1 x references.{name}: held against other records only" for name in sorted(priors)
    )
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
        order = np.argsort(arrays["true"], kind="stable")
        other |= {n: a[order] for n, a in arrays.items() if n not in ("id", "patient")}
    forge(path, lambda raw: None, other)
    assert [line.removeprefix(f"{path}: ") for line in verify(root, settings).problems] == [
        "predictions: the truth is not that of these images"
    ]
    for one, data in before.items():
        one.write_bytes(data)

    # Trivial predictors that know the training images.
    for predictor in {"mean-box", "prevalence"} & set(record.references):
        metric, value = next(
            (n, v)
            for n, v in record.references[predictor].items()
            if v is not None and n not in ("auroc", "auprc")
        )
        moved = value + 0.01 if value < 0.5 else value - 0.01
        forge(path, setter(("references", predictor, metric), moved))
        (problem,) = verify(root, settings).problems
        assert (
            f"references.{predictor}.{metric}: says {moved:.6g}, the training images give {value:.6g}"
            in problem
        )
        path.write_bytes(before[path])
