"""From the name of a method to its projection heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from g2d_bench.errors import InputError, did_you_mean, refused_argument
from g2d_bench.registry import Registry

if TYPE_CHECKING:
    from g2d_bench.encoders.heads.base import Heads

HEADS: Registry[type[Heads]] = Registry(
    "method", package="g2d_bench.encoders.heads", mark="HEADS", group="g2d_bench.heads"
)
"""Projection heads by method; a module of this package that says ``HEADS = …`` adds one."""


def make_heads(
    method: str,
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    num_features: int,
    text_width: int,
    neck: Mapping[str, Any] | None = None,
    **options: Any,
) -> Heads:
    """Make the heads of a method for given encoders; see :meth:`Heads.fitted`.

    Args:
        method: whose.
        channels: see :meth:`Heads.fitted`.
        strides: see :meth:`Heads.fitted`.
        num_features: see :meth:`Heads.fitted`.
        text_width: see :meth:`Heads.fitted`.
        neck: arguments of :class:`~g2d_bench.encoders.heads.neck.Neck`, for heads that stand behind one.
        options: of the method.

    Raises:
        InputError: unknown method or option.
    """
    if method not in HEADS:
        raise InputError(f"no heads for {method!r}; {did_you_mean(method, HEADS.names)}", field="objective")
    sizes: dict[str, Any] = {
        "channels": channels,
        "strides": strides,
        "num_features": num_features,
        "text_width": text_width,
    }
    try:
        if neck is None:
            return HEADS[method].fitted(**sizes, **options)
        from g2d_bench.encoders.heads.neck import necked

        return necked(HEADS[method], neck, **sizes, **options)
    except TypeError as error:
        raise InputError(f"heads of {method}: {refused_argument(error)}", field="heads") from None
