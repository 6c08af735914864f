"""What a random order and the commonest report earn, against draws of such orders."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.metrics.retrieval import METRICS, RANKS, class_hits, first_places
from g2d_bench.metrics.retrieval_chance import COMMONEST, RANDOM, without_looking

DRAWS = 4000


def truth() -> dict[str, NDArray[Any]]:
    number = np.array([0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 11])
    seen = np.array([5, 2, 2, 1, 0, 0, 0, 3, 0, 0, 0, 0])
    targets = np.eye(2)[number % 2]
    return {
        "id": np.arange(16).astype(str),
        "report": np.array([f"r{n:02}" for n in number]),
        "seen": seen[number],
        "targets": targets,
        "label": np.array(["A", "B"]),
        "text_label": np.array([0, 1, 1]),
        "image_label": np.array([1]),
    }


def drawn(who: str, way: str, stored: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Ranks [draws, N] of a predictor that breaks its ties at random."""
    rng = np.random.default_rng(0)
    names, number = np.unique(stored["report"], return_inverse=True)
    right = number[:, None] == np.arange(len(names))
    seen = np.zeros(len(names))
    seen[number] = stored["seen"]
    ranks = []
    for _ in range(DRAWS):
        if way == "t2i":
            order = rng.random(len(number))
            places = first_places(np.tile(order, (16, 1)), number[:, None] == number)
        else:
            order = rng.random(len(names)) + (seen if who == COMMONEST else 0) * 2
            places = first_places(np.tile(order, (16, 1)), right)
        ranks.append(places.above + 1)
    return np.stack(ranks)


@pytest.mark.parametrize("who", [RANDOM, COMMONEST])
@pytest.mark.parametrize("way", ["i2t", "t2i"])
def test_expectations_are_the_means_of_draws(who: str, way: str) -> None:
    stored = truth()
    found = without_looking(stored, tuple(METRICS))[who]
    ranks = drawn(who, way, stored)
    for cut in RANKS:
        assert found[f"{way}_r{cut}"] == pytest.approx((ranks <= cut).mean(), abs=0.012)
    assert found[f"{way}_mrr"] == pytest.approx((1 / ranks).mean(), abs=0.012)
    # The median of all draws together: half of the queries, over all orders, do better.
    assert found[f"{way}_median"] == pytest.approx(np.median(ranks), abs=0.5)


def test_the_commonest_report_is_right_as_often_as_it_stands() -> None:
    stored = truth()
    found = without_looking(stored, ("i2t_r1", "t2i_r1"))
    assert found[COMMONEST]["i2t_r1"] == 3 / 16
    assert found[RANDOM]["i2t_r1"] == pytest.approx(1 / 12)
    assert found[RANDOM] | {"i2t_r1": 0} == found[COMMONEST] | {"i2t_r1": 0}


def test_by_class() -> None:
    stored = truth()
    found = without_looking(stored, tuple(METRICS))
    of_class = stored["targets"].argmax(axis=1)
    shares = np.array([(of_class == label).mean() for label in (0, 1)])
    for cut in (5, 10, 100):
        assert found[RANDOM][f"t2i_class_p{cut}"] == pytest.approx(shares[[0, 1, 1]].mean())
        assert found[COMMONEST][f"i2i_class_p{cut}"] == pytest.approx(shares[1])
    assert found[RANDOM]["i2t_class_p10"] == pytest.approx(shares[of_class].mean())
    right = of_class[:, None] == of_class
    blind, _ = class_hits(np.tile(stored["seen"].astype(float), (16, 1)), right)
    assert found[COMMONEST]["i2t_class_p1"] == pytest.approx(blind[:, 0].mean())


def test_other_metrics_are_left_out() -> None:
    assert without_looking(truth(), ("auroc", "i2t_r5"))[RANDOM].keys() == {"i2t_r5"}
