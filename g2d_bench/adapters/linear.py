"""Many regularised linear heads over the same features, fitted together.

A linear probe is a convex problem, so its result should depend on the data alone and not on a learning rate,
a batch size or a seed. All heads (one per fraction, seed and penalty) share the features and differ in which
rows they see.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MEMORY = 10
"""Curvature pairs that L-BFGS keeps (Nocedal and Wright, Numerical Optimization, 2006, algorithm 7.4)."""
ARMIJO = 1e-4
"""Share of the predicted decrease that a step must reach (ibid., equation 3.6a)."""


@dataclass(frozen=True)
class Heads:
    """Fitted heads.

    Attributes:
        weight: [K, D, C].
        bias: [K, C].
        mean: [K, D], of the rows that the head saw.
        scale: [K, D], their standard deviation; 1 where a feature is constant.
        loss: [K], the value of the objective at the end.
        converged: [K].
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    scale: Tensor
    loss: Tensor
    converged: Tensor

    def logits(self, features: Tensor, head: int) -> Tensor:
        """Return the logits [N, C] of one head for features [N, D]."""
        standard = (features.double() - self.mean[head]) / self.scale[head]
        return standard @ self.weight[head] + self.bias[head]


def fit_heads(
    features: Tensor,
    targets: Tensor,
    rows: Tensor,
    penalties: Tensor,
    *,
    exclusive: bool,
    max_steps: int = 300,
    tolerance: float = 1e-5,
) -> Heads:
    """Fit K linear heads at once, in double precision.

    Each head minimises  mean over its rows of loss(x W + b, y) + penalty / 2 · |W|²  where the loss is the
    sum over labels of binary cross-entropy, labels that are NaN left out, or softmax cross-entropy. Features
    are standardised per head by the rows that it sees.

    Args:
        features: [N, D].
        targets: [N, C] in {0, 1, NaN} for independent labels, or class numbers [N] for exclusive ones.
        rows: [K, N] boolean: which rows each head sees.
        penalties: [K], at least 0.
        exclusive: whether the classes exclude each other.
        max_steps: L-BFGS steps at most.
        tolerance: a head has converged when its largest gradient entry is below.

    Returns:
        The heads; what one head gets does not depend on which others are fitted with it.

    Raises:
        ValueError: a head sees no row.
    """
    if not rows.any(1).all():
        raise ValueError("a head sees no row")
    problem = _Problem(features.double(), targets, rows, penalties.double(), exclusive)
    point = torch.zeros(len(rows), problem.width, dtype=torch.float64, device=features.device)
    value, gradient = problem(point)
    history: list[tuple[Tensor, Tensor, Tensor]] = []
    active = gradient.abs().amax(1) > tolerance
    for _ in range(max_steps):
        if not active.any():
            break
        direction = -_inverse_hessian_times(gradient, history)
        slope = (direction * gradient).sum(1)
        # A direction that does not descend (rounding) falls back to the gradient.
        uphill = slope >= 0
        direction[uphill] = -gradient[uphill]
        slope = torch.where(uphill, -(gradient**2).sum(1), slope)
        step = torch.ones_like(value) if history else 1 / gradient.norm(dim=1).clamp_min(1.0)
        step = step * active
        pending = active.clone()
        best_point, best_value, best_gradient = point, value, gradient
        for _ in range(30):
            candidate = point + step[:, None] * direction
            new_value, new_gradient = problem(candidate)
            fits = pending & (new_value <= value + ARMIJO * step * slope)
            best_point = torch.where(fits[:, None], candidate, best_point)
            best_value = torch.where(fits, new_value, best_value)
            best_gradient = torch.where(fits[:, None], new_gradient, best_gradient)
            pending &= ~fits
            if not pending.any():
                break
            step = torch.where(pending, step / 2, step)
        # A head whose line search found nothing is at the limit of the arithmetic.
        active = active & ~pending
        moved, turned = best_point - point, best_gradient - gradient
        curvature = (moved * turned).sum(1)
        history.append((moved, turned, curvature))
        del history[:-MEMORY]
        point, value, gradient = best_point, best_value, best_gradient
        active = active & (gradient.abs().amax(1) > tolerance)
    weight, bias = problem.unpack(point)
    converged = gradient.abs().amax(1) <= 10 * tolerance
    return Heads(weight, bias, problem.mean, problem.scale, value, converged)


