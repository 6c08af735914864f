"""Draws of patients, kept."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest

from g2d_bench.records import draws as module
from g2d_bench.records.draws import DrawCache, draw


def test_a_changed_metric_and_a_broken_cache_are_drawn_again(tmp_path: Path) -> None:
    cache = DrawCache(tmp_path)

    def get(point: float, drawn: float) -> float:
        made = cache.get("0" * 64, 2, {"auroc/Edema": point}, lambda _: np.full(2, drawn))["auroc/Edema"]
        assert made is not None
        return float(made[0])

    assert [get(0.5, 1.0), get(0.5, 2.0), get(0.6, 3.0), get(0.6, 4.0)] == [1.0, 1.0, 3.0, 3.0]
    assert [get(math.nan, 5.0), get(math.nan, 6.0)] == [5.0, 5.0]
    (file,) = tmp_path.glob("*.draws")
    file.write_bytes(b"broken")
    assert get(0.6, 7.0) == 7.0
    assert cache.get("1" * 64, 2, {"x": 0.5}, lambda _: None) == {"x": None}
    assert cache.get("1" * 64, 2, {"x": 0.5}, lambda _: pytest.fail("drawn again")) == {"x": None}


def test_what_is_kept_is_known_without_reading_draws(tmp_path: Path) -> None:
    cache, digest = DrawCache(tmp_path), "0" * 64
    assert cache.holds(digest, 2, ())
    assert not cache.holds(digest, 2, ["auroc"])
    cache.get(digest, 2, {"auroc": 0.5, "x": math.nan}, lambda name: None if name == "x" else np.ones(2))
    assert cache.holds(digest, 2, ["x", "auroc"])
    assert not cache.holds(digest, 2, ["auroc", "f1"])
    assert not cache.holds(digest, 3, ["auroc"])
    (file,) = tmp_path.glob("*.draws")
    file.unlink()
    os.mkfifo(file)
    assert not DrawCache(tmp_path).holds(digest, 2, ["auroc"])


def test_a_large_test_set_gets_fewer_draws_where_each_is_costly() -> None:
    size = 5000
    rng = np.random.default_rng(0)
    arrays = {
        "id": np.arange(size),
        "patient": np.arange(size).astype(str),
        "scores": rng.random((size, 1)),
        "targets": rng.integers(0, 2, (size, 1)).astype(float),
        "label": np.array(["x"]),
    }
    drawn = draw("auroc", arrays, 40)
    assert drawn is not None
    assert len(drawn) == 10


@pytest.mark.parametrize(("patients", "drawn"), [(9, False), (10, True)])
def test_few_patients_are_not_drawn_from(patients: int, drawn: bool) -> None:
    names = np.array([f"p{n % patients}" for n in range(40)])
    hits = np.arange(40, dtype=np.float64) + 1
    arrays = {"id": names, "patient": names, "intersection": hits, "predicted": 2 * hits, "true": 3 * hits}
    assert (draw("dice_positive", arrays, 50) is not None) == drawn


def test_draws_of_other_packages_code_are_kept_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, digest = DrawCache(tmp_path), "0" * 64
    cache.get(digest, 2, {"auroc": 0.5}, lambda _: np.ones(2))
    monkeypatch.setattr(module, "foreign_code", lambda: "edited")
    assert not cache.holds(digest, 2, ["auroc"])
    drawn = cache.get(digest, 2, {"auroc": 0.5}, lambda _: np.zeros(2))["auroc"]
    assert drawn is not None
    assert drawn.tolist() == [0, 0]
