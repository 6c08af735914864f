"""A toy world for the pre-training loop: squares, and reports that say where they are."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from g2d_bench.pretrain.pretrain import Pretrained, pretrain

TINY: dict[str, Any] = {
    "options": {"channels": [8, 8, 16, 16], "stem_type": "deep", "stem_width": 8},
    "size": 32,
    "store": 36,
    "text_options": {"hidden": 16, "layers": 2, "heads": 2, "intermediate": 16, "positions": 64},
    "max_length": 48,
    "heads": {},
    "batch": 8,
    "steps": 6,
}


def write_toy(folder: Path, count: int = 48) -> Path:
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["image,patient,report"]
    for index in range(count):
        column, row, bright = index % 4, index // 4 % 3, 100 + 50 * (index % 3)
        image = generator.integers(0, 40, (48, 48)).astype(np.uint8)
        image[row * 16 : row * 16 + 14, column * 12 : column * 12 + 10] = bright
        Image.fromarray(image).save(folder / f"{index:03d}.png")
        side = ("far left", "left", "right", "far right")[column]
        height = ("upper", "middle", "lower")[row]
        findings = f"Square {index} on the {side}. It is in the {height} part."
        report = f"FINDINGS: {findings} IMPRESSION: One square {side}."
        lines.append(f"{index:03d}.png,p{index},{report}")
    (folder / "pairs.csv").write_text("\n".join(lines) + "\n")
    return folder


class Go(Protocol):
    """Pre-trains a tiny encoder on the toy."""

    def __call__(
        self,
        out: Path,
        method: str = "convirt",
        *,
        data: Path | None = None,
        seed: int = 0,
        save_every: int = 200,
        tensorboard: bool = False,
        **changes: Any,
    ) -> Pretrained: ...


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty-eight pictures of squares, each with a report."""
    return write_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Overrides of the phantom recipe that make a step take milliseconds."""
    return copy.deepcopy(TINY)


@pytest.fixture
def toy_writer() -> Callable[..., Path]:
    """Writes another toy."""
    return write_toy


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Tiny tensors lose more by waiting for a second thread than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def go(toy: Path, tiny: dict[str, Any], one_thread: None) -> Go:
    """Pre-training in milliseconds."""

    def call(
        out: Path,
        method: str = "convirt",
        *,
        data: Path | None = None,
        seed: int = 0,
        save_every: int = 200,
        tensorboard: bool = False,
        **changes: Any,
    ) -> Pretrained:
        return pretrain(
            method,
            str(data or toy),
            out=out,
            seed=seed,
            overrides=tiny | changes,
            device="cpu",
            save_every=save_every,
            tensorboard=tensorboard,
            cache=toy.parent / "cache",
        )

    return call


Array = NDArray[Any]


class Loops:
    """The steps of the pseudo-masks as literal loops."""

    @staticmethod
    def otsu(grey: Array, bins: int) -> int:
        """Otsu's threshold from its definition, in plain Python."""
        index = [min(int(np.float32(value) * np.float32(bins)), bins - 1) for value in grey.ravel()]
        best, chosen = 0.0, -1
        for t in range(bins - 1):
            dark, bright = [k for k in index if k <= t], [k for k in index if k > t]
            if dark and bright:
                gap = sum(dark) / len(dark) - sum(bright) / len(bright)
                if len(dark) * len(bright) * gap**2 > best:
                    best, chosen = len(dark) * len(bright) * gap**2, t
        return chosen

    @staticmethod
    def filled(mask: Array) -> Array:
        """Fill from the definition, pixel by pixel."""
        out = np.zeros_like(mask)
        for b, y, x in np.ndindex(mask.shape):
            row, column = mask[b, y], mask[b, :, x]
            out[b, y, x] = row[: x + 1].any() and row[x:].any() and column[: y + 1].any() and column[y:].any()
        return out

    @staticmethod
    def bilateral(values: Array, guide: Array, window: int, sigma_color: float, sigma_space: float) -> Array:
        """Average from the definition, pixel by pixel."""
        out = np.zeros_like(values)
        reach = window // 2
        for b, y, x in np.ndindex(values.shape):
            total = weight = 0.0
            for v in range(max(0, y - reach), min(values.shape[1], y + reach + 1)):
                for u in range(max(0, x - reach), min(values.shape[2], x + reach + 1)):
                    w = math.exp(
                        -((v - y) ** 2 + (u - x) ** 2) / (2 * sigma_space**2)
                        - (guide[b, v, u] - guide[b, y, x]) ** 2 / (2 * sigma_color**2)
                    )
                    total, weight = total + w * values[b, v, u], weight + w
            out[b, y, x] = total / weight
        return out


@pytest.fixture(scope="session")
def loops() -> Loops:
    """Literal loops to hold the steps of the pseudo-masks against."""
    return Loops()


@pytest.fixture(scope="session")
def chest() -> Callable[..., Tensor]:
    """Something like a film, of any side."""
    return draw_chest


def draw_chest(side: int = 64) -> Tensor:
    """A bright body on black, with two dark lungs, one of them open at the side: [1, side, side]."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    image = 0.8 * ((x.abs() < 0.8) & (y.abs() < 0.9)).float()
    for centre in (-0.4, 0.4):
        image[((x - centre) / 0.25) ** 2 + (y / 0.6) ** 2 < 1] = 0.1
    image[side // 2, side * 3 // 4 :] = 0.0
    return image[None]
