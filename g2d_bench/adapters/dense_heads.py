"""Linear heads on the cells of a frozen pyramid, at the optimum of a convex loss.

A head gives each cell of the finest level the logit  b + Σ_l up_l(x_l) · w_l  where x_l are the channels of
level l, standardised, and up_l is bilinear interpolation to the finest level. Interpolation and the product
with w_l commute, so each level is multiplied where it is coarse, and only the products are enlarged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from g2d_bench.adapters.lbfgs import minimise

CELLS_PER_WEIGHT = 8
"""Cells, per weight, of which the curvature is estimated. It decides how fast a head is found, not where."""

Chunk = tuple[Tensor, list[Tensor]]
"""Places of images [n] among the training images, and their maps per level, [n, C, H, W], fine to coarse."""
Pass = Callable[[Tensor], Iterable[Chunk]]
"""Goes once through the images at some places."""


@dataclass(frozen=True)
class DenseHeads:
    """Fitted heads; the scale of the features is taken into their weights.

    Attributes:
        weight: [K, C], C the channels of all levels.
        bias: [K].
        loss: [K], the value of the objective at the end.
        converged: [K].
        steps: how often the images were gone through.
    """

    weight: Tensor
    bias: Tensor
    loss: Tensor
    converged: Tensor
    steps: int

    def logits(self, levels: Sequence[Tensor], heads: slice) -> Tensor:
        """Return the logits [n, k, H, W] of some heads on the finest level's grid."""
        up = interpolators(levels)
        return _enlarged(levels, self.weight[heads], up) + self.bias[heads, None, None]


def fit_dense_heads(
    images: Pass,
    truth: Tensor,
    sets: Sequence[Tensor],
    penalties: Sequence[float],
    *,
    max_steps: int = 200,
    tolerance: float = 1e-5,
) -> DenseHeads:
    """Fit one head per training set and penalty, in double precision.

    A head minimises  Σ a_i loss(z_i, t_i) + penalty / 2 · |w|²  over the cells i of its images: binary
    cross-entropy with a share t_i of the cell that shows the finding. The weights a_i give the cells with and
    without the finding half of the loss each, as finding and rest are of very unequal size:
    Σ a_i t_i = Σ a_i (1 - t_i) = 1/2. Channels are standardised by the cells of the head's own images. The
    problem is solved by L-BFGS in coordinates in which the curvature at 0 is the identity (estimated of
    evenly spaced cells), so a few dozen passes are enough whatever the features' correlations.

    Args:
        images: goes through images.
        truth: [N, H, W] shares in [0, 1] on the finest level's grid.
        sets: places of the images of each training set.
        penalties: positive.
        max_steps: steps at most.
        tolerance: a head has converged when its largest gradient entry, in those coordinates, is below.

    Returns:
        Heads in the order of sets, then penalties.

    Raises:
        ValueError: a set shows no finding, or nothing else.
    """
    fitted = [
        _fit(_Problem(images, truth, places, penalties), max_steps=max_steps, tolerance=tolerance)
        for places in sets
    ]
    return DenseHeads(
        weight=torch.cat([heads.weight for heads in fitted]),
        bias=torch.cat([heads.bias for heads in fitted]),
        loss=torch.cat([heads.loss for heads in fitted]),
        converged=torch.cat([heads.converged for heads in fitted]),
        steps=max(heads.steps for heads in fitted),
    )


def _fit(problem: _Problem, *, max_steps: int, tolerance: float) -> DenseHeads:
    done = minimise(problem, max_steps=max_steps, tolerance=tolerance)
    weight, bias = problem.unscaled(done.point, torch.arange(len(problem.penalties)))
    heads = torch.arange(len(weight), device=weight.device)
    converged = problem.error(done.point, done.gradient, heads) <= 10 * tolerance
    return DenseHeads(weight, bias, done.value, converged, problem.passes)


def interpolators(levels: Sequence[Tensor]) -> list[tuple[Tensor, Tensor] | None]:
    """Return per level the matrices [H0, H] and [W0, W] that enlarge rows and columns; None for the finest.

    They are those of bilinear interpolation (without aligned corners), in double precision.
    """
    rows, columns = levels[0].shape[2:]
    return [
        None
        if level.shape[2:] == (rows, columns)
        else (_axis(level.shape[2], rows, level.device), _axis(level.shape[3], columns, level.device))
        for level in levels
    ]


