"""A card for a folder in the layout of the Hugging Face hub, drafted from the configurations in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from g2d_bench.cards.encoder import HUB, LIBRARY
from g2d_bench.encoders.draft_card import Draft
from g2d_bench.encoders.draft_processor import (
    PREPROCESSOR,
    PROCESSOR,
    read_object,
    read_open_clip,
    read_processor,
    read_timm,
)
from g2d_bench.encoders.libraries.timm import POOLS
from g2d_bench.encoders.weights import in_hub_cache, weights_files
from g2d_bench.errors import InputError, first_line

CONFIG, OPEN_CLIP = "config.json", "open_clip_config.json"
PAIRS = ("clip", "siglip", "siglip2", "metaclip_2", "altclip")
"""Model types of transformers that have a text tower."""


def fetch_configs(name: str) -> Path:
    """Fetch the configurations of a repository of the hub, from the cache if they are there.

    Raises:
        InputError: it is neither in the cache nor within reach.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=[CONFIG, OPEN_CLIP, PREPROCESSOR, PROCESSOR]))
    except Exception as error:  # offline, unknown name, gated: each library version raises its own
        raise InputError(f"neither cached nor within reach ({first_line(error)})", file=HUB + name) from None


def draft_folder(folder: Path) -> Draft:
    """Look at a folder with a configuration of transformers, open_clip or timm.

    Raises:
        InputError: it has neither, or one cannot be read.
    """
    if (folder / OPEN_CLIP).is_file():
        return _open_clip(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(f"a folder without {CONFIG} or {OPEN_CLIP}; name a weights file", file=folder)
    config = read_object(folder / CONFIG)
    if isinstance(config.get("architecture"), str):
        return _timm(config)
    kind = config.get("model_type")
    if not isinstance(kind, str):
        text = "says no model_type (of transformers) and no architecture (of timm)"
        raise InputError(text, file=folder / CONFIG, field="model_type")
    made = Draft(library="transformers", model=kind, text=LIBRARY if kind in PAIRS else "")
    if config.get("auto_map"):
        made.asks.append("it brings code of its own, which is never run: does the library know its type?")
    vision = config.get("vision_config") if isinstance(config.get("vision_config"), dict) else config
    made.size = _size(vision.get("image_size") if isinstance(vision, dict) else None)
    read_processor(folder, made)
    made.asks.append("pool: whose vector is meant, the library's own?")
    made.ask_rest()
    return made


def _timm(config: Mapping[str, Any]) -> Draft:
    """Draft a card of what timm writes beside weights, which have its own names."""
    said = _table(config, "pretrained_cfg") or config
    made = Draft(model=str(config["architecture"]), options=dict(_table(config, "model_args")))
    pool = POOLS.get(str(config.get("global_pool")), "token")
    made.pool = "" if pool == "token" else pool
    ends = said.get("classifier", "head")
    made.drop = [
        f"{name}.*" for name in (ends if isinstance(ends, list) else [ends]) if isinstance(name, str)
    ]
    read_timm(said, made)
    made.ask_rest()
    return made


def _open_clip(folder: Path) -> Draft:
    """Draft a card whose configuration is found beside the weights.

    Raises:
        InputError: it has no configuration of a model with an image and a text side.
    """
    file = folder / OPEN_CLIP
    said = read_object(file)
    model, how = said.get("model_cfg", said), said.get("preprocess_cfg", {})
    vision, text = (_table(model, key) for key in ("vision_cfg", "text_cfg"))
    if not vision or not text:
        raise InputError("needs model_cfg with vision_cfg and text_cfg", file=file, field="model_cfg")
    made = Draft(library="open_clip", model=folder.resolve().name, prefix="visual.", drop=["proj", "head.*"])
    made.size = _size(vision.get("image_size"))
    read_open_clip(how if isinstance(how, dict) else {}, made)
    made.text = LIBRARY
    made.length = text.get("context_length", 77)
    tower = text.get("hf_model_name")
    if tower and not (folder / CONFIG).is_file():
        made.text = f"{HUB}{tower}"
    elif not tower and text.get("hf_tokenizer_name"):
        made.text = ""
        made.asks.append("text: its tokenizer is one of the hub without a model, which is not read")
    made.ask_rest()
    return made


def _table(model: Any, key: str) -> dict[str, Any]:
    found = model.get(key) if isinstance(model, dict) else None
    return found if isinstance(found, dict) else {}


def _size(said: Any) -> int:
    """Return the side that a configuration says, as a number or as twice the same one."""
    side = said[0] if isinstance(said, list) and said else said
    return side if isinstance(side, int) else 224


def weights_on_hub(name: str, library: str, asks: list[str]) -> str:
    """Return what a card says of the weights of a repository of the hub, and ask where that is a guess."""
    names = weights_files(library)
    there = next((file for file in names if in_hub_cache(name, (file,)) is not None), None)
    if there is None:
        from huggingface_hub import list_repo_files

        try:
            listed = list_repo_files(name)
        except Exception:  # offline, gated: each library version raises its own
            listed = []
        there = next((file for file in names if file in listed), None)
    if there is None:
        there = names[0]
        asks.append(f"weights: is {there} the name of the file?")
    return f"{HUB}{name}:{there}"
