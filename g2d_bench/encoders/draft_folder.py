"""A card for a folder in the layout of the Hugging Face hub, drafted from the configurations in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from g2d_bench.cards.encoder import HUB
from g2d_bench.encoders.draft import Draft
from g2d_bench.encoders.weights import WEIGHTS_FILES
from g2d_bench.errors import InputError, first_line

CONFIG, OPEN_CLIP, PREPROCESSOR = "config.json", "open_clip_config.json", "preprocessor_config.json"
FILTERS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of filters to a card's words."""
PAIRS = ("clip", "siglip", "siglip2", "metaclip_2", "altclip")
"""Model types of transformers that have a text tower."""


def fetch_configs(name: str) -> Path:
    """Fetch the configurations of a repository of the hub, from the cache if they are there.

    Raises:
        InputError: it is neither in the cache nor within reach.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG, OPEN_CLIP, PREPROCESSOR]))
    except Exception as error:  # offline, unknown name, gated: each library version raises its own
        raise InputError(f"neither cached nor within reach ({first_line(error)})", file=HUB + name) from None


def draft_folder(folder: Path) -> Draft:
    """Look at a folder with a configuration of transformers or open_clip.

    Raises:
        InputError: it has neither, or one cannot be read.
    """
    if (folder / OPEN_CLIP).is_file():
        return _open_clip(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(f"a folder without {CONFIG} or {OPEN_CLIP}; name a weights file", file=folder)
    config = _read(folder / CONFIG)
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise InputError("says no model_type", file=folder / CONFIG, field="model_type")
    made = Draft(library="transformers", model=kind, text=kind in PAIRS)
    if config.get("auto_map"):
        made.asks.append("it brings code of its own, which is never run: does the library know its type?")
    vision = config.get("vision_config") if isinstance(config.get("vision_config"), dict) else config
    size = vision.get("image_size") if isinstance(vision, dict) else None
    made.size = size if isinstance(size, int) else 224
    _input(folder, made)
    made.asks.append("pool: whose vector is meant, the library's own?")
    _ask_rest(made)
    return made


def _open_clip(folder: Path) -> Draft:
    said = _read(folder / OPEN_CLIP)
    model, how = said.get("model_cfg", {}), said.get("preprocess_cfg", {})
    size = model.get("vision_cfg", {}).get("image_size", 224) if isinstance(model, dict) else 224
    made = Draft(library="open_clip", model=OPEN_CLIP, size=size, text=True)
    if isinstance(how, dict):
        made.mean, made.std = how.get("mean", 0.5), how.get("std", 0.5)
        made.fit = "stretch" if how.get("resize_mode") == "squash" else "crop"
        made.interpolation = str(how.get("interpolation", "bicubic"))
    made.asks.append("fit: open_clip scales the shortest side and crops unless told otherwise")
    _ask_rest(made)
    return made


def _input(folder: Path, made: Draft) -> None:
    """Read what the processor does with an image."""
    if not (folder / PREPROCESSOR).is_file():
        made.asks.append(f"mean, std, fit: there is no {PREPROCESSOR}")
        return
    said = _read(folder / PREPROCESSOR)
    made.mean, made.std = said.get("image_mean", 0.5), said.get("image_std", 0.5)
    size, crop = said.get("size", {}), said.get("crop_size", {})
    size = {"shortest_edge": size} if isinstance(size, int) else size
    crop = {"height": crop} if isinstance(crop, int) else crop
    if said.get("do_center_crop") and crop.get("height"):
        made.fit, made.size = "crop", crop["height"]
        made.resize = size.get("shortest_edge")
    elif size.get("height"):
        made.fit, made.size = "stretch", size["height"]
    else:
        made.asks.append("fit: its processor neither crops nor stretches to one size")
    made.interpolation = FILTERS.get(said.get("resample", 2), "bilinear")


def _ask_rest(made: Draft) -> None:
    made.asks += [
        "pretraining: which data sets did it see, with labels or not?",
        "licence, paper: of the weights",
    ]


def weights_in(folder: Path) -> Path | None:
    """Return the weights in a folder, None where it holds configurations alone."""
    return next((folder / name for name in WEIGHTS_FILES if (folder / name).is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read: {first_line(error)}", file=file) from None
    if not isinstance(said, dict):
        raise InputError("is no JSON object", file=file)
    return said
