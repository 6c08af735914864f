"""What counts as features, and in which order maps are read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from g2d_bench.api.features import features_of
from g2d_bench.errors import InputError


def levels(*sides: int) -> list[Tensor]:
    return [torch.rand(2, 3, side, side) for side in sides]


def test_a_vector_is_no_map() -> None:
    found = features_of(torch.ones(2, 5))
    assert found.pyramid == []
    assert found.pooled.shape == (2, 5)


@pytest.mark.parametrize("form", ["map", "list", "tuple", "mapping"])
def test_maps_are_ordered_fine_to_coarse_and_pooled_is_the_mean_of_the_coarsest(form: str) -> None:
    coarse, fine = levels(4, 8)
    given: Any = {
        "map": coarse,
        "list": [coarse, fine],
        "tuple": (coarse, fine),
        "mapping": {"x": coarse, "y": fine},
    }[form]
    found = features_of(given)
    assert [level.shape[-1] for level in found.pyramid] == ([4] if form == "map" else [8, 4])
    assert torch.equal(found.pooled, coarse.mean(dim=(2, 3)))


def test_a_given_vector_goes_before_the_mean() -> None:
    maps, vector = levels(8, 4), torch.rand(2, 7)
    for given in ({"a": maps[0], "b": maps[1], "pooled": vector}, (maps, vector)):
        assert torch.equal(features_of(given).pooled, vector)


def test_half_precision_is_widened() -> None:
    found = features_of({"a": torch.ones(1, 2, 3, 3, dtype=torch.bfloat16)})
    assert (found.pooled.dtype, found.pyramid[0].dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize(
    "output", [torch.ones(3), "text", None, {"a": torch.ones(2, 3)}, [torch.ones(2, 3)], {}, ([1], 2)]
)
def test_what_is_no_feature_is_refused(output: Any) -> None:
    with pytest.raises(InputError, match=r"^model: ") as caught:
        features_of(output)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (
            (2, 7, 7, 96),
            r"gives a map \[2, 7, 7, 96\], which looks like channels last, .*permute\(0, 3",
        ),
        ((2, 96, 7, 14), r"gives a map \[2, 96, 7, 14\], which is not as high as wide"),
        ((2, 0, 7, 7), "gives features of width 0"),
        ((2, 0), "gives features of width 0"),
    ],
)
def test_maps_that_mean_something_else_are_refused(shape: tuple[int, ...], text: str) -> None:
    with pytest.raises(InputError, match=f"^model: {text}"):
        features_of(torch.ones(shape))
