"""Small data and small models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from g2d_bench.phantom import ensure


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a generated rsna release of few and small films."""
    root = tmp_path_factory.mktemp("films")
    ensure("rsna", root=root, count=160, size=64)
    return root


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _apart(
    films: Path,
    shared_cache: Path,
    quick_protocols: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let every test work in a folder of its own, on the small films and with the protocol of few steps."""
    for name in ("G2D_BENCH_RESULTS", "G2D_BENCH_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(shared_cache))
    monkeypatch.setenv("G2D_BENCH_DATA", str(films))
    monkeypatch.chdir(tmp_path)
    Path("g2d-bench.toml").write_text(f"protocols_dir = [{str(quick_protocols)!r}]\n")


class Vector(nn.Module):
    """Gives a pooled vector alone; has a BatchNorm whose statistics must not move, and dropout."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(
                nn.Conv2d(3, 8, 7, stride=8), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)
            )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean(dim=(2, 3))


class Pyramid(Vector):
    """Gives maps, fine to coarse, and a pooled vector, as torchvision's feature extractors do."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.ModuleList(nn.Conv2d(8, 8, 3, stride=2, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
        maps = [self.body(x)]
        for step in self.more:
            maps.append(step(maps[-1]))
        named = {f"level{n}": level for n, level in enumerate(maps)}
        return {**named, "pooled": maps[-1].mean(dim=(2, 3))}


class Clip(nn.Module):
    """A toy with two sides; its text side counts letters."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.image = Vector(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 1)
            self.text = nn.Linear(26, 8)

    def encode_image(self, images: Tensor) -> Tensor:
        return self.image(images)

    def encode_text(self, texts: list[str]) -> Tensor:
        counts = torch.tensor([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts])
        return self.text(counts.float().to(self.text.weight.device))


class LocalClip(Clip):
    """The same with cells."""

    def encode_cells(self, images: Tensor) -> Tensor:
        return self.image.body(images)


@pytest.fixture
def vector() -> nn.Module:
    return Vector()


@pytest.fixture
def pyramid() -> nn.Module:
    return Pyramid()


@pytest.fixture
def clip() -> nn.Module:
    return Clip()


@pytest.fixture
def local_clip() -> nn.Module:
    return LocalClip()