def _inverse_hessian_times(gradient: Tensor, history: list[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """Two-loop recursion, for all heads at once; pairs without positive curvature are passed over."""
    result = gradient.clone()
    alphas = []
    for moved, turned, curvature in reversed(history):
        good = curvature > 1e-12
        alpha = torch.where(
            good, (moved * result).sum(1) / curvature.where(good, torch.ones_like(curvature)), 0.0
        )
        result = result - alpha[:, None] * turned
        alphas.append(alpha)
    if history:
        _, turned, curvature = history[-1]
        norm = (turned**2).sum(1)
        good = (curvature > 1e-12) & (norm > 0)
        gamma = torch.where(good, curvature / norm.where(good, torch.ones_like(norm)), 1.0)
        result = result * gamma[:, None]
    for (moved, turned, curvature), alpha in zip(history, reversed(alphas), strict=True):
        good = curvature > 1e-12
        beta = torch.where(
            good, (turned * result).sum(1) / curvature.where(good, torch.ones_like(curvature)), 0.0
        )
        result = result + torch.where(good, alpha - beta, 0.0)[:, None] * moved
    return result


class _Problem:
    """The K objectives and their gradients at K points."""

    def __init__(
        self, features: Tensor, targets: Tensor, rows: Tensor, penalties: Tensor, exclusive: bool
    ) -> None:
        seen = rows.double()
        self.count = seen.sum(1)
        self.mean = seen @ features / self.count[:, None]
        spread = (seen @ features**2 / self.count[:, None] - self.mean**2).clamp_min(0).sqrt()
        self.scale = torch.where(spread > 1e-8, spread, torch.ones_like(spread))
        self.features = features
        self.seen = seen
        self.penalties = penalties
        self.exclusive = exclusive
        if exclusive:
            self.classes = int(targets.max()) + 1
            self.targets = F.one_hot(targets.long(), self.classes).double()
            self.known = torch.ones_like(self.targets)
        else:
            self.classes = targets.shape[1]
            self.known = (~targets.isnan()).double()
            self.targets = targets.double().nan_to_num(0.0)
        self.dim = features.shape[1]
        self.width = (self.dim + 1) * self.classes

    def unpack(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight [K, D, C] and bias [K, C]."""
        split = self.dim * self.classes
        return point[:, :split].view(-1, self.dim, self.classes), point[:, split:]

    def __call__(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Return values [K] and gradients [K, (D + 1) C].

        Standardisation is folded into the weights, so that all heads share one product with the raw features.
        """
        weight, bias = self.unpack(point)
        raw = weight / self.scale[:, :, None]
        shift = bias - torch.einsum("kd,kdc->kc", self.mean, raw)
        logits = torch.einsum("nd,kdc->knc", self.features, raw) + shift[:, None]
        share = (self.seen / self.count[:, None])[:, :, None]
        if self.exclusive:
            log = logits.log_softmax(2)
            loss = -(log * self.targets * share).sum((1, 2))
            error = (log.exp() - self.targets) * share
        else:
            each = F.softplus(logits) - logits * self.targets
            loss = (each * self.known * share).sum((1, 2))
            error = (logits.sigmoid() - self.targets) * self.known * share
        shift_gradient = error.sum(1)
        raw_gradient = torch.einsum("nd,knc->kdc", self.features, error)
        raw_gradient = raw_gradient - self.mean[:, :, None] * shift_gradient[:, None]
        weight_gradient = raw_gradient / self.scale[:, :, None] + self.penalties[:, None, None] * weight
        value = loss + self.penalties / 2 * (weight**2).sum((1, 2))
        return value, torch.cat([weight_gradient.flatten(1), shift_gradient], 1)
