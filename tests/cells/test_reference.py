"""The reference: which cells, in which order, and one record per cell in the folder for git."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from g2d_bench.cards.kind import KINDS, untrained
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.reference import BESIDE, publish, published_before, reference_cells
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import verify
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import read_record
from g2d_bench.records.selection import Filter, Found, by_cell, select


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Settings(results=tmp_path / "runs"))


def test_the_whole_grid(bench: Bench) -> None:
    cells, skipped = reference_cells(bench, Filter())
    assert skipped == []
    assert len(set(cells)) == len(cells)
    catalogue = bench.catalogue
    assert {cell.task for cell in cells} == set(catalogue.tasks.names)
    assert {cell.encoder for cell in cells} == {"random", "convirt", "gloria", "mgca", "g2d", "g2d+decoder"}
    for task in catalogue.tasks:
        mine = [cell for cell in cells if cell.task == task.name and cell.protocol == "clean"]
        encoders = 6 if task.kind == "segmentation" else 5
        each = 1 if untrained(task.kind) else 3 * len(task.fractions)
        assert len(mine) == encoders * each
    linear = [cell for cell in cells if cell.protocol == "clean-linear"]
    assert len(linear) == 5 * 3 * sum(len(catalogue.tasks[name].fractions) for name in BESIDE["clean-linear"])
    assert {catalogue.tasks[cell.task].kind for cell in linear} == {"segmentation"}
    tuned = [cell for cell in cells if cell.protocol not in ("clean", "clean-linear")]
    assert len(tuned) == 5 * 3 * 3
    assert {(cell.task, cell.protocol) for cell in tuned} == {("cxr14-cls", "clean-finetune")}


def test_cheap_cells_come_first(bench: Bench) -> None:
    cells, _ = reference_cells(bench, Filter())
    kinds = [bench.catalogue.tasks[cell.task].kind for cell in cells]
    first = [untrained(kind) for kind in kinds]
    assert first == sorted(first, reverse=True)
    tuned = [cell.protocol == "clean-finetune" for cell in cells]
    assert tuned == sorted(tuned)
    trained = [
        cell.fraction
        for cell, kind in zip(cells, kinds, strict=True)
        if kind in ("segmentation", "detection") and cell.protocol == "clean"
    ]
    assert trained == sorted(trained)


def test_a_part_of_it(bench: Bench) -> None:
    wanted = Filter(task=("siim-seg",), encoder=("g2d+decoder",), fraction=(0.01,), seed=(1, 2))
    cells, _ = reference_cells(bench, wanted)
    assert cells == [Cell("siim-seg", 0.01, "clean", seed, "g2d+decoder") for seed in (1, 2)]
    for wrong, text in (
        (Filter(task=("siim-sge",)), "--task: the reference has no task siim-sge; did you mean 'siim-seg'?"),
        (Filter(seed=(7,)), "--seed: the reference has no seed 7; there are 0, 1, 2"),
        (Filter(task=("rsna-cls",), encoder=("g2d+decoder",)), "no cell of the reference passes all filters"),
    ):
        with pytest.raises(InputError) as caught:
            reference_cells(bench, wrong)
        assert text in str(caught.value)


def test_one_record_per_cell(folder: Any, tmp_path: Path) -> None:
    """Published again after data, weights or code changed: the older record of a cell goes."""
    target = tmp_path / "git"
    old = [folder.add("g2d", seed=seed, version="0.9") for seed in range(2)]
    publish(select(folder.root), folder.root, target, {found.cell for found in old})
    for found in old:
        found.path.unlink()
    new = folder.add("g2d", 0.7, seed=0)
    stranger = folder.add("g2d", task="rsna-seg")
    made = publish([new], folder.root, target, {new.cell, Cell("siim-seg", 1.0, "clean", 0, "mgca")})
    assert [path.name for path in made.replaced] == [old[0].path.name]
    assert not (target / old[0].path.relative_to(folder.root)).with_suffix(".npz").exists()
    index = by_cell(select(target))
    assert index[new.cell].record.metrics == new.record.metrics
    # Seed 1 was not published again: it is another cell, and stays; here it is not of the reference.
    assert [path.name for path in made.strangers] == [old[1].path.name]
    assert made.missing == (Cell("siim-seg", 1.0, "clean", 0, "mgca"),)
    assert verify(target).problems == ()
    assert stranger.cell not in index


@pytest.mark.parametrize("task", ["rsna-cls", "cxr14-to-rsna-cls"])
def test_records_are_held_against_data_that_are_there_and_believed_elsewhere(
    task: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that are trained on one data set and tested on another; no data set has their name."""
    committed = Path(__file__).parents[2] / "results" / "phantom" / "convirt" / f"{task}@1.0" / "clean"
    record = read_record(next(committed.glob("0.01-s0-*.json")))
    cell = Found(record).cell
    monkeypatch.setattr(bench, "resolve", lambda _: SimpleNamespace(holds=lambda _: False))
    for there, believed in (("phantom", False), ("no", True)):
        sets = dict.fromkeys(("rsna", "cxr14"), there)
        monkeypatch.setattr(bench.source, "state", lambda name, sets=sets: sets.get(name, "no"))
        assert published_before([cell], bench, [record], generate=False) == ({cell} if believed else set())


