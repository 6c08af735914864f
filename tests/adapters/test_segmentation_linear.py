"""Linear heads on the cells of a pyramid, as a protocol of segmentation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from g2d_bench.adapters import segmentation
from g2d_bench.adapters.base import Job, NotApplicable
from g2d_bench.adapters.segmentation_linear import STRIDE, cell_bytes, cell_features, cell_shapes
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.settings import Settings
from g2d_bench.encoders.features import pyramid_features
from g2d_bench.records.cell import Cell

RULE = {"decoder": "linear", "penalties": [0.1], "thresholds": [0.5], "select": "dice_positive"}
CARD = {"name": "x", "version": "1.0", "title": "x", "split": "clean"}


@pytest.fixture(scope="module")
def bench(tiny_root: Path, shared_cache: Path) -> Bench:
    return Bench(Settings(data_root=tiny_root), Options())


def job(bench: Bench, fraction: float = 1.0, seed: int = 0, encoder: str = "random", **changes: Any) -> Job:
    cell = bench.resolve(Cell("covid-cxr-seg", fraction, "clean-linear", seed, encoder))
    made = Job(
        task=cell.protocol.view(cell.task),
        protocol=cell.protocol,
        data=cell.data(),
        encoder=cell.load(),
        seed=seed,
        with_decoder=False,
        memory_budget=1 << 30,
    )
    return replace(made, **changes)


def test_a_head_finds_what_is_dark(bench: Bench) -> None:
    outcome = segmentation.run(job(bench))
    assert outcome.metrics["dice_positive"] > outcome.references["all-empty"]["dice_positive"] + 0.5
    notes = outcome.notes
    assert notes["converged"]
    assert notes["penalty"] in (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
    assert 0 < notes["validation"]["dice_positive"] <= 1
    assert notes["dense_features"] == "computed once"
    predictions = outcome.predictions
    assert len(predictions["mask"]) == len(predictions["id"]) == len(predictions["patient"])
    painted = np.unpackbits(predictions["mask"], axis=1).sum(1)
    assert painted.tolist() == predictions["predicted"].tolist()


def test_together_as_one_by_one_and_seeds_that_change_nothing(bench: Bench) -> None:
    jobs = [job(bench, fraction, seed, "g2d") for fraction in (0.1, 1.0) for seed in (0, 1)]
    together = segmentation.run_many(jobs)
    for one, many in zip([segmentation.run(one) for one in jobs], together, strict=True):
        assert one.metrics == pytest.approx(many.metrics, abs=0, nan_ok=True)
        assert one.notes == many.notes
        for name, values in one.predictions.items():
            np.testing.assert_array_equal(values, many.predictions[name])
    # All labels: a seed draws nothing, and nothing else is left to chance.
    assert together[2].metrics["dice_positive"] == together[3].metrics["dice_positive"]


def test_maps_that_do_not_fit_are_computed_in_every_pass(bench: Bench) -> None:
    card = CARD | {"segmentation": RULE}
    few = job(bench, 0.5, protocol=Protocol.model_validate(card))
    kept, anew = segmentation.run(few), segmentation.run(replace(few, memory_budget=1000))
    assert kept.notes["dense_features"] == "computed once"
    assert anew.notes["dense_features"] == "computed per pass"
    assert anew.metrics == pytest.approx(kept.metrics, abs=2e-3, nan_ok=True)


def test_cells_are_averages_of_finer_maps(bench: Bench) -> None:
    one = job(bench, encoder="g2d")
    size = one.encoder.card.image.size
    table = one.data.pixels(size)
    rows = table.rows(list(one.data.val)).astype(np.int64)
    found = cell_features(one.encoder, table.pixels, rows)
    assert [tuple(level.shape[1:]) for level in found] == cell_shapes(one.encoder)
    assert found[0].shape[2:] == (size // STRIDE, size // STRIDE)
    assert sum(level[0].numel() for level in found) * 4 == cell_bytes(one.encoder)
    for level, fine in zip(found, pyramid_features(one.encoder, table.pixels, rows), strict=True):
        torch.testing.assert_close(level, F.adaptive_avg_pool2d(fine, (level.shape[2], level.shape[3])))


def test_a_pre_trained_decoder_is_of_no_use_here(bench: Bench) -> None:
    with pytest.raises(NotApplicable, match="nothing of a pre-trained decoder"):
        segmentation.run(job(bench, encoder="g2d", with_decoder=True))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"penalties": [1.0, 0.1]}, "penalties must be positive and ascend"),
        ({"thresholds": [0.0, 0.5]}, "thresholds must be positive and ascend"),
        ({"thresholds": [0.5, 1.0]}, "thresholds must be below 1"),
        ({"penalties": []}, "at least 1 item"),
        ({"learning_rate": 1e-3}, "learning_rate"),
    ],
)
def test_a_wrong_rule_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Protocol.model_validate(CARD | {"segmentation": RULE | change})
