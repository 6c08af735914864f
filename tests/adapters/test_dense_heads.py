"""Linear heads on the cells of a pyramid, against one large regression on enlarged features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from g2d_bench.adapters.dense_heads import DenseHeads, Pass, fit_dense_heads, interpolators

IMAGES = 12
PENALTIES = (1e-4, 1e-2)
SETS = (torch.arange(IMAGES), torch.tensor([1, 4, 6]))
GRID = (8, 6)


@pytest.fixture(scope="module")
def levels() -> list[Tensor]:
    """Maps of which some channels are large, some constant, and two nearly the same."""
    torch.manual_seed(0)
    fine, coarse = torch.randn(IMAGES, 5, *GRID), 100 * torch.randn(IMAGES, 7, 4, 3) + 20
    fine[:, 3] = fine[:, 2] + 1e-3 * fine[:, 3]
    coarse[:, 1] = 7.0
    return [fine, coarse, torch.randn(IMAGES, 4, 1, 2)]


@pytest.fixture(scope="module")
def truth() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(IMAGES, *GRID).pow(3)


def passes(levels: list[Tensor], size: int = 5) -> Pass:
    def go(places: Tensor) -> Iterator[tuple[Tensor, list[Tensor]]]:
        for start in range(0, len(places), size):
            part = places[start : start + size]
            yield part, [level[part] for level in levels]

    return go


@pytest.fixture(scope="module")
def heads(levels: list[Tensor], truth: Tensor) -> DenseHeads:
    return fit_dense_heads(passes(levels), truth, SETS, PENALTIES)


def enlarged(levels: list[Tensor], images: Tensor) -> Tensor:
    """All channels at all cells, [cells, C], by torch's own interpolation."""
    large = [
        F.interpolate(level[images].double(), size=GRID, mode="bilinear", align_corners=False)
        for level in levels
    ]
    return torch.cat(large, 1).permute(0, 2, 3, 1).reshape(-1, sum(level.shape[1] for level in levels))


@pytest.mark.parametrize("place", range(4))
def test_finds_the_optimum_that_scipy_finds(
    levels: list[Tensor], truth: Tensor, heads: DenseHeads, place: int
) -> None:
    images, penalty = SETS[place // 2], PENALTIES[place % 2]
    cells = enlarged(levels, images)
    mean = torch.cat([level[images].double().mean((0, 2, 3)) for level in levels])
    scale = torch.cat([level[images].double().std((0, 2, 3), correction=0) for level in levels])
    scale[scale < 1e-8] = 1
    rows, shares = (cells - mean) / scale, truth[images].double().reshape(-1)
    high, low = shares / shares.sum() / 2, (1 - shares) / (1 - shares).sum() / 2

    def objective(point: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        at = torch.tensor(point, requires_grad=True)
        logits = rows @ at[:-1] + at[-1]
        value = (high * F.softplus(-logits) + low * F.softplus(logits)).sum() + penalty / 2 * (
            at[:-1] ** 2
        ).sum()
        (slope,) = torch.autograd.grad(value, at)
        return value.item(), slope.numpy()

    found = minimize(objective, np.zeros(17), jac=True, method="BFGS", options={"gtol": 1e-9})
    assert heads.converged[place]
    assert heads.loss[place].item() == pytest.approx(found.fun, abs=1e-8)
    best = torch.from_numpy(found.x)
    expected = (rows @ best[:-1] + best[-1]).reshape(-1, *GRID)
    given = heads.logits([level[images] for level in levels], slice(place, place + 1))[:, 0]
    assert (given - expected).abs().max() < 2e-3


def test_chunks_and_company_decide_nothing(levels: list[Tensor], truth: Tensor, heads: DenseHeads) -> None:
    alone = fit_dense_heads(passes(levels), truth, SETS[1:], PENALTIES)
    assert torch.equal(alone.weight, heads.weight[2:])
    assert torch.equal(alone.bias, heads.bias[2:])
    other = fit_dense_heads(passes(levels, size=12), truth, SETS, PENALTIES)
    assert (other.weight - heads.weight).abs().max() < 1e-6


def test_interpolation_is_that_of_torch(levels: list[Tensor]) -> None:
    finest, *others = interpolators(levels)
    assert finest is None
    for level, matrices in zip(levels[1:], others, strict=True):
        assert matrices is not None
        expected = F.interpolate(level.double(), size=GRID, mode="bilinear", align_corners=False)
        torch.testing.assert_close(matrices[0] @ level.double() @ matrices[1].T, expected)


@pytest.mark.parametrize(("value", "reason"), [(0.0, "no finding"), (1.0, "nothing else")])
def test_one_sided_images_are_refused(levels: list[Tensor], value: float, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fit_dense_heads(passes(levels), torch.full((IMAGES, *GRID), value), SETS, PENALTIES)
