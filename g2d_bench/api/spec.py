"""What a model in memory takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Literal, get_args

from pydantic import ValidationError

from g2d_bench.cards.image import ImageInput
from g2d_bench.cards.io import explain
from g2d_bench.errors import InputError, did_you_mean

Scale = Literal["phantom", "published"]
NAMED = "ImageSpec"
"""How a message begins that is about a spec."""


@dataclass(frozen=True)
class ImageSpec:
    """What a model takes.

    Attributes:
        size: side of the square input in pixels, from 32 to 2048.
        mean: subtracted from grey values in [0, 1]; one number, or one per channel: a list, an array or a
            tensor of three.
        std: then divided by; likewise, above 0.
        fit: how a film becomes a square. ``letterbox``: scaled to fit and padded with black.
        scale: ``published`` for models of usual size. ``phantom`` for very small ones, whose decoders are
            then as small, and which run on one thread.

    Raises:
        InputError: a value is none of these; the text names it.

    Example:
        >>> ImageSpec(224, mean=0.5, std=0.25).size
        224
    """

    size: int
    mean: float | Sequence[float] = 0.5
    std: float | Sequence[float] = 0.5
    fit: Literal["letterbox"] = "letterbox"
    scale: Scale = "published"

    def __post_init__(self) -> None:
        if self.fit != "letterbox":
            raise InputError(f"must be 'letterbox', not {self.fit!r}", field=f"{NAMED}.fit")
        if self.scale not in get_args(Scale):
            hint = did_you_mean(str(self.scale).lower(), get_args(Scale))
            raise InputError(f"{self.scale!r} is not allowed; {hint}", field=f"{NAMED}.scale")
        given: dict[str, Any] = {name: _plain(getattr(self, name)) for name in ("mean", "std")}
        try:
            given["size"] = index(self.size)
        except TypeError:
            said = f"must be one whole number of pixels, the side of a square, not {self.size!r}"
            raise InputError(said, field=f"{NAMED}.size") from None
        try:
            ImageInput(model=NAMED, **given)
        except ValidationError as error:
            raise explain(error, ImageInput, inside=NAMED) from None
        for name, value in given.items():
            object.__setattr__(self, name, value)


def _plain(value: Any) -> Any:
    """Return a number, or a list of numbers, of whatever holds some: an array, a tensor, a sequence."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    try:
        return [float(one) for one in value] if isinstance(value, Sequence) else float(value)
    except (TypeError, ValueError):  # the card's own words for it
        return value
