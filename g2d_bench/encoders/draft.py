"""A card for a file of weights, drafted from what its entries are called and how large they are.

What cannot be read off a file (normalisation, text side, licence, what it was pre-trained on) is left as a
question that the card asks its owner; nothing of it is guessed in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from g2d_bench.encoders.checkpoint_file import Checkpoint, open_checkpoint
from g2d_bench.encoders.wrapped import bare, wrapping
from g2d_bench.errors import InputError

Shapes = Mapping[str, tuple[int, ...]]

RESNETS: dict[tuple[int, ...], tuple[str, str]] = {
    (2, 2, 2, 2): ("resnet18", ""),
    (3, 4, 6, 3): ("resnet34", "resnet50"),
    (3, 4, 23, 3): ("", "resnet101"),
}
"""Blocks per stage to a ResNet of plain and of bottleneck blocks."""
VITS = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}
"""Width of a ViT to its size."""
CONVERTED = (
    ("openai-clip", re.compile(r"(^|\.)transformer\.resblocks\.\d+\.attn\.in_proj_weight$")),
    ("dinov2-chunked", re.compile(r"(^|\.)blocks\.\d+\.\d+\.attn\.qkv\.weight$")),
    ("torchvision-sequential", re.compile(r"(^|\.)4\.0\.conv1\.weight$")),
)
"""Named conversion to an entry that tells it."""


@dataclass
class Draft:
    """What is known of an encoder from its file.

    Attributes:
        container: of the state dict.
        prefix: before the image encoder's entries.
        library: whose model.
        model: its name, "" where it could not be told.
        options: for the model.
        size: side of the input.
        drop: patterns of entries that are left.
        convert: a named conversion.
        mean: of the input.
        std: of the input.
        fit: how a film becomes a square, "" where it is not known.
        interpolation: likewise.
        resize: shortest side before a crop.
        text: whether its library's model has a text side.
        asks: what the file does not say, in sentences.
    """

    container: str = ""
    prefix: str = ""
    library: str = "timm"
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    size: int = 224
    drop: list[str] = field(default_factory=list)
    convert: str = ""
    mean: float | list[float] = 0.5
    std: float | list[float] = 0.5
    fit: str = ""
    interpolation: str = ""
    resize: int | None = None
    text: bool = False
    asks: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether its library loads the file whole, so that a card need not say how entries are called."""
        return self.library != "timm"


def draft(file: Path) -> Draft:
    """Look at a file of weights.

    Raises:
        InputError: it is no checkpoint, see :func:`open_checkpoint`.
    """
    opened = open_checkpoint(file)
    container, state = _largest(opened)
    made = Draft(container=container)
    if len(opened.states) > 1:
        others = ", ".join(name or "a plain state dict" for name in opened.states if name != container)
        made.asks.append(f"the file has other state dicts, too ({others}): is {container!r} the one meant?")
    if wrapped := wrapping(state):
        made.asks.append(f"{wrapped} stands in its names, and is taken off")
    shapes: Shapes = {name: tuple(tensor.shape) for name, tensor in bare(state, ()).items()}
    for look in (_resnet, _vit):
        if look(shapes, made):
            break
    else:
        shown = ", ".join(list(shapes)[:6])
        made.asks.append(f"which model is it? its entries begin with {shown}")
    for name, pattern in CONVERTED:
        if any(pattern.search(entry) for entry in shapes):
            made.convert = name
            made.asks.append(f"its names ask for the conversion {name!r}: is the model the right one?")
    inside = [name for name in shapes if name.startswith(made.prefix)] if made.model else []
    outside = [name for name in shapes if name not in set(inside)]
    if made.model and outside:
        heads = sorted({name.rsplit(".", 1)[0] for name in outside if len(shapes[name]) == 2})
        made.asks.append(
            f"{len(outside)} entries stand outside of the image encoder ({_some(outside)})"
            + (f"; projections may be {_some(heads)}: see [checkpoint.heads]" if heads else "")
        )
    made.asks += [
        "mean and std: which did the training normalise by?",
        "pretraining: which data sets did it see, with labels or not?",
        "licence, paper: of the weights",
    ]
    return made


