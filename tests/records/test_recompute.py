"""Metrics from stored predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from g2d_bench.paths import cache_dir
from g2d_bench.records import recompute as recompute_module
from g2d_bench.records.parts import parts_of
from g2d_bench.records.recompute import code_of, facts_of, recompute
from g2d_bench.records.selection import Found


def test_facts_are_kept_and_only_believed_if_whole(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder.add("g2d")
    names = tuple(found.record.metrics)
    first = facts_of(found, names)
    (kept,) = (cache_dir() / "facts").iterdir()
    derived: list[tuple[str, ...]] = []
    real = recompute_module.derive

    def counted(kind: str, predictions: Any, wanted: Any) -> Any:
        derived.append(tuple(wanted))
        return real(kind, predictions, wanted)

    monkeypatch.setattr(recompute_module, "derive", counted)
    assert facts_of(found, names) == first
    assert derived == []
    # A metric more is computed alone, and then kept, too.
    assert facts_of(found, (*names, "dice_pooled")).metrics["dice_pooled"] > 0
    assert facts_of(found, (*names, "dice_pooled")).references["all-empty"]["dice_pooled"] == 0
    assert derived == [("dice_pooled",)]
    whole = kept.read_text()
    value = json.dumps(first.metrics["dice_positive"])
    for damaged in (
        whole.replace(value, "0.5"),
        whole[:-9],
        "{}",
        "",
        whole.replace('"images": 60', '"images": 6'),
    ):
        assert damaged != whole
        kept.write_text(damaged)
        assert facts_of(found, names) == first
    assert derived == [("dice_pooled",), *[names] * 5]
    assert facts_of(found, names, fresh=True) == first
    assert len(derived) == 7


def test_batched_dice_is_recomputed_in_its_order() -> None:
    arrays = {
        "id": np.arange(9),
        "intersection": np.array([1, 0, 0, 0, 0, 0, 0, 0, 5]),
        "predicted": np.array([1, 0, 0, 0, 0, 0, 0, 3, 5]),
        "true": np.array([3, 0, 0, 0, 0, 0, 0, 0, 5]),
    }
    # Batches of 8: (0.5 + 6 * 1 + 0) / 8 and 1; images alone would give (0.5 + 6 + 0 + 1) / 9.
    assert recompute("dice_legacy_batched", arrays) == pytest.approx((6.5 / 8 + 1) / 2)


@pytest.mark.parametrize(
    ("kind", "score", "known"),
    [
        ("classification", None, True),
        ("zero-shot", "mean over 2 models of the probability of the positive of two prompts", True),
        ("zero-shot", "mean probability of the positive prompts", True),
        ("zero-shot", "mean score of the positive prompts", False),
        ("zero-shot", "cosine with the mean positive prompt - cosine with the mean negative prompt", False),
        ("zero-shot", None, False),
    ],
)
def test_what_a_score_is_decides_whether_it_is_calibrated(
    folder: Any, kind: str, score: str | None, known: bool
) -> None:
    """All these scores lie in 0 to 1; whether they are probabilities, their record says."""
    found = folder.add("g2d", task="rsna-zeroshot", fraction=1.0)
    targets = np.array([[0.0], [1.0]] * 10)
    arrays = {
        "id": np.array([f"{n:02}" for n in range(20)]),
        "patient": np.array([f"{n:02}" for n in range(20)]),
        "scores": 0.25 + 0.5 * targets,
        "targets": targets,
        "label": np.array(["Pneumonia"]),
        "group_sex": np.array(["M", "F"] * 10),
    }
    notes = {} if score is None else {"score": score}
    update = {"kind": kind, "notes": notes, "metrics": {"auroc": 1.0}, "references": {}}
    record = folder.store.save(found.path, found.record.model_copy(update=update), arrays)
    one = Found(record, found.path)
    names = ("auroc", "accuracy_half", "ece", "ece/Pneumonia", "brier")
    for _ in range(2):  # what is kept of the predictions says the same
        facts = facts_of(one, names)
        assert set(facts.metrics) == (set(names) if known else {"auroc"})
        assert set(facts.errors) == set(names) - set(facts.metrics)
        assert all(why.startswith("its scores are no prob") for why in facts.errors.values())
    assert isinstance(parts_of(one, "sex", "brier"), str) != known
    assert not isinstance(parts_of(one, "sex", "auroc"), str)


def test_facts_are_named_by_the_code_of_others_that_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    of = code_of.__wrapped__
    ours = of("segmentation")
    assert ours == of("segmentation")
    with monkeypatch.context() as patch:
        patch.setattr(recompute_module, "foreign_code", lambda: "metrics of theirs")
        assert of("segmentation") != ours
    with monkeypatch.context() as patch:
        patch.setattr(recompute_module, "digest_foreign", lambda name: f"edited {name}")
        assert of("segmentation") != ours
        assert of("nobody's") != ours
