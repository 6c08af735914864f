from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from g2d_bench.cards.image import ImageInput


def image(**more: Any) -> ImageInput:
    return ImageInput.model_validate({"model": "resnet50", "size": 224, **more})


def test_what_older_cards_said_is_written_as_it_was() -> None:
    old = ["model", "options", "size", "resize_inside", "mean", "std"]
    assert list(image().model_dump(mode="json")) == old
    assert image().frame is None
    written = image(fit="crop", pool="mean", channels=1).model_dump(mode="json")
    assert written == {**image().model_dump(mode="json"), "fit": "crop", "pool": "mean", "channels": 1}


def test_a_frame_says_how_a_film_becomes_a_square() -> None:
    frame = image(fit="crop", interpolation="bicubic", resize=256).frame
    assert frame is not None
    assert frame.name == "crop-bicubic-256"
    other = image(fit="crop", interpolation="bicubic", resize=256, library="transformers").frame
    assert other is not None
    assert other.name != frame.name


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"library": "keras"}, "unknown library 'keras'"),
        ({"library": "open_clipp"}, "did you mean 'open_clip'"),
        ({"pool": "first"}, "'token', 'mean', 'map' or 'library'"),
        ({"fit": "cut"}, "'letterbox', 'stretch' or 'crop'"),
        ({"channels": 2}, "Input should be 1 or 3"),
        ({"range": [1.0, 0.0]}, "must be .black, white."),
        ({"std": 0.0}, "must be above 0"),
        ({"mean": float("nan")}, "must be finite"),
        ({"mean": [0.1, float("inf"), 0.1]}, "must be finite"),
        ({"std": float("inf")}, "must be finite"),
        ({"std": [0.1, float("nan"), 0.1]}, "must be finite"),
        ({"range": [0.0, float("inf")]}, "must be finite"),
        ({"mean": [0.4]}, "must be one number, or three for three channels, not 1"),
        ({"channels": 1, "mean": [0.1, 0.1, 0.1]}, "one channel takes one mean and one std"),
        ({"fit": "crop", "resize": 100}, "a crop of 'size' needs a shortest side"),
    ],
)
def test_a_wrong_key_is_one_line(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        image(**more)
