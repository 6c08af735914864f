"""Batched image augmentation, a function of (seed, step) alone.

All geometry of one sample (crop, flip, rotation, shift, scale, shear, perspective) is one 3x3 homography,
so an image is resampled once. Nothing here reads or moves a global random state: the same seed and step give
the same pixels in an interrupted run, on another number of devices and with another accumulation.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from g2d_bench.devices import sent

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Augment:
    """Strengths of the random changes; the defaults change nothing.

    Attributes:
        crop: range of the side of a square crop at a random place, as a share of the image's side.
        flip: probability of a mirror image. It turns the patient's left into right, which reports name.
        rotate: largest rotation, degrees, both ways.
        shift: largest shift along each axis, as a share of the side.
        scale: range of the magnification.
        shear: largest shear along x, degrees, both ways.
        perspective: distortion scale: each corner of the image moves inwards, along each axis, by up to half
            of it, in shares of the side (as in torchvision).
        perspective_p: probability of the perspective.
        brightness: range of the factor on grey values.
        contrast: range of the factor on the distance from the image's mean.
        autocontrast: probability of a stretch of grey values to [0, 1].
        blur: range of the Gaussian's sigma, in pixels of a 224-pixel image.
        blur_p: probability of the blur.
    """

    crop: Range = (1.0, 1.0)
    flip: float = 0.0
    rotate: float = 0.0
    shift: float = 0.0
    scale: Range = (1.0, 1.0)
    shear: float = 0.0
    perspective: float = 0.0
    perspective_p: float = 0.0
    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    autocontrast: float = 0.0
    blur: Range = (0.0, 0.0)
    blur_p: float = 0.0

    def as_json(self) -> dict[str, object]:
        """Return the fields as JSON values, for a run's configuration."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(self).items()}


PHANTOM = Augment(
    crop=(0.75, 1.0),
    rotate=10,
    scale=(0.95, 1.05),
    brightness=(0.75, 1.25),
    contrast=(0.75, 1.25),
    blur=(0.1, 1.5),
    blur_p=0.3,
)
"""The one augmentation of all methods at phantom scale. No flip: phantom reports name sides."""


