"""Retrieval against literal loops, with ties, duplicates and weights."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import measure, metric_spec
from g2d_bench.metrics.retrieval import (
    LONG,
    METRICS,
    RANKS,
    Places,
    class_hits,
    first_places,
    levels,
    weighted_median,
)
from g2d_bench.metrics.retrieval_chance import RANDOM, without_looking


def table(seed: int, rows: int, columns: int, steps: int) -> NDArray[Any]:
    """Scores of few different values, so that many are level."""
    return np.random.default_rng(seed).integers(0, steps, (rows, columns)) / steps


def places_of_all_orders(scores: list[float], right: list[bool]) -> list[int]:
    """Literally: in each order that the scores allow, the place of the first right candidate."""
    return [
        next(place for place, k in enumerate(order, 1) if right[k])
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]


def test_first_places_are_the_mean_over_all_orders_of_ties() -> None:
    rng = np.random.default_rng(1)
    for seed in range(20):
        scores = table(seed, 3, 7, 3)
        right = rng.random((3, 7)) < 0.35
        right[np.arange(3), rng.integers(0, 7, 3)] = True
        places = first_places(scores, right)
        orders = [places_of_all_orders(*pair) for pair in zip(scores.tolist(), right.tolist(), strict=True)]
        for cut in (1, 2, 3, 5, 10):
            wanted = [np.mean([place <= cut for place in each]) for each in orders]
            assert places.within(cut) == pytest.approx(wanted)
        wanted = [np.mean([1 / place for place in each]) for each in orders]
        assert places.reciprocal() == pytest.approx(wanted)
        for weights in rng.integers(0, 3, (4, 3)):
            # As often as a query counts: the numbers of orders brought to a common multiple.
            common = math.lcm(*map(len, orders))
            pooled = [
                place
                for each, times in zip(orders, weights.tolist(), strict=True)
                for place in each * (times * common // len(each))
            ]
            middle = float(np.median(pooled)) if pooled else math.nan
            assert places.median()(weights[None].astype(float))[0] == pytest.approx(middle, nan_ok=True)


def test_copies_of_a_report_help_nobody_and_hurt_nobody() -> None:
    """A right candidate in three copies ranks where the first of them stands."""
    scores = np.array([[0.9, 0.4, 0.4, 0.4, 0.1]])
    places = first_places(scores, np.array([[False, True, True, True, False]]))
    assert (places.within(1).tolist(), places.within(2).tolist()) == ([0], [1])


@pytest.mark.parametrize("copies", [1, 3])
def test_a_similarity_that_says_nothing_earns_what_chance_earns(copies: int) -> None:
    number = np.repeat(np.arange(15), copies)
    right = number[:, None] == np.arange(15)
    forth, back = (first_places(np.zeros(part.shape), part) for part in (right, right.T))
    stored = {
        "id": number.astype(str),
        "report": number.astype(str),
        "seen": 0 * number,
        **{f"i2t_{part}": array for part, array in vars(forth).items()},
        **{f"t2i_{part}": array[number] for part, array in vars(back).items()},
    }
    names = tuple(name for name in METRICS if "_class_" not in name)
    assert measure(stored, names) == pytest.approx(without_looking(stored, names)[RANDOM])
    assert measure(stored, ("i2t_r10",))["i2t_r10"] == pytest.approx(10 / 15)


def test_a_rank_that_older_records_keep_is_certain() -> None:
    stored = {"id": np.arange(4), "i2t_rank": np.array([1.0, 2.5, 5.0, 11.0])}
    found = measure(stored, ("i2t_r1", "i2t_r5", "i2t_mrr", "i2t_median"))
    assert found["i2t_r1"] == 0.25
    assert found["i2t_r5"] == 0.75
    assert found["i2t_mrr"] == pytest.approx((1 + 1 / 2.5 + 1 / 5 + 1 / 11) / 4)
    assert found["i2t_median"] == 3.75


def test_class_hits_are_the_mean_over_all_orders_of_ties() -> None:
    rng = np.random.default_rng(2)
    for seed in range(12):
        scores, right = table(seed, 2, 6, 3), rng.random((2, 6)) < 0.4
        shares, hits = class_hits(scores, right, (1, 3, 5, 9))
        for row in range(2):
            orders = [
                [right[row, k] for k in order]
                for order in itertools.permutations(range(6))
                if all(scores[row, a] >= scores[row, b] for a, b in itertools.pairwise(order))
            ]
            for column, cut in enumerate((1, 3, 5, 9)):
                length = min(cut, 6)
                assert shares[row, column] == pytest.approx(
                    sum(sum(order[:length]) / length for order in orders) / len(orders)
                )
                assert hits[row, column] == pytest.approx(
                    sum(any(order[:length]) for order in orders) / len(orders)
                )


def predictions(seed: int = 0, images: int = 30) -> dict[str, NDArray[Any]]:
    rng = np.random.default_rng(seed)
    number = rng.integers(0, 20, images)
    _, number = np.unique(number, return_inverse=True)
    scores = rng.integers(0, 9, (images, number.max() + 1)) / 9
    targets = np.eye(3)[rng.integers(0, 3, images)]
    asking, looking = rng.integers(0, 8, (images, 6)) / 8, rng.integers(0, 8, (images, 4)) / 8
    shares, hits = class_hits(scores[:, number], targets @ targets.T > 0)
    forth = first_places(scores, number[:, None] == np.arange(scores.shape[1]))
    back = first_places(scores.T, np.arange(scores.shape[1])[:, None] == number)
    return {
        "id": np.array([f"i{n}" for n in range(images)]),
        "patient": np.array([f"p{n // 2}" for n in range(images)]),
        "report": np.array([f"r{n}" for n in number]),
        "seen": rng.integers(0, 4, 20)[number],
        **{f"i2t_{part}": array for part, array in vars(forth).items()},
        **{f"t2i_{part}": array[number] for part, array in vars(back).items()},
        "targets": targets,
        "label": np.array(["A", "B", "C"]),
        "i2t_class_p": shares,
        "i2t_class_hit": hits,
        "text_level": levels(asking),
        "text_label": np.array([0, 0, 1, 1, 2, 2]),
        "image_level": levels(looking),
        "image_label": np.array([0, 1, 2, 2]),
    }


def test_metrics_are_plain_means_of_what_is_stored() -> None:
    stored = predictions()
    found = measure(stored, tuple(METRICS))
    for way in ("i2t", "t2i"):
        places = Places.read(way, stored)
        for cut in RANKS:
            assert found[f"{way}_r{cut}"] == pytest.approx(places.within(cut).sum() / 30)
        assert found[f"{way}_mrr"] == pytest.approx(places.reciprocal().sum() / 30)
    for column, cut in enumerate(RANKS):
        assert found[f"i2t_class_p{cut}"] == pytest.approx(stored["i2t_class_p"][:, column].mean())
        assert found[f"i2t_class_hit{cut}"] == pytest.approx(stored["i2t_class_hit"][:, column].mean())
    for query, way in (("text", "t2i"), ("image", "i2i")):
        order = stored[f"{query}_level"]
        right = np.stack([stored["targets"][:, label] == 1 for label in stored[f"{query}_label"]], axis=1)
        for cut in LONG:
            shares, _ = class_hits(-order.T.astype(float), right.T, (cut,))
            assert found[f"{way}_class_p{cut}"] == pytest.approx(shares.mean())


@pytest.mark.parametrize("name", METRICS)
def test_a_sample_that_counts_twice_is_a_copy(name: str) -> None:
    """Weighted metrics are those of a set in which the samples stand as often as they count."""
    stored = predictions(3)
    weights = np.random.default_rng(0).integers(0, 4, 30)
    copies = np.repeat(np.arange(30), weights)
    per_query = {"label", "text_label", "image_label"}
    repeated = {key: array if key in per_query else array[copies] for key, array in stored.items()}
    statistic = metric_spec(name).statistic(stored)
    assert statistic(weights[None].astype(float))[0] == pytest.approx(metric_spec(name)(repeated))
    assert math.isnan(statistic(np.zeros((1, 30)))[0])


def test_median_lies_between_two_where_the_half_does() -> None:
    statistic = weighted_median(np.array([3.0, 1.0, 10.0, 2.0]))
    weights = np.array([[1, 1, 1, 1], [1, 1, 0, 1], [0, 0, 2, 0], [3, 1, 1, 1]], float)
    assert statistic(weights).tolist() == [2.5, 2, 10, 3]


def test_the_best_score_comes_first() -> None:
    assert levels(np.array([[0.1], [0.9], [0.1], [0.5]]))[:, 0].tolist() == [2, 0, 2, 1]
    assert levels(np.empty((4, 0))).shape == (4, 0)


def test_what_cannot_be_ranked() -> None:
    with pytest.raises(InputError, match="not a number"):
        first_places(np.array([[np.nan, 1.0]]), np.array([[True, False]]))
    with pytest.raises(InputError, match="no right candidate"):
        first_places(np.array([[0.0, 1.0]]), np.array([[False, False]]))
    with pytest.raises(InputError, match="i2t_right: more candidates are right than tied"):
        measure(predictions() | {"i2t_right": np.full(30, 99)}, ("i2t_mrr",))
    hostile = {"i2t_above": np.arange(30), "i2t_tied": np.full(30, 1 << 24), "i2t_right": np.ones(30, int)}
    with pytest.raises(InputError, match="too many candidates are tied"):
        measure(predictions() | hostile, ("i2t_median",))
    several = predictions() | {"targets": np.ones((30, 3))}
    with pytest.raises(InputError, match="exactly one 1 per sample"):
        measure(several, ("t2i_class_p5",))
