"""Checkpoints of EVA-02's code, and of EVA-X, as timm's ``Eva``.

Source: Fang et al., EVA-02 (2023), and the names of its code: queries and values have a bias of their own
(``q_bias``, ``v_bias``), the keys none; ``inner_attn_ln``, ``ffn_ln``; rotary positions are kept as buffers
although they follow from the model's size; the mask token is of use in training alone.
"""

from __future__ import annotations

import re

from torch import Tensor

from g2d_bench.encoders.converter import State

_WORDS = (
    (r"\.mlp\.ffn_ln\.", ".mlp.norm."),
    (r"\.attn\.inner_attn_ln\.", ".attn.norm."),
    (r"\.mlp\.w12\.", ".mlp.fc1."),
    (r"\.mlp\.w1\.", ".mlp.fc1_g."),
    (r"\.mlp\.w2\.", ".mlp.fc1_x."),
    (r"\.mlp\.w3\.", ".mlp.fc2."),
)
_NOT_WEIGHTS = re.compile(r"(^|\.)rope\.|^mask_token$|^lm_head\.|\.k_bias$|(^|\.)relative_position_index$")


def convert(state: State) -> dict[str, Tensor]:
    """Give the entries timm's names.

    A file of masked pre-training, which has a mask token, normalises the patches before its head; timm, which
    averages them first, takes that normalisation for the one after the average (``fc_norm``).
    """
    found: dict[str, Tensor] = {}
    masked = "mask_token" in state
    for name, tensor in state.items():
        if _NOT_WEIGHTS.search(name):
            continue
        new = name
        for pattern, word in _WORDS:
            new = re.sub(pattern, word, new)
        split = re.fullmatch(r"(.*\.attn\.)q_bias", new)
        if split and f"{split[1]}q_proj.weight" in state:
            new = f"{split[1]}q_proj.bias"
        split = re.fullmatch(r"(.*\.attn\.)v_bias", new)
        if split and f"{split[1]}v_proj.weight" in state:
            new = f"{split[1]}v_proj.bias"
        if masked and new in ("norm.weight", "norm.bias"):
            new = f"fc_{new}"
        found[new] = tensor
    return found


CONVERTER = convert
