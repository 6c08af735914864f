from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    f1_score,
    precision_recall_curve,
    roc_auc_score,
)

from g2d_bench.errors import InputError
from g2d_bench.metrics.classification import BINS, METRICS, choose_thresholds
from g2d_bench.metrics.registry import measure, metric_spec

Array = npt.NDArray[Any]


def _stored(scores: Array, targets: Array, **more: Array) -> dict[str, Array]:
    names = np.array([f"L{k}" for k in range(scores.shape[1])])
    return {
        "id": np.arange(len(scores)),
        "scores": scores,
        "targets": targets.astype(float),
        "label": names,
        **more,
    }


def _random(seed: int, samples: int, labels: int, distinct: int) -> tuple[Array, Array]:
    """Scores with many ties where ``distinct`` is small."""
    generator = np.random.default_rng(seed)
    targets = (generator.random((samples, labels)) < generator.choice([0.0, 0.1, 0.5, 1.0])).astype(float)
    scores = generator.integers(0, distinct, (samples, labels)) / distinct
    return scores, targets


def _macro(read: Any, scores: Array, targets: Array) -> float:
    """Mean over labels; NaN where a label has but one class and the metric needs two."""
    values = []
    for s, t in zip(scores.T, targets.T, strict=True):
        known = ~np.isnan(t)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values.append(read(t[known].astype(int), s[known]))
    return float(np.mean(values))


def _two_classes(read: Any) -> Any:
    return lambda t, s: read(t, s) if len(set(t.tolist())) == 2 else math.nan


def _with_positive(read: Any) -> Any:
    return lambda t, s: read(t, s) if t.any() else math.nan


def _best_f1(t: Array, s: Array) -> tuple[float, float]:
    """Try every score as threshold, from the lowest up."""
    best = (-1.0, 0.0)
    for threshold in sorted(set(s.tolist())):
        called = s >= threshold
        f1 = 2 * float((called & (t == 1)).sum()) / float(called.sum() + t.sum())
        if f1 > best[0] + 1e-15:
            best = (f1, float(np.mean(called == t)))
    return best


def _accuracy_medklip(t: Array, s: Array) -> float:
    """The published recipe with scikit-learn's curve: F1 at or above a threshold, accuracy above it."""
    precision, recall, thresholds = precision_recall_curve(t, s)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    # The last point of the curve has no threshold; rounding must not choose between equal ones.
    chosen = thresholds[np.flatnonzero(f1[:-1] >= f1[:-1].max() - 1e-12)[0]]
    return float(np.mean((s > chosen) == t))


def _ece(t: Array, s: Array) -> float:
    total = 0.0
    for b in range(BINS):
        inside = [(x, y) for x, y in zip(s.tolist(), t.tolist(), strict=True) if _bin(x) == b]
        if inside:
            gap = sum(y for _, y in inside) / len(inside) - sum(x for x, _ in inside) / len(inside)
            total += len(inside) / len(s) * abs(gap)
    return total


def _bin(chance: float) -> int:
    return next(b for b in range(BINS) if chance * BINS <= b + 1)


REFERENCES = {
    "auroc": _two_classes(roc_auc_score),
    "auprc": _with_positive(average_precision_score),
    "accuracy_half": lambda t, s: accuracy_score(t, s >= 0.5),
    "brier": lambda t, s: brier_score_loss(t, s, pos_label=1),
    "ece": _ece,
    "f1_legacy": _with_positive(lambda t, s: _best_f1(t, s)[0]),
    "accuracy_legacy": _with_positive(lambda t, s: _best_f1(t, s)[1]),
    "accuracy_at_medklip": _with_positive(_accuracy_medklip),
}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 3), st.sampled_from([1, 2, 5, 30, 10**6])
)
def test_equal_references(seed: int, samples: int, labels: int, distinct: int) -> None:
    scores, targets = _random(seed, samples, labels, distinct)
    targets[np.random.default_rng(seed).random(targets.shape) < 0.2] = np.nan
    targets[0] = np.nan_to_num(targets[0])  # at least one known sample per label
    found = measure(_stored(scores, targets), tuple(REFERENCES))
    for name, reference in REFERENCES.items():
        assert found[name] == pytest.approx(_macro(reference, scores, targets), nan_ok=True, abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.sampled_from([2, 7, 10**6]))
