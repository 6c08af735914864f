"""Inside score, outside score, drop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from g2d_bench.metrics.resample import interval
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found, select
from g2d_bench.report.drops import drop_tables, independent
from g2d_bench.report.model import Table

TRAINED = {"task": "siim-seg", "dataset": "siim", "kind": "phantom", "hash": "b" * 64, "split_hash": "c" * 64}


def outside(folder: Any, encoder: str, quality: float, seed: int = 0, **changes: Any) -> Found:
    notes = {
        "trained_on": TRAINED | changes.pop("trained", {}),
        "tested_on": "rsna",
        **changes.pop("notes", {}),
    }
    found: Found = folder.add(encoder, quality, task="siim-to-rsna-seg", seed=seed, notes=notes, **changes)
    return found


def table(folder: Any, **more: Any) -> Table:
    main = {("siim-to-rsna-seg", "clean"): "dice_positive"}
    (made,) = drop_tables(select(folder.root), ("random", "g2d"), main=main, **more)
    return made


def test_the_drop_is_inside_less_outside_with_its_interval(folder: Any) -> None:
    for seed in range(3):
        for encoder, here, there in (("random", 0.5, 0.5), ("g2d", 0.8, 0.5)):
            folder.add(encoder, here, seed=seed)
            outside(folder, encoder, there, seed)
    made = table(folder)
    assert [row.name for row in made.rows] == ["random", "g2d"]
    assert [column.heads for column in made.columns] == [
        *(("inside", "siim"), ("outside", "rsna"), ("drop", "inside - outside")),
    ]
    inside, out, drop = made.rows[1].values
    records = {
        (one.cell.task, one.cell.seed): one for one in select(folder.root) if one.cell.encoder == "g2d"
    }
    pairs = [
        100 * records["siim-seg", seed].record.metrics["dice_positive"]  # type: ignore[operator]
        - 100 * records["siim-to-rsna-seg", seed].record.metrics["dice_positive"]  # type: ignore[operator]
        for seed in range(3)
    ]
    assert drop.mean == pytest.approx(np.mean(pairs)) == pytest.approx(inside.mean - out.mean)
    assert drop.spread == pytest.approx(np.std(pairs, ddof=1))
    evidence = Evidence()
    ours, theirs = (
        evidence.mean([records[task, seed] for seed in range(3)], "dice_positive")
        for task in ("siim-seg", "siim-to-rsna-seg")
    )
    assert ours is not None
    assert theirs is not None
    assert (drop.low, drop.high) == pytest.approx(interval(100 * independent(ours.draws, theirs.draws)))
    assert 0 < drop.low < drop.mean < drop.high
    assert made.rows[0].values[2].low < 0 < made.rows[0].values[2].high


def test_draws_of_as_many_patients_are_not_tied_to_each_other() -> None:
    draws = np.random.default_rng(1).normal(size=4000)
    assert independent(draws, draws).std() == pytest.approx(np.sqrt(2) * draws.std(), rel=0.05)
    assert len(independent(draws, draws[:500])) == 500


@pytest.mark.parametrize(
    "trained", [{"hash": "0" * 64}, {"split_hash": "0" * 64}, {"task": "rsna-seg"}, {"task": ""}]
)
def test_another_training_gives_no_inside_score(folder: Any, trained: dict[str, str]) -> None:
    folder.add("g2d")
    outside(folder, "g2d", 0.5, trained=trained)
    inside, out, drop = table(folder).rows[0].values
    assert (inside.missing, out.missing, drop.missing) == ("not measured", "", "not measured")
    assert inside.reason in table(folder).notes[0]
    other = "its card names no task" if not trained.get("task", "x") else "no record of"
    assert inside.reason.startswith(other)


def test_a_strangers_note_that_names_no_task_has_no_inside_score(folder: Any) -> None:
    folder.add("g2d", 0.8)
    outside(folder, "g2d", 0.5, trained={"task": ["siim-seg"], "hash": {}})
    assert [value.missing for value in table(folder).rows[0].values] == ["not measured", "", "not measured"]


def test_a_cell_of_other_weights_is_another_training(folder: Any) -> None:
    folder.add("g2d", weights="0" * 64)
    outside(folder, "g2d", 0.5)
    assert table(folder).rows[0].values[2].missing == "not measured"


def test_what_was_left_out_and_generated_training_are_said(folder: Any, other: Any) -> None:
    assert other.add("random").record.tested_on == "siim"
    assert outside(other, "random", 0.5).record.tested_on == "rsna"
    outside(folder, "g2d", 0.5, notes={"left_out_of_test": "2 of 80 test images"}, data_kind="real")
    made = table(folder)
    assert "2 of 80 test images" in made.facts
    assert any("trained on GENERATED DATA" in warning for warning in made.warnings)
    assert not made.generated


def test_the_command_adds_the_table(folder: Any, cli: Callable[..., Any]) -> None:
    folder.add("g2d", 0.8)
    assert "inside and outside" not in cli("table").stdout
    outside(folder, "g2d", 0.5)
    made = json.loads(cli("table", "--format", "json").stdout)
    assert [one["title"].split(" · ")[0] for one in made] == [
        "siim-seg",
        "siim-to-rsna-seg",
        "siim-to-rsna-seg",
    ]
    values = made[-1]["rows"][0]["values"]
    assert values[2]["mean"] == pytest.approx(values[0]["mean"] - values[1]["mean"])
    assert "inside and outside" in cli("table").stdout


def test_a_filter_of_tasks_leaves_inside_scores_where_they_are(folder: Any, cli: Callable[..., Any]) -> None:
    folder.add("g2d", 0.8)
    folder.add("mgca", 0.7)
    outside(folder, "g2d", 0.5)
    whole = json.loads(cli("table", "--format", "json").stdout)[-1]
    asked = json.loads(cli("table", "--task", "siim-to-rsna-seg", "--format", "json").stdout)
    assert [one["title"].split(" · ")[0] for one in asked] == ["siim-to-rsna-seg"] * 2
    assert asked[-1]["rows"] == whole["rows"]
    assert not cli("table", "--task", "siim-seg").stdout.count("inside and outside")


def test_a_row_that_lacks_seeds_has_no_drop(folder: Any) -> None:
    for seed in range(3):
        folder.add("random", 0.5, seed=seed)
        outside(folder, "random", 0.5, seed)
    folder.add("g2d", 0.8)
    outside(folder, "g2d", 0.7)
    made = table(folder)
    assert [value.missing for value in made.rows[1].values] == ["seed missing"] * 3
    assert "n/a: g2d in siim-to-rsna-seg at 1 %: lacks seed 1, 2" in made.notes
    assert not any(value.missing for value in made.rows[0].values)


def test_inside_and_outside_bear_each_its_own_marks(folder: Any) -> None:
    own = folder.add("g2d")
    other = outside(folder, "g2d", 0.5)
    for one, leaks, saw in ((own, "known twins", "phantom/siim"), (other, "", "phantom/siim")):
        data = one.record.data.model_copy(update={"leaks": leaks})
        encoder = one.record.encoder.model_copy(update={"scale": "published", "pretraining": (saw,)})
        record = one.record.model_copy(update={"data": data, "encoder": encoder})
        assert one.path is not None
        folder.store.save(one.path, record, read_predictions(one.path, one.record))
    made = table(folder)
    assert made.warnings == ("LEAK ALLOWED in siim-seg: known twins",)
    (row,) = made.rows
    assert [value.sight for value in row.values] == ["images", "", "images"]
    assert [value.leaks for value in row.values] == [("known twins",), (), ("known twins",)]
    assert any(fact.startswith("§ pre-training saw the images") for fact in made.facts)
