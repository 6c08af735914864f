"""What the fields of a recipe may be; a wrong one costs a line before anything is read or written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from inspect import signature
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

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
    clip: Annotated[float, Field(gt=0)] | None
    amp: bool
    augment: _Augment

    @model_validator(mode="after")
    def _consistent(self) -> _Limits:
        if self.schedule == "restarts" and not self.period:
            raise ValueError("schedule 'restarts' needs a period of 1 step or more")
        if not self.steps and not self.epochs:
            raise ValueError("give steps or epochs; both are 0")
        if self.store < self.size:
            raise ValueError(f"store {self.store} is smaller than size {self.size}, which is cropped from it")
        return self


FIXED = {"method": "--encoder", "variant": "--variant"}
"""Fields that options of their own give."""


def changed(made: Any, overrides: Mapping[str, Any]) -> Any:
    """Return a recipe with some fields changed.

    Where ``size`` alone is given, ``store`` keeps its ratio to it.

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
    if type(values.get("size")) is int and "store" not in values:
        values["store"] = round(values["size"] * made.store / made.size)
    result = replace(made, **values)
    _check(result)
    return result


_LARGEST = 1_000_000
_NUMBERS = frozenset({int, float, bool, type(None)})


def check_options(options: Mapping[str, Any], taken: Callable[..., Any], place: str) -> None:
    """See that options have the kind that a class says; others would show in the first step, or never.

    Where the default is 1 or more a whole number is a count, of at least 1. Options that the class does not
    take are left to it.

    Args:
        options: what the recipe says.
        taken: the class, by its annotations and defaults.
        place: where the options stand, for messages.

    Raises:
        InputError: an option that is no number where one is due, out of range, or of another kind.
    """
    parameters, hints = signature(taken).parameters, _hints(taken)
    for name, value in options.items():
        if name in parameters:
            right, kind = _fits(name, value, parameters[name].default, hints.get(name))
            if not right:
                raise InputError(f"must be {kind}, not {str(value)[:60]!r}", field=f"{place}.{name}")


def _hints(taken: Any) -> dict[str, Any]:
    try:
        return get_type_hints(taken.__init__)
    except (NameError, TypeError, AttributeError):  # what is imported for annotations alone
        return {}


def _fits(name: str, value: Any, default: Any, hint: Any) -> tuple[bool, str]:
    """Say whether an option's value is right, and what would be."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return True, ""
    if get_origin(hint) is Literal:
        return value in get_args(hint), " or ".join(map(repr, get_args(hint)))
    if isinstance(default, bool):
        return isinstance(value, bool), "true or false"
    if isinstance(default, tuple) and get_origin(hint) in (None, tuple):
        parts = list(value) if isinstance(value, list | tuple) else []
        right = all(type(part) in (int, float) and 0 <= part <= _LARGEST for part in parts)
        return right and len(parts) == len(default), f"{len(default)} numbers from 0 to {_LARGEST:,}"
    if hint is not None and not _NUMBERS.issuperset(kinds):
        return True, ""
    if isinstance(default, float) or float in kinds:
        least = _least(default, 1e-6 if name.endswith(("temperature", "epsilon")) else 0)
        right = type(value) in (int, float) and least <= value <= _LARGEST
        return right, f"a number from {least:g} to {_LARGEST:,}"
    if isinstance(default, int) or int in kinds:
        least = _least(default, 1 if isinstance(default, int) and default > 0 else 0)
        right = type(value) is int and least <= value <= _LARGEST
        return right, f"a whole number from {least:,} to {_LARGEST:,}"
    return True, ""


def _least(default: Any, otherwise: float) -> float:
    """Return the least number of an option: any where the default is negative."""
    below = isinstance(default, int | float) and default < 0
    return -_LARGEST if below else otherwise


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
