"""The commands as a user meets them: output, exit codes, one line for bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cli import report as cli_report
from g2d_bench.metrics.classification import prevalence
from g2d_bench.metrics.registry import measure
from g2d_bench.records.compare import STYLES
from g2d_bench.records.selection import select
from g2d_bench.report.papers import LAYOUTS

Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]


def refused(result: Any, *texts: str) -> None:
    """Bad input is one line on stderr and exit code 2."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("g2d-bench: ")
    for text in texts:
        assert text in result.stderr


def test_literals_agree_with_the_code() -> None:
    assert tuple(LAYOUTS) == cli_report.PAPERS
    assert cli_report.COMPARE_FORMATS == STYLES


def test_importing_the_commands_imports_nothing_heavy() -> None:
    code = "import sys, g2d_bench.cli.report; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "pydantic", "matplotlib", "pandas"} & set(done.stdout.split())


def test_table_reads_the_default_folder_and_filters(folder: Any, cli: Callable[..., Any]) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6, "mgca": 0.5}, (0.01, 0.1))
    text = cli("table").stdout
    assert text.count("of the training labels") == 2
    assert text.index("random") < text.index("mgca") < text.index("g2d")
    text = cli("table", "--fraction", "1%", "--encoder", "g2d,random", "--seed", "0-1").stdout
    assert text.count("of the training labels") == 1
    assert "mgca" not in text
    assert "2 seeds (0, 1)" in text


