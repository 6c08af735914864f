"""The layers of which projections are made: linear or a perceptron, as published files have them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from g2d_bench.errors import InputError

Kind = Literal["none", "linear", "mlp"]
KINDS = ("none", "linear", "mlp")
ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}
NORMS = ("", "batch")


class Matrix(nn.Module):
    """A linear map without offset whose entry is stored as [in, out], as OpenAI's CLIP does."""

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, dim).normal_(std=width**-0.5))

    def forward(self, vectors: Tensor) -> Tensor:
        """Project [..., in] to [..., out]."""
        return vectors @ self.weight


def projection(
    kind: str,
    width: int,
    dim: int,
    *,
    hidden: int | None = None,
    bias: bool = True,
    activation: str = "relu",
    norm: str = "",
    transposed: bool = False,
) -> nn.Module:
    """Make one projection.

    Args:
        kind: ``none`` (vectors stay), ``linear`` (entries ``weight`` and ``bias``) or ``mlp`` (two linear
            layers, entries ``0.weight``, ... by their place in the sequence).
        width: of what goes in.
        dim: of what comes out.
        hidden: width inside of an ``mlp``; ``dim`` if None.
        bias: whether linear layers have an offset.
        activation: between the layers of an ``mlp``: ``relu``, ``gelu`` or ``tanh``.
        norm: ``batch`` for a batch normalisation behind each layer of an ``mlp``, the last one without scale
            and offset; none if empty.
        transposed: the entry of a ``linear`` map is stored as [in, out], without offset.

    Raises:
        InputError: a word is none of these, or ``none`` would change the width.
    """
    for word, allowed, what in (
        (kind, KINDS, "kind"),
        (activation, tuple(ACTIVATIONS), "activation"),
        (norm, NORMS, "norm"),
    ):
        if word not in allowed:
            shown = ", ".join(one or "empty" for one in allowed)
            raise InputError(f"must be one of {shown}, not {word!r}", field=f"heads.{what}")
    if kind == "none":
        if width != dim:
            raise InputError(f"without a projection the width stays {width}, not {dim}", field="heads.dim")
        return nn.Identity()
    if kind == "linear":
        return Matrix(width, dim) if transposed else nn.Linear(width, dim, bias=bias)
    inner = hidden or dim
    batch = norm == "batch"
    first = [nn.Linear(width, inner, bias=bias), *([nn.BatchNorm1d(inner)] if batch else [])]
    last = [nn.Linear(inner, dim, bias=bias), *([nn.BatchNorm1d(dim, affine=False)] if batch else [])]
    return nn.Sequential(*first, ACTIVATIONS[activation](), *last)


def along(module: nn.Module, cells: Tensor) -> Tensor:
    """Send each cell of maps [B, C, h, w] through a projection of vectors."""
    rows = cells.movedim(1, -1)
    found: Tensor = module(rows.flatten(0, 2))
    return found.reshape(*rows.shape[:3], -1).movedim(-1, 1)
