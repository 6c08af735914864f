"""Pixels on their way to an encoder, and features on their way back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders import features as features_module
from g2d_bench.encoders import feed
from g2d_bench.encoders.features import (
    BATCH,
    GPU_BATCH,
    batch_size,
    features_key,
    pooled_features,
    pyramid_features,
)
from g2d_bench.encoders.feed import batches, stored
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError

CPU = torch.device("cpu")


def test_every_batch_is_full() -> None:
    pixels = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2)
    found = list(batches(pixels, [np.array([4, 0, 1]), np.array([5])], 3, CPU))
    assert torch.equal(torch.stack(found), torch.from_numpy(pixels[[[4, 0, 1], [5, 5, 5]]]))


def test_what_lies_on_a_gpu_is_fetched_some_at_a_time_by_another_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Meta tensors are elsewhere, too."""
    monkeypatch.setattr(feed, "HELD", 2 * 3 * 4 * 4)
    written: list[tuple[list[int], tuple[int, ...], int]] = []

    def write(rows: NDArray[np.int64], values: torch.Tensor) -> None:
        written.append((rows.tolist(), tuple(values.shape), threading.get_ident()))

    stored(((np.arange(3 * n, 3 * n + 3), torch.empty(3, 4, device="meta")) for n in range(5)), write)
    assert [rows for rows, *_ in written] == [list(range(6)), list(range(6, 12)), [12, 13, 14]]
    assert [shape for _, shape, _ in written] == [(6, 4), (6, 4), (3, 4)]
    assert threading.get_ident() not in {thread for *_, thread in written}
    written.clear()
    stored(((np.array([n]), torch.full((1, 1), float(n))) for n in range(3)), write)
    assert written == [([n], (1, 1), threading.get_ident()) for n in range(3)]


@pytest.mark.parametrize("failing", [0, 2])
def test_what_cannot_be_written_is_said_before_all_is_computed(
    failing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "HELD", 1)
    computed: list[int] = []
    tried = threading.Event()

    def compute() -> Iterator[tuple[NDArray[np.int64], torch.Tensor]]:
        for n in range(3):
            if n:
                assert tried.wait(10)
            computed.append(n)
            yield np.array([n]), torch.empty(1, 4, device="meta")

    def write(rows: NDArray[np.int64], values: torch.Tensor) -> None:
        if rows[0] == failing:
            threading.Timer(0.2, tried.set).start()
            raise InputError("no room")
        if failing:
            tried.set()

    with pytest.raises(InputError, match="no room"):
        stored(compute(), write)
    assert computed == ([0, 1] if failing == 0 else [0, 1, 2])


@pytest.mark.parametrize(("size", "wanted"), [(128, GPU_BATCH), (224, GPU_BATCH), (299, 256), (518, 64)])
def test_the_batch_of_a_gpu_depends_on_the_input_alone(
    small_card: Callable[[str], EncoderCard], monkeypatch: pytest.MonkeyPatch, size: int, wanted: int
) -> None:
    card = small_card("random")
    card = card.model_copy(update={"image": card.image.model_copy(update={"size": size})})
    encoder = load_encoder(card, seed=3)
    assert batch_size(encoder) == BATCH
    monkeypatch.setattr(Encoder, "device", torch.device("cuda"))
    assert batch_size(encoder) == wanted


@pytest.mark.parametrize("name", ["random", "mgca.vit-b16"])
def test_fast_features_are_near_and_have_tables_of_their_own(
    name: str, small_card: Callable[[str], EncoderCard], tmp_path: Path
) -> None:
    encoder = load_encoder(small_card(name).model_copy(update={"weights": "none"}), seed=3)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32), dtype=np.uint8)
    key = features_key(encoder, "c")
    exact = pooled_features(encoder, pixels, range(40), content="c", folder=tmp_path)
    maps = pyramid_features(encoder, pixels, range(5))
    encoder.precision = "fast"
    assert features_key(encoder, "c") != key
    fast = pooled_features(encoder, pixels, range(40), content="c", folder=tmp_path)
    assert fast.dtype == np.float32
    apart = np.linalg.norm(fast - exact) / np.linalg.norm(exact)
    assert 0 < apart < 0.03
    for one, other in zip(maps, pyramid_features(encoder, pixels, range(5)), strict=True):
        assert other.dtype == torch.bfloat16
        assert (one - other.float()).norm() < 0.05 * one.norm()
    encoder.precision = "fp32"
    assert features_key(encoder, "c") == key


def test_a_copy_tells_as_a_hash_does_whether_something_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    module = torch.nn.BatchNorm2d(3)
    module.running_mean = torch.tensor([0.0, torch.nan, 1.0])
    for on_gpu in (False, True):
        monkeypatch.setattr(torch.Tensor, "is_cuda", on_gpu)
        kept = features_module._Kept(module)
        assert not kept.moved(module)
        module.running_mean[0] = -0.0
        assert kept.moved(module)
        module.running_mean[0] = 0.0
        assert not kept.moved(module)
