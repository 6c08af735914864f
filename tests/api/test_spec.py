"""What a model in memory takes: whatever holds numbers, and no more than a card allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import g2d_bench as gb
from g2d_bench.errors import InputError


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (0, 0.0),
        (np.float32(0.25), 0.25),
        (np.array(0.25), 0.25),
        (torch.tensor(0.25), 0.25),
        ((0.1, 0.2, 0.3), [0.1, 0.2, 0.3]),
        (np.array([0.1, 0.2, 0.3]), [0.1, 0.2, 0.3]),
        (torch.tensor([0.25, 0.5, 1.0], requires_grad=True), [0.25, 0.5, 1.0]),
        ([np.float64(0.1), torch.tensor(0.5), 1], [0.1, 0.5, 1.0]),
    ],
)
def test_numbers_of_any_kind(given: Any, wanted: Any) -> None:
    spec = gb.ImageSpec(np.int64(64), mean=given)  # type: ignore[arg-type]
    assert spec.mean == wanted
    # A record repeats it as a call.
    assert repr(spec).startswith(f"ImageSpec(size=64, mean={wanted!r}, std=0.5")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": 16}, "size: Input should be greater than or equal to 32 (got 16)"),
        ({"size": 4096}, "size: Input should be less than or equal to 2048 (got 4096)"),
        ({"size": (64, 64)}, "size: must be one whole number of pixels, the side of a square, not (64, 64)"),
        ({"size": 64.5}, "size: must be one whole number of pixels, the side of a square, not 64.5"),
        ({"std": 0}, "std: must be above 0 (got 0.0)"),
        ({"std": [0.1, 0.0, 0.1]}, "std: must be above 0"),
        ({"mean": [0.4]}, "mean: must be one number, or three for three channels, not 1"),
        ({"mean": np.ones(4)}, "mean: must be one number, or three for three channels, not 4"),
        ({"mean": float("nan")}, "mean: must be finite (got nan)"),
        ({"std": float("inf")}, "std: must be finite (got inf)"),
        ({"mean": None}, "mean: Input should be a valid number (got None)"),
        ({"mean": "grey"}, "mean: Input should be a valid number"),
        ({"scale": "Published"}, "scale: 'Published' is not allowed; did you mean 'published'?"),
        ({"fit": "crop"}, "fit: must be 'letterbox', not 'crop'"),
    ],
)
def test_an_impossible_spec_names_field_and_value(change: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        gb.ImageSpec(**({"size": 64} | change))
    text = str(caught.value)
    assert text.startswith(f"ImageSpec.{says}")
    assert "pydantic" not in text
    assert "\n" not in text
