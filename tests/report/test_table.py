"""What a table says, and what it refuses to say."""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.draws import draw
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found, select
from g2d_bench.report.model import Row, Table
from g2d_bench.report.table import blocks, summary

METRICS = {"siim-seg": ("dice_positive", "specificity_empty", "dice_legacy")}


def one(tables: list[Table]) -> Table:
    assert len(tables) == 1
    return tables[0]


def row(table: Table, name: str, panel: str = "") -> Row:
    return next(r for r in table.rows if r.name == name and r.panel == panel)


def test_mean_and_deviation_over_seeds(folder: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6})
    found = select(folder.root)
    table = one(blocks(found, ["random"], metrics=METRICS))
    assert [r.name for r in table.rows] == ["random", "g2d", "all-empty"]
    value = row(table, "g2d").values[0]
    mine = [f for f in found if f.record.cell.encoder == "g2d"]
    seeds = [100 * (f.record.metrics["dice_positive"] or 0.0) for f in mine]
    assert value.mean == pytest.approx(fmean(seeds), abs=1e-12)
    assert value.spread == pytest.approx(stdev(seeds), abs=1e-12)
    assert value.spread_is == "seeds"
    assert value.low < value.mean < value.high
    assert any("± is the standard deviation over seeds" in fact for fact in table.facts)


def test_one_seed_shows_the_deviation_over_patients_and_says_so(folder: Any) -> None:
    found = folder.add(quality=0.5)
    table = one(blocks([found], metrics=METRICS))
    value = table.rows[0].values[0]
    draws = draw("dice_positive", read_predictions(found.path, found.record))
    assert draws is not None
    assert value.spread == pytest.approx(100 * np.std(draws, ddof=1))
    assert value.spread_is == "patients"
    assert any("bootstrap standard deviation by patient" in fact for fact in table.facts)
    assert not any("over seeds" in fact for fact in table.facts)


def test_a_row_without_predictions_has_no_interval_and_no_spread(folder: Any) -> None:
    record = folder.add().record
    value = one(blocks([record], metrics=METRICS)).rows[0].values[0]
    assert math.isnan(value.low)
    assert math.isnan(value.spread)
    assert value.limits == ""
    assert value.behind == ""


def test_an_incomplete_row_has_no_mean(folder: Any) -> None:
    folder.grid({"random": 0.4})
    folder.add("g2d", seed=1)
    table = one(blocks(select(folder.root), metrics=METRICS))
    value = row(table, "g2d").values[0]
    assert math.isnan(value.mean)
    assert str(value) == "n/a"
    assert "n/a: g2d lacks seed 0, 2 of siim-seg at 1 %" in table.notes


def test_an_undefined_metric_in_one_seed_leaves_no_mean(folder: Any) -> None:
    folder.grid({"random": 0.4}, seeds=2)
    record = folder.add("g2d", seed=0).record
    bad = record.model_copy(update={"metrics": record.metrics | {"dice_positive": None}, "predictions": None})
    found = [*select(folder.root)[1:], Found(bad)]
    found = [f for f in found if f.record.cell.encoder == "random"] + [
        Found(bad),
        folder.add("g2d", seed=1),
    ]
    value = row(one(blocks(found, metrics=METRICS)), "g2d").values[0]
    assert value.missing in ("undefined", "seed missing")
    assert str(value) == "n/a"


def test_trivial_predictors_stand_at_the_bottom_and_are_never_best(folder: Any) -> None:
    folder.grid({"random": 0.02, "zzz": 0.03})
    table = one(blocks(select(folder.root), metrics=METRICS))
    last = table.rows[-1]
    assert (last.name, last.sort) == ("all-empty", "reference")
    assert last.values[1].mean == 100.0
    assert not any(value.best for value in last.values)


def test_bold_are_those_not_significantly_worse(folder: Any) -> None:
    folder.grid({"worst": 0.3, "best": 0.6, "near": 0.598})
    table = one(blocks(select(folder.root), metrics=METRICS))
    assert [row(table, name).values[0].best for name in ("worst", "near", "best")] == [False, True, True]
    assert table.tested


def test_nothing_is_ranked_by_a_legacy_convention(folder: Any) -> None:
    folder.grid({"worst": 0.3, "best": 0.6})
    table = one(blocks(select(folder.root), metrics=METRICS))
    assert not any(r.values[2].best for r in table.rows)


def test_one_encoder_alone_is_not_bold(folder: Any) -> None:
    folder.grid({"g2d": 0.6})
    assert not one(blocks(select(folder.root), metrics=METRICS)).tested


