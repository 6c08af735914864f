"""Boxes and masks on resized copies: the same place on the film, whatever its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Phrase, Sample
from g2d_bench.readers.frames import fit_boxes, fit_mask, fit_samples, ratios

BOX = Box("A", 100, 200, 300, 400)


def drawn(box: Box = BOX, frame: tuple[float, float] | None = (1000, 2000)) -> Sample:
    return Sample("a", "p", Path("a.png"), boxes=(box,), phrases=(Phrase("x", (box,)),), frame=frame)


def test_boxes_keep_their_place_on_the_film() -> None:
    found = fit_boxes(drawn(), (250, 500))
    assert found.boxes == found.phrases[0].boxes == (Box("A", 25, 50, 75, 100),)
    assert found.frame is None
    assert fit_boxes(found, (250, 500)) == found
    larger = fit_boxes(drawn(), (3000, 6000)).boxes[0]
    assert larger == Box("A", 300, 600, 900, 1200)


def test_boxes_of_the_full_size_are_the_very_ones() -> None:
    box = Box("A", 0.1, 0.2, 0.3, 0.7)
    assert fit_boxes(drawn(box), (1000, 2000)).boxes == (box,)
    assert fit_boxes(drawn(box, None), (1000, 2000)).boxes == (box,)
    empty = Sample("a", "p", Path("a.png"), frame=(5, 6))
    assert fit_boxes(empty, (10, 1)).frame is None


@pytest.mark.parametrize(
    ("frame", "film", "same"),
    [
        ((1024, 1024), (512, 512), True),
        ((2544, 3056), (426, 512), True),  # 426.2, rounded
        ((2544, 3054), (426, 512), True),  # 426.5, cut
        ((2544, 3056), (512, 512), False),
        ((2544, 3056), (512, 615), True),
        ((30, 20), (29, 20), False),
        ((1024, 1024), (512, 511), False),
    ],
)
def test_a_copy_has_the_aspect_of_the_original(
    frame: tuple[int, int], film: tuple[int, int], same: bool
) -> None:
    assert (ratios(frame, film) is not None) == same


@pytest.mark.parametrize(
    ("sample", "film", "message"),
    [
        (
            drawn(),
            (500, 500),
            r"a\.png: boxes: the film has 500x500 .* drawn on 1000x2000: not the same aspect",
        ),
        (
            drawn(frame=None),
            (300, 700),
            r"a\.png: boxes: box from 100 to 400 along x lies outside .* 300x700",
        ),
        (drawn(frame=None), (500, 300), r"a\.png: boxes: box from 200 to 600 along y lies outside"),
        (drawn(Box("A", -30, 0, 50, 9)), (1000, 2000), None),
        (drawn(Box("A", -41, 0, 50, 9)), (1000, 2000), "box from -41 to 9 along x"),
        (drawn(Box("A", 1000, 0, 5, 9)), (1000, 2000), "box from 1000 to 1005 along x"),
        (drawn(Box("A", 5, -3, 5, 2)), (1000, 2000), "box from -3 to -1 along y"),
    ],
)
def test_boxes_off_the_film(sample: Sample, film: tuple[int, int], message: str | None) -> None:
    if message is None:
        # Within the tolerance for hand-drawn boxes; nothing is moved.
        assert fit_boxes(sample, film).boxes == sample.boxes
        return
    with pytest.raises(InputError, match=message):
        fit_boxes(sample, film)


def test_scaled_images_are_counted() -> None:
    samples = [drawn(), drawn(frame=None), Sample("c", "p", Path("c.png"))]
    sizes = np.array([[1000, 500], [2000, 1000], [9, 9]], np.int32)
    fitted, lines = fit_samples(samples, sizes)
    assert fitted[0].boxes == (Box("A", 50, 100, 150, 200),)
    assert fitted[1].boxes == (BOX,)
    assert lines == [
        "boxes of 1 images are drawn on larger or smaller films than those here and were scaled "
        "(the first from 1000x2000 to 500x1000 pixels)"
    ]
    assert fit_samples(samples[1:], sizes[1:])[1] == []


def test_masks_are_resized_and_never_vanish() -> None:
    mask = np.zeros((40, 60), np.bool_)
    mask[8:20, 12:32] = True
    small = fit_mask(mask, (20, 30), Path("m"), Path("f"))
    wanted = np.zeros((20, 30), np.bool_)
    wanted[4:10, 6:16] = True
    np.testing.assert_array_equal(small, wanted)
    assert fit_mask(mask, (40, 60), Path("m"), Path("f")) is mask
    np.testing.assert_array_equal(fit_mask(mask, (80, 120), Path("m"), Path("f"))[16:40, 24:64], True)
    point = np.zeros((40, 60), np.bool_)
    point[9, 9] = True
    assert fit_mask(point, (10, 15), Path("m"), Path("f")).sum() == 1
    with pytest.raises(InputError, match=r"m\.png: mask has 60x40 pixels, image f\.png has 30x30"):
        fit_mask(mask, (30, 30), Path("m.png"), Path("f.png"))