def test_published_again_nothing_changes(folder: Any, tmp_path: Path) -> None:
    found = folder.add("g2d")
    target = tmp_path / "git"
    (path,) = publish([found], folder.root, target, {found.cell}).written
    before = [(file, file.read_bytes(), file.stat().st_mtime_ns) for file in sorted(path.parent.iterdir())]
    publish([found], folder.root, target, {found.cell})
    assert before == [(f, f.read_bytes(), f.stat().st_mtime_ns) for f in sorted(path.parent.iterdir())]
    path.with_suffix(".npz").write_bytes(b"broken")
    publish([found], folder.root, target, {found.cell})
    assert verify(target).problems == ()


@pytest.fixture
def small_phantom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generated COVID films by the dozen."""
    from g2d_bench.phantom.writers import covid_cxr

    monkeypatch.setattr(covid_cxr, "COUNT", 60)


@pytest.mark.usefixtures("small_phantom")
def test_the_command_runs_resumes_and_keeps_one_record(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On generated data with the shipped weights, whatever the user has configured."""
    monkeypatch.setenv("G2D_BENCH_DATA", str(tmp_path))
    monkeypatch.setenv("G2D_BENCH_RESULTS", str(tmp_path / "elsewhere"))
    (tmp_path / "g2d.pt").write_bytes(b"not the shipped weights")
    monkeypatch.setenv("G2D_BENCH_WEIGHTS", str(tmp_path))
    arguments = ("reference", "--task", "covid-cxr-phrase", "--jobs", "1")
    plan = cli(*arguments, "--dry-run")
    assert plan.exit_code == 0, plan.output
    assert "5 cells, 0 finished, 5 to run" in plan.stdout
    result = cli(*arguments, "--encoder", "convirt,random")
    assert result.exit_code == 0, result.output
    assert "results/phantom: 2 of " in result.stdout
    assert "all as recorded" in result.stdout
    result = cli(*arguments)
    assert result.exit_code == 0, result.output
    assert "results/phantom: 5 of " in result.stdout
    assert "[3/3, " in result.stderr
    found = select(tmp_path / "results" / "phantom")
    assert {one.record.data.kind for one in found} == {"phantom"}
    assert len(by_cell(found)) == 5
    assert (tmp_path / "results" / "phantom" / "g2d" / "covid-cxr-phrase@1.0").is_dir()
    assert not (tmp_path / "elsewhere").exists()

    # What is in git need not be made again on the next machine, if it is of the same data, weights and code.
    shutil.rmtree(tmp_path / "runs")
    plan = cli(*arguments, "--dry-run")
    assert "0 cells, 0 finished, 0 to run" in plan.stdout
    assert "5 more are up to date in results/phantom\n" in plan.stdout
    # There the data are not yet, either: a look at the plan generates none, the run does.
    shutil.rmtree(tmp_path / "cache")
    plan = cli(*arguments, "--dry-run")
    assert "0 cells, 0 finished, 0 to run" in plan.stdout
    assert "5 more are up to date in results/phantom, provided that covid-cxr (not generated" in plan.stdout
    assert not (tmp_path / "cache").exists()
    paths = [one.path for one in found if one.path is not None]
    assert len(paths) == 5
    paths[0].write_text(paths[0].read_text().replace(found[0].record.key, "0" * 64))
    plan = cli(*arguments, "--dry-run")
    assert re.search(
        rf"^{re.escape(str(found[0].cell))}: about \d+ s \(after covid-cxr is generated\)$",
        plan.stdout,
        re.MULTILINE,
    )
    assert "4 more are up to date" in plan.stdout
    before = {path: path.read_bytes() for path in paths[1:]}
    result = cli(*arguments)
    assert result.exit_code == 0, result.output
    assert "[1/1, " in result.stderr
    assert "results/phantom: 5 of " in result.stdout
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.usefixtures("small_phantom")
def test_a_failure_is_named_and_the_rest_is_kept(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = KINDS["phrase"].run

    def sometimes(job: Any) -> Any:
        if job.encoder.card.name == "mgca":
            raise RuntimeError("out of luck")
        return run(job)

    monkeypatch.setitem(KINDS._found, "phrase", replace(KINDS["phrase"], run=sometimes))
    result = cli("reference", "--task", "covid-cxr-phrase", "--encoder", "random,mgca", "--jobs", "1")
    assert result.exit_code == 1
    assert "failed: covid-cxr-phrase mgca: RuntimeError: out of luck" in result.stderr
    assert "results/phantom: 1 of " in result.stdout


def test_a_wrong_option_of_an_executor_is_refused_before_anything_is_made(
    cli: Callable[..., Any], tmp_path: Path
) -> None:
    result = cli("reference", "--executor", "slurm", "--executor-option", "partitoin=gpu")
    assert result.exit_code == 2
    assert "--executor-option: slurm knows no 'partitoin'; did you mean 'partition'?" in result.stderr
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "runs").exists()
