"""Quoted numbers: names resolve, nothing twice, counts per table, the paper's own relations hold."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.cxr14 import LABELS
from g2d_bench.records.quoted import COLUMNS, Quoted, counts, lint, load_reported

ROOT = Path(__file__).resolve().parents[2]
METRICS = {
    *("auroc", "accuracy", "dice_legacy", "ap_legacy", "miou_minmax"),
    *(f"i2t_class_{what}{cut}" for what in ("p", "hit") for cut in (1, 5, 10)),
}
COUNTS = {
    ("G2D, NeurIPS 2024", "Table 1"): 120,
    ("G2D, NeurIPS 2024", "Table 2a"): 24,
    ("G2D, NeurIPS 2024", "Table 2b"): 77,
    ("G2D, NeurIPS 2024", "Table 3"): 360,
    ("G2D, NeurIPS 2024", "Table 4"): 81,
    ("G2D, NeurIPS 2024", "Table 5a"): 9,
    ("G2D, NeurIPS 2024", "Table 5b"): 12,
    ("G2D, NeurIPS 2024", "Table 5c"): 9,
    ("G2D, NeurIPS 2024", "Table 5d"): 6,
    ("G2D, NeurIPS 2024", "Table 5e"): 12,
    ("G2D, NeurIPS 2024", "Table 5f"): 9,
    ("G2D, NeurIPS 2024", "Table 7"): 18,
    ("G2D, NeurIPS 2024", "Table 8"): 6,
    ("BenchX, 2024", "Table 5"): 24,
    ("BenchX, 2024", "classification tables"): 60,
    ("BenchX, 2024", "segmentation table"): 16,
    ("BioViL, ECCV 2022", "model card"): 6,
    ("BioViL-T, CVPR 2023", "model card"): 6,
    ("multi-scale VLP, ISBI (relay)", "Table 1"): 15,
    ("multi-scale VLP, ISBI (relay)", "Table 2"): 15,
    ("multi-scale VLP, ISBI (relay)", "Table 3"): 5,
    ("multi-scale VLP, ISBI (relay)", "Table 4"): 6,
}


@pytest.fixture(scope="module")
def quoted() -> list[Quoted]:
    return load_reported()


def cards(folder: str) -> set[str]:
    return {path.name.removesuffix(".toml") for path in (ROOT / folder).glob("*.toml")}


def test_every_name_resolves_and_nothing_stands_twice(quoted: list[Quoted]) -> None:
    assert lint(quoted, tasks=cards("tasks"), encoders=cards("baselines"), metrics=METRICS) == []


def test_counts_per_table(quoted: list[Quoted]) -> None:
    assert counts(quoted) == COUNTS
    assert len(quoted) == 896


def test_flags(quoted: list[Quoted]) -> None:
    implausible = [
        (c.table, c.published, c.metric, c.method, c.value) for c in quoted if c.flag == "implausible"
    ]
    assert implausible == [("Table 2b", "zero-shot classification, CXR14", "F1", "BioViL", "66.2")]
    assert all(math.isnan(c.number) == (c.value == "") for c in quoted)
    assert {c.flag for c in quoted if c.usable} == {""}
    assert sum(c.usable for c in quoted) == 816


def test_means_of_table_3_are_the_means_of_their_labels(quoted: list[Quoted]) -> None:
    """An independent check of 360 copied cells: 24 printed means against 24 x 14 printed AUCs."""
    rows: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for cell in quoted:
        if cell.paper.startswith("G2D") and cell.table == "Table 3":
            rows[cell.method, cell.fraction][cell.label] = cell.number
    assert len(rows) == 24
    for values in rows.values():
        mean = values.pop("")
        assert set(values) == set(LABELS)
        assert sum(values.values()) / 14 == pytest.approx(mean, abs=7e-4)


def test_headline_cells(quoted: list[Quoted]) -> None:
    def find(task: str, fraction: str, method: str) -> float:
        (cell,) = [
            c
            for c in quoted
            if (c.table, c.task, c.fraction, c.method) == ("Table 1", task, fraction, method)
        ]
        return cell.number

    assert find("siim-seg", "0.01", "G2D (encoder-decoder)") == pytest.approx(0.656)
    assert find("siim-seg", "1.0", "M-FLAG") == pytest.approx(0.648)
    assert find("rsna-det", "1.0", "MGCA") == pytest.approx(0.249)
    # Every SIIM cell of the table lies below the predictor of nothing under the metric that it names.
    assert max(c.number for c in quoted if c.table == "Table 1" and c.task == "siim-seg") < 0.75


def test_spread_is_kept(quoted: list[Quoted]) -> None:
    (cell,) = [
        c for c in quoted if c.paper.startswith("BioViL-T") and c.method == "BioViL-T" and c.metric == "mIoU"
    ]
    assert (cell.number, cell.deviation, cell.unit) == (0.240, 0.005, "one")
    assert sum(bool(c.spread) for c in quoted) == 69
    assert math.isnan(next(c for c in quoted if c.table == "Table 4").deviation)


def test_weights_that_are_not_ours_have_no_encoder(quoted: list[Quoted]) -> None:
    """ConVIRT published no weights, and GLoRIA-MIMIC of the MGCA authors is not the file of anybody else."""
    for cell in quoted:
        if cell.paper.startswith("G2D") and cell.method in ("ConVIRT", "GLoRIA-MIMIC", "M-FLAG", "KAD*"):
            assert cell.encoder == ""


def cell(**changes: str) -> Quoted:
    base = Quoted(
        paper="P",
        table="Table 1",
        task="siim-seg",
        published="segmentation, SIIM",
        label="",
        metric="Dice",
        convention="dice_legacy",
        fraction="0.01",
        encoder="g2d.r50",
        method="G2D",
        value="62.6",
        spread="",
        unit="percent",
        protocol="frozen",
        comparable="yes",
        remark="",
        flag="",
        source="paper",
    )
    return replace(base, **changes)


def write(folder: Path, *cells: Quoted, header: str = ",".join(COLUMNS)) -> Path:
    rows = [",".join(f'"{getattr(c, column)}"' for column in COLUMNS) for c in cells]
    (folder / "p.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def test_lint_finds_planted_faults() -> None:
    names = {"tasks": {"siim-seg"}, "encoders": {"g2d.r50"}, "metrics": {"dice_legacy"}}
    assert lint([cell()], **names) == []
    free = cell(
        task="-", encoder="", convention="unknown", comparable="no", remark="not comparable because x"
    )
    assert lint([free], **names) == []
    faults = lint([cell(task="siim-sge", encoder="g2d.r5O", convention="dice", place="f:2")], **names)
    assert [fault.split(": ")[1] for fault in faults] == ["task", "encoder", "convention"]
    assert "did you mean 'siim-seg'?" in faults[0]
    assert (
        "the same cell stands in f:2" in lint([cell(place="f:2"), cell(place="f:3", value="1")], **names)[0]
    )
    other = cell(paper="Q", method="G2D*", value="62.60", place="f:3")
    assert lint([cell(place="f:2"), other], **names) == ["f:3: repeats f:2, flag it"]
    assert lint([cell(place="f:2"), replace(other, flag="repeated", comparable="no")], **names) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flag": "wrong"}, r"p\.csv:2: flag: 'wrong'"),
        ({"fraction": "1%"}, r"p\.csv:2: fraction: '1%'"),
        ({"unit": "per cent"}, r"p\.csv:2: unit: 'per cent', did you mean 'percent'"),
        ({"comparable": "maybe"}, r"p\.csv:2: comparable: 'maybe'"),
        ({"source": ""}, r"p\.csv:2: source: is empty"),
        ({"method": ""}, r"p\.csv:2: method: is empty"),
        ({"value": "62,6"}, r"p\.csv:2: value: '62,6' is not a number"),
        ({"value": "-62.6"}, r"p\.csv:2: value: '-62\.6' is not a number"),
        ({"value": "626"}, r"p\.csv:2: value: 626 percent"),
        ({"value": ""}, r"p\.csv:2: value: value '' with flag ''"),
        ({"flag": "not-reported"}, r"p\.csv:2: value: value '62\.6' with flag 'not-reported'"),
        ({"spread": "±1"}, r"p\.csv:2: spread: '±1' is not a number"),
        ({"flag": "implausible"}, r"p\.csv:2: comparable: a comparable cell has"),
        ({"convention": "unknown"}, r"p\.csv:2: comparable: a comparable cell has"),
        ({"comparable": "no"}, r"p\.csv:2: remark: must begin with 'not comparable because'"),
    ],
)
def test_malformed_rows(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_reported(write(tmp_path, cell(**changes)))
    assert "\n" not in str(caught.value)


def test_malformed_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no quoted numbers here"):
        load_reported(tmp_path)
    assert load_reported(write(tmp_path, cell()))[0] == cell(place=f"{tmp_path / 'p.csv'}:2")
    with pytest.raises(InputError, match=r"p\.csv:1: header must be paper,table"):
        load_reported(write(tmp_path, header="paper,table"))
    (tmp_path / "p.csv").write_text(",".join(COLUMNS) + "\na,b\n")
    with pytest.raises(InputError, match=r"p\.csv:2: has 2 cells, 18 are needed"):
        load_reported(tmp_path)
    (tmp_path / "p.csv").write_bytes(b"\xff\xfe\xe9")
    with pytest.raises(InputError, match=r"p\.csv: cannot be read"):
        load_reported(tmp_path)