def test_calibration_is_a_column_on_demand(folder: Any, cli: Callable[..., Any]) -> None:
    """Of records that do not state it, from their predictions."""
    rng = np.random.default_rng(0)
    targets = (rng.random((80, 1)) < 0.4).astype(float)
    arrays = {
        "id": np.array([str(n) for n in range(80)]),
        "patient": np.array([str(n // 2) for n in range(80)]),
        "scores": np.clip(0.4 * targets + 0.6 * rng.random(targets.shape), 0, 1),
        "targets": targets,
        "label": np.array(["Mass"]),
    }
    found = folder.add("g2d", task="rsna-cls")
    blind = prevalence(np.full((1, 1), 0.5), arrays)
    references = {"prevalence": measure(blind, ("auroc",))}
    update = {"kind": "classification", "metrics": measure(arrays, ("auroc",)), "references": references}
    positive = found.record.data.positive | {"test": int(targets.sum())}
    images = found.record.data.images | {"test": 80}
    data = found.record.data.model_copy(update={"positive": positive, "images": images})
    folder.store.save(found.path, found.record.model_copy(update={**update, "data": data}), arrays)
    folder.add("g2d", task="siim-seg")
    result = cli("table", "--metric", "ece,brier", "--format", "json")
    assert result.exit_code == 0, result.output
    (table,) = json.loads(result.stdout)
    row = table["rows"][0]
    expected = measure(arrays, ("ece", "brier"))
    for value in row["values"]:
        assert value["mean"] == pytest.approx(100 * expected[value["metric"]])
        assert value["low"] < value["mean"] < value["high"] or value["metric"] == "ece"
    assert "siim-seg has no ece: the array 'scores' is missing" in result.stderr
    refused(cli("table", "--metric", "ece", "--task", "siim-seg"), "--metric", "siim-seg has no ece")
    refused(cli("table", "--metric", "elegance"), "unknown metric 'elegance'")
    refused(cli("table", "--metric", "ece", "--summary"), "--metric: goes with neither")


def test_shots_have_tables_and_columns_of_their_own(folder: Any, other: Any, cli: Callable[..., Any]) -> None:
    for place in (folder, other):
        for encoder, quality in {"random": 0.4, "g2d": 0.6}.items():
            place.add(encoder, quality, fraction=1.0)
            for count in (1, 16):
                place.add(encoder, quality - 0.1, fraction=1.0, shots=count)
    tables = json.loads(cli("table", "--format", "json").stdout)
    titles = [table["title"] for table in tables]
    assert [title.split(" · ")[1].split(" (")[0] for title in titles] == [
        *("100 % of the training labels", "1 shot per class", "16 shots per class"),
    ]
    assert [table["rows"][0]["values"][0].get("shots") for table in tables] == [None, 1, 16]
    assert "16 shots" in cli("table", "--summary").stdout
    only = cli("table", "--shots", "16").stdout
    assert ("16 shots per class" in only, "1 shot per" in only, "100 %" in only) == (True, False, False)
    both = cli("table", "--shots", "16", "--fraction", "100%").stdout
    assert ("16 shots per class" in both, "1 shot per" in both, "100 % of" in both) == (True, False, True)
    assert "16 shots" not in cli("table", "--fraction", "100%").stdout
    refused(cli("table", "--shots", "2"), "--shots", "shots 2; there are 1, 16")
    refused(cli("table", "--shots", "0.5"), "'0.5' is no number of images per class")
    (found,) = [one for one in select(folder.root) if one.cell.shots == 16 and one.cell.encoder == "g2d"]
    assert found.path is not None
    assert found.path.name.startswith("16shots-s0-")
    assert json.loads(found.path.read_text())["cell"]["shots"] == 16
    same = cli("compare", "--to", other.root, "--shots", "16")
    assert same.exit_code == 0, same.output
    assert same.stdout == f"{2 * len(found.record.metrics)} numbers compared, none moved\n"


def test_table_into_a_file(folder: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    folder.add("g2d")
    result = cli("table", "--results", folder.root, "--format", "json", "--out", "t.json")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert json.loads((tmp_path / "t.json").read_text())[0]["generated"] is True
    refused(cli("table", "--out", "no/t.md"), "no such folder")


def test_summary_takes_the_main_metric_of_the_card(folder: Any, cli: Callable[..., Any]) -> None:
    folder.grid({"g2d": 0.6}, (0.01, 0.1), seeds=1)
    folder.add("g2d", task="my-own-task")
    text = cli("table", "--summary").stdout
    assert "siim-seg, dice_positive" in text
    assert "my-own-task, dice_positive" in text
    refused(cli("table", "--summary", "--paper", "g2d-table1"), "--summary")


def test_paper_table_with_nothing_measured_shows_what_was_printed(cli: Callable[..., Any]) -> None:
    result = cli("table", "--paper", "g2d-table4", "--with-quoted", "--format", "csv")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1 + 9 * 9


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--task", "siim-sge"], ["--task", "did you mean 'siim-seg'?"]),
        (["--encoder", "g2"], ["--encoder", "did you mean 'g2d'?"]),
        (["--fraction", "0.5"], ["--fraction", "50 %"]),
        (["--seed", "9"], ["--seed: no record of seed 9; there are 0, 1, 2"]),
        (["--seed", "x"], ["--seed: 'x' is not a seed"]),
        (["--protocol", "legacy"], ["--protocol"]),
        (["--signature", "real:"], ["--signature: no signature contains 'real:'"]),
        (["--encoder", "random", "--fraction", "0.1"], ["no record passes all filters together"]),
        (["--paper", "g2d-table4"], ["g2d-table4: no record of chexpert-cls"]),
    ],
)
def test_table_names_what_is_not_there(
    folder: Any, cli: Callable[..., Any], arguments: list[str], texts: list[str]
) -> None:
    folder.grid({"g2d": 0.6}, (0.01, 0.1))
    folder.grid({"random": 0.6}, (0.01,))
    refused(cli("table", *arguments), *texts)


def test_bad_folders(folder: Any, cli: Callable[..., Any], edit: Edit, tmp_path: Path) -> None:
    refused(cli("table"), "runs: no such folder")
    folder.root.mkdir()
    refused(cli("table"), "no records here")
    refused(cli("verify"), "no records here")
    refused(cli("figure", "curves"), "no records here")
    refused(cli("compare", "--to", folder.root), "no records here")
    path = folder.add("g2d").path
    (tmp_path / "file").touch()
    refused(cli("verify", "file"), "is not a folder")
    refused(cli("table", "--results", "file"), "is not a folder")
    edit(path, lambda raw: raw.update(schema_version=3))
    for command in (["table"], ["figure", "curves"], ["compare", "--to", folder.root]):
        refused(cli(*command), "schema_version: is 3, this version of g2d-bench reads 1")
    assert cli("verify").exit_code == 1


def test_duplicates_and_mixed_signatures(folder: Any, cli: Callable[..., Any]) -> None:
    first = folder.add("g2d")
    other = folder.add("random", version="1.1")
    refused(cli("table"), "--allow-mixed")
    assert "(b) signature" in cli("table", "--allow-mixed").stdout
    assert cli("table", "--signature", "@1.1").exit_code == 0
    Path(other.path).unlink()
    second = folder.add("g2d", key="0" * 64)
    refused(cli("table"), str(first.path.name), str(second.path.name))
    # Whoever has to choose learns in what the two differ.
    Path(second.path).unlink()
    folder.add("g2d", key="0" * 64, weights="a" * 64, commit="fedcba987654")
    refused(
        cli("table"), "(commit fedcba987654 -> 0123456789ab, weights aaaaaaaa -> ffffffff); remove the one"
    )
    refused(cli("compare", "--to", folder.root), "two records for one cell")


def test_a_name_with_markup_shows_as_itself(folder: Any, cli: Callable[..., Any]) -> None:
    name = "a_b & $c$ <script>alert(1)<!-- \\x | #1"
    folder.grid({"random": 0.4, name: 0.6}, seeds=2)
    assert name in cli("table").stdout
    latex = cli("table", "--format", "latex").stdout
    assert r"a\_b \& \$c\$ \textless{}script\textgreater{}" in latex
    assert "<script>" not in latex
    for more in ([], ["--summary"]):
        markdown = cli("table", "--format", "md", *more).stdout
        assert "<script>" not in markdown
        assert "&lt;script&gt;" in markdown
    assert cli("compare", "--to", folder.root, "--format", "github").exit_code == 0
    (edited, *_) = (found.path for found in select(folder.root) if found.cell.encoder == name)
    assert edited is not None
    edited.with_suffix(".npz").unlink()
    refused(cli("compare", "--to", folder.root), "the file with the predictions is missing")


def test_compare_with_broken_folders(
    folder: Any, other: Any, cli: Callable[..., Any], edit: Edit, tmp_path: Path
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


def test_compact_refuses_what_cannot_be_verified(
    folder: Any, cli: Callable[..., Any], edit: Edit, tmp_path: Path
) -> None:
    folder.root.mkdir()
    refused(cli("compact", folder.root, "git"), "no records here")
    path = folder.add("g2d").path
    refused(cli("compact", folder.root, folder.root), "compact copies need a folder of their own")
    edit(path, lambda raw: raw["metrics"].update(dice_positive=0.9))
    refused(cli("compact", folder.root, "git"), "metrics.dice_positive", "see `g2d-bench verify`")
    assert not Path("git").exists()


def test_verify_exits_with_1(folder: Any, cli: Callable[..., Any], edit: Edit) -> None:
    path = folder.add("g2d").path
    result = cli("verify", folder.root)
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    edit(path, lambda raw: raw["metrics"].update(dice_legacy=0.5))
    result = cli("verify")
    assert result.exit_code == 1
    assert "metrics.dice_legacy: says 0.5" in result.stdout
    refused(cli("table"), "metrics.dice_legacy", "edited")


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


def test_compare_refuses(folder: Any, other: Any, cli: Callable[..., Any]) -> None:
    folder.add("g2d")
    other.add("random")
    refused(cli("compare", "--to", other.root), "none of the 1 cells", "--run")
    refused(cli("compare", "--to", other.root, "--tolerance", "two"), "--tolerance: 'two' is no tolerance")
    refused(cli("compare", "--to", other.root, "--task", "x"), "--task")
    refused(cli("compare", "--to", "nowhere"), "no such folder")
    refused(cli("compare", "--to", "reported"), "GENERATED DATA")
    refused(cli("compare", "--to", "reported", "--run"), "--run")


def test_older_records_of_a_cell_do_not_stand_in_the_way(
    folder: Any, other: Any, cli: Callable[..., Any]
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

    reference = [folder.add("g2d", seed=seed, quality=0.6) for seed in range(2)]
    folder.add("random", 0.4)
    asked: dict[str, Any] = {}

    def execute(cells: Any, bench: Any, jobs: Any) -> local.Report:
        asked.update(cells=list(cells), root=bench.settings.data_root, jobs=jobs)
        failure = type("F", (), {"cell": reference[1].cell, "error": "out of memory"})
        return local.Report(records=[reference[0].record], failures=[failure])  # type: ignore[list-item]

    monkeypatch.setattr(local, "execute", execute)
    monkeypatch.setenv("G2D_BENCH_DATA", str(folder.root))
    result = cli("compare", "--to", folder.root, "--encoder", "g2d", "--run", "--jobs", "1")
    assert asked == {"cells": [found.cell for found in reference], "root": None, "jobs": 1}
    assert result.exit_code == 1
    assert "failed: siim-seg g2d: out of memory" in result.stderr
    assert "4 numbers compared: 1 cell not measured" in result.stdout


def test_shipped_reference_folders_are_found(cli: Callable[..., Any]) -> None:
    """Quoted numbers ship as CSV; the folder is found from anywhere and holds no record."""
    refused(cli("compare", "--to", "results/reported"), "no records here")


def test_figure(folder: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 0.1, 1.0), seeds=1)
    assert cli("figure", "curves").stdout == "wrote siim-seg-dice_positive.png\n"
    assert (tmp_path / "siim-seg-dice_positive.png").stat().st_size > 10_000
    refused(cli("figure", "curves", "--out", "x.gif"), ".gif; write one of")
    refused(cli("figure", "curves", "--out", "no/x.png"), "no such folder")
    refused(cli("figure", "curves", "--metric", "dice_positiv"), "did you mean 'dice_positive'?")
    folder.add("g2d", task="rsna-seg")
    assert cli("figure", "curves").stdout == "wrote rsna-seg-siim-seg-dice_positive.png\n"
    assert cli("figure", "curves", "--task", "siim-seg,rsna-seg", "--out", "x.svg").exit_code == 0
    folder.add("g2d", protocol="legacy")
    refused(cli("figure", "curves"), "one figure shows one protocol; choose of clean, legacy")


def test_compact_command(folder: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    folder.grid({"g2d": 0.6})
    result = cli("compact", folder.root, "small", "--seed", "0,1")
    assert result.exit_code == 0
    assert result.stdout.startswith("wrote 2 records to small, ")
    assert cli("verify", "small").exit_code == 0
    assert len(list((tmp_path / "small").rglob("*.npz"))) == 2


def zero_shot(folder: Any, quality: float) -> None:
    """A record of scores that are right as often as ``quality`` says."""
    rng = np.random.default_rng(5)
    targets = (np.arange(60) % 2).astype(np.float64)[:, None]
    right = rng.random((60, 1)) < quality
    arrays = {
        "id": np.array([f"image-{n:03d}" for n in range(60)]),
        "patient": np.array([f"patient-{n // 2:03d}" for n in range(60)]),
        "scores": np.where(right, targets, 1 - targets) + rng.normal(0, 0.1, (60, 1)),
        "targets": targets,
        "label": np.array(["Pneumothorax"]),
        "thresholds": np.array([0.5]),
    }
    found = folder.add("g2d", task="siim-zeroshot", fraction=1.0, images=60)
    counts = {"train": 200, "val": 40, "test": 60}
    record = found.record.model_copy(
        update={
            "kind": "zero-shot",
            "metrics": measure(arrays, ("auroc",)),
            "references": {"prevalence": measure(prevalence(targets, arrays), ("auroc",))},
            "data": found.record.data.model_copy(
                update={"images": counts, "positive": {"train": 100, "val": 20, "test": 30}}
            ),
        }
    )
    folder.store.save(found.path, record, arrays)


def test_zero_shot_cells_pass_any_fraction_in_every_command(
    folder: Any, other: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    """As `run --fraction 1%` includes them, so does what reads its records."""
    for one in (folder, other):
        one.grid({"g2d": 0.6}, (0.01, 0.1))
        zero_shot(one, 0.6)
    part = ("--fraction", "1%", "--seed", "1")
    assert cli("compare", "--to", other.root, *part).stdout == "5 numbers compared, none moved\n"
    for options in ((), ("--summary",)):
        text = cli("table", *part, *options).stdout
        assert "siim-zeroshot" in text
        assert "10 %" not in text
    assert cli("compact", folder.root, "small", *part).stdout.startswith("wrote 2 records")
    assert cli("leaderboard", *part).stdout == "wrote leaderboard/index.html: 2 records, tables: 2\n"
    assert cli("figure", "curves", "--task", "siim-zeroshot", "--metric", "auroc", *part).exit_code == 0
    # A zero-shot number that moves is found, as the example workflow asks.
    zero_shot(folder, 0.9)
    moved = cli("compare", "--to", other.root, "--fraction", "1%", "--seed", "0", "--tolerance", "0.5")
    assert moved.exit_code == 1
    assert "siim-zeroshot · g2d · 100 % · seed 0 · clean: auroc" in moved.stdout


def test_words_that_nothing_has_are_named_where_others_have_one(folder: Any, cli: Callable[..., Any]) -> None:
    folder.grid({"g2d": 0.6})
    for command in (["table"], ["figure", "curves"], ["leaderboard"], ["compact", folder.root, "small"]):
        result = cli(*command, "--encoder", "g2d,mgac", "--seed", "0,7")
        assert result.exit_code == 0, result.output
        assert "--encoder: no record of encoder mgac; allowed: g2d\n" in result.stderr
        assert "--seed: no record of seed 7; there are 0, 1, 2\n" in result.stderr
    assert cli("table", "--encoder", "g2d").stderr == ""


def test_a_main_metric_without_a_card_is_told(folder: Any, cli: Callable[..., Any]) -> None:
    folder.add("g2d", task="my-own-task")
    assert cli("table", "--summary").stderr.startswith(
        "my-own-task under clean: no card here, so its first metric"
    )
    assert cli("table").stderr == ""
    folder.add("g2d")
    assert "siim-seg" not in cli("table", "--summary").stderr
