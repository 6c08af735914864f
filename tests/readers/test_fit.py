from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from g2d_bench.readers.fit import Fit
from g2d_bench.readers.images import letterbox


def film(rows: int = 211, columns: int = 160) -> Any:
    return np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("shape", [(211, 160), (97, 160), (64, 64)])
def test_a_crop_is_torchvisions(interpolation: Any, shape: tuple[int, int]) -> None:
    image, how = film(*shape), transforms.InterpolationMode(interpolation)
    for first in (64, 80):
        steps = transforms.Compose([transforms.Resize(first, how), transforms.CenterCrop(64)])
        wanted = np.asarray(steps(Image.fromarray(image)))
        assert np.array_equal(Fit("crop", interpolation, first).image_forward(image, 64), wanted)


@pytest.mark.parametrize("shape", [(211, 160), (97, 160), (64, 64)])
def test_a_crop_larger_than_the_film_was_to_become_takes_its_shorter_side_whole(
    shape: tuple[int, int],
) -> None:
    image = film(*shape)
    got = Fit("crop", "bilinear", 68).image_forward(image, 73)
    assert got.shape == (73, 73)
    assert np.array_equal(got, Fit("crop", "bilinear").image_forward(image, 73))


def test_a_stretch_is_torchvisions() -> None:
    steps = transforms.Resize((64, 64), transforms.InterpolationMode.BICUBIC)
    wanted = np.asarray(steps(Image.fromarray(film())))
    assert np.array_equal(Fit("stretch", "bicubic").image_forward(film(), 64), wanted)


def test_the_centre_lies_where_a_library_puts_it() -> None:
    image = film(67, 64)
    assert np.array_equal(Fit("crop", "bicubic", floor=True).image_forward(image, 64), image[1:65])
    assert np.array_equal(Fit("crop", "bicubic").image_forward(image, 64), image[2:66])


def test_a_letterbox_by_area_is_the_usual_one() -> None:
    assert np.array_equal(Fit("letterbox").image_forward(film(), 64), letterbox(film(), 64))


def test_a_letterbox_may_be_scaled_again() -> None:
    first = Image.fromarray(Fit("letterbox", "bicubic").image_forward(film(), 80))
    wanted = np.asarray(first.resize((64, 64), Image.Resampling.BICUBIC))
    assert np.array_equal(Fit("letterbox", "bicubic", 80).image_forward(film(), 64), wanted)


def test_an_area_averaged_crop_cuts_before_it_averages() -> None:
    image = film(160, 128)
    got = Fit("crop", "area").image_forward(image, 64)
    blocks = torch.from_numpy(image[16:144]).float().reshape(64, 2, 64, 2).mean((1, 3))
    assert np.abs(got - blocks.numpy()).max() <= 0.5


def test_names_tell_ways_apart() -> None:
    ways = [
        Fit("crop"),
        Fit("stretch"),
        Fit("crop", "bicubic"),
        Fit("crop", "bicubic", 80),
        Fit("crop", floor=True),
    ]
    assert len({way.name for way in ways}) == len(ways)
