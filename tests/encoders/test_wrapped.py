"""What training tools put around names, and which container is taken."""

from __future__ import annotations

import pytest
import torch

from g2d_bench.cards.encoder import Layout
from g2d_bench.encoders.wrapped import bare, layout_state, wrapping

ONE = torch.ones(1)


@pytest.mark.parametrize(
    ("names", "prefix", "expected"),
    [
        (["module.conv1.weight", "module.fc.bias"], "", ["conv1.weight", "fc.bias"]),
        (["_orig_mod.conv1.weight"], "", ["conv1.weight"]),
        (["module._orig_mod.img.conv1.weight"], "img.", ["img.conv1.weight"]),
        (["img._orig_mod.conv1.weight", "txt.x"], "img.", ["img._orig_mod.conv1.weight", "txt.x"]),
        (["model._orig_mod.conv1.weight"], "net.", ["model.conv1.weight"]),
        # A card that counts on the wrapper has it (MedKLIP).
        (["module.res_features.0.weight"], "module.res_features.", ["module.res_features.0.weight"]),
        # One name without it: it is a name like others.
        (["module.conv1.weight", "epoch"], "", ["module.conv1.weight", "epoch"]),
    ],
)
def test_names(names: list[str], prefix: str, expected: list[str]) -> None:
    assert list(bare(dict.fromkeys(names, ONE), (prefix,))) == expected


def test_containers() -> None:
    plain, averaged = {"conv1.weight": ONE}, {"conv1.weight": 2 * ONE}
    layout = Layout(layout="x")
    assert layout_state({"": plain, "ema": averaged}, layout) == plain
    assert layout_state({"ema": averaged}, layout) == averaged
    # Two of them: the card must say which.
    assert layout_state({"ema": averaged, "model": plain}, layout) is None
    assert layout_state({"model": plain}, layout) is None
    named = Layout(layout="x", container="model_ema")
    assert layout_state({"model": plain, "model_ema": averaged}, named) == averaged


def test_wrappers_are_named() -> None:
    assert wrapping({"module.a": ONE, "module._orig_mod.b": ONE}) == "_orig_mod. and module."
    assert wrapping({"module.a": ONE, "b": ONE}) == ""
    assert wrapping({}) == ""
