"""The image tower of OpenAI's CLIP, and of all that kept its names, as a vision transformer of timm.

Source: Radford et al., ICML 2021, and the names of its released files: ``conv1``, ``class_embedding``,
``ln_pre``, ``transformer.resblocks.N``, ``ln_post``, ``proj``. timm's model is ``vit_*_clip_quickgelu_*``.
"""

from __future__ import annotations

import re

from torch import Tensor

from g2d_bench.encoders.converter import State

_WORDS = (
    (r"^conv1\.", "patch_embed.proj."),
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.attn\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
)


def convert(state: State) -> dict[str, Tensor]:
    """Give the entries timm's names; class token and positions get the dimensions that timm adds."""
    found = {}
    for name, tensor in state.items():
        new = name
        for pattern, word in _WORDS:
            new = re.sub(pattern, word, new)
        if new == "cls_token":
            tensor = tensor.reshape(1, 1, -1)
        elif new == "pos_embed" and tensor.ndim == 2:
            tensor = tensor[None]
        found[new] = tensor
    return found


CONVERTER = convert
