"""What turns and scales images with their masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from g2d_bench.adapters.warp import CHANCE, DEGREES, SCALE, Warps, warp
from g2d_bench.devices import half


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


@pytest.mark.parametrize("nearest", [False, True])
def test_a_network_by_halves_around_it_moves_no_pixel(nearest: bool) -> None:
    images, angle = torch.rand(3, 1, 224, 224), torch.tensor([0.1, -0.2, 0.05])
    scale = torch.tensor([1.1, 0.95, 1.0])
    alone = warp(images, angle, scale, nearest=nearest)
    with half(torch.device("cpu"), "fast"):
        assert torch.equal(warp(images, angle, scale, nearest=nearest), alone)


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
