"""Metrics by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import (
    roc_auc_score,
)

from g2d_bench.errors import InputError
from g2d_bench.metrics import registry
from g2d_bench.metrics.registry import FAMILIES, foreign_code, measure, metric_names, metric_spec, metrics
from g2d_bench.metrics.segmentation import (
    METRICS,
)
from g2d_bench.metrics.spec import MetricSpec

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


NAMES = tuple(METRICS)


def test_one_label_by_name() -> None:
    scores, targets = _random(11, 80, 3, 20)
    targets = (np.random.default_rng(2).random(targets.shape) < 0.3).astype(float)
    stored = _stored(scores, targets)
    each = [metric_spec(f"auroc/L{k}")(stored) for k in range(3)]
    assert each == pytest.approx([roc_auc_score(targets[:, k], scores[:, k]) for k in range(3)])
    assert np.mean(each) == pytest.approx(metric_spec("auroc")(stored))
    with pytest.raises(InputError, match="did you mean 'L1'"):
        metric_spec("auroc/L11")(stored)
    for wrong in ("auroc/", "accuracy/L1", "dice_positive/L1"):
        with pytest.raises(InputError, match="unknown metric"):
            metric_spec(wrong)


def test_names_resolve() -> None:
    assert set(NAMES) <= set(metric_names())
    assert metric_spec("dice_legacy").higher_is_better
    with pytest.raises(InputError, match="did you mean 'dice_positive'"):
        metric_spec("dice_positiv")


def test_every_metric_stands_in_one_family_under_its_own_name() -> None:
    names = [name for family in FAMILIES for name in FAMILIES[family]]
    assert sorted(names) == metric_names()
    assert all(spec.name == name for name, spec in metrics().items())


def everything() -> dict[str, Array]:
    """All that records of any kind keep of six samples, filled with small whole numbers."""
    several: dict[str, tuple[int, ...]] = {"scores": (6, 2), "thresholds": (2,), "box": (6, 4)}
    several |= {"cosine_common": (6, 5), "cosine_predicted": (6, 5), "minmax_common": (6, 5)}
    several |= {"minmax_predicted": (6, 5), "i2t_class_p": (6, 3), "i2t_class_hit": (6, 3)}
    several |= {"text_level": (6, 2), "image_level": (6, 2), "true_box": (6, 4)}
    names = {name for spec in metrics().values() for name in spec.reads}
    found: dict[str, Array] = {name: np.ones(several.get(name, (6,)), np.int64) for name in names | {"id"}}
    return found | {
        "targets": np.eye(2)[np.arange(6) % 2],
        "text_label": np.arange(2),
        "image_label": np.arange(2),
        "box_label": np.zeros(6, np.int64),
        "true_label": np.zeros(6, np.int64),
    }


def test_every_metric_says_what_it_reads() -> None:
    """Cards are held against it: with that alone it has its value, and without any of it none."""
    stored = everything()
    for name, spec in metrics().items():
        assert spec.reads, name
        told = {key: stored[key] for key in ("id", *spec.reads)}
        assert spec(told) == pytest.approx(spec(stored), nan_ok=True)
        for key in spec.reads:
            with pytest.raises(KeyError):
                spec({other: array for other, array in told.items() if other != key})


def test_metrics_of_probabilities_refuse_other_scores() -> None:
    stored = everything() | {"scores": np.full((6, 2), 1.5)}
    for name, spec in metrics().items():
        if "scores" not in spec.reads:
            assert not spec.of_probabilities, name
        elif spec.of_probabilities:
            with pytest.raises(InputError, match="no probability"):
                spec(stored)
        else:
            spec(stored)


def test_measure_says_all_that_it_is_asked() -> None:
    scores = np.array([[0.1], [0.6], [0.4], [0.9]])
    stored = _stored(scores, np.array([[0], [0], [1], [1]]))
    assert measure(stored, ("auroc", "auroc/L0")) == pytest.approx({"auroc": 0.75, "auroc/L0": 0.75})
    with pytest.raises(InputError, match="unknown metric 'aroc'"):
        measure(stored, ("auroc", "aroc"))


class Families(dict[str, Any]):
    """Families by name."""

    def module(self, name: str) -> str:
        """Return where one is defined."""
        return f"some.{name}"


def test_a_name_that_two_families_take_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    double = dict.fromkeys(("segmentation", "detection"), FAMILIES["segmentation"])
    monkeypatch.setattr(registry, "FAMILIES", Families(double))
    registry.metrics.cache_clear()
    try:
        with pytest.raises(InputError, match="is defined elsewhere, too"):
            registry.metrics()
    finally:
        monkeypatch.undo()
        registry.metrics.cache_clear()


def test_what_repeats_published_work_says_so() -> None:
    """By these nothing is ranked; a label alone is no better than their mean."""
    assert {name for name, spec in metrics().items() if spec.published} == {
        *("accuracy_at_medklip", "accuracy_legacy", "f1_legacy", "ap_legacy"),
        *("dice_legacy", "dice_legacy_batched"),
        *("dice_at_medklip", "iou_at_medklip", "recall_at_medklip", "pointing_at_medklip"),
    }
    assert metric_spec("f1_legacy/Pneumonia").published
    assert metric_spec("ece/Pneumonia").of_probabilities


def half(predictions: Any) -> Any:
    """A metric of another package: 0.5 whatever is predicted."""
    return np.full(len(predictions["id"]), 0.5)


THEIRS = {"half": MetricSpec("half", "one half", per_sample=half)}


def test_code_of_other_packages_is_named_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert foreign_code() == foreign_code(metric_names()) == ""
    point = EntryPoint("theirs", f"{__name__}:THEIRS", FAMILIES.group)
    monkeypatch.setitem(FAMILIES.__dict__, "_foreign", {"theirs": point})
    named = foreign_code()
    assert named == foreign_code(["auroc", "half"]) == foreign_code(["half/Edema"]) != ""
    assert foreign_code(["auroc"]) == ""
    monkeypatch.setattr(registry, "digest_foreign", lambda module: "edited" if module == __name__ else "")
    assert foreign_code() not in ("", named)
