"""A card for a file of weights, drafted from what its entries are called and how large they are.

What cannot be read off a file (normalisation, text side, licence, what it was pre-trained on) is left as a
question that the card asks its owner; nothing of it is guessed in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from g2d_bench.encoders.checkpoint_file import Checkpoint, open_checkpoint
from g2d_bench.encoders.draft_card import Draft
from g2d_bench.encoders.draft_vit import Shapes, tell_vit
from g2d_bench.encoders.wrapped import bare, wrapping
from g2d_bench.errors import InputError

RESNETS: dict[tuple[int, ...], tuple[str, str]] = {
    (2, 2, 2, 2): ("resnet18", ""),
    (3, 4, 6, 3): ("resnet34", "resnet50"),
    (3, 4, 23, 3): ("", "resnet101"),
}
"""Blocks per stage to a ResNet of plain and of bottleneck blocks."""
CONVERTED = (
    ("openai-clip", re.compile(r"(^|\.)transformer\.resblocks\.\d+\.attn\.in_proj_weight$")),
    ("dinov2-chunked", re.compile(r"(^|\.)blocks\.\d+\.\d+\.attn\.qkv\.weight$")),
    ("torchvision-sequential", re.compile(r"(^|\.)4\.0\.conv1\.weight$")),
)
"""Named conversion to an entry that tells it."""


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
    made.asks.append("mean and std: which did the training normalise by?")
    made.ask_rest()
    return made


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
        if len(own["patch_embed.proj.weight"]) != 4:
            continue
        made.prefix = prefix
        tell_vit(own, made)
        return True
    return False


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
