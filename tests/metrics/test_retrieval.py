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
from g2d_bench.metrics.retrieval import LONG, METRICS, RANKS, class_hits, first_ranks, levels, weighted_median


def table(seed: int, rows: int, columns: int, steps: int) -> NDArray[Any]:
    """Scores of few different values, so that many are level."""
    return np.random.default_rng(seed).integers(0, steps, (rows, columns)) / steps


def expected_rank(scores: list[float], right: list[bool]) -> float:
    """Literally: the mean, over all orders of level candidates, of the place of the first right one."""
    best = max(score for score, good in zip(scores, right, strict=True) if good)
    better = sum(score > best for score in scores)
    level = [good for score, good in zip(scores, right, strict=True) if score == best]
    places = [order.index(True) + 1 for order in itertools.permutations(level)]
    return better + sum(places) / len(places)


def test_first_ranks_are_the_mean_over_all_orders_of_ties() -> None:
    rng = np.random.default_rng(1)
    for seed in range(20):
        scores = table(seed, 3, 7, 3)
        right = rng.random((3, 7)) < 0.35
        right[np.arange(3), rng.integers(0, 7, 3)] = True
        wanted = [expected_rank(s, r) for s, r in zip(scores.tolist(), right.tolist(), strict=True)]
        assert first_ranks(scores, right) == pytest.approx(wanted)


def test_copies_of_a_report_help_nobody_and_hurt_nobody() -> None:
    """A right candidate in three copies ranks where the first of them stands."""
    scores = np.array([[0.9, 0.4, 0.4, 0.4, 0.1]])
    assert first_ranks(scores, np.array([[False, True, True, True, False]])).tolist() == [2]
    # A similarity that says nothing earns what chance earns.
    blind = first_ranks(np.zeros((1, 9)), np.eye(1, 9, dtype=np.bool_))
    assert blind.tolist() == [5]


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
    return {
        "id": np.array([f"i{n}" for n in range(images)]),
        "patient": np.array([f"p{n // 2}" for n in range(images)]),
        "report": np.array([f"r{n}" for n in number]),
        "seen": rng.integers(0, 4, 20)[number],
        "i2t_rank": first_ranks(scores, number[:, None] == np.arange(scores.shape[1])),
        "t2i_rank": first_ranks(scores.T, np.arange(scores.shape[1])[:, None] == number)[number],
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
        ranks = stored[f"{way}_rank"].tolist()
        for cut in RANKS:
            assert found[f"{way}_r{cut}"] == pytest.approx(sum(rank <= cut for rank in ranks) / 30)
        assert found[f"{way}_mrr"] == pytest.approx(sum(1 / rank for rank in ranks) / 30)
        assert found[f"{way}_median"] == pytest.approx(float(np.median(ranks)))
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
        first_ranks(np.array([[np.nan, 1.0]]), np.array([[True, False]]))
    with pytest.raises(InputError, match="no right candidate"):
        first_ranks(np.array([[0.0, 1.0]]), np.array([[False, False]]))
    several = predictions() | {"targets": np.ones((30, 3))}
    with pytest.raises(InputError, match="exactly one 1 per sample"):
        measure(several, ("t2i_class_p5",))
