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
    max_steps: int = 5000,
    tolerance: float = 1e-5,
    apart: bool | None = None,
) -> Heads:
    """Fit K linear heads at once, in double precision, by L-BFGS.

    Each head minimises  mean over its rows of loss(x W + b, y) + penalty / 2 · |W|²  where the loss is the
    sum over labels of binary cross-entropy, labels that are NaN left out, or softmax cross-entropy. Features
    are standardised per head by the rows that it sees. A label of which these rows show one class only has
    no optimum: it gets no weights, and the log odds of its share in the rows and half a row more of each
    class.

    With few rows the penalty alone may give the objective its curvature, so that a gradient of the size of
    the penalty says nothing. The objective less its penalty is convex, so W lies within |g| / penalty of its
    optimum for that b, with g the gradient for W; a head is done when that is a small share of |W|.

    Args:
        features: [N, D].
        targets: [N, C] in {0, 1, NaN} for independent labels, or class numbers [N] for exclusive ones.
        rows: [K, N] boolean: which rows each head sees.
        penalties: [K], at least 0.
        exclusive: whether the classes exclude each other.
        classes: how many exclusive classes there are; by default the greatest number in ``targets`` plus 1.
        max_steps: L-BFGS steps at most.
        tolerance: a head is done when the bound for its weights is below this share of their norm, and the
            mean chance that it gives each class is within a hundredth of it of the share of the class. A
            head has converged when it is within ten times of that.
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
    heads = torch.arange(len(weight), device=weight.device)
    converged = problem.error(done.point, done.gradient, heads) <= 10 * tolerance
    return Heads(weight, bias, problem.mean, problem.scale, done.value, converged)


@dataclass(frozen=True)
class _Seen:
    """What all heads with the same rows share.

    Attributes:
        features: standardised, along ``axes``, [n, R].
        axes: orthonormal, of the space that the rows span, [D, R].
        curvature: mean square along each axis, [R]; a quarter is the curvature of the loss at 0.
        targets: [n, C], 0 where unknown.
        known: [n, C].
        idle: log odds of labels without an optimum, NaN for the others, [C].
        mean: [D].
        scale: [D].
    """

    features: Tensor
    axes: Tensor
    curvature: Tensor
    targets: Tensor
    known: Tensor
    idle: Tensor
    mean: Tensor
    scale: Tensor


class _Problem:
    """The K objectives and their gradients at K points.

    A point is a head in coordinates in which the curvature at 0 is near the identity: weights along the axes
    of its rows, divided by 1 / sqrt(curvature / 4 + penalty), and twice the bias.
    """

    def __init__(
        self, features: Tensor, targets: Tensor, rows: Tensor, penalties: Tensor, exclusive: bool
    ) -> None:
        self.penalties = penalties
        self.exclusive = exclusive
        # All of D whatever the rows span: sums over more zeros end in other bits.
        self.dim, self.classes = features.shape[1], targets.shape[1]
        self.width = (self.dim + 1) * self.classes
        masks, self.group = torch.unique(rows, dim=0, return_inverse=True)
        self.seen = [_seen(features[mask].double(), targets[mask], exclusive) for mask in masks]
        self.mean = torch.stack([seen.mean for seen in self.seen])[self.group]
        self.scale = torch.stack([seen.scale for seen in self.seen])[self.group]

    def unpack(self, point: Tensor) -> tuple[Tensor, Tensor]:
        """Return weight [K, D, C] and bias [K, C] for standardised features."""
        weight = point.new_zeros(len(point), self.dim, self.classes)
        bias = point.new_zeros(len(point), self.classes)
        for number, seen in enumerate(self.seen):
            own = torch.nonzero(self.group == number)[:, 0]
            along, bias[own] = self._straight(seen, point[own], self.penalties[own])
            weight[own] = torch.einsum("dr,krc->kdc", seen.axes, along)
            bias[own] = torch.where(seen.idle.isnan(), bias[own], seen.idle)
        return weight, bias

    def error(self, point: Tensor, gradient: Tensor, heads: Tensor) -> Tensor:
        """Return by what share of their norm weights may miss the optimum, or 100 times by what a mean chance
        does, whichever is more, [k]; see :func:`fit_heads`."""
        found = torch.empty_like(point[:, 0])
        group = self.group[heads]
        for number in torch.unique(group).tolist():
            own = torch.nonzero(group == number)[:, 0]
            seen, penalties = self.seen[number], self.penalties[heads[own]]
            weight, _ = self._straight(seen, point[own], penalties)
            pull, shares = self._straight(seen, gradient[own], penalties, back=True)
            # Without weights there is nothing to miss a share of.
            reach = (penalties * weight.flatten(1).norm(dim=1)).clamp_min(torch.finfo(torch.float64).tiny)
            missed = pull.flatten(1).norm(dim=1)
            found[own] = torch.where(missed > _NOTHING, missed / reach, 0.0).maximum(
                100 * shares.abs().amax(1)
            )
        return found

    def __call__(self, point: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values [k] and gradients [k, W] of ``heads`` [k] at ``point`` [k, W]."""
        value, gradient = torch.empty_like(point[:, 0]), torch.empty_like(point)
        group = self.group[heads]
        for number in torch.unique(group).tolist():
            own = torch.nonzero(group == number)[:, 0]
            value[own], gradient[own] = self._of(self.seen[number], point[own], self.penalties[heads[own]])
        return value, gradient

    def _straight(
        self, seen: _Seen, point: Tensor, penalties: Tensor, *, back: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return weights along the axes [k, R, C] and bias [k, C] of points, or the gradients for these of
        gradients for points."""
        weight, bias = self._parts(seen, point)
        stretch = _stretch(seen, penalties)
        return (weight / stretch, bias / 2) if back else (weight * stretch, bias * 2)

    def _parts(self, seen: _Seen, point: Tensor) -> tuple[Tensor, Tensor]:
        """Return what belongs to axes [k, R, C] and to biases [k, C] in points, as views."""
        split = self.dim * self.classes
        return point[:, :split].view(-1, self.dim, self.classes)[:, : len(seen.curvature)], point[:, split:]

    def _of(self, seen: _Seen, point: Tensor, penalties: Tensor) -> tuple[Tensor, Tensor]:
        weight, bias = self._straight(seen, point, penalties)
        count, heads = len(seen.features), len(point)
        axes = weight.shape[1]
        # One product for all heads: [n, R] with [R, heads * C].
        flat = weight.permute(1, 0, 2).reshape(axes, -1)
        logits = (seen.features @ flat).view(count, heads, self.classes) + bias
        targets, known = seen.targets[:, None], seen.known[:, None]
        if self.exclusive:
            log = logits.log_softmax(2)
            loss = -(log * targets).sum((0, 2)) / count
            error = (log.exp() - targets) / count
        else:
            loss = ((F.softplus(logits) - logits * targets) * known).sum((0, 2)) / count
            error = (logits.sigmoid() - targets) * known / count
        pull = (seen.features.T @ error.view(count, -1)).view(axes, heads, self.classes).permute(1, 0, 2)
        weight_gradient = (pull + penalties[:, None, None] * weight) * _stretch(seen, penalties)
        value = loss + penalties / 2 * (weight**2).sum((1, 2))
        gradient = torch.zeros_like(point)
        along, across = self._parts(seen, gradient)
        along[...], across[...] = weight_gradient, 2 * error.sum(0)
        return value, gradient


_NOTHING = 1e-15
"""Gradient for weights that is no more than rounding."""


def _stretch(seen: _Seen, penalties: Tensor) -> Tensor:
    """Return by what a step along each axis is longer than in the coordinates of a point, [k, R, 1]."""
    # A tensor, so that a GPU is not waited for in every step.
    floor = 1e-12 * seen.curvature.max() + torch.finfo(torch.float64).tiny
    return (seen.curvature / 4 + penalties[:, None]).clamp_min(floor).rsqrt()[:, :, None]


def _seen(features: Tensor, targets: Tensor, exclusive: bool) -> _Seen:
    mean = features.mean(0)
    spread = features.std(0, correction=0)
    scale = torch.where(spread > 1e-8, spread, torch.ones_like(spread))
    standard = (features - mean) / scale
    if len(standard) < standard.shape[1]:
        # The optimum lies in the space that the rows span.
        axes = torch.linalg.svd(standard, full_matrices=False)[2].T.contiguous()
    else:
        axes = torch.linalg.eigh(standard.T @ standard)[1]
    along = standard @ axes
    known = ~targets.isnan()
    count, shown = known.sum(0), targets.nan_to_num(0.0).sum(0)
    idle = mean.new_full((targets.shape[1],), torch.nan)
    if not exclusive:
        one_class = (shown == 0) | (shown == count)
        idle = torch.where(one_class, ((shown + 0.5) / (count - shown + 0.5)).log(), torch.nan)
        known = known & ~one_class
    return _Seen(
        along,
        axes,
        (along**2).mean(0),
        targets.nan_to_num(0.0),
        known.double(),
        idle,
        mean,
        scale,
    )
