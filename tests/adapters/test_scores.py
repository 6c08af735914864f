"""What follows from scores and targets, whichever kind keeps them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from g2d_bench.adapters import scores
from g2d_bench.records.recompute import recompute

TARGETS = np.array([[1.0, 0.0], [0.0, np.nan], [0.0, 0.0], [0.0, 1.0]])


def predictions() -> dict[str, Any]:
    return {
        "id": np.array(list("abcd")),
        "patient": np.array(list("abcd")),
        "scores": np.array([[0.9, 0.1], [0.2, 0.3], [0.4, 0.2], [0.1, 0.8]]),
        "targets": TARGETS,
        "label": np.array(["one", "two"]),
        "thresholds": np.array([0.5, 0.5]),
    }


def test_an_image_shows_a_label_only_where_it_is_known() -> None:
    assert scores.shown(predictions()).tolist() == [True, False, False, True]


def test_the_blind_predictor_tells_what_hangs_on_order_alone() -> None:
    names = ("auroc", "auroc/one", "f1_validation")
    [(name, blind, told)] = scores.blind(predictions(), names)
    assert (name, told) == ("prevalence", ["auroc", "auroc/one"])
    assert recompute("auroc", dict(blind)) == 0.5
    bare = {key: value for key, value in predictions().items() if key != "scores"}
    assert scores.blind(bare, names) == []


def test_prevalences_are_those_of_the_training_images() -> None:
    train = {"x": [1.0, 0.0], "y": [1.0, 1.0], "z": [0.0, 0.0], "w": [1.0, 0.0]}
    data = cast(Any, SimpleNamespace(targets=lambda ids: np.array([train[name] for name in ids])))
    found = scores.learned(data, list(train), predictions(), ["accuracy_validation", "auroc"])
    assert found["auroc"] == 0.5
    assert set(found) == {"accuracy_validation", "auroc"}


def test_expected_is_in_the_order_of_the_test_images() -> None:
    data = cast(
        Any,
        SimpleNamespace(
            test=("b", "a"),
            task=SimpleNamespace(labels=("one", "two")),
            targets=lambda ids: np.array([[ord(name), 0] for name in ids]),
        ),
    )
    ids, truth = scores.expected(data)
    assert ids == ("b", "a")
    assert truth["targets"][:, 0].tolist() == [98, 97]
    assert truth["label"].tolist() == ["one", "two"]


@pytest.mark.parametrize("name", scores.TRUTH)
def test_truth_is_kept(name: str) -> None:
    assert name in scores.ARRAYS
