"""Has a number moved? The command as a user meets it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cli.compare import COMPARE_FORMATS
from g2d_bench.records.compare import STYLES

Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]
Refused = Callable[..., None]


def test_literals_agree_with_the_code() -> None:
    assert COMPARE_FORMATS == STYLES


def test_compare_with_broken_folders(
    folder: Any, other: Any, cli: Callable[..., Any], edit: Edit, tmp_path: Path, refused: Refused
) -> None:
    """On either side: empty, another schema, a cell twice, another signature."""
    path = other.add("g2d").path
    folder.root.mkdir()
    refused(cli("compare", "--to", other.root), "runs: no records here")
    refused(cli("compare", "--to", folder.root), "runs: no records here")
    mine = folder.add("g2d")
    for number in ("abc", "-1", "nan", "1e3", "%"):
        refused(cli("compare", "--to", other.root, "--tolerance", number), "--tolerance", "no tolerance")
    refused(
        cli("compare", "--to", other.root, "--encoder", "g2d,mgca"), "--encoder: no record of encoder mgca"
    )
    edit(mine.path, lambda raw: raw.update(schema_version=2))
    refused(cli("compare", "--to", other.root), "schema_version: is 2")
    mine.path.unlink()
    folder.add("g2d", version="1.1")
    result = cli("compare", "--to", other.root)
    assert result.exit_code == 1
    assert "not comparable, signatures differ: siim-seg@1.0#aaaa -> siim-seg@1.1#aaaa" in result.stdout
    copy = path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    refused(cli("compare", "--to", other.root), "two records for one cell", "copy.json")


def test_compare_exit_codes(folder: Any, other: Any, cli: Callable[..., Any]) -> None:
    for one in (folder, other):
        one.grid({"random": 0.4, "g2d": 0.6})
    result = cli("compare", "--to", other.root)
    assert (result.exit_code, result.stdout) == (0, "24 numbers compared, none moved\n")
    folder.add("mgca", 0.52)
    other.add("mgca", 0.50)
    other.add("mgca", 0.50, seed=1)
    result = cli("compare", "--to", other.root, "--tolerance", "0.5", "--encoder", "mgca", "--seed", "0")
    assert result.exit_code == 1
    assert "mgca · 1 % · seed 0 · clean: dice_positive" in result.stdout
    result = cli("compare", "--to", other.root, "--tolerance", "9")
    assert result.exit_code == 1
    assert "1 cell not measured" in result.stdout
    result = cli("compare", "--to", other.root, "--tolerance", "9", "--allow-missing")
    assert result.exit_code == 0
    assert "1 cells of the reference were not measured" in result.stderr
    assert "::error" in cli("compare", "--to", other.root, "--format", "github", "--tolerance", "0").stdout
    assert cli("compare", "--to", other.root, "--format", "junit").stdout.startswith("<?xml")


def test_compare_refuses(folder: Any, other: Any, cli: Callable[..., Any], refused: Refused) -> None:
    folder.add("g2d")
    other.add("random")
    refused(cli("compare", "--to", other.root), "none of the 1 cells", "--run")
    refused(cli("compare", "--to", other.root, "--tolerance", "two"), "--tolerance: 'two' is no tolerance")
    refused(cli("compare", "--to", other.root, "--task", "x"), "--task")
    refused(cli("compare", "--to", "nowhere"), "no such folder")
    refused(cli("compare", "--to", "reported"), "GENERATED DATA")
    refused(cli("compare", "--to", "reported", "--run"), "--run")


def test_older_records_of_a_cell_do_not_stand_in_the_way(
    folder: Any, other: Any, cli: Callable[..., Any], refused: Refused
) -> None:
    """A results folder only grows; after a protocol changed it holds a cell twice, with two signatures."""
    for one in (folder, other):
        one.add("g2d", version="1.1")
    folder.add("g2d", 0.3, version="1.0")
    assert cli("compare", "--to", other.root).stdout == "4 numbers compared, none moved\n"
    other.add("random")
    folder.add("random", version="0.8")
    folder.add("random", version="0.9")
    refused(cli("compare", "--to", other.root), "two records for one cell")


def test_compare_with_quoted_numbers(folder: Any, cli: Callable[..., Any]) -> None:
    from g2d_bench.records.quoted import load_reported

    printed = next(c for c in load_reported() if c.comparable == "yes" and c.task == "rsna-det")
    found = folder.add(printed.encoder, task=printed.task, fraction=float(printed.fraction), data_kind="real")
    record = found.record.model_copy(
        update={
            "metrics": {"ap_legacy": printed.number},
            "references": {"mean-box": {"ap_legacy": 0.0}},
            "kind": "detection",
            "predictions": None,
        }
    )
    folder.store.save(found.path, record, {})
    folder.add("g2d")
    result = cli("compare", "--to", "reported")
    assert result.exit_code == 0
    assert result.stdout == "1 numbers compared, none moved\n"
    assert "1 records on generated data were left out" in result.stderr
    drifted = record.model_copy(update={"metrics": {"ap_legacy": printed.number + 0.02}})
    folder.store.save(found.path, drifted, {})
    assert cli("compare", "--to", "reported").exit_code == 1


def test_compare_runs_what_is_missing(
    folder: Any, other: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs is the business of `execute`; here: it is asked for the right cells, on generated data."""
    from g2d_bench.cells import workers as local
    from g2d_bench.cells.executors.slurm import Slurm

    reference = [folder.add("g2d", seed=seed, quality=0.6) for seed in range(2)]
    folder.add("random", 0.4)
    asked: dict[str, Any] = {}

    def execute(cells: Any, bench: Any, executor: Any) -> local.Report:
        asked.update(cells=list(cells), root=bench.settings.data_root, executor=executor)
        failure = type("F", (), {"cell": reference[1].cell, "error": "out of memory"})
        return local.Report(found=[reference[0]], failures=[failure])  # type: ignore[list-item]

    monkeypatch.setattr(local, "execute", execute)
    monkeypatch.setenv("G2D_BENCH_DATA", str(folder.root))
    result = cli("compare", "--to", folder.root, "--encoder", "g2d", "--run", "--executor", "slurm")
    assert asked.pop("executor").__class__ is Slurm
    assert asked == {"cells": [found.cell for found in reference], "root": None}
    assert result.exit_code == 1
    line = "siim-seg · g2d · 1 % · seed 1 · clean: failed: out of memory\n4 numbers compared: 1 cell failed\n"
    assert result.stdout == line
    lenient = cli("compare", "--to", folder.root, "--encoder", "g2d", "--run", "--allow-missing")
    assert (lenient.exit_code, lenient.stdout) == (1, line), "a cell that failed is none that was left out"


