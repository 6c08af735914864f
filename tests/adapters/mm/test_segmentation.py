"""The segmentation losses against plain loops in double precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from g2d_bench.adapters.mm.runner import import_quietly

modules = import_quietly("g2d_bench.adapters.mm.segmentation")


def reference(logits: list[float], truth: list[float]) -> dict[str, float]:
    """Both losses of one batch, pixel by pixel; logarithms of sigmoids without overflow."""

    def log_sigmoid(x: float) -> float:
        return -math.log1p(math.exp(-x)) if x >= 0 else x - math.log1p(math.exp(x))

    entropy, focal, common, predicted = 0.0, 0.0, 0.0, 0.0
    for x, t in zip(logits, truth, strict=True):
        each = -(t * log_sigmoid(x) + (1 - t) * log_sigmoid(-x))
        entropy += each
        focal += math.exp(log_sigmoid(-x * (2 * t - 1))) ** 2 * each
        common += math.exp(log_sigmoid(x)) * t
        predicted += math.exp(log_sigmoid(x))
    dice = (2 * common + 1) / (predicted + sum(truth) + 1)
    return {
        "bce_dice": entropy / len(logits) + 1 - dice,
        "focal_dice": 10 * focal / len(logits) - math.log(dice),
    }


@pytest.mark.parametrize("name", ["bce_dice", "focal_dice"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), spread=st.sampled_from([0.1, 3.0, 40.0]), soft=st.booleans())
def test_losses_match_plain_loops(name: str, seed: int, spread: float, soft: bool) -> None:
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, spread, (3, 1, 5, 4))
    truth = generator.random((3, 1, 5, 4))
    truth = truth if soft else (truth < generator.random()).astype(float)
    truth[0] = 0.0
    found = modules.LOSSES[name](torch.tensor(logits), torch.tensor(truth))
    assert float(found) == pytest.approx(reference(logits.ravel().tolist(), truth.ravel().tolist())[name])


@pytest.mark.parametrize("name", ["bce_dice", "focal_dice"])
def test_losses_of_an_empty_batch(name: str) -> None:
    """Nothing there and nothing predicted costs nothing; the gradient stays finite at any logit."""
    truth = torch.zeros(2, 1, 4, 4)
    assert float(modules.LOSSES[name](torch.full_like(truth, -40.0), truth)) == pytest.approx(0.0, abs=1e-6)
    logits = torch.tensor([-200.0, -1.0, 0.0, 200.0]).repeat(8).view(2, 1, 4, 4).requires_grad_()
    modules.LOSSES[name](logits, torch.ones(2, 1, 4, 4)).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