def _axis(short: int, long: int, device: torch.device) -> Tensor:
    unit = torch.eye(short, dtype=torch.float64, device=device)
    return F.interpolate(unit[None], size=long, mode="linear", align_corners=False)[0].T


def _enlarged(levels: Sequence[Tensor], weight: Tensor, up: Sequence[tuple[Tensor, Tensor] | None]) -> Tensor:
    """Multiply each level with its part of the weights [k, C] and add up at the finest grid, [n, k, H, W]."""
    total, first = None, 0
    for level, matrices in zip(levels, up, strict=True):
        channels = level.shape[1]
        part = weight[:, first : first + channels].T
        first += channels
        product = (level.permute(0, 2, 3, 1).double() @ part).permute(0, 3, 1, 2).contiguous()
        if matrices is not None:
            product = matrices[0] @ (product @ matrices[1].T)
        total = product if total is None else total + product
    assert total is not None
    return total


class _Problem:
    """The objectives of the heads of one training set, one per penalty; see :func:`fit_dense_heads`."""

    def __init__(self, images: Pass, truth: Tensor, places: Tensor, penalties: Sequence[float]) -> None:
        self._images, self._places = images, places
        self.truth = truth
        shown = float(truth[places].double().sum())
        rest = float(truth[places].numel()) - shown
        if shown <= 0 or rest <= 0:
            raise ValueError("the training images show " + ("nothing else" if shown > 0 else "no finding"))
        self._with, self._without = 0.5 / shown, 0.5 / rest
        self.passes = 0
        self.penalties = torch.tensor(penalties, dtype=torch.float64, device=truth.device)
        self._mean, self._scale, self._up = self._statistics()
        self.width = len(self._mean) + 1
        self._back = self._coordinates()

    def _chunks(self) -> Iterator[Chunk]:
        self.passes += 1
        return iter(self._images(self._places))

    def _statistics(self) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor] | None]]:
        """Return mean and standard deviation [C] of the channels over the cells of each level."""
        count, sums, squares = 0, [torch.zeros(1)], [torch.zeros(1)]
        up: list[tuple[Tensor, Tensor] | None] = []
        for places, levels in self._chunks():
            if not count:
                up = interpolators(levels)
                sums = [level.new_zeros(level.shape[1], dtype=torch.float64) for level in levels]
                squares = [torch.zeros_like(one) for one in sums]
            count += len(places)
            for level, total, square in zip(levels, sums, squares, strict=True):
                values = level.double()
                total += values.mean((2, 3)).sum(0)
                square += (values**2).mean((2, 3)).sum(0)
        mean = torch.cat(sums) / count
        spread = (torch.cat(squares) / count - mean**2).clamp_min(0).sqrt()
        return mean, torch.where(spread > 1e-8, spread, torch.ones_like(spread)), up

    def _coordinates(self) -> Tensor:
        """Return per penalty the matrix [W, W] that leads from rounded coordinates to weights and bias."""
        cells, shares = self._sample()
        rows = (cells - self._mean) / self._scale
        rows = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
        # The curvature of the loss of a cell at 0 is a quarter of its weight.
        weights = self._of_cells(shares)
        gram = (rows * weights[:, None]).T @ rows / weights.sum() / 4
        ridge = torch.ones(self.width, dtype=torch.float64, device=gram.device)
        ridge[-1] = 0
        matrices = [gram + float(penalty) * torch.diag(ridge) for penalty in self.penalties]
        # Few cells of many channels: what they do not span must not blow up.
        small = 1e-8 * gram.diagonal().mean() * torch.eye(self.width, dtype=torch.float64, device=gram.device)
        factors = [torch.linalg.cholesky(matrix + small) for matrix in matrices]
        unit = torch.eye(self.width, dtype=torch.float64, device=gram.device)
        return torch.stack([torch.linalg.solve_triangular(factor.T, unit, upper=True) for factor in factors])

    def _sample(self) -> tuple[Tensor, Tensor]:
        """Return evenly spaced cells [M, C] of the training images and their shares [M]."""
        wanted = CELLS_PER_WEIGHT * self.width
        step = max(1, self.truth[self._places].numel() // wanted)
        cells, shares, seen = [], [], 0
        for places, levels in self._chunks():
            count = self.truth[places].numel()
            chosen = torch.arange(-seen % step, count, step, device=self.truth.device)
            seen += count
            image, rest = chosen // self.truth[0].numel(), chosen % self.truth[0].numel()
            row, column = rest // self.truth.shape[2], rest % self.truth.shape[2]
            cells.append(self._cells(levels, image, row, column))
            shares.append(self.truth[places].double().reshape(-1)[chosen])
        return torch.cat(cells), torch.cat(shares)

    def _cells(self, levels: Sequence[Tensor], image: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """Return the channels of all levels, enlarged, at some cells, [M, C]."""
        found = []
        for level, matrices in zip(levels, self._up, strict=True):
            if matrices is None:
                found.append(level[image, :, row, column].double())
                continue
            # Of each row of the matrix at most two entries are not 0.
            (down, low), (left, near) = (
                matrix[where].topk(min(2, matrix.shape[1]))
                for matrix, where in zip(matrices, (row, column), strict=True)
            )
            corners = [
                (down[:, i] * left[:, j])[:, None] * level[image, :, low[:, i], near[:, j]].double()
                for i in range(down.shape[1])
                for j in range(left.shape[1])
            ]
            found.append(torch.stack(corners).sum(0))
        return torch.cat(found, 1)

    def _of_cells(self, shares: Tensor) -> Tensor:
        """Return the weights of cells in the loss by their shares of the finding."""
        return shares * self._with + (1 - shares) * self._without

    def unscaled(self, point: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights [k, C] and biases [k] for features as they are, of points [k, W]."""
        straight = torch.einsum("kij,kj->ki", self._back[heads], point)
        weight = straight[:, :-1] / self._scale
        return weight, straight[:, -1] - weight @ self._mean

    def error(self, point: Tensor, gradient: Tensor, heads: Tensor) -> Tensor:
        """Return the largest entry of each gradient, in coordinates in which the curvature at 0 is 1, [k]."""
        return gradient.abs().amax(1)

    def __call__(self, point: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values [k] and gradients [k, W] of ``heads`` [k] at ``point`` [k, W]."""
        weight, bias = self.unscaled(point, heads)
        value = torch.zeros_like(bias)
        pull, errors = torch.zeros_like(weight), torch.zeros_like(bias)
        for places, levels in self._chunks():
            logits = _enlarged(levels, weight, self._up) + bias[:, None, None]
            share = self.truth[places].double()[:, None]
            weights = self._of_cells(share)
            high = share * self._with
            # One exponential for both, log(1 + e^z) and 1 / (1 + e^-z).
            small = logits.abs().neg_().exp_()
            value += (weights * (logits.clamp_min(0) + small.log1p()) - high * logits).sum((0, 2, 3))
            error = weights * torch.where(logits >= 0, 1.0, small) / (1 + small) - high
            errors += error.sum((0, 2, 3))
            pull += self._pulled(levels, error)
        straight = torch.einsum("kij,kj->ki", self._back[heads], point)[:, :-1]
        penalties = self.penalties[heads]
        gradient = (pull - errors[:, None] * self._mean) / self._scale + penalties[:, None] * straight
        both = torch.cat([gradient, errors[:, None]], 1)
        return value + penalties / 2 * (straight**2).sum(1), torch.einsum(
            "kij,ki->kj", self._back[heads], both
        )

    def _pulled(self, levels: Sequence[Tensor], error: Tensor) -> Tensor:
        """Return the gradient [k, C] by the weights, from errors [n, k, H, W]: the way back of enlarging."""
        parts = []
        for level, matrices in zip(levels, self._up, strict=True):
            down = error
            if matrices is not None:
                down = matrices[0].T @ error @ matrices[1]
            values = level.permute(0, 2, 3, 1).double().reshape(-1, level.shape[1])
            parts.append(down.transpose(0, 1).reshape(down.shape[1], -1) @ values)
        return torch.cat(parts, 1)