def test_whole_weights_equal_repeated_samples(seed: int, samples: int, distinct: int) -> None:
    scores, targets = _random(seed, samples, 2, distinct)
    weights = np.random.default_rng(seed + 1).integers(0, 4, (3, samples))
    weights[:, 0] += 1
    stored = _stored(scores, targets, thresholds=np.array([0.4, 0.6]))
    for name in (*REFERENCES, "f1_validation", "accuracy_validation"):
        found = METRICS[name].statistic(stored)(weights.astype(float))
        for value, row in zip(found, weights, strict=True):
            repeated = {
                **stored,
                **{key: np.repeat(stored[key], row, axis=0) for key in ("id", "scores", "targets")},
            }
            assert value == pytest.approx(METRICS[name](repeated), nan_ok=True, abs=1e-12), name


def test_fractional_weights_equal_sklearn() -> None:
    scores, targets = _random(5, 300, 1, 40)
    targets[::3] = 1 - targets[::3]
    weights = np.random.default_rng(0).random((1, 300))
    for name, reference in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
        found = METRICS[name].statistic(_stored(scores, targets))(weights)[0]
        wanted = reference(targets[:, 0], scores[:, 0], sample_weight=weights[0])
        assert found == pytest.approx(wanted, abs=1e-12)


def test_metrics_at_validation_thresholds() -> None:
    scores, targets = _random(8, 200, 3, 50)
    targets = (scores + np.random.default_rng(1).normal(0, 0.4, scores.shape) > 0.6).astype(float)
    thresholds = choose_thresholds(scores[:100], targets[:100])
    stored = _stored(scores[100:], targets[100:], thresholds=thresholds)
    called = scores[100:] >= thresholds
    found = measure(stored, ("f1_validation", "accuracy_validation"))
    assert found["f1_validation"] == pytest.approx(f1_score(targets[100:], called, average="macro"))
    assert found["accuracy_validation"] == pytest.approx(np.mean(called == targets[100:]))


def test_thresholds_of_labels_without_positive_are_undefined() -> None:
    scores = np.array([[0.2, 0.3], [0.4, 0.1]])
    thresholds = choose_thresholds(scores, np.array([[0.0, 1.0], [0.0, 0.0]]))
    assert math.isnan(thresholds[0])
    assert thresholds[1] == 0.3
    stored = _stored(scores, np.eye(2), thresholds=thresholds)
    found = measure(stored, ("f1_validation", "accuracy_validation", "f1_validation/L0", "f1_validation/L1"))
    assert [math.isnan(value) for value in found.values()] == [True, True, True, False]


def test_classes_that_exclude_each_other() -> None:
    generator = np.random.default_rng(4)
    scores = generator.dirichlet([1, 1, 1], 90)
    truth = generator.integers(0, 3, 90)
    stored = _stored(scores, np.eye(3)[truth])
    found = measure(stored, ("accuracy", "auroc", "ece_top"))
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, scores.argmax(axis=1)))
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, scores, multi_class="ovr"))
    right = (scores.argmax(axis=1) == truth).astype(float)
    assert found["ece_top"] == pytest.approx(_ece(right, scores.max(axis=1)))


