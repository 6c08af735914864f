"""Many regularised linear heads over the same features, fitted together.

A linear probe is a convex problem, so its result should depend on the data alone and not on a learning rate,
a batch size or a seed. All heads (one per fraction, seed and penalty) share the features and differ in which
rows and which penalty. Heads that see the same rows share their products with the features; what a head costs
depends on the rows that it sees, not on those that others see.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from g2d_bench.adapters.lbfgs import minimise


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
    classes: int | None = None,
    max_steps: int = 300,
    tolerance: float = 1e-5,
    apart: bool | None = None,
) -> Heads:
    """Fit K linear heads at once, in double precision, by L-BFGS (ibid., section 7.2).

    Each head minimises  mean over its rows of loss(x W + b, y) + penalty / 2 · |W|²  where the loss is the
    sum over labels of binary cross-entropy, labels that are NaN left out, or softmax cross-entropy. Features
    are standardised per head by the rows that it sees.

    Args:
        features: [N, D].
        targets: [N, C] in {0, 1, NaN} for independent labels, or class numbers [N] for exclusive ones.
        rows: [K, N] boolean: which rows each head sees.
        penalties: [K], at least 0.
        exclusive: whether the classes exclude each other.
        classes: how many exclusive classes there are; by default the greatest number in ``targets`` plus 1.
        max_steps: L-BFGS steps at most.
        tolerance: a head has converged when its largest gradient entry is below.
        apart: fit heads with other rows in a turn of their own; by default on a GPU, whose sums over heads
            side by side depend on how many there are.

    Returns:
        The heads. What heads with one set of rows get does not depend, to the last bit, on heads with other
        sets that are fitted with them.

    Raises:
        ValueError: a head sees no row.
    """
    if not rows.any(1).all():
        raise ValueError("a head sees no row")
    if exclusive:
        count = int(targets.max()) + 1 if classes is None else classes
        targets = F.one_hot(targets.long(), count).double()
    targets, penalties = targets.double(), penalties.double()
    if apart if apart is not None else features.is_cuda:
        _, which = torch.unique(rows, dim=0, return_inverse=True)
        turns = [torch.nonzero(which == number)[:, 0] for number in range(int(which.max()) + 1)]
    else:
        turns = [torch.arange(len(rows), device=features.device)]
    fitted = [
        _fit(_Problem(features, targets, rows[turn], penalties[turn], exclusive), max_steps, tolerance)
        for turn in turns
    ]
    order = torch.argsort(torch.cat(turns))
    return Heads(*(torch.cat(parts)[order] for parts in zip(*map(_parts, fitted), strict=True)))


def _parts(heads: Heads) -> tuple[Tensor, ...]:
    return (heads.weight, heads.bias, heads.mean, heads.scale, heads.loss, heads.converged)


def _fit(problem: _Problem, max_steps: int, tolerance: float) -> Heads:
    """Fit all heads of a problem side by side; see :func:`fit_heads`."""
    done = minimise(problem, max_steps=max_steps, tolerance=tolerance)
    weight, bias = problem.unpack(done.point)
    converged = done.gradient.abs().amax(1) <= 10 * tolerance
    return Heads(weight, bias, problem.mean, problem.scale, done.value, converged)


@dataclass(frozen=True)
class _Seen:
    """What all heads with the same rows share.

    Attributes:
        features: standardised, [n, D].
        targets: [n, C], 0 where unknown.
        known: [n, C].
        mean: [D].
        scale: [D].
    """

    features: Tensor
    targets: Tensor
    known: Tensor
    mean: Tensor
    scale: Tensor


class _Problem:
    """The K objectives and their gradients at K points."""

    def __init__(
        self, features: Tensor, targets: Tensor, rows: Tensor, penalties: Tensor, exclusive: bool
    ) -> None:
        self.penalties = penalties
        self.exclusive = exclusive
        self.dim, self.classes = features.shape[1], targets.shape[1]
        self.width = (self.dim + 1) * self.classes
        masks, self.group = torch.unique(rows, dim=0, return_inverse=True)
        self.seen = [_seen(features[mask].double(), targets[mask]) for mask in masks]
        self.mean = torch.stack([seen.mean for seen in self.seen])[self.group]
        self.scale = torch.stack([seen.scale for seen in self.seen])[self.group]

    def unpack(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight [K, D, C] and bias [K, C]."""
        split = self.dim * self.classes
        return point[:, :split].view(-1, self.dim, self.classes), point[:, split:]

    def __call__(self, point: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values [k] and gradients [k, (D + 1) C] of ``heads`` [k] at ``point`` [k, (D + 1) C]."""
        value, gradient = torch.empty_like(point[:, 0]), torch.empty_like(point)
        group = self.group[heads]
        for number in torch.unique(group).tolist():
            own = torch.nonzero(group == number)[:, 0]
            value[own], gradient[own] = self._of(self.seen[number], point[own], self.penalties[heads[own]])
        return value, gradient

    def _of(self, seen: _Seen, point: Tensor, penalties: Tensor) -> tuple[Tensor, Tensor]:
        weight, bias = self.unpack(point)
        count, heads = len(seen.features), len(point)
        # One product for all heads: [n, D] with [D, heads * C].
        flat = weight.permute(1, 0, 2).reshape(self.dim, -1)
        logits = (seen.features @ flat).view(count, heads, self.classes) + bias
        targets, known = seen.targets[:, None], seen.known[:, None]
        if self.exclusive:
            log = logits.log_softmax(2)
            loss = -(log * targets).sum((0, 2)) / count
            error = (log.exp() - targets) / count
        else:
            loss = ((F.softplus(logits) - logits * targets) * known).sum((0, 2)) / count
            error = (logits.sigmoid() - targets) * known / count
        pull = (seen.features.T @ error.view(count, -1)).view(self.dim, heads, self.classes).permute(1, 0, 2)
        weight_gradient = pull + penalties[:, None, None] * weight
        value = loss + penalties / 2 * (weight**2).sum((1, 2))
        return value, torch.cat([weight_gradient.flatten(1), error.sum(0)], 1)


def _seen(features: Tensor, targets: Tensor) -> _Seen:
    mean = features.mean(0)
    spread = features.std(0, correction=0)
    scale = torch.where(spread > 1e-8, spread, torch.ones_like(spread))
    known = (~targets.isnan()).double()
    return _Seen((features - mean) / scale, targets.nan_to_num(0.0), known, mean, scale)
