"""Metrics from stored predictions."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from g2d_bench.paths import cache_dir
from g2d_bench.records import recompute as recompute_module
from g2d_bench.records.recompute import code_of, facts_of, recompute


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
