"""DINOv2's own checkpoints, whose blocks may stand in chunks, as a vision transformer of timm.

Source: Oquab et al., TMLR 2024, and the names of its code: with ``block_chunks > 0``, as in training, block N
is ``blocks.CHUNK.N``; ``register_tokens``; ``mask_token``, which is of use in training alone.
"""

from __future__ import annotations

import re

from torch import Tensor

from g2d_bench.encoders.converter import State

_CHUNKED = re.compile(r"^blocks\.(\d+)\.(\d+)\.")


def convert(state: State) -> dict[str, Tensor]:
    """Take blocks out of their chunks, and give the rest timm's names.

    timm holds the patches' positions apart from the class token's where there are registers: it adds no
    position to the class token, into which the published sum goes.

    Raises:
        ValueError: two entries would get one name.
    """
    found: dict[str, Tensor] = {}
    registers = "register_tokens" in state
    for name, tensor in state.items():
        new = _CHUNKED.sub(r"blocks.\2.", name)
        if new == "mask_token":
            continue
        if new == "register_tokens":
            new = "reg_token"
        if new in found:
            raise ValueError(f"{name} and another entry are both {new}")
        found[new] = tensor
    if registers and {"cls_token", "pos_embed"} <= found.keys():
        position = found["pos_embed"]
        found["cls_token"] = found["cls_token"] + position[:, :1]
        found["pos_embed"] = position[:, 1:]
    return found


CONVERTER = convert
