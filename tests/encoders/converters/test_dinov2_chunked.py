from __future__ import annotations

import re

import pytest
import timm
import torch

from g2d_bench.encoders.converters.dinov2_chunked import convert

SMALL = {"embed_dim": 16, "depth": 4, "num_heads": 2, "img_size": 56, "num_classes": 0}


def test_blocks_are_taken_out_of_their_chunks() -> None:
    body = timm.create_model("vit_small_patch14_dinov2", **SMALL)
    theirs = {
        re.sub(r"^blocks\.(\d+)", lambda m: f"blocks.{int(m[1]) // 2}.{m[1]}", name): tensor
        for name, tensor in body.state_dict().items()
    }
    assert "blocks.1.3.norm1.weight" in theirs
    theirs["mask_token"] = torch.zeros(1, 16)
    got = convert(theirs)
    assert got.keys() == body.state_dict().keys()
    assert all(torch.equal(got[name], tensor) for name, tensor in body.state_dict().items())


def test_with_registers_the_class_tokens_position_goes_into_it() -> None:
    body = timm.create_model("vit_small_patch14_reg4_dinov2", **SMALL)
    state = dict(body.state_dict())
    token, patches = torch.randn(1, 1, 16), torch.randn(1, 17, 16)
    theirs = {**state, "cls_token": token, "pos_embed": patches, "register_tokens": state.pop("reg_token")}
    theirs.pop("reg_token", None)
    got = convert(theirs)
    assert got.keys() == body.state_dict().keys()
    assert torch.equal(got["cls_token"], token + patches[:, :1])
    assert torch.equal(got["pos_embed"], patches[:, 1:])


def test_two_entries_of_one_name_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"are both blocks\.3\.norm1\.weight"):
        convert({"blocks.0.3.norm1.weight": torch.zeros(1), "blocks.3.norm1.weight": torch.zeros(1)})
