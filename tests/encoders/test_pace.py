"""Images per second, as batches pass an encoder."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.encoders.features import BATCH, pooled_features
from g2d_bench.encoders.load import load_encoder
from g2d_bench.encoders.pace import Pace

CPU = torch.device("cpu")


def rate(pace: Pace) -> float | None:
    return pace.images_per_second


def test_the_first_batch_is_left_out_where_there_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 9.0, 10.0, 10.5, 20.0, 20.3])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    pace = Pace()
    assert rate(pace) is None
    with pace.timed(32, CPU):
        pass
    assert rate(pace) == 3.56
    for _ in range(2):
        with pace.timed(32, CPU):
            pass
    assert rate(pace) == 80.0
    pace.forget()
    assert rate(pace) is None


def test_what_is_read_from_the_cache_gives_none(tmp_path: Path) -> None:
    encoder = load_encoder(Catalogue.open().encoders["random"])
    size = encoder.card.image.size
    pixels = np.zeros((BATCH + 1, size, size), np.uint8)
    for computed in (True, False):
        encoder.pace.forget()
        pooled_features(encoder, pixels, range(len(pixels)), content="x", folder=tmp_path)
        assert (encoder.pace.images_per_second is not None) == computed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_timed_by_its_own_clock() -> None:
    pace, matrix = Pace(), torch.ones(64, 64, device="cuda")
    for _ in range(2):
        with pace.timed(8, matrix.device):
            matrix @ matrix
    assert pace.images_per_second is not None
    assert pace.images_per_second > 0
