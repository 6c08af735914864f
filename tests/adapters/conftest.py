"""Encoders with a text side: one whose answers are known, and one as a file of weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from g2d_bench.adapters.base import Job
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.encoders.checkpoint import METADATA_KEY
from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import ImageFeatures, seeded_encoder
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.tokenizer import train_tokenizer
from g2d_bench.hashing import digest_file
from g2d_bench.records.cell import Cell

TEXTS = (
    "There is pneumonia.",
    "There is no pneumonia.",
    "Findings consistent with pneumonia.",
    "left lung right lung clear opacity absent covid",
) * 3

TextEncoderOf = Callable[..., Encoder]


@pytest.fixture(scope="module", autouse=True)
def _single_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("G2D_BENCH_CACHE", str(folder))
        yield folder


def small_text() -> TextEncoder:
    torch.manual_seed(0)
    sizes = {"hidden": 16, "layers": 2, "heads": 2, "intermediate": 16, "positions": 48}
    return TextEncoder.small(train_tokenizer(TEXTS, min_frequency=1), **sizes)


class Look(nn.Module):
    """Brightness of 8 x 8 patches, as an image encoder."""

    num_features = 1

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> ImageFeatures:
        patches = functional.avg_pool2d(x[:, :1], 8)
        return ImageFeatures([patches], patches.mean(dim=(2, 3)))


class Told(Heads):
    """Heads that know what they see: a cell's cosine with a text is the patch's brightness, in [-1, 1].

    A text with the word "left" looks at the right half of the image, one with "right" at the left half, all
    others everywhere; one with "no" sees the negative of all. Who is ``broken`` gives NaN for the first cell.
    """

    method = "convirt"

    def __init__(self, text: TextEncoder, wrong: bool = False, broken: bool = False) -> None:
        super().__init__()
        self.dim = 3
        self.words = text.tokenizer
        self.wrong, self.broken = wrong, broken

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        patches = features.pyramid[0][:, 0].clamp(-0.999, 0.999)
        half = patches.shape[-1] // 2
        there = torch.zeros_like(patches)
        there[..., half:] = 1
        rest = (1 - patches**2).sqrt()
        cells = torch.stack([patches * (1 - there), patches * there, rest], dim=1)
        if self.broken:
            cells[:, :, 0, 0] = torch.nan
        bright = features.pooled[:, 0].clamp(-0.999, 0.999)
        return ImageEmbedding(torch.stack([bright, bright, (1 - bright**2).sqrt()], dim=1), cells)

    def embed_text(self, states: Any, tokens: Any) -> TextEmbedding:
        rows = []
        for ids in tokens["input_ids"].tolist():
            words = {self.words.id_to_token(i) for i in ids}
            row = [float("left" not in words), float("right" not in words), 0.0]
            sign = -1.0 if ("no" in words) != self.wrong else 1.0
            rows.append([sign * value for value in row])
        return TextEmbedding(torch.tensor(rows, device=states.mask.device))


@pytest.fixture(scope="session")
def told() -> TextEncoderOf:
    """An encoder whose answers are known; see :class:`Told`. ``wrong`` turns all of them round."""

    def make(size: int = 32, wrong: bool = False, broken: bool = False) -> Encoder:
        card = Catalogue.open().encoders["convirt"]
        image = card.image.model_copy(update={"size": size, "standardise": False})
        card = card.model_copy(update={"image": image})
        text = small_text()
        heads = Told(text, wrong, broken)
        return Encoder(card, cast(Any, Look()), "told", text, heads, salt="broken" if broken else "")

    return make


@pytest.fixture(scope="session")
def narrow() -> TextEncoderOf:
    """A random encoder of real modules, with the heads of a method."""

    def make(method: str = "convirt") -> Encoder:
        card = Catalogue.open().encoders[method]
        options = {"channels": [8, 8, 8, 8], "stem_type": "deep", "stem_width": 8, "avg_down": True}
        spec = card.image.model_copy(update={"size": 64, "options": options})
        card = card.model_copy(update={"image": spec})
        image = seeded_encoder("resnet18", seed=3, options=options).eval()
        text = small_text().eval()
        torch.manual_seed(1)
        heads = heads_of(method, image, text).eval()
        return Encoder(card, image, "narrow", text, heads)

    return make


def heads_of(method: str, image: Any, text: TextEncoder) -> Heads:
    return make_heads(
        method,
        channels=image.channels,
        strides=image.strides,
        num_features=image.num_features,
        text_width=text.width,
    )


@pytest.fixture(scope="session")
def weights_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as pre-training leaves it, for the card ``convirt``, with the tokenizer beside."""
    from safetensors.torch import save_file

    card: EncoderCard = Catalogue.open().encoders["convirt"]
    image = seeded_encoder(card.image.model, seed=5, options=card.image.options)
    text = small_text()
    parts = {"image": image.body, "text": text.bert, "heads": heads_of("convirt", image, text)}
    folder = tmp_path_factory.mktemp("weights")
    text.tokenizer.save(str(folder / "tokenizer.json"))
    tensors = {
        f"{prefix}.{name}": value.contiguous()
        for prefix, module in parts.items()
        for name, value in module.state_dict().items()
    }
    description = {
        "text": {"source": "small", "options": text.options},
        "tokenizer": digest_file(folder / "tokenizer.json"),
        "heads": {"method": "convirt", "options": {}},
    }
    save_file(tensors, folder / "convirt.safetensors", {METADATA_KEY: json.dumps(description)})
    return folder / "convirt.safetensors"


QUICK = {"epochs": 1, "min_steps": 12, "max_steps": 12, "validate_every": 4, "settle_steps": 0}


@pytest.fixture
def job_of(
    tiny_root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Job]:
    """Jobs of segmentation that take twelve steps, on a handful of films."""
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path_factory.getbasetemp() / "steps-cache"))
    bench = Bench(Settings(data_root=tiny_root))

    def make(budget: int = 1 << 30, name: str = "clean", precision: str = "fp32", **rule: Any) -> Job:
        protocol = bench.catalogue.protocols[name]
        assert protocol.table("segmentation") is not None
        changed = protocol.table("segmentation").model_copy(update={**QUICK, **rule})
        protocol = protocol.model_copy(
            update={"segmentation": changed, "split": "clean", "draw": "nested", "precision": precision}
        )
        cell = Cell(task="covid-cxr-seg", fraction=1.0, protocol="clean", seed=0, encoder="random")
        card = bench.catalogue.encoders["random"]
        return Job(
            task=protocol.view(bench.catalogue.tasks["covid-cxr-seg"]),
            protocol=protocol,
            data=bench.resolve(cell).data(),
            encoder=load_encoder(card, seed=0),
            seed=0,
            with_decoder=False,
            memory_budget=budget,
        )

    return make


@pytest.fixture(scope="session")
def small_encoder() -> Callable[..., Encoder]:
    """A shipped card's architecture made narrow."""

    def make(size: int = 64, name: str = "random", **image: Any) -> Encoder:
        card = Catalogue.open().encoders[name]
        options = {**card.image.options, "channels": [8, 16, 16, 24]}
        changed = card.image.model_copy(update={"size": size, "options": options, **image})
        return load_encoder(card.model_copy(update={"image": changed}), seed=0)

    return make
