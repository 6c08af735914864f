from __future__ import annotations

from typing import Any

import pytest
import timm
import torch

from g2d_bench.encoders.converters.eva import convert

SMALL: dict[str, Any] = {
    **{"embed_dim": 24, "depth": 2, "num_heads": 2, "img_size": 32, "patch_size": 16, "num_classes": 0},
    "ref_feat_shape": (14, 14),
}


@pytest.mark.parametrize("model", ["eva02_small_patch14_224", "eva02_base_patch14_224"])
def test_evas_own_names_become_timms(model: str) -> None:
    ours = timm.create_model(model, **SMALL).eval()
    theirs = {
        name.replace(".mlp.norm.", ".mlp.ffn_ln.")
        .replace(".attn.norm.", ".attn.inner_attn_ln.")
        .replace(".mlp.fc1_g.", ".mlp.w1.")
        .replace(".mlp.fc1_x.", ".mlp.w2.")
        .replace(".mlp.fc1.", ".mlp.w12.")
        .replace(".mlp.fc2.", ".mlp.w3.")
        .replace("q_proj.bias", "q_bias")
        .replace("v_proj.bias", "v_bias"): tensor
        for name, tensor in ours.state_dict().items()
    }
    assert theirs.keys() != ours.state_dict().keys()
    theirs["rope.freqs_sin"] = torch.zeros(4, 4)
    got = convert(theirs)
    assert got.keys() == ours.state_dict().keys()
    assert all(torch.equal(got[name], tensor) for name, tensor in ours.state_dict().items())


def test_masked_pretrainings_last_normalisation_comes_after_the_mean() -> None:
    entries = {
        "mask_token": torch.zeros(1, 1, 2),
        "norm.weight": torch.ones(2),
        "lm_head.weight": torch.ones(2),
    }
    assert list(convert(entries)) == ["fc_norm.weight"]
    assert list(convert({"norm.weight": torch.ones(2)})) == ["norm.weight"]
