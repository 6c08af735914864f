"""Tables as papers print them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from classified import classification_cell

from g2d_bench.errors import InputError
from g2d_bench.records.quoted import load_reported
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import select
from g2d_bench.report.model import Row, Table
from g2d_bench.report.table import paper_table


def row(table: Table, name: str, panel: str = "") -> Row:
    return next(r for r in table.rows if r.name == name and r.panel == panel)


def test_paper_table_1_has_its_shape(folder: Any) -> None:
    for task in ("siim-seg", "rsna-seg"):
        folder.grid({"random": 0.4, "g2d+decoder": 0.6}, (0.01, 0.1, 1.0), seeds=1, task=task)
    table = paper_table("g2d-table1", select(folder.root), quoted=load_reported())
    assert len(table.columns) == 12
    assert [c.heads[-1] for c in table.columns] == ["1 %", "10 %", "100 %"] * 4
    assert [c.task for c in table.columns[::3]] == ["siim-seg", "rsna-seg", "rsna-det", "object-cxr-det"]
    assert str(row(table, "random").values[6]) == "–"
    assert not math.isnan(row(table, "random").values[2].mean)
    printed = row(table, "G2D (encoder-decoder)")
    assert printed.sort == "quoted"
    assert [value.mean for value in printed.values[:3]] == pytest.approx([65.6, 66.9, 68.4])
    assert printed.values[6].missing == "not measured"
    assert not any(value.best for value in printed.values)
    assert any("must not be compared with any measured row" in warning for warning in table.warnings)
    assert {value.marks for value in printed.values if not value.missing} == {"†"}
    assert any("is dice_legacy, not dice_positive" in note for note in table.notes)
    assert table.rows[-1].name == "all-empty"


def test_paper_table_1_under_a_legacy_protocol_shows_the_papers_metric(folder: Any) -> None:
    folder.grid({"random": 0.4}, (0.01,), seeds=1, protocol="legacy")
    table = paper_table("g2d-table1", select(folder.root), protocols=("legacy",))
    assert table.columns[0].metric == "dice_legacy"
    assert table.columns[0].heads == ("segmentation", "SIIM, dice_legacy", "1 %")


@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        *[("g2d-table2a", 6, 4), ("g2d-table2b", 11, 7), ("g2d-table3", 15, 24), ("g2d-table4", 9, 9)],
        ("g2d-table7", 9, 2),
    ],
)
def test_other_paper_tables_take_all_quoted_cells(name: str, columns: int, rows: int) -> None:
    table = paper_table(name, [], quoted=load_reported())
    assert len(table.columns) == columns
    assert len(table.rows) == rows
    cells = [cell for cell in load_reported() if cell.paper.startswith("G2D")]
    usable = sum(cell.usable and f"g2d-{cell.table.replace(' ', '').lower()}" == name for cell in cells)
    shown = sum(not math.isnan(value.mean) for r in table.rows for value in r.values)
    assert shown == usable
    assert not table.generated


def test_table_3_has_a_panel_per_fraction(folder: Any) -> None:
    table = paper_table("g2d-table3", [], quoted=load_reported())
    assert [r.panel for r in table.rows[::8]] == [f"{p} % of the training labels" for p in ("1", "10", "100")]
    best = row(table, "G2D", "1 % of the training labels")
    assert best.values[0].mean == 79.1
    assert best.values[0].marks == ""


def test_table_3_reads_labels_from_the_predictions(folder: Any) -> None:
    labels = ["Atelectasis", "Pleural Thickening", "Edema"]
    path = classification_cell(folder, "g2d", 0.1, labels)
    (found,) = select(folder.root)
    table = paper_table("g2d-table3", [found])
    values = {v.column.metric: v for v in row(table, "g2d", "10 % of the training labels").values}
    arrays = read_predictions(path, found.record)
    for n, label in enumerate(labels):
        truth, score = arrays["targets"][:, n] == 1, arrays["scores"][:, n]
        pairs = score[truth][:, None] - score[~truth][None]
        expected = 100 * float(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
        assert values[f"auroc/{label}"].mean == pytest.approx(expected)
        assert values[f"auroc/{label}"].low < expected < values[f"auroc/{label}"].high
    assert values["auroc/Hernia"].missing == "not measured"
    assert not math.isnan(values["auroc"].mean)


def test_table_7_holds_fine_tuned_cells_beside_the_papers(folder: Any) -> None:
    """The paper's rows follow MedKLIP's setting: they stand there, and are compared with none of ours."""
    path = classification_cell(folder, "g2d", 0.01, ["Edema", "Hernia"])
    folder.add("g2d", task="siim-seg", fraction=0.1, protocol="clean-finetune")
    folder.add("g2d", task="siim-seg", fraction=1.0, protocol="clean")
    table = paper_table("g2d-table7", select(folder.root), quoted=load_reported())
    ours = {v.column.heads[1:]: v for v in row(table, "g2d").values}
    (stated,) = [one.record.metrics["auroc"] for one in select(folder.root) if one.path == path]
    assert stated is not None
    assert ours["CXR14, auroc", "1 %"].mean == pytest.approx(100 * stated)
    assert ours["SIIM, dice_positive", "10 %"].missing == ""
    assert ours["SIIM, dice_positive", "100 %"].missing == "not measured"
    assert [value.mean for value in row(table, "MedKLIP*").values[:3]] == [77.2, 78.9, 83.2]
    assert {value.marks for value in row(table, "G2D").values} == {"†"}
    assert "protocol clean-finetune" in table.title


def test_zero_shot_columns_take_any_fraction(folder: Any) -> None:
    """Zero-shot needs no labels: its cells may bear any fraction, and one is shown."""
    classification_cell(folder, "g2d", 0.1, ["Pneumonia"], task="rsna-zeroshot", protocol="clean")
    table = paper_table("g2d-table2b", select(folder.root), quoted=load_reported())
    value = row(table, "g2d").values[0]
    assert (value.column.metric, value.column.fraction) == ("auroc", 0.1)
    assert value.missing == ""
    assert row(table, "G2D").values[0].mean == 87.6


def test_a_paper_table_without_a_single_cell_is_refused(folder: Any) -> None:
    folder.add("g2d")
    with pytest.raises(InputError, match="no record of chexpert-cls, rsna-cls, covidx-cls"):
        paper_table("g2d-table4", select(folder.root))
