"""``[image]`` of an encoder card: whose architecture, and what it wants to be fed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator
from pydantic_core.core_schema import SerializerFunctionWrapHandler

from g2d_bench.cards.library import LIBRARIES, known
from g2d_bench.errors import did_you_mean

if TYPE_CHECKING:
    from g2d_bench.readers.fit import Fit

Channels = Annotated[list[float], Field(min_length=3, max_length=3)]
Pool = Literal["token", "mean", "map", "library"]

_ADDED = ("library", "pool", "fit", "interpolation", "resize", "channels", "range", "standardise")
"""Keys that are left out of what a card is written as where they say what held before there were such keys,
so that nothing that was derived from older cards moves."""


class ImageInput(BaseModel):
    """``[image]``: the architecture and what it wants to be fed.

    Attributes:
        library: whose model it is: ``timm``, ``transformers`` or ``open_clip``.
        model: name of the model in its library: of timm, ``model_type`` of a configuration of transformers,
            name of a configuration of open_clip.
        options: what the library is told beside the name: keyword arguments of ``timm.create_model``, entries
            of the configuration.
        size: side of the square input in pixels.
        resize_inside: bilinear upsampling (corners aligned) inside of the encoder, as GLoRIA and MGCA do
            for their ResNets (224 to 299).
        pool: how maps or tokens become the image's vector: ``token`` (the first), ``mean`` (of the patches),
            ``map`` (an attention pooling with trained weights) or ``library``, whatever the library does. A
            model that does otherwise is refused. Where it is left out it is the library's own, which must be
            the class token where a model has tokens.
        fit: how a film becomes a square: ``letterbox`` (scaled to fit, padded with black), ``stretch`` (both
            sides scaled for themselves) or ``crop`` (shortest side scaled, centre taken). Tasks that ask
            where something is see the whole film: they are given letterboxes whatever stands here.
        interpolation: ``area``, or one of Pillow's filters, which average when they shrink.
        resize: side to which the film is brought first: the shortest one before a crop, that of a first
            letterbox or square otherwise; ``size`` where it is left out.
        channels: of the input; grey values are repeated.
        range: what black and white become before mean and standard deviation.
        mean: subtracted from grey values in ``range``; one number or one per channel.
        std: then divided by; one number or one per channel.
        standardise: each image less its own mean, over its own standard deviation, in the place of the three
            above: how bright and how contrasted a film was shown does not reach the encoder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    library: str = "timm"
    model: str
    options: dict[str, Any] = Field(default_factory=dict)
    size: int = Field(ge=32, le=2048)
    resize_inside: int | None = Field(default=None, ge=32, le=2048)
    pool: Pool | None = None
    fit: Literal["letterbox", "stretch", "crop"] = "letterbox"
    interpolation: Literal["area", "bilinear", "bicubic", "lanczos"] = "area"
    resize: int | None = Field(default=None, ge=32, le=4096)
    channels: Literal[1, 3] = 3
    range: Annotated[list[float], Field(min_length=2, max_length=2)] = Field(default=[0.0, 1.0])
    mean: float | Channels = 0.5
    std: float | Channels = 0.5
    standardise: bool = False

    @field_validator("library")
    @classmethod
    def _known_library(cls, value: str) -> str:
        if known(value) not in LIBRARIES:
            raise ValueError(f"unknown library {value!r}; {did_you_mean(known(value), LIBRARIES.names)}")
        return value

    @field_validator("mean", "std", mode="before")
    @classmethod
    def _one_or_three(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) != 3:
            raise ValueError(f"must be one number, or three for three channels, not {len(value)}")
        try:
            finite = all(map(math.isfinite, value if isinstance(value, list | tuple) else [value]))
        except TypeError:  # no number: what the types say
            return value
        if not finite:
            raise ValueError("must be finite")
        return value

    @field_validator("range")
    @classmethod
    def _finite(cls, value: list[float]) -> list[float]:
        if not all(map(math.isfinite, value)):
            raise ValueError("must be finite")
        return value

    @field_validator("std")
    @classmethod
    def _positive(cls, value: float | list[float]) -> float | list[float]:
        if min(value if isinstance(value, list) else [value]) <= 0:
            raise ValueError("must be above 0")
        return value

    @field_validator("range")
    @classmethod
    def _rising(cls, value: list[float]) -> list[float]:
        if value[0] >= value[1]:
            raise ValueError("must be [black, white], black being the smaller one")
        return value

    @model_validator(mode="after")
    def _agreed(self) -> ImageInput:
        if self.channels == 1 and (isinstance(self.mean, list) or isinstance(self.std, list)):
            raise ValueError("one channel takes one mean and one std")
        if self.standardise and (self.range, self.mean, self.std) != ([0.0, 1.0], 0.5, 0.5):
            raise ValueError("'standardise' stands in the place of 'range', 'mean' and 'std'")
        if self.fit == "crop" and self.resize is not None and self.resize < self.size:
            raise ValueError("a crop of 'size' needs a shortest side ('resize') that is as large")
        return self

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        fields = type(self).model_fields
        return {
            key: value
            for key, value in written.items()
            if key not in _ADDED or value != fields[key].get_default(call_default_factory=True)
        }

    @property
    def frame(self) -> Fit | None:
        """How a film becomes a square, or None for a letterbox by area averaging."""
        from g2d_bench.readers.fit import Fit

        fit = Fit(self.fit, self.interpolation, self.resize, floor=known(self.library) == "transformers")
        return None if (self.fit, self.interpolation, self.resize) == ("letterbox", "area", None) else fit
