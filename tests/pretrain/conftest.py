"""A toy world for the pre-training loop: squares, and reports that say where they are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from PIL import Image

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
