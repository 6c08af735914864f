"""The main job through the command line, on forty tiny films."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from g2d_bench.cli.main import main
from g2d_bench.records.record import read_predictions
from g2d_bench.records.store import Store

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(
    tmp_path: Path, cache: Path, tiny_root: Path, quick_protocols: Path, monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Result:
        common = ["--data-root", str(tiny_root), "--protocols-dir", str(quick_protocols)]
        return CliRunner().invoke(main, [*arguments, *common], catch_exceptions=False)

    return call


CELL = ("--task", "covid-cxr-seg", "--encoder", "random", "--fraction", "100%", "--protocol", "quick")


def test_run_leaves_a_complete_record_and_a_table(run: Run) -> None:
    result = run("run", *CELL)
    assert result.exit_code == 0, result.output
    for text in ("dice_positive", "random", "all-empty", "signature covid-cxr-seg@", "test set: 10 images"):
        assert text in result.output
    assert "GENERATED" not in result.output
    [(path, record)] = list(Store(Path("runs")))
    assert path.parent.as_posix() == "runs/real/random/covid-cxr-seg@1.0/quick"
    assert record.data.kind == "real"
    assert record.data.images == {"train": 24, "val": 6, "test": 10}
    assert record.notes["encoder_frozen"]
    assert record.encoder.weights.startswith("init:resnet18")
    assert (record.encoder.title, record.encoder.scale) == ("Random", "phantom")
    assert record.encoder.pretraining == ()
    assert "random [phantom-scale]" in result.output
    assert {"torch", "python", "g2d-bench"} <= set(record.versions)
    assert record.seconds["train and predict"] > 0
    predictions = read_predictions(path, record)
    common, true = predictions["intersection"], predictions["true"]
    dice = 2 * common / (predictions["predicted"] + true)
    assert record.metrics["dice_positive"] == pytest.approx(float(dice.mean()))
    assert record.metrics["specificity_empty"] is None
    assert record.references["all-empty"]["dice_positive"] == 0
    assert np.unpackbits(predictions["mask"], axis=1).sum(1).tolist() == predictions["predicted"].tolist()

    before = path.read_bytes()
    again = run("run", *CELL)
    assert "1 of 1 cells were finished before" in again.output
    assert path.read_bytes() == before
    assert "nothing" not in run("table").output
    planned = run("plan", *CELL)
    assert "finished" in planned.output
    assert "1 cells, 1 finished, 0 to run" in planned.output
    dearer = run("plan", *CELL, "--seed", "0,1")
    assert re.search(
        r"2 cells, 1 finished, 1 to run: about \d+ s of one process$", dearer.output, re.MULTILINE
    )

    forced = run("run", *CELL, "--force")
    assert forced.exit_code == 0
    repeated = json.loads(path.read_bytes())
    # Whatever is measured again is the same: a cell is a function of its key.
    assert repeated["metrics"] == json.loads(before)["metrics"]
    assert repeated["predictions"]["sha256"] == json.loads(before)["predictions"]["sha256"]


def test_a_failing_cell_does_not_stop_the_others(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from g2d_bench.cells import units as local
    from g2d_bench.cells.bench import Options
    from g2d_bench.cells.resolve import Resolved
    from g2d_bench.cells.run import run_cell
    from g2d_bench.records.record import Record

    real = run_cell

    def flaky(cell: Resolved, store: Store, options: Options) -> Record:
        if cell.cell.seed == 1:
            raise RuntimeError("planted")
        return real(cell, store, options)

    monkeypatch.setattr(local, "run_cell", flaky)
    result = run("run", *CELL, "--seed", "0,1", "--jobs", "1")
    assert result.exit_code == 1
    assert "1 of 2 cells failed" in result.output
    assert "RuntimeError: planted" in result.output
    [failure] = Path("runs").rglob("*.failed.json")
    assert "planted" in json.loads(failure.read_text())["traceback"]
    monkeypatch.setattr(local, "run_cell", real)
    mended = run("run", *CELL, "--seed", "0,1", "--jobs", "1")
    assert mended.exit_code == 0
    assert "1 of 2 cells were finished before" in mended.output
    assert not list(Path("runs").rglob("*.failed.json"))


def test_data_that_are_missing_do_not_stop_the_others(run: Run) -> None:
    cells = [*CELL, "--task", "siim-seg", "--jobs", "1"]
    result = run("run", *cells)
    assert result.exit_code == 1
    assert "1 cell FAILED: " in result.stderr
    assert "no folder siim/" in result.stderr
    assert "1 of 2 cells failed" in result.stderr
    assert "covid-cxr-seg · 100 %" in result.stdout
    [failure] = Path("runs").rglob("*.failed.json")
    assert failure.as_posix() == "runs/real/random/siim-seg@1.0/quick/1-s0.failed.json"
    again = run("run", *cells)
    assert again.exit_code == 1, "what is left to mend stays a failure"
    assert "1 of 2 cells were finished before" in again.stdout


def test_an_interrupted_run_keeps_what_is_finished(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from g2d_bench.cells import units as local
    from g2d_bench.cells.bench import Options
    from g2d_bench.cells.resolve import Resolved
    from g2d_bench.cells.run import run_cell
    from g2d_bench.records.record import Record

    def interrupted(cell: Resolved, store: Store, options: Options) -> Record:
        if cell.cell.seed == 1:
            raise KeyboardInterrupt
        return run_cell(cell, store, options)

    monkeypatch.setattr(local, "run_cell", interrupted)
    result = run("run", *CELL, "--seed", "0,1", "--jobs", "1")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1].startswith("g2d-bench: interrupted")
    assert result.stdout == ""
    assert [record.cell.seed for _, record in Store(Path("runs"))] == [0]
    assert not list(Path("runs").rglob("*.failed.json"))


def test_workers_give_the_same_numbers(run: Run) -> None:
    assert run("run", *CELL, "--seed", "0-1", "--jobs", "2", "--results", "two").exit_code == 0
    assert run("run", *CELL, "--seed", "0-1", "--jobs", "1", "--results", "one").exit_code == 0
    one, two = ({r.cell.seed: r.metrics for _, r in Store(Path(name))} for name in ("one", "two"))
    assert one.keys() == two.keys() == {0, 1}
    for seed, metrics in one.items():
        for name, value in metrics.items():
            assert two[seed][name] == (None if value is None else pytest.approx(value, abs=1e-3))


def test_a_leak_stops_the_run_unless_a_reason_is_given(
    cache: Path,
    tiny_root: Path,
    quick_protocols: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "leaky" / "covid-cxr"
    shutil.copytree(tiny_root / "covid-cxr", copy)
    for n in range(1, 40):  # every film is the same one
        for folder in ("images", "annotations/v7labs-lung-masks"):
            shutil.copy(copy / folder / "f0.png", copy / folder / f"f{n}.png")
    arguments = [
        "run", *CELL, "--data-root", str(copy.parent), "--protocols-dir", str(quick_protocols)
    ]  # fmt: skip
    stopped = CliRunner().invoke(main, arguments)
    assert stopped.exit_code == 2
    assert "leak" in stopped.output
    assert not Path("runs").exists()
    allowed = CliRunner().invoke(main, [*arguments, "--allow-leaks", "all films alike on purpose"])
    assert allowed.exit_code == 0, allowed.output
    assert "LEAK ALLOWED: all films alike on purpose" in allowed.output
    [(_, record)] = list(Store(Path("runs")))
    assert record.data.leaks == "all films alike on purpose"


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from g2d_bench.cli.main import main; main(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'pandas', 'pydantic', 'numpy', 'mmengine'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_finished_run_does_not_import_torch(
    run: Run, cache: Path, tiny_root: Path, quick_protocols: Path
) -> None:
    assert run("run", *CELL).exit_code == 0
    arguments = [
        "run", *CELL, "--data-root", str(tiny_root), "--protocols-dir", str(quick_protocols)
    ]  # fmt: skip
    code = (
        f"import sys; from g2d_bench.cli.main import main; main({arguments!r}, standalone_mode=False); "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
