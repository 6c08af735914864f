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
        (["img._orig_mod.conv1.weight", "txt._orig_mod.x"], "img.", ["img.conv1.weight", "txt.x"]),
        (["module.img._orig_mod.conv1.weight"], "img.", ["img.conv1.weight"]),
        (["module.img._orig_mod.conv1.weight"], "module.img.", ["module.img.conv1.weight"]),
        # A card that counts on it has it; what is further inside goes.
        (["img._orig_mod.layer1._orig_mod.x"], "img._orig_mod.", ["img._orig_mod.layer1.x"]),
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


def test_a_start_of_another_part_that_counts_on_a_wrapper_has_it() -> None:
    parts = {"text": {"names": {"txt._orig_mod.": ""}}, "heads": {"names": {"proj.": "image."}}}
    layout = Layout.model_validate({"layout": "x", "prefix": "img.", **parts})
    state = dict.fromkeys(("img._orig_mod.a", "txt._orig_mod.b", "proj._orig_mod.c"), ONE)
    assert list(layout_state({"": state}, layout) or ()) == ["img.a", "txt._orig_mod.b", "proj.c"]


def test_wrappers_are_named() -> None:
    assert wrapping({"module.a": ONE, "module._orig_mod.b": ONE}) == "_orig_mod. and module."
    assert wrapping({"module.a": ONE, "b": ONE}) == ""
    assert wrapping({}) == ""
