"""Limited-memory BFGS for many small convex problems side by side, in double precision.

Nocedal and Wright, Numerical Optimization, 2006, chapter 7. Each problem has its own line search and leaves
when it is done, so what it gets does not depend on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

MEMORY = 10
"""Curvature pairs that L-BFGS keeps (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4)."""
ARMIJO = 1e-4
"""Share of the predicted decrease that a step must reach (ibid., equation 3.6a)."""
ROUNDING = 1e-14
"""Share of the objective that a step may seem to lose: near the minimum the decrease drowns in rounding."""
FLAT = 1e-12
"""Curvature of a pair, as a share of the lengths of its two parts, below which it says nothing."""


class Problem(Protocol):
    """K convex functions of as many numbers each."""

    @property
    def penalties(self) -> Tensor:
        """Of each function, [K]; where it lies is where all is computed."""

    @property
    def width(self) -> int:
        """How many numbers a function takes."""

    def __call__(self, point: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
        """Return values [k] and gradients [k, W] of the functions ``heads`` [k] at ``point`` [k, W]."""

    def error(self, point: Tensor, gradient: Tensor, heads: Tensor) -> Tensor:
        """Say how far ``heads`` [k] at ``point`` [k, W] are from their minima, [k], in its own measure."""


@dataclass(frozen=True)
class State:
    """Where functions stand: point [K, W], value [K], gradient [K, W]."""

    point: Tensor
    value: Tensor
    gradient: Tensor

    def put(self, heads: Tensor, point: Tensor, value: Tensor, gradient: Tensor) -> None:
        """Note where some of them are now."""
        self.point[heads], self.value[heads], self.gradient[heads] = point, value, gradient


def minimise(problem: Problem, *, max_steps: int, tolerance: float) -> State:
    """Find the minima of K functions side by side, starting at 0 (ibid., section 7.2).

    Args:
        problem: the functions.
        max_steps: L-BFGS steps at most.
        tolerance: a function is done when its error is below.
    """
    penalties = problem.penalties
    heads = torch.arange(len(penalties), device=penalties.device)
    point = torch.zeros(len(penalties), problem.width, dtype=torch.float64, device=penalties.device)
    value, gradient = problem(point, heads)
    done = State(point.clone(), value.clone(), gradient.clone())
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    active = problem.error(point, gradient, heads) > tolerance
    for _ in range(max_steps):
        if 4 * int(active.sum()) <= 3 * len(active):
            # Heads that are done leave, so that the others do not carry them along.
            done.put(heads, point, value, gradient)
            heads, point, value, gradient = heads[active], point[active], value[active], gradient[active]
            history = [
                (moved[active], turned[active], curvature[active]) for moved, turned, curvature in history
            ]
            active = active[active]
        if not len(heads):
            break
        direction = -_inverse_hessian_times(gradient, history)
        slope = (direction * gradient).sum(1)
        # A direction that does not descend (rounding) falls back to the gradient.
        uphill = slope >= 0
        direction[uphill] = -gradient[uphill]
        slope = torch.where(uphill, -(gradient**2).sum(1), slope)
        step = torch.ones_like(value) if history else 1 / gradient.norm(dim=1).clamp_min(1.0)
        limit = value + ROUNDING * value.abs()
        before = State(point, value, gradient)
        point, value, gradient = point.clone(), value.clone(), gradient.clone()
        pending = torch.nonzero(active)[:, 0]
        for _ in range(30):
            candidate = before.point[pending] + step[pending, None] * direction[pending]
            new_value, new_gradient = problem(candidate, heads[pending])
            fits = new_value <= limit[pending] + ARMIJO * step[pending] * slope[pending]
            taken = pending[fits]
            point[taken], value[taken], gradient[taken] = candidate[fits], new_value[fits], new_gradient[fits]
            pending = pending[~fits]
            if not len(pending):
                break
            step[pending] /= 2
        # A head whose line search found nothing is at the limit of the arithmetic.
        active[pending] = False
        moved, turned = point - before.point, gradient - before.gradient
        history.append((moved, turned, _curvature(moved, turned)))
        del history[:-MEMORY]
        active = active & (problem.error(point, gradient, heads) > tolerance)
    done.put(heads, point, value, gradient)
    return done


def _curvature(moved: Tensor, turned: Tensor) -> Tensor:
    """Return the curvature along a step by the change of the gradient, [K]; 0 where it says nothing."""
    curvature = (moved * turned).sum(1)
    return torch.where(curvature > FLAT * moved.norm(dim=1) * turned.norm(dim=1), curvature, 0.0)


def _inverse_hessian_times(gradient: Tensor, history: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Two-loop recursion, for all heads at once; pairs without positive curvature are passed over."""
    result = gradient.clone()
    alphas = []
    for moved, turned, curvature in reversed(history):
        alpha = _share(curvature, (moved * result).sum(1))
        result = result - alpha[:, None] * turned
        alphas.append(alpha)
    if history:
        _, turned, curvature = history[-1]
        norm = (turned**2).sum(1)
        good = (curvature > 0) & (norm > 0)
        result = result * torch.where(good, curvature / norm.where(good, torch.ones_like(norm)), 1.0)[:, None]
    for (moved, turned, curvature), alpha in zip(history, reversed(alphas), strict=True):
        beta = _share(curvature, (turned * result).sum(1))
        result = result + torch.where(curvature > 0, alpha - beta, 0.0)[:, None] * moved
    return result


def _share(curvature: Tensor, product: Tensor) -> Tensor:
    """Return product / curvature, 0 where there is none."""
    good = curvature > 0
    return torch.where(good, product / curvature.where(good, torch.ones_like(curvature)), 0.0)
