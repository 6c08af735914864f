"""What the fields of a recipe may be; a wrong one costs a line before anything is read or written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from g2d_bench.cards.wording import formed
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.pretrain.augment import Augment

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Side = Annotated[int, Field(ge=32, le=2048)]
Pair = tuple[float, float]
Factor = Annotated[float, Field(ge=0, le=10)]
Angle = Annotated[float, Field(ge=0, le=180)]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class _TextOptions(_Fields):
    """Of the small text encoder."""

    hidden: int = Field(default=128, ge=4, le=4096)
    layers: int = Field(default=3, ge=1, le=48)
    heads: int = Field(default=4, ge=1, le=256)
    intermediate: int = Field(default=384, ge=4, le=16384)
    positions: int = Field(default=128, ge=8, le=4096)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _divides(self) -> _TextOptions:
        if self.hidden % self.heads:
            raise ValueError(f"{self.heads} heads do not divide a width of {self.hidden}")
        return self


class _Augment(_Fields):
    crop: tuple[Share, Share]
    flip: Share
    rotate: Angle
    shift: Share
    scale: tuple[Factor, Factor]
    shear: Annotated[float, Field(ge=0, lt=90)]
    perspective: Share
    perspective_p: Share
    brightness: tuple[Factor, Factor]
    contrast: tuple[Factor, Factor]
    autocontrast: Share
    blur: tuple[Annotated[float, Field(ge=0, le=50)], Annotated[float, Field(ge=0, le=50)]]
    blur_p: Share

    @model_validator(mode="after")
    def _ranges_rise(self) -> _Augment:
        for name in ("crop", "scale", "brightness", "contrast", "blur"):
            low, high = getattr(self, name)
            if low > high:
                raise ValueError(f"{name} must rise, not go from {low} to {high}")
        if min(*self.crop, *self.scale) <= 0:
            raise ValueError("crop and scale must be above 0")
        return self


class _Limits(_Fields):
    """The fields of a recipe; see :class:`g2d_bench.pretrain.presets.Recipe` for what they mean."""

    method: str
    variant: str
    model: str
    options: dict[str, Any]
    pretrained: bool
    size: Side
    store: Annotated[int, Field(ge=32, le=4096)]
    resize_inside: Side | None
    mean: tuple[float, float, float]
    standardise: bool
    std: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
    text: Annotated[
        str, formed(r"small|hf-hub:.+|local-dir:.+", "small, hf-hub:ORGANISATION/MODEL or local-dir:FOLDER")
    ]
    text_options: dict[str, Any]
    text_layers: Annotated[int, Field(ge=1, le=200)] | None
    frozen_layers: Annotated[int, Field(ge=0, le=200)]
    freeze_embeddings: bool
    max_length: Annotated[int, Field(ge=4, le=8192)]
    heads: dict[str, Any]
    constants: dict[str, Any]
    optimiser: Literal["adam", "adamw"]
    lr: Annotated[float, Field(ge=0, le=10)]
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]]
    weight_decay: Annotated[float, Field(ge=0, le=10)]
    schedule: Literal["cosine", "restarts", "plateau"]
    warmup: Share
    min_lr: Annotated[float, Field(ge=0, le=10)]
    period: Count
    patience: Count
    early_stop: Count | None
    batch: Annotated[int, Field(ge=2, le=1 << 20)]
    accumulate: Annotated[int, Field(ge=1, le=1 << 20)]
    epochs: Count
    steps: Count
    clip: Annotated[float, Field(ge=0)] | None
    amp: bool
    augment: _Augment

    @model_validator(mode="after")
    def _consistent(self) -> _Limits:
        if self.schedule == "restarts" and not self.period:
            raise ValueError("schedule 'restarts' needs a period of 1 step or more")
        if not self.steps and not self.epochs:
            raise ValueError("give steps or epochs; both are 0")
        return self


FIXED = {"method": "--encoder", "variant": "--variant"}
"""Fields that options of their own give."""


def changed(made: Any, overrides: Mapping[str, Any]) -> Any:
    """Return a recipe with some fields changed.

    Args:
        made: the recipe.
        overrides: as TOML gives them: lists for pairs, tables for options and for parts of ``augment``.

    Raises:
        InputError: no such field, or a value that it cannot have; names the field.
    """
    names = [field.name for field in fields(made)]
    values: dict[str, Any] = {}
    for name, value in overrides.items():
        if name in FIXED:
            raise InputError(f"is given by {FIXED[name]}", field=f"--set {name}")
        if name not in names:
            raise InputError(f"a recipe has no {name!r}; {did_you_mean(name, names)}")
        values[name] = tuple(value) if isinstance(value, list) else value
    augment = values.get("augment")
    if isinstance(augment, dict):
        parts = {key: tuple(value) if isinstance(value, list) else value for key, value in augment.items()}
        known = asdict(made.augment)
        for key in parts:
            if key not in known:
                raise InputError(f"unknown; {did_you_mean(key, list(known))}", field=f"--set augment.{key}")
        values["augment"] = Augment(**(known | parts))
    result = replace(made, **values)
    _check(result)
    return result


_LARGEST = 1_000_000


def check_constants(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """See that an objective's options have the kind of their defaults; others would show in the first step.

    Args:
        options: what the recipe says.
        defaults: what the objective takes where nothing is said.

    Raises:
        InputError: an option that is no number where one is due, out of range, or of another kind.
    """
    for name, value in options.items():
        default = defaults.get(name)
        if isinstance(default, bool):
            right, kind = isinstance(value, bool), "true or false"
        elif isinstance(default, int | float):
            least = 0 if isinstance(default, int) or not name.endswith(("temperature", "epsilon")) else 1e-6
            number = type(value) is int or (type(value) is float and isinstance(default, float))
            right, kind = number and least <= value <= _LARGEST, f"a number from {least:g} to {_LARGEST:,}"
        elif isinstance(default, tuple):
            parts = list(value) if isinstance(value, list | tuple) else []
            right = len(parts) == len(default) and all(
                type(part) in (int, float) and 0 <= part <= _LARGEST for part in parts
            )
            kind = f"{len(default)} numbers from 0 to {_LARGEST:,}"
        else:
            continue
        if not right:
            raise InputError(f"must be {kind}, not {str(value)[:60]!r}", field=f"--set constants.{name}")


def _check(made: Any) -> None:
    # Strict, so that a text is no number; a whole number is one with a fraction.
    _hold(_Limits, {name: _plain(getattr(made, name)) for name in _Limits.model_fields}, "")
    if made.text == "small":
        _hold(_TextOptions, dict(made.text_options), "text_options")


def _hold(limits: type[_Fields], values: dict[str, Any], place: str) -> None:
    try:
        limits.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join([place] * bool(place) + [part for part in first["loc"] if isinstance(part, str)])
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] != "value_error" or isinstance(first["input"], str):
            given = repr(first["input"])
            message += f" (got {given if len(given) <= 60 else given[:60] + '...'})"
        raise InputError(message, field=f"--set {where}" if where else "--set") from None


def _plain(value: Any) -> Any:
    if isinstance(value, Augment):
        return asdict(value)
    return dict(value) if isinstance(value, Mapping) else value