def test_where_every_cell_failed_nothing_is_compared(
    folder: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    from g2d_bench.cells import workers as local

    cells = [folder.add("g2d", seed=seed).cell for seed in range(2)]
    failures = [type("F", (), {"cell": cell, "error": "out of memory"}) for cell in cells]
    monkeypatch.setattr(local, "execute", lambda *_, **__: local.Report(failures=failures))  # type: ignore[arg-type]
    for more in ((), ("--allow-missing",)):
        result = cli("compare", "--to", folder.root, "--run", *more)
        refused(
            result,
            f"none of the 2 cells of {folder.root} could be measured",
            "seed 0 · clean: out of memory)",
        )


def test_each_cell_runs_on_the_kind_of_data_it_was_measured_on(
    folder: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refused: Refused
) -> None:
    from g2d_bench.cells import workers as local

    found = [
        folder.add("g2d", seed=0),
        folder.add("g2d", seed=1, data_kind="real"),
        folder.add("g2d", seed=2),
    ]
    asked: list[tuple[list[int], Path | None]] = []

    def execute(cells: Any, bench: Any, executor: Any) -> local.Report:
        asked.append(([cell.seed for cell in cells], bench.settings.data_root))
        return local.Report(found=[one for one in found if one.cell in cells])

    monkeypatch.setattr(local, "execute", execute)
    monkeypatch.delenv("G2D_BENCH_DATA", raising=False)
    said = "measured on real data (siim-seg · g2d · 1 % · seed 1 · clean ...)"
    for more in ((), ("--phantom",)):
        refused(cli("compare", "--to", folder.root, "--run", *more), "--data-root: ", "holds 1 cell", said)
    assert asked == [], "nothing runs before"
    (tmp_path / "films").mkdir()
    result = cli("compare", "--to", folder.root, "--run", "--data-root", tmp_path / "films")
    assert asked == [([0, 2], None), ([1], tmp_path / "films")]
    assert (result.exit_code, result.stdout) == (0, "12 numbers compared, none moved\n")


def test_shipped_reference_folders_are_found(cli: Callable[..., Any], refused: Refused) -> None:
    """Quoted numbers ship as CSV; the folder is found from anywhere and holds no record."""
    refused(cli("compare", "--to", "results/reported"), "no records here")
