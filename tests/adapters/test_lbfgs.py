"""Many convex functions side by side, against their known minima."""

from __future__ import annotations

import torch
from torch import Tensor

from g2d_bench.adapters.lbfgs import minimise


class Bowls:
    """Quadratic functions  (x - c) A (x - c) / 2  of very unequal curvature."""

    def __init__(self, count: int, width: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.width = width
        self.penalties = torch.zeros(count, dtype=torch.float64)
        self.centre = torch.randn(count, width, generator=generator, dtype=torch.float64)
        self.curvature = torch.logspace(-2, 2, width, dtype=torch.float64).repeat(count, 1)
        self.asked: list[int] = []

    def __call__(self, point: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
        self.asked.append(len(heads))
        away = point - self.centre[heads]
        pull = self.curvature[heads] * away
        return (away * pull).sum(1) / 2, pull

    def error(self, point: Tensor, gradient: Tensor, heads: Tensor) -> Tensor:
        return gradient.abs().amax(1)


def test_minima_are_found() -> None:
    bowls = Bowls(6, 12)
    done = minimise(bowls, max_steps=500, tolerance=1e-6)
    assert (done.gradient.abs() <= 1e-6).all()
    assert (done.point - bowls.centre).abs().max() < 1e-4
    assert (done.value < 1e-9).all()


def test_what_is_done_leaves_and_the_rest_goes_on() -> None:
    bowls = Bowls(4, 5)
    bowls.centre[:3] = 0
    done = minimise(bowls, max_steps=300, tolerance=1e-6)
    assert bowls.asked[0] == 4
    assert bowls.asked[-1] == 1
    assert (done.point - bowls.centre).abs().max() < 1e-4


def test_a_limit_of_steps_is_kept() -> None:
    bowls = Bowls(1, 12)
    done = minimise(bowls, max_steps=2, tolerance=1e-12)
    assert done.gradient.abs().max() > 1e-12