@pytest.mark.parametrize(
    ("change", "name", "says"),
    [
        ({"scores": np.full((4, 2), np.nan)}, "auroc", "scores: a score is not a number"),
        ({"scores": np.zeros((4, 3))}, "auroc", r"scores: shapes \(4, 3\) and \(4, 2\)"),
        ({"targets": np.full((4, 2), -1.0)}, "auroc", "targets: a target is none of 0, 1 and unknown"),
        ({"scores": np.full((4, 2), 1.5)}, "ece", "scores: a score lies outside 0 to 1"),
        (
            {"targets": np.ones((4, 2))},
            "accuracy",
            "targets: classes that exclude each other need exactly one",
        ),
        ({"thresholds": np.zeros(3)}, "f1_validation", r"thresholds: shape \(3,\); one per label"),
    ],
)
def test_wrong_predictions_are_named(change: dict[str, Array], name: str, says: str) -> None:
    stored = _stored(np.full((4, 2), 0.5), np.eye(2)[[0, 1, 0, 1]], **{"thresholds": np.zeros(2)}) | change
    with pytest.raises(InputError, match=f"^{says}"):
        metric_spec(name)(stored)


def test_undefined_is_nan() -> None:
    nothing = _stored(np.zeros((0, 1)), np.zeros((0, 1)), thresholds=np.zeros(1))
    assert all(math.isnan(value) for value in measure(nothing, tuple(METRICS)).values())
    unknown = _stored(np.full((3, 1), 0.5), np.full((3, 1), np.nan), thresholds=np.full(1, 0.5))
    names = tuple(name for name, spec in METRICS.items() if spec.by_label)
    assert all(math.isnan(value) for value in measure(unknown, names).values())


def test_medklips_accuracy_leaves_out_the_score_that_is_the_threshold() -> None:
    scores, targets = np.array([[0.9], [0.8], [0.1]]), np.array([[1.0], [1.0], [0.0]])
    names = ("f1_legacy", "accuracy_legacy", "accuracy_at_medklip")
    found = measure(_stored(scores, targets), names)
    assert found == {"f1_legacy": 1.0, "accuracy_legacy": 1.0, "accuracy_at_medklip": pytest.approx(2 / 3)}
    # Weights are repetitions: with the second sample twice, half of four are missed.
    weights = np.array([[1.0, 2.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    values = metric_spec("accuracy_at_medklip").statistic(_stored(scores, targets))(weights)
    assert values == pytest.approx([0.5, 0.0, 0.5])


def test_no_metric_of_the_zero_shot_tasks_sees_a_z_score_over_the_test_set() -> None:
    """GLoRIA's transductive step moves and stretches each label's scores; what papers read stays the same."""
    generator = np.random.default_rng(12)
    scores, targets = generator.normal(0.1, 0.05, (200, 3)), (generator.random((200, 3)) < 0.3).astype(float)
    scores += 0.03 * targets
    names = ("auroc", "auprc", "f1_legacy", "accuracy_legacy")
    plain = measure(_stored(scores, targets), names)
    standard = (scores - scores.mean(0)) / scores.std(0)
    assert measure(_stored(standard, targets), names) == pytest.approx(plain, abs=1e-12)


@pytest.mark.parametrize("name", sorted(n for n, spec in METRICS.items() if spec.of_rows is not None))
@pytest.mark.parametrize("seed", range(6))
def test_part_of_the_samples_is_what_no_weight_on_the_others_gives(name: str, seed: int) -> None:
    """Ties, unknown truths and labels with one class among them; of one label alone, too."""
    generator = np.random.default_rng([seed, 7])
    scores, targets = _random(seed, 60, 3, 8)
    targets[generator.random(targets.shape) < 0.1] = np.nan
    stored, rows = _stored(scores, targets), np.flatnonzero(generator.random(60) < 0.4)
    weights = generator.integers(0, 4, (20, 60)).astype(float)
    mask = np.isin(np.arange(60), rows)
    for spec in (METRICS[name], METRICS[name].of_label("L1")):
        assert spec.of_rows is not None
        alone = spec.statistic(spec.of_rows(stored, rows))(weights[:, rows])
        np.testing.assert_allclose(alone, spec.statistic(stored)(weights * mask), rtol=1e-12)


def test_the_metrics_that_sort_are_those_that_take_rows() -> None:
    assert {n for n, spec in METRICS.items() if spec.of_rows is not None} == {
        "auroc",
        "auprc",
        "f1_legacy",
        "accuracy_legacy",
        "accuracy_at_medklip",
    }
