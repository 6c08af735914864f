"""Instructions of a pickle."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from refusing import refused, with_pickle

from g2d_bench.encoders.checkpoint import open_checkpoint


def test_live_objects_keep_their_attributes(tmp_path: Path) -> None:
    """BUILD with slot state sets attributes on whatever the pickle got hold of, here a function of torch."""
    before = torch._utils._rebuild_tensor_v2.__defaults__
    attack = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__K\x01K\x02\x86s\x86b."
    )
    assert "holds no state dict" in refused(with_pickle(tmp_path / "evil.pth", attack))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before
    torch.save({"state_dict": {"a": torch.arange(3)}}, tmp_path / "honest.pth")
    state = open_checkpoint(tmp_path / "honest.pth").states["state_dict"]
    assert torch.equal(state["a"], torch.arange(3))


@pytest.mark.parametrize("old", [False, True])
def test_names_in_every_instruction_that_calls(old: bool, tmp_path: Path) -> None:
    """INST, OBJ, NEWOBJ_EX and STACK_GLOBAL reach for functions as GLOBAL and REDUCE do."""
    word = b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system"
    for stream in (
        b"(X\x04\x00\x00\x00trueios\nsystem\n.",
        b"(cos\nsystem\nX\x04\x00\x00\x00trueo.",
        b"\x80\x04" + word + b"\x93)\x81.",
        b"\x80\x04" + word + b"\x93)}\x92.",
        b"\x80\x02cposix\nsystem\n.",
        b"\x80\x02c__builtin__\neval\n.",
    ):
        text = refused(with_pickle(tmp_path / "x.pth", stream, old=old))
        assert text.startswith("has code in it (")


def test_names_cannot_move_the_cursor(tmp_path: Path) -> None:
    torch.save({"\x1b[2Jx" + "y" * 500: 1}, tmp_path / "x.pth")
    text = refused(tmp_path / "x.pth")
    assert text.startswith("holds no state dict (keys ?[2Jxyyy")
    assert len(text) < 250