def test_mixed_signatures_are_refused_with_the_way_out(folder: Any) -> None:
    folder.add("random")
    folder.add("g2d", version="1.1")
    found = select(folder.root)
    with pytest.raises(InputError, match=r"1\.0#aaaa or siim-seg@1\.1#aaaa.*--signature.*--allow-mixed"):
        blocks(found, metrics=METRICS)
    table = one(blocks(found, metrics=METRICS, allow_mixed=True))
    assert [row(table, name).values[0].marks for name in ("random", "g2d")] == ["a", "b"]
    assert any(note.startswith("(b) signature siim-seg@1.1") for note in table.notes)
    assert not table.tested


def test_two_records_for_one_cell_name_both_files(folder: Any) -> None:
    first = folder.add("g2d")
    second = folder.add("g2d", key="0123456789abcdef" * 4)
    with pytest.raises(InputError) as caught:
        blocks(select(folder.root), metrics=METRICS)
    assert str(first.path) in str(caught.value)
    assert str(second.path) in str(caught.value)


def test_metrics_of_somebody_elses_adapter_stand_without_interval(folder: Any) -> None:
    record = folder.add("g2d").record
    own = record.model_copy(update={"metrics": {"my_score": 0.5}})
    path = folder.root / "own.json"
    found = folder.store.save(path, own, {"id": np.array(list("xyz")), "patient": np.array(list("abc"))})
    table = one(blocks([Found(found, path)], metrics={}))
    assert str(table.rows[0].values[0]) == "50.0"


def test_a_leak_is_shouted(folder: Any) -> None:
    record = folder.add("g2d").record
    leaky = record.model_copy(update={"data": record.data.model_copy(update={"leaks": "known twins"})})
    assert "LEAK ALLOWED: known twins" in one(blocks([leaky], metrics=METRICS)).warnings


def test_a_published_protocol_says_what_it_is(folder: Any) -> None:
    record = folder.add("g2d", protocol="legacy").record
    marked = record.model_copy(update={"notes": record.notes | {"split_defects": ["Rows are split."]}})
    facts = one(blocks([marked], metrics=METRICS)).facts
    assert "siim-seg: Rows are split." in facts
    assert any(fact.startswith("protocol legacy repeats a published one with its defects") for fact in facts)
    assert not any("published" in fact for fact in one(blocks([record], metrics=METRICS)).facts)


def test_the_summary_has_a_column_per_task_and_fraction(folder: Any) -> None:
    for task in ("siim-seg", "rsna-seg"):
        folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 1.0), seeds=2, task=task)
    folder.add("g2d", data_kind="real")
    folder.add("g2d", protocol="legacy")
    found = select(folder.root)
    tables = summary(found, ["random", "g2d"], main={("rsna-seg", "clean"): "iou_positive"})
    assert [(t.generated, t.title.rsplit(" ", 1)[-1]) for t in tables] == [
        (True, "clean"),
        (False, "clean"),
        (True, "legacy"),
    ]
    assert [column.heads for column in tables[0].columns] == [
        ("segmentation", "rsna-seg, iou_positive", "1 %"),
        ("segmentation", "rsna-seg, iou_positive", "100 %"),
        ("segmentation", "siim-seg, dice_positive", "1 %"),
        ("segmentation", "siim-seg, dice_positive", "100 %"),
    ]
    assert [r.name for r in tables[0].rows] == ["random", "g2d", "all-empty"]
    (block,) = blocks([f for f in found if f.path and "legacy" in str(f.path)], metrics=METRICS)
    assert tables[2].rows[0].values[0].mean == block.rows[0].values[0].mean


def test_numbers_of_a_trivial_predictor_are_called_that(folder: Any) -> None:
    found = folder.add("g2d", seed=1)
    same = found.record.model_copy(
        update={"metrics": dict(found.record.references["all-empty"]), "predictions": None}
    )
    table = one(blocks([Found(same)], metrics=METRICS))
    assert (
        "g2d in siim-seg at 1 %, seed 1: every number is that of all-empty, which has not looked at an image"
        in table.notes
    )
    assert not any("every number" in note for note in one(blocks([found], metrics=METRICS)).notes)


def test_a_trivial_predictor_that_differs_by_seed_says_whose_it_is(folder: Any) -> None:
    found = [folder.add("g2d", seed=seed) for seed in range(2)]
    other = found[1].record.model_copy(update={"references": {"all-empty": {"dice_positive": 0.25}}})
    table = one(blocks([found[0], Found(other, found[1].path)], metrics=METRICS))
    assert row(table, "all-empty").values[0].mean == 0.0
    assert "all-empty of siim-seg differs by seed: that of seed 0 is shown" in table.notes