def mix(*parts: int | str) -> int:
    """Derive a 63-bit seed from numbers and words, the same on every machine."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def draw(spec: Augment, count: int, seed: int, step: int) -> tuple[Tensor, Tensor]:
    """Draw the random parameters of a batch.

    Args:
        spec: the strengths.
        count: images in the whole batch, over all devices and accumulation steps.
        seed: of the run.
        step: optimiser step.

    Returns:
        Homographies [count, 3, 3] from output to input coordinates, both in [-1, 1], and photometric
        parameters [count, 4]: brightness, contrast, autocontrast (0 or 1), sigma at 224 px (0: no blur).
    """
    generator = torch.Generator().manual_seed(mix("augment", seed, step))
    # One row per image, all columns always drawn: what one option draws never shifts another.
    u = torch.rand((count, 24), generator=generator, dtype=torch.float64)

    def between(column: int, low: float, high: float) -> Tensor:
        return low + (high - low) * u[:, column]

    side = between(0, *spec.crop)
    angle = torch.deg2rad(between(3, -spec.rotate, spec.rotate))
    zoom = 1.0 / between(4, *spec.scale)
    shear = torch.tan(torch.deg2rad(between(5, -spec.shear, spec.shear)))
    mirror = 1.0 - 2.0 * (u[:, 6] < spec.flip).double()
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    crop = _matrices(side, 0, (1 - side) * between(1, -1, 1), 0, side, (1 - side) * between(2, -1, 1))
    affine = _matrices(
        cos * mirror,
        cos * shear - sin,
        between(7, -2 * spec.shift, 2 * spec.shift),
        sin * mirror,
        sin * shear + cos,
        between(8, -2 * spec.shift, 2 * spec.shift),
    )
    grid = affine @ crop
    if spec.perspective_p > 0:
        warp = torch.linalg.inv(_perspective(u[:, 9:17] * spec.perspective))
        warp[u[:, 17] >= spec.perspective_p] = torch.eye(3, dtype=warp.dtype)
        grid = grid @ warp
    blur = between(18, *spec.blur) * (u[:, 19] < spec.blur_p)
    tone = [between(20, *spec.brightness), between(21, *spec.contrast), (u[:, 22] < spec.autocontrast), blur]
    return grid.float(), torch.stack([column.float() for column in tone], dim=1)


def apply(images: Tensor, grid: Tensor, tone: Tensor, size: int, *, reach: float = 3.0) -> Tensor:
    """Change a batch as drawn by :func:`draw`.

    Args:
        images: grey values [B, H, W], uint8 (0 to 255) or float (0 to 1).
        grid: [B, 3, 3] of :func:`draw`.
        tone: [B, 4] of :func:`draw`.
        size: side of the output, pixels.
        reach: largest sigma that may occur, at 224 px: it sets the width of the kernel, which must not depend
            on who else is in the batch.

    Returns:
        Float [B, 1, size, size] in [0, 1]; outside of the image it is black.
    """
    x = images.unsqueeze(1)
    x = x.float() / 255.0 if x.dtype == torch.uint8 else x
    # Which images are blurred is asked before anything is sent away: the answer must not wait for a GPU.
    sigma = tone[:, 3] * (size / 224)
    blurred = torch.nonzero(sigma > 0).flatten()
    grid, tone = sent(grid, x.device), sent(tone, x.device)
    steps = (torch.arange(size, device=x.device, dtype=torch.float32) * 2 + 1) / size - 1
    rows, columns = torch.meshgrid(steps, steps, indexing="ij")
    points = torch.stack([columns, rows, torch.ones_like(rows)], dim=-1).reshape(1, -1, 3)
    mapped = points @ grid.transpose(1, 2)
    where = (mapped[..., :2] / mapped[..., 2:]).reshape(len(x), size, size, 2)
    x = functional.grid_sample(x, where, mode="bilinear", padding_mode="zeros", align_corners=False)
    brightness, contrast, auto, _ = (column.view(-1, 1, 1, 1) for column in tone.unbind(1))
    x = x * brightness
    mean = x.mean(dim=(2, 3), keepdim=True)
    x = ((x - mean) * contrast + mean).clamp(0.0, 1.0)
    low, high = x.amin(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
    x = torch.where(auto > 0, (x - low) / (high - low).clamp_min(1e-6), x)
    radius = max(1, math.ceil(3 * reach * size / 224))
    return _blur(x, sent(blurred, x.device), sent(sigma[blurred], x.device), radius)


def augment(images: Tensor, spec: Augment, size: int, *, seed: int, step: int) -> Tensor:
    """Augment a whole batch [B, H, W]; see :func:`draw` and :func:`apply`."""
    return apply(images, *draw(spec, len(images), seed, step), size, reach=spec.blur[1])


def plain(images: Tensor, size: int, *, share: float = 1.0) -> Tensor:
    """Return a batch [B, H, W] as [B, 1, size, size], only cropped to the centred ``share`` of its side."""
    grid, tone = draw(Augment(), len(images), 0, 0)
    grid[:, :2, :2] *= share
    return apply(images, grid, tone, size)


def _matrices(a: Tensor, b: Tensor | int, c: Tensor, d: Tensor | int, e: Tensor, f: Tensor) -> Tensor:
    """Stack [[a, b, c], [d, e, f], [0, 0, 1]] to [B, 3, 3]."""
    rows = [value if isinstance(value, Tensor) else torch.full_like(a, value) for value in (a, b, c, d, e, f)]
    bottom = [torch.zeros_like(a), torch.zeros_like(a), torch.ones_like(a)]
    return torch.stack([*rows, *bottom], dim=1).view(-1, 3, 3)


def _perspective(inwards: Tensor) -> Tensor:
    """Return the homographies that send the square's corners inwards by [B, 8] (x and y of four corners)."""
    corners = torch.tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=inwards.dtype)
    target = corners - corners.sign() * inwards.view(-1, 4, 2)
    rows = []
    for index in range(4):
        x, y = corners[index]
        u, v = target[:, index, 0], target[:, index, 1]
        one, zero = torch.ones_like(u), torch.zeros_like(u)
        rows.append(torch.stack([x * one, y * one, one, zero, zero, zero, -x * u, -y * u], dim=1))
        rows.append(torch.stack([zero, zero, zero, x * one, y * one, one, -x * v, -y * v], dim=1))
    solved = torch.linalg.solve(torch.stack(rows, dim=1), target.reshape(-1, 8, 1)).squeeze(2)
    return torch.cat([solved, torch.ones_like(solved[:, :1])], dim=1).view(-1, 3, 3)


def _blur(x: Tensor, chosen: Tensor, sigma: Tensor, radius: int) -> Tensor:
    """Blur the chosen ones of some images [1, H, W], each with its own Gaussian."""
    if len(chosen) == 0:
        return x
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp_min(1e-3)[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    stack = x[chosen].transpose(0, 1)  # images as channels, so that a grouped convolution blurs each its way
    padded = functional.pad(stack, (radius,) * 4, mode="replicate")
    across = functional.conv2d(padded, kernel[:, None, None, :], groups=len(chosen))
    down = functional.conv2d(across, kernel[:, None, :, None], groups=len(chosen))
    return x.index_copy(0, chosen, down.transpose(0, 1))
