"""The vision transformer of timm in a file, told by the shapes of its entries."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import timm
import torch

from g2d_bench.encoders.draft_card import Draft

Shapes = Mapping[str, tuple[int, ...]]

SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge", 1408: "giant", 1536: "giant"}
"""Width of a ViT to timm's word for it."""
STANDARD = "base"
"""Of which size a ViT of another width is made."""


def tell_vit(own: Shapes, made: Draft) -> None:
    """Say which model of timm has these entries, and ask what shapes do not tell.

    Args:
        own: names below the prefix of the image encoder, and their shapes.
        made: gets model, options, size, pool, entries to drop and questions.
    """
    width, _, patch, _ = own["patch_embed.proj.weight"]
    depth = 1 + max((int(n.split(".")[1]) for n in own if re.match(r"blocks\.\d+\.", n)), default=-1)
    made.model, usual = _nearest(own, width)
    if width != usual.embed_dim:
        made.options["embed_dim"] = width
    heads = int(usual.blocks[0].attn.num_heads)
    if width % heads:
        heads = next(n for n in (width // 64, 12, 8, 6, 4, 3, 2, 1) if n and width % n == 0)
        made.options["num_heads"] = heads
    made.asks.append(
        f"num_heads: no file of a ViT tells how many it has; {heads} stand here "
        "(under [image], options = { num_heads = ... })"
    )
    if depth != len(usual.blocks):
        made.options["depth"] = depth
    if patch != usual.patch_embed.patch_size[0]:
        made.options["patch_size"] = patch
    made.size = _side(own, made, usual) * patch
    if made.size != usual.patch_embed.img_size[0]:
        made.options["img_size"] = made.size
    _pool(own, made)
    others = ("head", "mask_token", "decoder")
    made.drop += [f"{word}*" for word in others if any(entry.startswith(word) for entry in own)]


def _nearest(own: Shapes, width: int) -> tuple[str, Any]:
    """Return the name of timm's model of a width, or of the standard one, and the model without values."""
    if any("ls1.gamma" in entry for entry in own):
        registers = "_reg4" if {"register_tokens", "reg_token"} & set(own) else ""
        forms = [f"vit_{{}}_patch14{registers}_dinov2"]
    else:
        forms = ["vit_{}_patch16_224", "vit_{}_patch14_224"]
    names = [form.format(size) for size in (SIZES.get(width, STANDARD), STANDARD) for form in forms]
    name = next(name for name in names if timm.is_model(name))
    with torch.device("meta"):
        return name, timm.create_model(name, num_classes=0)


def _side(own: Shapes, made: Draft, usual: Any) -> int:
    """Tell how many patches stand in a row, by the number of places."""
    shape, extra = own.get("pos_embed", ()), 1 if "cls_token" in own else 0
    if len(shape) != 3:
        made.asks.append("size: it has no table of places, which would tell the side of its input")
        return int(usual.patch_embed.grid_size[0])
    rows = math.isqrt(max(shape[1] - extra, 0))
    if rows**2 + extra != shape[1] and extra:
        # Places of patches alone.
        rows = math.isqrt(shape[1])
        if not usual.no_embed_class:
            made.options["no_embed_class"] = True
    return rows


def _pool(own: Shapes, made: Draft) -> None:
    """Tell the pooling: by the class token unless there is none, or the entries of another one."""
    after, token, attends = "fc_norm.weight" in own, "cls_token" in own, "attn_pool.latent" in own
    before = "norm.weight" in own
    if after and before:
        made.drop.append("fc_norm*")
    if token and before and not attends:
        return
    if not token:
        made.options["class_token"] = False
    made.pool, made.options["global_pool"] = ("map", "map") if attends else ("mean", "avg")
    if before and not attends:
        # timm moves the norm behind the mean unless it is told otherwise.
        made.options["fc_norm"] = False
    why = "has no class token" if not token else "has entries of another pooling than by its class token"
    made.asks.append(
        f"pool: it {why}; {'its attention pooling' if attends else 'the mean of its patches'} stands here"
    )
