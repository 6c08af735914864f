"""The segmentation losses against plain loops in double precision, and what turns images with their masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.adapters.warp import CHANCE, DEGREES, SCALE, Warps, warp

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


def test_draws_keep_their_limits_and_their_seed() -> None:
    warps, again = Warps(4), Warps(4)
    drawn = [warps.draw() for _ in range(2000)]
    assert drawn == [again.draw() for _ in range(2000)]
    moved = [pair for pair in drawn if pair != (0.0, 1.0)]
    assert len(moved) / len(drawn) == pytest.approx(CHANCE, abs=0.05)
    angles, scales = np.array(moved).T
    for values, low, high in (
        (np.degrees(angles), -DEGREES, DEGREES),
        (scales, 1 - SCALE, 1 + SCALE),
    ):
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high


@pytest.mark.parametrize("nearest", [False, True])
def test_warps_turn_and_scale_about_the_centre(nearest: bool) -> None:
    image = torch.rand(1, 1, 12, 12)

    def one(angle: float, scale: float) -> torch.Tensor:
        return warp(image, torch.tensor([angle]), torch.tensor([scale]), nearest=nearest)

    assert torch.equal(one(0.0, 1.0), image)
    # Half a turn is the same in every convention; a quarter goes clockwise.
    assert torch.allclose(one(math.pi, 1.0), image.flip(2, 3), atol=1e-5)
    assert torch.allclose(one(math.pi / 2, 1.0), image.rot90(-1, (2, 3)), atol=1e-5)
    # At half the size the middle holds the whole, and black comes in from outside.
    small = one(0.0, 0.5)
    assert (small[..., :3, :] == 0).all()
    assert small[..., 3:9, 3:9].mean() == pytest.approx(float(image.mean()), abs=0.1)
    large = one(0.0, 2.0)
    assert torch.allclose(
        F.interpolate(image[..., 3:9, 3:9], scale_factor=2, mode="nearest")[..., 2:-2, 2:-2],
        large[..., 2:-2, 2:-2],
        atol=1e-5 if nearest else 1.0,
    )


def test_image_and_mask_move_together() -> None:
    rows, columns = np.mgrid[:64, :64]
    disc = torch.from_numpy(((rows - 20) ** 2 + (columns - 40) ** 2 < 100).astype(np.float32))[None, None]
    angle, scale = torch.tensor([0.15]), torch.tensor([1.08])
    image = warp(disc, angle, scale)
    mask = warp(disc, angle, scale, nearest=True)
    assert set(mask.flatten().tolist()) == {0.0, 1.0}
    assert ((image > 0.5) == (mask > 0.5)).float().mean() > 0.995
    assert float(mask.sum() / disc.sum()) == pytest.approx(1.08**2, rel=0.03)
    assert float((mask * disc).sum() / disc.sum()) < 0.95
