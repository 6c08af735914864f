"""What a table says, and what it refuses to say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.draws import DrawCache, draw
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.quoted import load_reported
from g2d_bench.records.recompute import recompute
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found, select
from g2d_bench.report.fill import fill
from g2d_bench.report.model import Column, Row, Table, Value
from g2d_bench.report.table import blocks, paper_table, summary

METRICS = {"siim-seg": ("dice_positive", "specificity_empty", "dice_legacy")}
COLUMN = Column("siim-seg", 0.01, "dice_positive", "clean", ("dice_positive",))


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


def test_the_interval_is_that_of_a_literal_loop(folder: Any) -> None:
    """Draw patients with a plain loop, average the seeds in each draw, take percentiles."""
    found = [folder.add(seed=seed, quality=0.5 + 0.02 * seed) for seed in range(2)]
    drawn = Evidence(400).mean(found, "dice_positive")
    assert drawn is not None
    value = fill(COLUMN, found, Evidence(4000)).values["g2d"]
    rng = np.random.default_rng(99)
    arrays = [read_predictions(f.path, f.record) for f in found]
    patients = np.unique(arrays[0]["patient"])
    means = []
    images = {p: np.flatnonzero(arrays[0]["patient"] == p) for p in patients}
    with np.errstate(invalid="ignore"):
        dice = [2 * a["intersection"] / (a["predicted"] + a["true"]) for a in arrays]
    for _ in range(3000):
        chosen = np.concatenate([images[p] for p in rng.choice(patients, len(patients))])
        inside = chosen[arrays[0]["true"][chosen] > 0]
        means.append(100 * fmean(float(np.mean(one[inside])) for one in dice))
    assert value.low == pytest.approx(np.quantile(means, 0.025), abs=0.35)
    assert value.high == pytest.approx(np.quantile(means, 0.975), abs=0.35)


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


@pytest.mark.parametrize(
    ("notes", "reason"),
    [
        (
            {"undefined": {"dice_positive": "no test image shows Pneumothorax"}},
            "not defined on these test images (no test image shows Pneumothorax)",
        ),
        ({}, "not defined on these test images"),
    ],
)
def test_an_undefined_metric_says_why(folder: Any, notes: dict[str, Any], reason: str) -> None:
    found = []
    for name in ("random", "g2d"):
        record = folder.add(name, seed=0).record
        metrics = record.metrics | {"dice_positive": None}
        found.append(
            Found(record.model_copy(update={"metrics": metrics, "predictions": None, "notes": notes}))
        )
    table = one(blocks(found, metrics=METRICS))
    assert str(row(table, "g2d").values[0]) == "n/a"
    assert row(table, "g2d").values[0].reason == reason


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


def test_other_test_images_are_not_compared_in_pairs(folder: Any) -> None:
    """With --allow-mixed two test sets may meet; a paired test between them would be wrong."""
    found = [folder.add("random", 0.4), folder.add("g2d", 0.6, images=40)]
    assert not any(value.best for value in fill(COLUMN, found, Evidence()).values.values())


def test_lower_is_better(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from g2d_bench.metrics.registry import metrics
    from g2d_bench.metrics.segmentation import METRICS as SPECS

    folder.grid({"high": 0.7, "low": 0.3})
    turned = replace(SPECS["dice_positive"], higher_is_better=False)
    monkeypatch.setitem(SPECS, "dice_positive", turned)
    metrics.cache_clear()
    monkeypatch.setattr(
        "g2d_bench.report.model.metric_spec", {**metrics(), "dice_positive": turned}.__getitem__
    )
    values = fill(COLUMN, select(folder.root), Evidence()).values
    assert values["low"].best
    assert not values["high"].best


def test_ties_are_told_apart_before_rounding(folder: Any) -> None:
    """60.04 and 59.96 both print as 60.0; exactly equal rows are both best."""
    a = folder.add("a", 0.5, noise=1)
    b = folder.add("b", 0.5, noise=1)
    values = fill(COLUMN, [a, b], Evidence()).values
    assert values["a"].mean == values["b"].mean
    assert values["a"].best
    assert values["b"].best


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


def test_generated_and_real_data_never_share_a_column(folder: Any) -> None:
    found = [folder.add("random"), folder.add("g2d", data_kind="real")]
    with pytest.raises(InputError, match="generated and real data cannot share"):
        fill(COLUMN, found, Evidence(), allow_mixed=True)
    tables = blocks(found, metrics=METRICS, allow_mixed=True)
    assert [table.generated for table in tables] == [True, False]


def test_two_records_for_one_cell_name_both_files(folder: Any) -> None:
    first = folder.add("g2d")
    second = folder.add("g2d", key="0123456789abcdef" * 4)
    with pytest.raises(InputError) as caught:
        blocks(select(folder.root), metrics=METRICS)
    assert str(first.path) in str(caught.value)
    assert str(second.path) in str(caught.value)


def test_an_edited_metric_is_refused(folder: Any, edit: Callable[..., None]) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(dice_positive=raw["metrics"]["dice_positive"] + 0.02))
    with pytest.raises(InputError, match=r"metrics\.dice_positive.*off by \+0\.02.*edited"):
        blocks(select(folder.root), metrics=METRICS)


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
    assert "LEAK ALLOWED: known twins" in one(blocks([leaky], metrics=METRICS)).facts


def test_batched_dice_is_recomputed_in_its_order() -> None:
    arrays = {
        "id": np.arange(9),
        "intersection": np.array([1, 0, 0, 0, 0, 0, 0, 0, 5]),
        "predicted": np.array([1, 0, 0, 0, 0, 0, 0, 3, 5]),
        "true": np.array([3, 0, 0, 0, 0, 0, 0, 0, 5]),
    }
    # Batches of 8: (0.5 + 6 * 1 + 0) / 8 and 1; images alone would give (0.5 + 6 + 0 + 1) / 9.
    assert recompute("dice_legacy_batched", arrays) == pytest.approx((6.5 / 8 + 1) / 2)


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


def test_a_published_protocol_says_what_it_is(folder: Any) -> None:
    record = folder.add("g2d", protocol="legacy").record
    marked = record.model_copy(update={"notes": record.notes | {"split_defects": ["Rows are split."]}})
    facts = one(blocks([marked], metrics=METRICS)).facts
    assert "siim-seg: Rows are split." in facts
    assert any(fact.startswith("protocol legacy repeats a published one with its defects") for fact in facts)
    assert not any("published" in fact for fact in one(blocks([record], metrics=METRICS)).facts)


@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [("g2d-table2a", 6, 4), ("g2d-table2b", 11, 7), ("g2d-table3", 15, 24), ("g2d-table4", 9, 9)],
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


def classification_cell(folder: Any, encoder: str, fraction: float, labels: list[str], **where: str) -> Path:
    rng = np.random.default_rng([len(encoder), int(100 * fraction)])
    targets = (rng.random((80, len(labels))) < 0.4).astype(float)
    scores = np.clip(0.4 * targets + 0.6 * rng.random(targets.shape), 0, 1)
    arrays = {
        "id": np.array([str(n) for n in range(80)]),
        "patient": np.array([str(n // 2) for n in range(80)]),
        "scores": scores,
        "targets": targets,
        "label": np.array(labels),
    }
    place = {"task": "cxr14-cls", "protocol": "clean-finetune"} | where
    found = folder.add(encoder, fraction=fraction, **place)
    record = found.record.model_copy(
        update={"kind": "classification", "metrics": {"auroc": recompute("auroc", arrays)}, "references": {}}
    )
    folder.store.save(found.path, record, arrays)
    return Path(found.path)


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


def test_quoted_rows_below_a_plain_table_share_the_convention(folder: Any) -> None:
    folder.add("g2d", data_kind="real")
    table = one(blocks(select(folder.root), metrics=METRICS, quoted=load_reported()))
    quoted = [r for r in table.rows if r.sort == "quoted"]
    assert quoted
    for r in quoted:
        assert [v.missing for v in r.values[:2]] == ["not measured"] * 2
        assert r.values[2].marks == "†"
    assert any("all-empty predictor" in note for note in table.notes)


def test_flagged_quoted_numbers_never_appear() -> None:
    table = paper_table("g2d-table2b", [], quoted=load_reported())
    metric = [c.heads[0] + c.metric for c in table.columns].index("CXR14f1_validation")
    assert row(table, "BioViL").values[metric].missing == "not measured"


def test_plain_numbers_have_three_digits() -> None:
    assert str(Value(Column("t", 1.0, "cnr", "clean", ("cnr",)), 1.0271, 0.05)) == "1.027 ± 0.050"


def test_draws_are_kept_and_the_same_from_the_cache(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6})
    first = blocks(select(folder.root), metrics=METRICS)
    monkeypatch.setattr("g2d_bench.records.evidence.draw", lambda *_: pytest.fail("drawn again"))
    assert blocks(select(folder.root), metrics=METRICS) == first


def test_a_changed_metric_and_a_broken_cache_are_drawn_again(tmp_path: Path) -> None:
    cache = DrawCache(tmp_path)

    def get(point: float, drawn: float) -> float:
        made = cache.get("0" * 64, 2, {"auroc/Edema": point}, lambda _: np.full(2, drawn))["auroc/Edema"]
        assert made is not None
        return float(made[0])

    assert [get(0.5, 1.0), get(0.5, 2.0), get(0.6, 3.0), get(0.6, 4.0)] == [1.0, 1.0, 3.0, 3.0]
    assert [get(math.nan, 5.0), get(math.nan, 6.0)] == [5.0, 5.0]
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(b"broken")
    assert get(0.6, 7.0) == 7.0
    assert cache.get("1" * 64, 2, {"x": 0.5}, lambda _: None) == {"x": None}
    assert cache.get("1" * 64, 2, {"x": 0.5}, lambda _: pytest.fail("drawn again")) == {"x": None}


def test_a_large_test_set_gets_fewer_draws_where_each_is_costly() -> None:
    size = 5000
    rng = np.random.default_rng(0)
    arrays = {
        "id": np.arange(size),
        "patient": np.arange(size).astype(str),
        "scores": rng.random((size, 1)),
        "targets": rng.integers(0, 2, (size, 1)).astype(float),
        "label": np.array(["x"]),
    }
    drawn = draw("auroc", arrays, 40)
    assert drawn is not None
    assert len(drawn) == 10


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


def without_numbers(folder: Any, encoder: str = "random") -> Found:
    """A record as zero-shot tasks leave it for an encoder without text."""
    found = folder.add(encoder, task="rsna-zeroshot", fraction=1.0)
    record = found.record.model_copy(
        update={
            "kind": "zero-shot",
            "metrics": dict.fromkeys(found.record.metrics),
            "references": {},
            "predictions": None,
            "notes": {"n/a": "no text encoder"},
        }
    )
    Path(found.path).with_suffix(".npz").unlink()
    return Found(folder.store.save(found.path, record, {}), found.path)


def test_a_task_that_does_not_apply_says_why(folder: Any) -> None:
    found = [without_numbers(folder), folder.add("g2d", task="rsna-zeroshot", fraction=1.0, kind="zero-shot")]
    table = one(blocks(found, metrics={}))
    assert table.title == "rsna-zeroshot · without training · protocol clean"
    assert str(row(table, "random").values[0]) == "n/a"
    assert "n/a: random in rsna-zeroshot: no text encoder" in table.notes
    assert row(table, "g2d").values[0].mean > 0
    (small,) = summary(found)
    assert small.columns[0].heads == (
        "zero-shot classification (no training)",
        "rsna-zeroshot, dice_positive",
    )


def test_every_missing_number_has_its_reason(folder: Any) -> None:
    folder.grid({"random": 0.4})
    folder.add("g2d", seed=1)
    partly = folder.add("mgca", seed=2)
    for seed in (0, 1):
        folder.add("mgca", seed=seed)
    record = partly.record.model_copy(
        update={"metrics": partly.record.metrics | {"dice_positive": None}, "predictions": None}
    )
    folder.store.save(partly.path, record, {})
    table = one(blocks(select(folder.root), metrics={"siim-seg": ("dice_positive", "no_such")}))
    assert row(table, "g2d").values[0].reason == "lacks seed 0, 2"
    assert row(table, "mgca").values[0].reason == "not defined on these test images in seed 2"
    assert row(table, "random").values[1].reason == "no record states no_such"
    assert row(table, "random").values[0].reason == ""
    missing = [value for r in table.rows for value in r.values if value.missing]
    assert all(value.reason for value in missing)
    (found,) = [without_numbers(folder)]
    value = one(blocks([found], metrics={})).rows[0].values[0]
    assert (value.missing, value.reason) == ("undefined", "no text encoder")


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


def test_what_cannot_be_tested_says_so(folder: Any) -> None:
    table = one(blocks([folder.add("g2d").record.model_copy(update={"predictions": None})], metrics=METRICS))
    assert "g2d in siim-seg at 1 %: no interval and no test, its records keep no predictions" in table.notes
    quick = one(blocks([folder.add("g2d")], metrics=METRICS, evidence=Evidence(0)))
    assert quick.notes == ()
    found = folder.add("mgca")
    own = found.record.model_copy(update={"metrics": {"dice_positive": 0.5}})
    ids = np.array(["a", "b", "c"])
    odd = Found(folder.store.save(found.path, own, {"id": ids}), found.path)
    notes = one(blocks([odd], metrics={})).notes
    assert (
        "mgca in siim-seg at 1 %: no interval and no test, its predictions do not allow to draw dice_positive"
        in notes
    )
    mixed = fill(COLUMN, [folder.add("random", 0.4), folder.add("g2d", 0.6, images=40)], Evidence())
    assert "siim-seg, dice_positive: not every row was tested on the same images; no test" in mixed.notes


def test_a_trivial_predictor_that_differs_by_seed_says_whose_it_is(folder: Any) -> None:
    found = [folder.add("g2d", seed=seed) for seed in range(2)]
    other = found[1].record.model_copy(update={"references": {"all-empty": {"dice_positive": 0.25}}})
    table = one(blocks([found[0], Found(other, found[1].path)], metrics=METRICS))
    assert row(table, "all-empty").values[0].mean == 0.0
    assert "all-empty of siim-seg differs by seed: that of seed 0 is shown" in table.notes


def test_an_undefined_metric_says_what_the_test_images_lack(folder: Any) -> None:
    path = classification_cell(folder, "g2d", 0.1, ["Edema", "Mass", "Hernia"])
    (found,) = select(folder.root)
    arrays = dict(read_predictions(path, found.record))
    arrays["targets"] = arrays["targets"].copy()
    arrays["targets"][:, 1] = 0
    record = found.record.model_copy(update={"metrics": {"auroc": None, "auprc": None}})
    (found,) = [Found(folder.store.save(path, record, arrays), path)]
    table = one(blocks([found], metrics={}))
    why = "not defined on these test images (all positive or all negative: Mass)"
    assert row(table, "g2d").values[0].reason == why
    assert table.notes == (f"n/a: auroc, auprc of g2d in cxr14-cls at 10 %: {why}",)
    # Without predictions the record's own counts tell as much as they can.
    full = folder.add("mgca", data_kind="real")
    counts = full.record.data.model_copy(update={"positive": dict(full.record.data.images)})
    bare = full.record.model_copy(
        update={"metrics": {"specificity_empty": None}, "data": counts, "predictions": None}
    )
    (note,) = one(blocks([Found(bare)], metrics={})).notes
    assert note == (
        "n/a: specificity_empty of mgca in siim-seg at 1 %: not defined on these test images "
        "(every one shows a finding)"
    )
