from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.pretrain.augment import PHANTOM, Augment, apply, augment, draw, mix, plain

PAPER: dict[tuple[str, str], Augment] = {
    (name, variant): spec for name in OBJECTIVES for variant, spec in OBJECTIVES[name].augment.items()
}


@pytest.fixture(scope="module")
def images() -> Tensor:
    generator = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(generator.random((6, 48, 48)), (0, 2, 2))
    scaled = (smooth - smooth.min()) / (smooth.max() - smooth.min()) * 255
    return torch.from_numpy(scaled.astype(np.uint8))


def one(
    image: Tensor, grid: list[list[float]], tone: tuple[float, ...] = (1, 1, 0, 0), size: int = 48
) -> Tensor:
    return apply(image[None], torch.tensor([grid]).float(), torch.tensor([tone]).float(), size)[0, 0]


EYE = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]


def test_without_strengths_nothing_changes(images: Tensor) -> None:
    torch.testing.assert_close(
        augment(images, Augment(), 48, seed=3, step=4)[:, 0], images / 255, atol=2e-5, rtol=0
    )
    torch.testing.assert_close(plain(images, 48)[:, 0], images / 255, atol=2e-5, rtol=0)
    # A centred crop to 24 of 48 pixels, sampled at 24.
    torch.testing.assert_close(
        plain(images, 24, share=0.5)[:, 0], images[:, 12:36, 12:36] / 255, atol=2e-5, rtol=0
    )


def test_same_seed_and_step_same_pixels_and_a_slice_is_a_slice(images: Tensor) -> None:
    torch.manual_seed(1)
    first = augment(images, PHANTOM, 32, seed=1, step=2)
    torch.manual_seed(2)
    assert torch.equal(first, augment(images, PHANTOM, 32, seed=1, step=2))
    assert not torch.equal(first, augment(images, PHANTOM, 32, seed=1, step=3))
    assert not torch.equal(first, augment(images, PHANTOM, 32, seed=2, step=2))
    grid, tone = draw(PHANTOM, 6, 1, 2)
    # A device that takes a part of the batch makes the same pixels.
    part = apply(images[2:5], grid[2:5], tone[2:5], 32, reach=PHANTOM.blur[1])
    assert torch.equal(first[2:5], part)
    assert torch.random.initial_seed() == 2  # the global generator was left alone


@pytest.mark.parametrize("name", [*PAPER, "phantom"])
def test_every_published_augmentation(images: Tensor, name: str | tuple[str, str]) -> None:
    spec = PHANTOM if isinstance(name, str) else PAPER[name]
    out = augment(images, spec, 40, seed=0, step=0)
    assert out.shape == (6, 1, 40, 40)
    assert out.dtype == torch.float32
    assert torch.isfinite(out).all()
    assert out.min() >= 0
    assert out.max() <= 1
    assert (out - plain(images, 40)).abs().mean() > 0.01
    assert (out.flatten(1).std(dim=1) > 0.01).all()
    assert isinstance(spec.as_json()["crop"], list)


def test_geometry(images: Tensor) -> None:
    image = images[0]
    grey = image / 255
    close = partial(torch.testing.assert_close, atol=2e-5, rtol=0)
    close(one(image, [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]), grey.flip(1))
    # Output (x, y) reads input (-y, x): the image turns anticlockwise.
    close(one(image, [[0, -1, 0], [1, 0, 0], [0, 0, 1]]), grey.rot90(1))
    shifted = one(image, [[1, 0, 2 * 5 / 48], [0, 1, 0], [0, 0, 1]])
    close(shifted[:, :43], grey[:, 5:])
    assert (shifted[:, 43:] == 0).all()
    # A projective row against a float64 loop with bilinear interpolation.
    warp = np.array([[0.9, 0.1, 0.05], [-0.05, 0.8, 0.0], [0.1, -0.2, 1.0]])
    found = one(image, warp.tolist(), size=20).double().numpy()
    for row, column in [(0, 0), (3, 17), (10, 10), (19, 19)]:
        x, y, w = warp @ [(2 * column + 1) / 20 - 1, (2 * row + 1) / 20 - 1, 1.0]
        place = [[((y / w + 1) * 48 - 1) / 2], [((x / w + 1) * 48 - 1) / 2]]
        wanted = ndimage.map_coordinates(image.double().numpy() / 255, place, order=1, mode="grid-constant")
        assert found[row, column] == pytest.approx(wanted[0], abs=1e-4)


