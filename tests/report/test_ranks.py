"""Ranks, clusters of equals, means that refuse gaps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from g2d_bench.report.model import Column, Value
from g2d_bench.report.ranks import EVERYTHING, Group, clusters, groups
from g2d_bench.report.sampled import Sampled


def made(
    task: str,
    numbers: Mapping[str, float | None],
    *,
    kind: str = "segmentation",
    metric: str = "dice_positive",
    spread: float = 1.0,
    fraction: float = 0.01,
    drawn: bool = True,
) -> Sampled:
    """Make a column of encoders whose draws are normal around their numbers; None is a missing one."""
    column = Column(task, fraction, metric, "clean", (task,))
    common = np.random.default_rng(0).normal(0, 3, 2000)
    values, draws = {}, {}
    for n, (name, number) in enumerate(numbers.items()):
        if number is None:
            values[name] = Value(column, missing="seed missing", reason="lacks seed 2")
            continue
        values[name] = Value(column, number)
        if drawn:
            draws[name] = number + common + np.random.default_rng(n + 1).normal(0, spread, 2000)
    return Sampled(column, kind, "phantom", "siim", values, draws)


def only(columns: list[Sampled], name: str = "segmentation") -> Group:
    """Return the one group of a name."""
    (found,) = (group for group in groups(columns) if group.name == name)
    return found


def test_equals_share_a_rank_and_others_do_not() -> None:
    group = only([made("a", {"worst": 20, "best": 50, "second": 49.5, "third": 40})])
    places = {place.encoder: place for place in group.places}
    assert [place.encoder for place in group.places] == ["best", "second", "third", "worst"]
    assert [place.rank for place in group.places] == [1, 1, 3, 4]
    assert [place.cluster for place in group.places] == [0, 0, 1, 2]
    assert (places["best"].low, places["second"].high) == (1, 2)
    assert (places["worst"].low, places["worst"].high) == (4, 4)
    assert group.answer == "best has the best numbers; second may be as good."
    assert places["best"].mean == 50
    assert places["best"].mean_low < 50 < places["best"].mean_high


def test_a_certain_winner_is_said_to_be_one() -> None:
    assert only([made("a", {"best": 60, "other": 40, "third": 39})]).answer == "best is best, with certainty."
    open_ = only([made("a", {"best": 40.1, "other": 40, "third": 39.9})])
    assert open_.answer == "best has the best numbers, but every other encoder may be as good."
    assert {place.rank for place in open_.places} == {1}


def test_a_mean_stands_only_where_no_cell_is_missing() -> None:
    group = only([made("a", {"g2d": 50, "mgca": 60}), made("b", {"g2d": 40, "mgca": None, "late": 70})])
    assert [place.encoder for place in group.places] == ["g2d"]
    assert group.places[0].mean == 45
    assert group.missing == {"mgca": "b: lacks seed 2", "late": "a: not measured"}
    assert group.answer == "Only g2d has every number; there is nothing to rank it against."


def test_tasks_with_different_metrics_are_ranked_by_the_mean_rank() -> None:
    one = made("a", {"g2d": 50, "mgca": 40, "tie": 50})
    two = made("b", {"g2d": 0.4, "mgca": 0.6, "tie": 0.2}, kind="detection", metric="ap_coco", spread=0.01)
    group = only([one, two], EVERYTHING)
    ranks = {place.encoder: place.mean_rank for place in group.places}
    assert ranks == {"g2d": (1.5 + 2) / 2, "mgca": (3 + 1) / 2, "tie": (1.5 + 3) / 2}
    assert group.metric == ""
    assert all(math.isnan(place.mean) for place in group.places)


def test_kinds_are_ranked_alone_and_together() -> None:
    columns = [
        made("a", {"g2d": 50, "mgca": 40}),
        made("b", {"g2d": 50, "mgca": 40}, kind="detection", metric="ap_coco"),
        made("c", {"g2d": 50, "mgca": 40}, kind="classification", metric="auroc"),
        made("d", {"g2d": 50, "mgca": 40}, kind="zero-shot", metric="auroc", fraction=1.0),
        made("a", {"g2d": 50, "mgca": 40}, fraction=0.1),
    ]
    found = groups(columns)
    assert [(group.name, group.share) for group in found] == [
        (EVERYTHING, "1 %"),
        ("localisation", "1 %"),
        ("segmentation", "1 %"),
        ("segmentation", "10 %"),
        ("detection", "1 %"),
        ("classification", "1 %"),
        ("zero-shot", "no labels"),
    ]
    assert next(g for g in found if g.name == "localisation").tasks == ("a", "b")


def test_lower_is_better_where_the_metric_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sampled, "sign", -1.0)
    group = only([made("a", {"g2d": 10, "mgca": 30})])
    assert [place.encoder for place in group.places] == ["g2d", "mgca"]
    assert group.places[0].mean == 10
    assert group.places[0].mean_low < 10 < group.places[0].mean_high


def test_a_shared_rank_lies_within_its_interval() -> None:
    """Equals of a best encoder share its rank, also one that hardly any draw puts there."""
    rng = np.random.default_rng(0)
    column = made("a", {"best": 50, "second": 49.9, "third": 49.5, "noisy": 49.0})
    draws = {name: value.mean + 0.1 * rng.normal(size=2000) for name, value in column.values.items()}
    draws["noisy"] = 49.0 + np.where(rng.random(2000) < 0.03, 5.0, -0.1)
    group = only([replace(column, draws=draws)])
    assert len({place.cluster for place in group.places}) < 4
    for place in group.places:
        assert place.low <= place.rank <= place.high
    noisy = next(place for place in group.places if place.encoder == "noisy")
    assert (noisy.rank, noisy.low, noisy.high) == (1, 1, 4)


def test_without_draws_there_is_an_order_and_no_certainty() -> None:
    group = only([made("a", {"mgca": 40, "g2d": 50}, drawn=False)])
    assert not group.tested
    assert [(place.encoder, place.rank, place.cluster) for place in group.places] == [
        ("g2d", 1, None),
        ("mgca", 2, None),
    ]
    assert "no test says how certain" in group.answer


def test_a_cluster_is_the_best_and_all_that_are_not_worse() -> None:
    rng = np.random.default_rng(0)
    draws = {
        name: mean + rng.normal(0, 1, 2000) for name, mean in (("a", 10), ("b", 9), ("c", 6), ("d", 5.5))
    }
    points = {"a": 10.0, "b": 9.0, "c": 6.0, "d": 5.5}
    assert clusters(list(points), points, draws) == {"a": 0, "b": 0, "c": 1, "d": 1}


def test_what_is_often_undefined_makes_no_equals() -> None:
    column = made("a", {"best": 90, "worst": 10})
    column.draws["worst"][:40] = math.nan
    group = only([column])
    assert not group.tested
    assert [(place.encoder, place.rank, place.cluster) for place in group.places] == [
        ("best", 1, None),
        ("worst", 2, None),
    ]
    assert group.answer == "best has the best numbers; no test says how certain that is."
