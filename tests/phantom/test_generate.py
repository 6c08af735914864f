"""One generated radiograph with all that is known of it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.phantom import PROFILES, generate
from g2d_bench.phantom.anatomy import make_anatomy
from g2d_bench.phantom.generate import mask_box
from g2d_bench.phantom.labels import CXR14, DEVICES, DRAWN, OBJECT
from g2d_bench.phantom.render.canvas import make_canvas

SIZE = 128
Mask = NDArray[np.bool_]


def test_same_arguments_same_bytes() -> None:
    def image(index: int, seed: int = 0) -> NDArray[np.uint8]:
        return generate("siim", index, seed=seed, size=96, profile=PROFILES["siim"]).image

    first = image(5)
    image(6)
    assert first.dtype == np.uint8
    assert first.shape == (96, 96)
    assert np.array_equal(image(5), first)
    assert not np.array_equal(image(5, seed=1), first)


@pytest.mark.parametrize("index", range(0, 60, 7))
def test_everything_drawn_has_mask_box_and_phrase(index: int) -> None:
    picture = generate("mimic-cxr", index, seed=1, size=SIZE, profile=PROFILES["mimic-cxr"])
    assert len(picture.finding_masks) == len(picture.scene.findings) == len(picture.finding_boxes)
    for finding, mask, boxes in zip(
        picture.scene.findings, picture.finding_masks, picture.finding_boxes, strict=True
    ):
        assert finding.label in DRAWN
        union = np.zeros_like(mask)
        for box in boxes:
            assert box.label == finding.label
            assert 0 <= box.x < box.x + box.w <= SIZE
            assert 0 <= box.y < box.y + box.h <= SIZE
            union[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)] = True
        assert not (mask & ~union).any()
        assert len(boxes) <= 2
    assert picture.report is not None
    told = [f for f in picture.scene.findings if f.label not in (DEVICES, OBJECT)]
    assert len(picture.phrases) <= len(told)


def test_masks_of_the_lung_stay_in_it_and_boxes_are_tight() -> None:
    """Whatever fills or replaces lung is outlined within the lung, behind the heart included."""
    outside = ("Cardiomegaly", "Hernia")
    seen: set[str] = set()
    for index in range(60):
        picture = generate("cxr14", index, seed=2, size=96, profile=PROFILES["cxr14"])
        canvas = make_canvas(picture.scene, make_anatomy(picture.scene), 96)
        within = np.zeros((96, 96), np.bool_)
        for field in canvas.lungs.values():
            field.grid.of(within)[...] |= field.cov > 0.5
        for finding, mask, boxes in zip(
            picture.scene.findings, picture.finding_masks, picture.finding_boxes, strict=True
        ):
            if finding.label in CXR14 and finding.label not in outside:
                assert not (mask & ~within).any(), finding
                seen.add(finding.label)
            for box in boxes:
                x, y, w, h = (int(value) for value in (box.x, box.y, box.w, box.h))
                part = mask[y : y + h, x : x + w]
                assert all(edge.any() for edge in (part[0], part[-1], part[:, 0], part[:, -1]))
    assert len(seen) >= 10


@pytest.mark.parametrize("size", [63, 4096, 0])
def test_size_out_of_range(size: int) -> None:
    with pytest.raises(InputError, match="size"):
        generate("siim", 0, seed=0, size=size, profile=PROFILES["siim"])


def test_mask_box() -> None:
    mask: Mask = np.zeros((8, 9), np.bool_)
    assert mask_box(mask, "a") is None
    mask[2:4, 5] = True
    box = mask_box(mask, "a")
    assert box is not None
    assert (box.x, box.y, box.w, box.h) == (5, 2, 1, 2)
