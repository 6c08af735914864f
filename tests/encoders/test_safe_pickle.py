"""Pickles are read without running anything."""

from __future__ import annotations

import argparse
import os
import pickle
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoints import state_of
from refusing import refusal
from torch import nn

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.checkpoint import (
    match_any,
    open_checkpoint,
)
from g2d_bench.encoders.image_side import build_image

MakeCard = Callable[[str], EncoderCard]


class _Config:
    """Stands for a foreign class whose package is gone when the file is read."""

    def __init__(self) -> None:
        self.content = {"lr": 0.1}


def _foreign(root: str, name: str = "DictConfig") -> type:
    module = types.ModuleType(root)
    made = type(name, (_Config,), {"__module__": root, "__qualname__": name})
    setattr(module, name, made)
    sys.modules[root] = module
    return made


@pytest.mark.parametrize("new_format", [True, False])
def test_lightning_file_with_a_foreign_object(
    new_format: bool, small_card: MakeCard, published: Callable[[str], Any], tmp_path: Path
) -> None:
    root = published("gloria.chexpert-r50")
    made = _foreign("omegaconf_lookalike")
    root["hyper_parameters"] = {"config": made(), "namespace": argparse.Namespace(lr=0.1), "kind": int}
    root["callbacks"] = {made: [made()]}
    path = tmp_path / "lightning.ckpt"
    torch.save(root, path, _use_new_zipfile_serialization=new_format)
    del sys.modules["omegaconf_lookalike"]
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    card = small_card("gloria.chexpert-r50")
    report = match_any(open_checkpoint(path), card.checkpoint, build_image(card, 0).body)
    assert report.matched == 318
    assert "omegaconf_lookalike" not in sys.modules


def test_parameters_and_shells_in_a_state_dict(tmp_path: Path) -> None:
    made = _foreign("lost_package")
    path = tmp_path / "x.pth"
    weight = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
    view = torch.arange(10.0)[3:7]
    rest = {"d": made(), "e": torch.float16, "f": torch.Size([2]), "g": np.float64(1), "h": b"bytes"}
    torch.save({"a": weight, "b": view, "c": torch.zeros(2, dtype=torch.bfloat16), **rest}, path)
    del sys.modules["lost_package"]
    state = state_of(path)
    assert state.keys() == {"a", "b", "c"}
    assert torch.equal(state["a"], weight.detach())
    assert torch.equal(state["b"], view)


class _Attack:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.arguments


def _attacks(witness: Path) -> dict[str, _Attack]:
    script = f"open({str(witness)!r}, 'w').close()"
    return {
        "os.system": _Attack(os.system, f"touch {witness}"),
        "eval": _Attack(eval, script),
        "exec": _Attack(exec, script),
        "getattr": _Attack(getattr, os, "system"),
        "os.makedirs": _Attack(os.makedirs, str(witness)),
    }


@pytest.mark.parametrize("attack", ["os.system", "eval", "exec", "os.makedirs"])
@pytest.mark.parametrize("form", ["zip", "old", "bare pickle", "beside weights"])
def test_code_in_a_pickle_is_refused_and_not_run(attack: str, form: str, tmp_path: Path) -> None:
    witness, path = tmp_path / "was-here", tmp_path / "evil.pth"
    evil: Any = _attacks(witness)[attack]
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(evil))
    elif form == "beside weights":
        torch.save({"state_dict": {"conv1.weight": torch.zeros(3)}, "hyper_parameters": evil}, path)
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form == "zip")
    text = refusal(lambda: open_checkpoint(path))
    assert text.startswith(f"{path}: has code in it (")
    assert "not run" in text
    assert not witness.exists()
    pickle.loads(pickle.dumps(evil))
    assert witness.exists(), "the attack works where nothing stops it, so the test can fail"


def test_code_behind_a_torch_helper_is_not_run(tmp_path: Path) -> None:
    witness, path = tmp_path / "was-here", tmp_path / "evil.pth"
    inner = pickle.dumps(_attacks(witness)["os.makedirs"])
    torch.save({"w": torch.zeros(1), "x": _Attack(torch.storage._load_from_bytes, inner)}, path)
    assert state_of(path).keys() == {"w"}, "the helper that would unpickle again is an empty shell"
    assert not witness.exists()
