"""Configurations of transformers' models: of a folder in the hub's layout, or of a card's options."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import transformers
from transformers import CONFIG_MAPPING, AutoConfig

from g2d_bench.errors import InputError, did_you_mean, first_line
from g2d_bench.files import read_regular
from g2d_bench.safe_files import LARGEST_JSON

CONFIG = "config.json"

_OLD = ("num_labels", "torch_dtype", "attn_implementation", "output_attentions", "rope_theta", "rope_scaling")
"""What every configuration takes beside its fields."""


def read_configuration(model: str, options: Mapping[str, Any], channels: int, folder: Path | None) -> Any:
    """Read the configuration in a folder, or make one of a card's options; nothing of an image is masked.

    Args:
        model: the ``model_type``.
        options: of the card; they make the configuration where there is no folder, and must be known anyway.
        channels: of the input.
        folder: where ``config.json`` lies, or None.

    Raises:
        InputError: it cannot be read, is of another model, or an option is none of the model's.
    """
    with quiet():
        _require_known(model, options, "image.options")
    if options.get("mask_ratio"):
        raise InputError(
            "hides a part of each image, and an encoder is measured on the whole; leave it out",
            field="image.options.mask_ratio",
        )
    with quiet():
        config = _of_options(model, options, channels) if folder is None else _of_folder(model, folder)
    if hasattr(config, "mask_ratio"):
        # That of the pre-training, as a masked autoencoder's configuration states it.
        config.mask_ratio = 0.0
    return config


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers say what it has to say by exceptions and by what it returns, not on the terminal."""
    before = transformers.logging.get_verbosity()
    bars = os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)
        if bars is None:
            transformers.logging.enable_progress_bar()


def side_of(config: Any, name: str, default: int) -> int:
    """Return a length of a configuration that may be written as a number or as two equal ones.

    Raises:
        InputError: it is not square.
    """
    said = getattr(config, name, None) or default
    both = tuple(said) if isinstance(said, list | tuple) else (said, said)
    if len(set(both)) != 1:
        raise InputError(f"is {list(both)}; images and patches are square", field=f"image.options.{name}")
    return int(both[0])


def _of_options(model: str, options: Mapping[str, Any], channels: int) -> Any:
    more = {} if channels == 3 else {"num_channels": channels}
    try:
        return AutoConfig.for_model(model, **{**options, **more})
    except Exception as error:  # each model checks its configuration in its own way
        raise InputError(
            f"transformers has no {model!r} of these options: {first_line(error)}", field="image.model"
        ) from None


def _of_folder(model: str, folder: Path) -> Any:
    file = folder / CONFIG
    try:
        said = json.loads(read_regular(file, LARGEST_JSON))
        kind = said.get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"cannot be read: {first_line(error)}", file=file) from None
    if kind != model:
        raise InputError(f"is a {kind!r}, not a {model!r} as the card says", file=file, field="model_type")
    try:
        return AutoConfig.for_model(model, **{key: said[key] for key in said if key != "model_type"})
    except Exception as error:  # as above
        raise InputError(f"cannot be read: {first_line(error)}", file=file) from None


def _keys(kind: Any) -> list[str]:
    """List what a configuration may say: its fields, their other names, and what it writes itself."""
    try:
        written = list(kind().to_dict())
    except Exception:  # some cannot be made of nothing
        written = []
    return [*(one.name for one in fields(kind)), *kind.attribute_map, *written, *_OLD]


def _require_known(model: str, options: Mapping[str, Any], place: str, kind: Any = None) -> None:
    """Refuse an option that the configuration's class would keep without using it.

    Raises:
        InputError: there is one; the nearest that the model has is named.
    """
    if kind is None:
        if model not in CONFIG_MAPPING:  # the library says so
            return
        kind = CONFIG_MAPPING[model]
    allowed = _keys(kind)
    for key, value in options.items():
        if key not in allowed:
            raise InputError(
                f"transformers' {model} has no such option; {did_you_mean(key, allowed)}",
                field=f"{place}.{key}",
            )
        part = kind.sub_configs.get(key)
        if isinstance(value, Mapping) and part is not None and part is not AutoConfig:
            _require_known(model, value, f"{place}.{key}", part)
