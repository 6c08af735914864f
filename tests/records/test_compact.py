"""Compact copies of records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cards.kind import KINDS, Reduced
from g2d_bench.cells.verify import verify
from g2d_bench.errors import InputError
from g2d_bench.records.compact import compact, write_compact
from g2d_bench.records.record import read_predictions, read_record
from g2d_bench.records.selection import select

Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]


def test_compact_copies_verify_and_are_small(folder: Any, other: Any) -> None:
    folder.grid({"g2d": 0.6}, images=400)
    before = select(folder.root)
    written = write_compact(before, folder.root, other.root)
    assert verify(other.root).problems == ()
    for found, path in zip(before, written, strict=True):
        kept = read_record(path)
        assert kept.metrics == found.record.metrics
        assert kept.key == found.record.key
        assert kept.notes["left_out_of_predictions"] == ["mask"]
        assert path.stat().st_size + path.with_suffix(".npz").stat().st_size < 20_000
        arrays = read_predictions(path, kept)
        assert set(arrays) == {
            "id",
            "patient",
            "intersection",
            "predicted",
            "true",
            "shown_place",
            "shown_mask",
        }
        assert arrays["true"].dtype == np.uint16
    contents = [path.read_bytes() + path.with_suffix(".npz").read_bytes() for path in written]
    write_compact(before, folder.root, other.root)
    assert contents == [path.read_bytes() + path.with_suffix(".npz").read_bytes() for path in written]


def test_compact_keeps_every_value_exactly(folder: Any) -> None:
    found = folder.add("g2d")
    predictions = read_predictions(found.path, found.record)
    predictions |= {"group_sex": np.array(["F"] * len(predictions["id"])), "label": np.array(["x"])}
    predictions["true"] = predictions["true"].astype(np.float64)
    kept = compact(found.record, predictions)
    for name, array in kept.items():
        assert name.startswith("shown") or np.array_equal(array, predictions[name])
    assert kept["true"].dtype == np.float16 or kept["true"].dtype == np.float32
    assert "group_sex" in kept
    assert "label" not in kept
    assert kept["intersection"].dtype.itemsize <= 2


def test_a_kind_says_what_else_is_kept(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder.add("g2d")
    predictions = read_predictions(found.path, found.record) | {"label": np.array(["x"])}
    kind = replace(KINDS["segmentation"], kept=("label", "mask"))
    monkeypatch.setitem(KINDS._found, "segmentation", kind)
    assert compact(found.record, predictions).keys() >= {"label", "mask"}


def test_what_cannot_be_verified_is_not_made_compact(folder: Any, other: Any, edit: Edit) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw["metrics"].update(dice_positive=0.9))
    with pytest.raises(InputError, match="only what can be verified"):
        write_compact(select(folder.root), folder.root, other.root)
    assert not other.root.exists() or not list(other.root.rglob("*.json"))


def test_of_a_record_of_other_code_what_is_kept_must_say_the_same(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other code may have computed its metrics in another way; `verify` passes such a record."""
    found = folder.add("g2d")
    predictions = read_predictions(found.path, found.record)
    metrics = found.record.metrics | {"dice_positive": 0.123}
    record = found.record.model_copy(update={"metrics": metrics})
    with pytest.raises(InputError, match=r"metrics\.dice_positive: says 0\.123"):
        compact(record, predictions)
    record = record.model_copy(update={"signature": f"{record.signature.rpartition('|')[0]}|n1"})
    kept = compact(record, predictions)
    assert all(
        np.array_equal(kept[name], predictions[name]) for name in ("intersection", "predicted", "true")
    )
    lacking = {name: array for name, array in predictions.items() if name != "intersection"}
    assert compact(record, lacking).keys() >= lacking.keys()
    with pytest.raises(InputError, match="'intersection' is missing"):
        compact(found.record, lacking)

    def emptied(arrays: Any, _: Any) -> Any:
        return {**arrays, "intersection": arrays["true"] * 0}

    reduced = Reduced(emptied, "intersection", "all")
    monkeypatch.setitem(KINDS._found, "segmentation", replace(KINDS["segmentation"], reduced=reduced))
    with pytest.raises(InputError, match="only what can be verified is made compact"):
        compact(record, predictions)


def test_compact_keeps_records_without_numbers(folder: Any, other: Any) -> None:
    found = folder.add("g2d")
    empty = found.record.model_copy(
        update={
            "metrics": dict.fromkeys(found.record.metrics),
            "predictions": None,
            "references": {},
            "notes": {"n/a": "no text"},
        }
    )
    found.path.with_suffix(".npz").unlink()
    empty = folder.store.save(found.path, empty, {})
    (path,) = write_compact(select(folder.root), folder.root, other.root)
    assert read_record(path) == empty
    assert str(verify(other.root)) == "1 record, 0 metrics computed again, all as recorded"
    # Numbers without a proof are as small as they get; the copy says so as the record did.
    unproven = empty.model_copy(update={"metrics": {"dice_positive": 0.5}, "notes": {}})
    folder.store.save(found.path, unproven, {})
    (path,) = write_compact(select(folder.root), folder.root, other.root)
    assert read_record(path).metrics == {"dice_positive": 0.5}
    assert "1 without predictions, so their metrics could not be checked" in str(verify(other.root))
