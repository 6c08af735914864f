"""A projection before the heads of any method."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.errors import InputError

SHAPE: dict[str, Any] = {"channels": (4, 8, 10), "strides": (8, 16, 32), "num_features": 10, "text_width": 12}


def features() -> ImageFeatures:
    torch.manual_seed(0)
    pyramid = [torch.randn(2, c, s, s) for c, s in zip((4, 8, 10), (8, 4, 2), strict=True)]
    return ImageFeatures(pyramid, pyramid[-1].mean(dim=(2, 3)))


@pytest.mark.parametrize("method", ["convirt", "gloria", "mgca", "biovil", "clip"])
def test_any_method_stands_behind_one(method: str) -> None:
    heads = make_heads(method, **SHAPE, neck={"kind": "linear", "dim": 5, "bias": False}).eval()
    names = list(heads.state_dict())
    assert names[0] == "neck.projection.weight"
    assert all(name.startswith("heads.") for name in names[1:])
    plain = make_heads(method, **(SHAPE | {"channels": (4, 8, 5), "num_features": 5})).eval()
    plain.load_state_dict(
        {n.removeprefix("heads."): v for n, v in heads.state_dict().items() if n != names[0]}
    )
    assert (heads.method, heads.dim, heads.bare_words) == (plain.method, plain.dim, plain.bare_words)
    given, weight = features(), heads.state_dict()[names[0]]
    last = torch.einsum("dc,bchw->bdhw", weight, given.pyramid[-1])
    smaller = ImageFeatures([*given.pyramid[:-1], last], given.pooled @ weight.T)
    for ours, theirs in zip(heads.embed_image(given), plain.embed_image(smaller), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_constants_follow_the_projection() -> None:
    """BioViL-T: the place of a previous image that is not there."""
    heads = make_heads("biovil", **SHAPE, neck={"dim": 3, "appended": 2}).eval()
    state = heads.state_dict()
    assert state["neck.constant"].shape == (1, 2, 1, 1)
    assert state["heads.image_projector.0.weight"].shape[1] == 5
    heads.load_state_dict(state | {"neck.constant": torch.tensor([3.0, -1.0]).reshape(1, 2, 1, 1)})
    assert heads.neck(torch.zeros(4, 10))[:, 3:].tolist() == [[3.0, -1.0]] * 4  # type: ignore[operator]


def test_vector_and_cells_must_be_alike() -> None:
    with pytest.raises(InputError, match="these have 9 and 10 values"):
        make_heads("convirt", **(SHAPE | {"num_features": 9}), neck={"dim": 3})