def card_text(made: Draft, title: str, weights: str) -> str:
    """Write a draft as a card; what it could not know stands as comments."""
    model = made.model or "FILL-IN"
    lines = [
        "# Drafted from the file alone. What it could not know:",
        *(f"#  - {ask}" for ask in made.asks),
        f"title = {json.dumps(title)}",
        'paper = ""',
        'licence = ""',
        'objective = "other"',
        'scale = "published"',
        "pretraining = []",
        *([f"weights = {json.dumps(weights)}"] if weights else []),
        "",
        "[image]",
        *([f"library = {json.dumps(made.library)}"] if made.library != "timm" else []),
        f"model = {json.dumps(model)}",
        *([f"options = {_table(made.options)}"] if made.options else []),
        f"size = {made.size}",
        *([f"fit = {json.dumps(made.fit)}"] if made.fit else []),
        *([f"interpolation = {json.dumps(made.interpolation)}"] if made.interpolation else []),
        *([f"resize = {made.resize}"] if made.resize and made.fit == "crop" else []),
        f"mean = {json.dumps(made.mean)}",
        f"std = {json.dumps(made.std)}",
        "",
        *(["[text]", 'source = "library"', ""] if made.text else []),
    ]
    if made.whole and weights:
        return "\n".join(lines)
    lines += [
        "[[checkpoint]]",
        'layout = "drafted"',
        *([f"container = {json.dumps(made.container)}"] if made.container else []),
        *([f"prefix = {json.dumps(made.prefix)}"] if made.prefix else []),
        *([f"convert = {json.dumps(made.convert)}"] if made.convert else []),
        *([f"drop = {json.dumps(made.drop)}"] if made.drop else []),
    ]
    return "\n".join(lines) + "\n"


def _largest(opened: Checkpoint) -> tuple[str, Mapping[str, Tensor]]:
    if not opened.states:
        raise InputError("holds no tensors", file=opened.file)
    name = max(opened.states, key=lambda one: len(opened.states[one]))
    return name, opened.states[name]


def _starts(shapes: Shapes, ending: str) -> Iterator[str]:
    """Yield what stands before an entry of some name, the longest list of entries below it first."""
    found = {name.removesuffix(ending) for name in shapes if name == ending or name.endswith(f".{ending}")}
    yield from sorted(found, key=lambda start: -sum(name.startswith(start) for name in shapes))


def _resnet(shapes: Shapes, made: Draft) -> bool:
    for prefix in _starts(shapes, "layer1.0.conv1.weight"):
        own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
        blocks = tuple(
            1 + max((int(name.split(".")[1]) for name in own if name.startswith(f"layer{n}.")), default=-1)
            for n in range(1, 5)
        )
        plain, deep = RESNETS.get(blocks, ("", ""))
        model = deep if "layer1.0.conv3.weight" in own else plain
        stem = own.get("conv1.weight", ())
        if not model or len(stem) != 4:
            continue
        made.prefix, made.model = prefix, model
        made.drop = [f"{name}.*" for name in ("fc",) if any(entry.startswith(f"{name}.") for entry in own)]
        widths = [own[f"layer{n}.0.conv1.weight"][0] for n in range(1, 5)]
        if widths != [64, 128, 256, 512]:
            made.options["channels"] = widths
        if stem[1] == 1:
            made.asks.append("its stem has one channel: set channels = 1 under [image], and its range")
        return True
    return False


def _vit(shapes: Shapes, made: Draft) -> bool:
    for prefix in _starts(shapes, "patch_embed.proj.weight"):
        own = {name.removeprefix(prefix): shape for name, shape in shapes.items() if name.startswith(prefix)}
        width, _, patch, _ = own["patch_embed.proj.weight"]
        places = own.get("pos_embed", ())
        depth = 1 + max((int(n.split(".")[1]) for n in own if re.match(r"blocks\.\d+\.", n)), default=-1)
        extra = 1 if "cls_token" in own else 0
        side = round((places[1] - extra) ** 0.5) * patch if len(places) == 3 else 224
        made.prefix, made.size = prefix, side
        name = VITS.get(width, "base")
        dino = any("ls1.gamma" in entry for entry in own)
        made.model = f"vit_{name}_patch14_dinov2" if dino else f"vit_{name}_patch16_224"
        if dino and ("register_tokens" in own or "reg_token" in own):
            made.model = f"vit_{name}_patch14_reg4_dinov2"
        standard = 518 if dino else 224
        if side != standard:
            made.options["img_size"] = side
        if patch != (14 if dino else 16):
            made.options["patch_size"] = patch
        if width not in VITS:
            made.options["embed_dim"] = width
            made.asks.append(f"num_heads of a ViT of width {width}: say so under options")
        if depth not in (12, 24, 32):
            made.options["depth"] = depth
        if not extra:
            made.options["class_token"] = False
            made.asks.append("it has no class token: say how it is pooled under [image]")
        known = ("head", "fc_norm", "mask_token", "decoder")
        made.drop = [f"{word}*" for word in known if any(entry.startswith(word) for entry in own)]
        return True
    return False


def _table(values: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items()) + " }"


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
