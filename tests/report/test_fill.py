"""Values of a column, their intervals and ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.evidence import Drawn, Evidence
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found, select
from g2d_bench.report.fill import fill, ranked
from g2d_bench.report.model import Column, Table
from g2d_bench.report.table import blocks

METRICS = {"siim-seg": ("dice_positive", "specificity_empty", "dice_legacy")}
COLUMN = Column("siim-seg", 0.01, "dice_positive", "clean", ("dice_positive",))


def one(tables: list[Table]) -> Table:
    assert len(tables) == 1
    return tables[0]


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
    try:
        values = fill(COLUMN, select(folder.root), Evidence()).values
    finally:
        # What was read of the turned metric must not outlive the test.
        monkeypatch.undo()
        metrics.cache_clear()
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


def test_generated_and_real_data_never_share_a_column(folder: Any) -> None:
    found = [folder.add("random"), folder.add("g2d", data_kind="real")]
    with pytest.raises(InputError, match="generated and real data cannot share"):
        fill(COLUMN, found, Evidence(), allow_mixed=True)
    tables = blocks(found, metrics=METRICS, allow_mixed=True)
    assert [table.generated for table in tables] == [True, False]


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
    why = (
        "its predictions do not allow to draw dice_positive (as with fewer than 10 patients, or fewer than "
        "five that it counts)"
    )
    assert f"mgca in siim-seg at 1 %: no interval and no test, {why}" in notes
    mixed = fill(COLUMN, [folder.add("random", 0.4), folder.add("g2d", 0.6, images=40)], Evidence())
    assert "siim-seg, dice_positive: not every row was tested on the same images; no test" in mixed.notes


def test_where_no_test_was_possible_nothing_is_bold(folder: Any) -> None:
    """Of three positive patients one draw in twenty has none: nobody knows who is not worse."""
    found = [folder.add("g2d", 0.9, positive=0.03), folder.add("random", 0.1, positive=0.03)]
    filled = fill(COLUMN, found, Evidence())
    for value in filled.values.values():
        assert (value.best, value.spread_is, value.limits, value.tested) == (False, "", "", "")
        assert np.isnan(value.p)
    assert sum("no interval and no test" in note for note in filled.notes) == 2


def test_rows_that_are_undefined_in_other_draws_are_not_tested(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Evidence.mean

    def mean(self: Evidence, seeds: Sequence[Found], metric: str) -> Drawn | None:
        drawn = whole(self, seeds, metric)
        assert drawn is not None
        first = 20 * (seeds[0].cell.encoder == "g2d")
        drawn.draws[first : first + 20] = np.nan
        return drawn

    monkeypatch.setattr(Evidence, "mean", mean)
    filled = fill(COLUMN, [folder.add("random", 0.1), folder.add("g2d", 0.9)], Evidence())
    assert not any(value.best for value in filled.values.values())
    assert all(value.limits for value in filled.values.values())
    why = "the difference of two rows is often undefined in draws; no test"
    assert f"siim-seg, dice_positive: {why}" in filled.notes


@pytest.mark.parametrize(
    ("protocol", "metric", "notes"),
    [
        ("clean", "dice_at_medklip", {}),
        ("clean", "dice_legacy", {}),
        ("legacy", "dice_positive", {}),
        ("legacy+fast", "dice_positive", {}),
        ("own", "dice_positive", {"split_defects": ["Rows are split."]}),
    ],
)
def test_published_conventions_and_protocols_rank_nothing(
    folder: Any, protocol: str, metric: str, notes: dict[str, Any]
) -> None:
    column = Column("siim-seg", 0.01, metric, protocol, (metric,))
    assert not ranked(column, [folder.add("g2d", protocol=protocol, notes=notes)])
    assert ranked(COLUMN, [folder.add("g2d")])


def test_nothing_is_bold_under_a_published_protocol(folder: Any) -> None:
    found = [folder.add("random", 0.1, protocol="legacy"), folder.add("g2d", 0.9, protocol="legacy")]
    values = fill(replace(COLUMN, protocol="legacy"), found, Evidence()).values.values()
    assert not any(value.best for value in values)
    assert all(value.limits for value in values)