def test_tones(images: Tensor) -> None:
    grey = images[0].double() / 255
    bright = one(images[0], EYE, (1.5, 0.5, 0, 0)).double()
    wanted = ((grey * 1.5 - (grey * 1.5).mean()) * 0.5 + (grey * 1.5).mean()).clamp(0, 1)
    torch.testing.assert_close(bright, wanted, atol=1e-4, rtol=0)
    stretched = one(images[0] // 4 + 20, EYE, (1, 1, 1, 0))
    assert stretched.min() == pytest.approx(0, abs=1e-4)
    assert stretched.max() == pytest.approx(1, abs=1e-4)
    strong = torch.tensor([[1, 1, 0, 3 * 224 / 48]])
    blurred = apply(images[:1], torch.eye(3)[None], strong, 48, reach=3 * 224 / 48)[0, 0].double()
    wanted_blur = ndimage.gaussian_filter(grey.numpy(), 3, mode="nearest", truncate=3)
    np.testing.assert_allclose(blurred.numpy(), wanted_blur, atol=1e-4)
    flat = torch.full((48, 48), 7, dtype=torch.uint8)
    assert torch.isfinite(one(flat, EYE, (1, 1, 1, 0))).all()


def test_draws_stay_in_range() -> None:
    count = 4000
    grid, tone = draw(
        Augment(crop=(0.6, 1.0), brightness=(0.6, 1.4), blur=(0.1, 3), blur_p=0.25), count, 0, 0
    )
    side = grid[:, 0, 0]
    assert 0.6 <= side.min() < 0.61
    assert 0.99 < side.max() <= 1
    # The crop lies inside of the image.
    assert ((grid[:, :2, 2].abs() + side[:, None]) <= 1 + 1e-6).all()
    assert 0.6 <= tone[:, 0].min() < 0.61 < 1.39 < tone[:, 0].max() <= 1.4
    blurred = tone[:, 3] > 0
    assert blurred.float().mean() == pytest.approx(0.25, abs=0.03)
    assert tone[blurred, 3].min() >= 0.1
    flips = draw(Augment(flip=0.5), count, 0, 0)[0][:, 0, 0]
    assert (flips < 0).float().mean() == pytest.approx(0.5, abs=0.03)
    turned = draw(Augment(rotate=20), count, 0, 0)[0]
    angles = torch.rad2deg(torch.atan2(turned[:, 1, 0], turned[:, 0, 0]))
    assert 19.5 < angles.max() <= 20.001
    assert -20.001 <= angles.min() < -19.5
    sheared = draw(Augment(shear=15), count, 0, 0)[0]
    assert sheared[:, 0, 1].abs().max() <= math.tan(math.radians(15)) + 1e-6
    shifted = draw(Augment(shift=0.1), count, 0, 0)[0]
    assert 0.195 < shifted[:, 0, 2].abs().max() <= 0.2  # in [-1, 1] coordinates


def test_perspective_moves_corners_inwards() -> None:
    grid, _ = draw(Augment(perspective=0.5, perspective_p=0.5), 1000, 0, 0)
    same = (grid - torch.eye(3)).abs().amax(dim=(1, 2)) < 1e-6
    assert same.float().mean() == pytest.approx(0.5, abs=0.05)
    corners = torch.tensor([[-1.0, -1, 1], [1, -1, 1], [1, 1, 1], [-1, 1, 1]])
    mapped = corners @ torch.linalg.inv(grid).transpose(1, 2)  # from input to output
    mapped = mapped[..., :2] / mapped[..., 2:]
    inwards = (corners[:, :2] - mapped) * corners[:, :2].sign()
    assert inwards.min() >= -1e-4
    assert 0.45 < inwards.max() <= 0.5 + 1e-4


def test_mix_is_stable() -> None:
    assert mix("augment", 0, 1) == mix("augment", 0, 1)
    assert len({mix("a", 0, 1), mix("a", 1, 0), mix("b", 0, 1), mix("a0", 1)}) == 4
    assert 0 <= mix("x") < 2**63
