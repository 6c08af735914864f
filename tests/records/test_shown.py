"""What compact records keep to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cells.verify import verify
from g2d_bench.errors import InputError
from g2d_bench.records.compact import write_compact
from g2d_bench.records.record import read_predictions, read_record
from g2d_bench.records.selection import Found
from g2d_bench.records.shapes import require_shapes
from g2d_bench.records.shown import CELLS, MAPS, MASKS, PLACES, SIDE, map_of, mask_of, shown


def masks(count: int, side: int = 256) -> np.ndarray[Any, Any]:
    """A disc per case, growing."""
    y, x = np.mgrid[:side, :side]
    discs = [(y - side / 2) ** 2 + (x - side / 2) ** 2 < (side * (k + 1) / 40) ** 2 for k in range(count)]
    return np.packbits(np.stack(discs).reshape(count, -1), axis=1)


def arrays(count: int = 9) -> dict[str, Any]:
    return {
        "id": np.array([f"i{k}" for k in range(count)]),
        "patient": np.array([f"p{k}" for k in range(count)]),
        "intersection": np.arange(count),
        "predicted": np.full(count, 10),
        "true": np.full(count, 10),
        "mask": masks(count),
    }


def test_best_median_and_worst_keep_their_masks() -> None:
    full = arrays()
    kept = shown("segmentation", "dice_positive", full)
    assert kept[PLACES].tolist() == [0, 4, 8]
    assert kept[MASKS].shape == (3, SIDE * SIDE // 8)
    compact = {name: array for name, array in full.items() if name != "mask"} | kept
    for place in (0, 4, 8):
        large, small = mask_of(full, place), mask_of(compact, place)
        assert large is not None
        assert small is not None
        halves = large.reshape(SIDE, 2, SIDE, 2).mean(axis=(1, 3)) >= 0.5
        assert np.array_equal(small, halves)
    assert mask_of(compact, 1) is None
    assert mask_of({name: full[name] for name in ("id", "true")}, 0) is None
    # Made compact once more, it keeps the same.
    again = shown("segmentation", "dice_positive", compact)
    assert all(np.array_equal(again[name], kept[name]) for name in kept)
    require_shapes("segmentation", compact, Path("x.npz"))


def test_maps_keep_their_cells_in_256_steps() -> None:
    rng = np.random.default_rng(0)
    full: dict[str, Any] = {
        "id": np.array(["a", "b", "c", "d"]),
        "patient": np.array(["a", "b", "c", "d"]),
        "true": np.full(4, 9),
        "inside_mean": np.array([0.1, 2.0, -1.0, 0.5]),
        "outside_mean": np.zeros(4),
        **{name: np.ones(4) for name in ("inside_variance", "outside_variance")},
        "heat": rng.normal(size=(4, 14, 14)).astype(np.float16),
    }
    kept = shown("phrase", "cnr_signed", full)
    # Of four, the median is the better one of the lower half.
    assert kept[PLACES].tolist() == [0, 1, 2]
    assert kept[MAPS].shape == (3, 14, 14)
    for place in kept[PLACES].tolist():
        heat = full["heat"][place].astype(np.float64)
        share = (heat - heat.min()) / (heat.max() - heat.min())
        found = map_of(kept, place)
        assert found is not None
        np.testing.assert_allclose(found / 255, share, atol=1 / 510 + 1e-6)
    large = shown("phrase", "cnr_signed", full | {"heat": rng.normal(size=(4, 64, 48))})
    assert large[MAPS].shape == (3, CELLS, CELLS)
    flat = shown("phrase", "cnr_signed", full | {"heat": np.ones((4, 7, 7))})
    assert not flat[MAPS].any()


def test_kinds_without_masks_and_masks_of_another_form_keep_nothing() -> None:
    assert shown("classification", "auroc", {"id": np.array(["a"]), "scores": np.ones((1, 1))}) == {}
    assert shown("segmentation", "dice_positive", arrays() | {"mask": np.zeros((9, 3), np.uint8)}) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({PLACES: np.array([0, 1, 9])}, "shown_place: 9 lies outside 0 to 8"),
        ({MASKS: np.zeros((3, 9), np.uint8)}, "shown_mask: is"),
        ({PLACES: np.arange(4), MASKS: np.zeros((4, SIDE * SIDE // 8), np.uint8)}, "more than 3"),
        ({MAPS: np.zeros((3, 33, 8), np.uint8)}, "shown_heat: has 33 entries, more than 32"),
        ({MAPS: np.zeros((3, 8, 8))}, "shown_heat: is float64"),
    ],
)
def test_more_than_that_is_refused(changes: dict[str, Any], message: str) -> None:
    kept = arrays() | shown("segmentation", "dice_positive", arrays())
    with pytest.raises(InputError, match=message):
        require_shapes("segmentation", kept | changes, Path("x.npz"))


def test_a_compact_record_keeps_them_in_few_bytes_and_is_sound(folder: Any, other: Any) -> None:
    found = folder.add("g2d", images=40)
    full = read_predictions(found.path, found.record) | {"mask": masks(40)}
    full_record = Found(folder.store.save(found.path, found.record, full), found.path)
    (path,) = write_compact([full_record], folder.root, other.root)
    assert verify(other.root).problems == ()
    kept = read_predictions(path, read_record(path))
    assert {PLACES, MASKS} <= set(kept)
    assert "mask" not in kept
    assert path.with_suffix(".npz").stat().st_size < 6_000
    (bare,) = write_compact([full_record], folder.root, other.root / "x", pictures=False)
    assert not {PLACES, MASKS} & set(read_predictions(bare, read_record(bare)))
