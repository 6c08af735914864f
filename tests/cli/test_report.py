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
from g2d_bench.records.selection import select
from g2d_bench.report.papers import LAYOUTS

Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]
Refused = Callable[..., None]


def test_literals_agree_with_the_code() -> None:
    assert tuple(LAYOUTS) == cli_report.PAPERS


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


def test_calibration_is_a_column_on_demand(folder: Any, cli: Callable[..., Any], refused: Refused) -> None:
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
        if value["metric"] == "ece":
            assert value["low"] is value["high"] is None, "its draws lie above it"
        else:
            assert value["low"] < value["mean"] < value["high"]
    assert "siim-seg has no ece: the array 'scores' is missing" in result.stderr
    refused(cli("table", "--metric", "ece", "--task", "siim-seg"), "--metric", "siim-seg has no ece")
    refused(cli("table", "--metric", "elegance"), "unknown metric 'elegance'")
    refused(cli("table", "--metric", "ece", "--summary"), "--metric: goes with neither")


def test_shots_have_tables_and_columns_of_their_own(
    folder: Any, other: Any, cli: Callable[..., Any], refused: Refused
) -> None:
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


def test_table_into_a_file(folder: Any, cli: Callable[..., Any], tmp_path: Path, refused: Refused) -> None:
    folder.add("g2d")
    result = cli("table", "--results", folder.root, "--format", "json", "--out", "t.json")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert json.loads((tmp_path / "t.json").read_text())[0]["generated"] is True
    refused(cli("table", "--out", "no/t.md"), "no such folder")


def test_summary_takes_the_main_metric_of_the_card(
    folder: Any, cli: Callable[..., Any], refused: Refused
) -> None:
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
    folder: Any, cli: Callable[..., Any], arguments: list[str], texts: list[str], refused: Refused
) -> None:
    folder.grid({"g2d": 0.6}, (0.01, 0.1))
    folder.grid({"random": 0.6}, (0.01,))
    refused(cli("table", *arguments), *texts)


def test_bad_folders(
    folder: Any, cli: Callable[..., Any], edit: Edit, tmp_path: Path, refused: Refused
) -> None:
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


def test_duplicates_and_mixed_signatures(folder: Any, cli: Callable[..., Any], refused: Refused) -> None:
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


def test_a_name_with_markup_shows_as_itself(folder: Any, cli: Callable[..., Any], refused: Refused) -> None:
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


def test_compact_refuses_what_cannot_be_verified(
    folder: Any, cli: Callable[..., Any], edit: Edit, tmp_path: Path, refused: Refused
) -> None:
    folder.root.mkdir()
    refused(cli("compact", folder.root, "git"), "no records here")
    path = folder.add("g2d").path
    refused(cli("compact", folder.root, folder.root), "compact copies need a folder of their own")
    edit(path, lambda raw: raw["metrics"].update(dice_positive=0.9))
    refused(cli("compact", folder.root, "git"), "metrics.dice_positive", "see `g2d-bench verify`")
    assert not Path("git").exists()


def test_verify_exits_with_1(folder: Any, cli: Callable[..., Any], edit: Edit, refused: Refused) -> None:
    path = folder.add("g2d").path
    result = cli("verify", folder.root)
    assert (result.exit_code, result.stdout.count("\n")) == (0, 1)
    edit(path, lambda raw: raw["metrics"].update(dice_legacy=0.5))
    result = cli("verify")
    assert result.exit_code == 1
    assert "metrics.dice_legacy: says 0.5" in result.stdout
    refused(cli("table"), "metrics.dice_legacy", "edited")


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


def test_a_checklist_for_an_appendix(
    folder: Any, cli: Callable[..., Any], tmp_path: Path, refused: Refused
) -> None:
    folder.grid({"g2d": 0.6}, seeds=1)
    text = cli("report", "--checklist").stdout
    assert "| topic | CLAIM | TRIPOD+AI | in this study |" in text
    assert "siim-seg, 1 %, clean: g2d dice\\_positive" in text
    assert (
        cli("report", "--checklist", "--format", "latex", "--no-intervals", "--out", "a.tex").exit_code == 0
    )
    assert "longtable" in (tmp_path / "a.tex").read_text()
    refused(cli("report"), "--checklist")
    refused(cli("report", "--checklist", "--encoder", "g2"), "did you mean 'g2d'?")
