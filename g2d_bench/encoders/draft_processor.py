"""What an image processor does with a film, in the words of a card, or as questions to the card's owner."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from g2d_bench.encoders.draft_card import Draft
from g2d_bench.errors import InputError, first_line
from g2d_bench.files import read_regular
from g2d_bench.safe_files import LARGEST_JSON

PREPROCESSOR, PROCESSOR = "preprocessor_config.json", "processor_config.json"
"""Where transformers writes what a processor does; in the second the one of images is one of several."""
FILTERS: dict[Any, str] = {
    **{0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"},
    **{name: name for name in ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")},
}
"""Pillow's filters by number and by name; a card can say three of them."""
SAYABLE = ("lanczos", "bilinear", "bicubic")
STEPS = ("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb", "do_reduce_labels")
"""Steps of a processor that a card can say, or that do nothing to a grey film."""
WARPS = 384
"""From this side on ConvNeXT's processor stretches; below it crops."""
MODES = {"shortest": "crop", "squash": "stretch", "longest": "letterbox"}
"""How open_clip makes an image square, in the words of a card."""


def read_object(file: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        said = json.loads(read_regular(file, LARGEST_JSON))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read: {first_line(error)}", file=file) from None
    if not isinstance(said, dict):
        raise InputError("is no JSON object", file=file)
    return said


def read_processor(folder: Path, made: Draft) -> None:
    """Fill in the input of a folder of transformers.

    What the file leaves out is taken from the library's class of that processor. What neither says, and what
    a card cannot say, is asked.

    Raises:
        InputError: the file cannot be read.
    """
    file = next((folder / name for name in (PREPROCESSOR, PROCESSOR) if (folder / name).is_file()), None)
    if file is None:
        made.asks.append(f"mean, std, fit: there is no {PREPROCESSOR}")
        return
    said = read_object(file)
    if file.name == PROCESSOR:
        inner = said.get("image_processor", said)
        said = inner if isinstance(inner, dict) else {}
    complete = _completed(folder)
    if complete is None:
        kind = said.get("image_processor_type") or said.get("feature_extractor_type")
        what = f"{kind} is none that the library can make here" if kind else "its type is not said"
        made.asks.append(f"which processor is it? {what}; only {file.name} was read")
    found = said | (complete or {})
    _frame(found, made)
    _filter(found.get("resample"), made)
    _values(found, made)
    others = [step for step in found if step.startswith("do_") and found[step] is True and step not in STEPS]
    others += [step for step in ("include_top",) if found.get(step)]
    if others:
        made.asks.append(f"its processor also does {', '.join(others)}, which no card can say")


def read_open_clip(said: Mapping[str, Any], made: Draft) -> None:
    """Fill in the input of a model of open_clip, whose own is what ``preprocess_cfg`` leaves out."""
    try:
        from open_clip.transform import PreprocessCfg

        found = {**vars(PreprocessCfg()), **said}
    except ImportError:
        found = dict(said)
    _normalised(found, {"mean": "mean", "std": "std"}, made)
    mode = found.get("resize_mode", "shortest")
    made.fit = MODES.get(str(mode), "crop")
    if mode not in MODES:
        made.asks.append(f"fit: what is its resize_mode {mode!r}?")
    if mode == "longest" and found.get("fill_color", 0) != 0:
        made.asks.append("fit: it pads with another colour than black, which no card can say")
    _filter(found.get("interpolation", "bicubic"), made)


def read_timm(said: Mapping[str, Any], made: Draft) -> None:
    """Fill in the input of a folder of timm, whose own is what ``pretrained_cfg`` leaves out.

    Sources: ``resolve_data_config`` and ``transforms_imagenet_eval`` of ``timm.data``: the film is scaled to
    the side over ``crop_pct``, and the centre taken.
    """
    from timm.data import resolve_data_config

    try:
        found = resolve_data_config(pretrained_cfg=dict(said))
        channels, rows, columns = (int(side) for side in found["input_size"])
        whole = math.floor(max(rows, columns) / float(found["crop_pct"]))
    except Exception:  # odd values: each ends in another class of error
        made.asks.append("mean, std, fit: its pretrained_cfg cannot be read")
        return
    made.size = max(rows, columns)
    if rows != columns:
        made.asks.append(f"size: it takes {columns}x{rows} px, and a card says one side")
    if channels == 1:
        made.asks.append("its stem has one channel: set channels = 1 under [image], and its range")
    mode, square = found["crop_mode"], {"height": whole, "width": whole}
    frame = {
        "size": square if mode == "squash" else {"shortest_edge": whole},
        "do_center_crop": mode != "squash" or whole != made.size,
        "crop_size": {"height": made.size, "width": made.size},
    }
    _frame(frame, made)
    if mode not in ("center", "squash"):
        made.asks.append(f"fit: what is its crop_mode {mode!r}?")
    _filter(found["interpolation"], made)
    _normalised(found, {"mean": "mean", "std": "std"}, made)


def _completed(folder: Path) -> dict[str, Any] | None:
    """Return what the library's class of a processor does, its defaults included; None for one of its own."""
    from transformers import AutoImageProcessor

    from g2d_bench.encoders.hub_config import quiet

    try:
        with quiet():
            made = AutoImageProcessor.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            found: dict[str, Any] = made.to_dict()
    except Exception:  # unknown types, own code, odd values: each ends in another class of error
        return None
    return found


def _number(value: Any) -> float | None:
    is_one = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_one else None


def _side(size: Any, *, alone: str) -> tuple[str, int | None]:
    """Return whether an entry means a ``square`` or the ``shortest`` side, and how long that is.

    Args:
        size: an entry of a processor.
        alone: what a number alone means.
    """
    if _number(size) is not None:
        return alone, int(size)
    if not isinstance(size, Mapping):
        return "", None
    short, height = size.get("shortest_edge"), size.get("height")
    if isinstance(height, int) and height == size.get("width", height):
        return "square", height
    return ("shortest", short) if isinstance(short, int) and not size.get("longest_edge") else ("", None)


def _frame(said: Mapping[str, Any], made: Draft) -> None:
    """Say how a film becomes a square."""
    how, side = _side(said.get("size"), alone="shortest") if said.get("do_resize", True) else ("", None)
    cuts = bool(said.get("do_center_crop"))
    crop = _side(said.get("crop_size"), alone="square")[1] if cuts else None
    share = _number(said.get("crop_pct"))
    if share and how == "shortest" and side is not None:
        how, crop, side = ("square", None, side) if side >= WARPS else ("shortest", side, int(side / share))
    if crop is not None and side is not None and crop <= side:
        made.fit, made.size, made.resize = "crop", crop, side
        if how == "square":
            made.asks.append(
                f"fit: its processor stretches films to {side} x {side} and then takes the centre, which no "
                "card can say; here the shortest side is scaled"
            )
        return
    if crop is not None and side is not None:
        made.asks.append(f"fit: its processor takes {crop} px out of films of {side}, and pads with black")
    elif crop is not None:
        made.fit, made.size = "crop", crop
        made.asks.append("fit: its processor takes the centre of films that it brings to no one side first")
        return
    elif cuts:
        made.asks.append("fit: its processor takes the centre, and does not say of which size")
    if how == "square" and side is not None:
        made.fit, made.size = "stretch", side
    elif not cuts:
        made.asks.append("fit: its processor neither crops nor stretches to one size")


def _filter(said: Any, made: Draft) -> None:
    name = FILTERS.get(said) if isinstance(said, int | str) else None
    made.interpolation = name if name in SAYABLE else "bilinear"
    if name is None:
        what = "does not say which" if said is None else f"says {said!r}"
        made.asks.append(f"interpolation: its processor {what}; bilinear stands here")
    elif name not in SAYABLE:
        made.asks.append(
            f"interpolation: its processor's is {name}, which no card can say; bilinear stands here"
        )


def _values(said: Mapping[str, Any], made: Draft) -> None:
    """Say what black and white become, before and after mean and standard deviation."""
    scales = said.get("do_rescale", True)
    factor = (_number(said.get("rescale_factor")) or 0.0) if scales else 1.0
    if factor <= 0:
        made.asks.append("range: its processor does not say by which factor it scales; 0 to 1 stands here")
        factor = 1 / 255
    black = -1.0 if scales and said.get("rescale_offset") else 0.0
    made.range = black, round(255 * factor, 6) + black
    if said.get("do_normalize", True):
        _normalised(said, {"mean": "image_mean", "std": "image_std"}, made)
    else:
        made.mean, made.std = 0.0, 1.0


def _normalised(said: Mapping[str, Any], keys: Mapping[str, str], made: Draft) -> None:
    for name, key in keys.items():
        value = said.get(key)
        listed = list(value) if isinstance(value, list | tuple) else [value]
        numbers = [number for one in listed if (number := _number(one)) is not None]
        if len(numbers) != len(listed) or len(listed) not in (1, 3):
            made.asks.append(f"{name}: {key} of its processor says {value!r}; 0.5 stands here")
            numbers = [0.5]
        setattr(made, name, numbers if len(numbers) == 3 else numbers[0])
