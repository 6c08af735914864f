"""A column of sex, age, view or device that is corrected reaches the records that were made before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from g2d_bench.cells.regrouped import regroup
from g2d_bench.cells.resolve import Resolved
from g2d_bench.records.record import read_predictions, read_record, sealed
from g2d_bench.records.selection import Found


def todays(found: Found, view: Callable[[int], str]) -> Resolved:
    """A cell as far as it is looked at here, of data that tell of views today."""
    assert found.path is not None
    ids = read_predictions(found.path, found.record)["id"].tolist()
    samples = [SimpleNamespace(id=name, meta={"view": view(n), "sex": ""}) for n, name in enumerate(ids)]
    manifest = SimpleNamespace(
        dataset="siim", samples=samples, index={name: place for place, name in enumerate(ids)}
    )
    return cast(Resolved, SimpleNamespace(cell=found.cell, path=found.path, manifest=manifest))


def as_measured(n: int) -> str:
    return ("AP", "PA")[n % 2]


def test_what_the_data_tell_as_before_is_left_alone(measured: Callable[..., Found], folder: Any) -> None:
    found = measured()
    assert found.path is not None
    before = found.path.read_bytes()
    assert regroup([(todays(found, as_measured), found.record)], folder.store) == ({}, [])
    assert found.path.read_bytes() == before


def test_corrected_groups_are_written_and_sealed(measured: Callable[..., Found], folder: Any) -> None:
    found = measured()
    assert found.path is not None
    before = read_predictions(found.path, found.record)
    written, lines = regroup([(todays(found, lambda n: "LL"), found.record)], folder.store)
    record = read_record(found.path)
    assert written == {found.cell: record}
    assert sealed(record).digest == record.digest
    assert (record.key, record.metrics) == (found.record.key, found.record.metrics)
    after = read_predictions(found.path, record)
    assert set(after["group_view"]) == {"LL"}
    assert sorted(after) == sorted(before)
    assert all(np.array_equal(after[name], before[name]) for name in after if name != "group_view")
    assert lines == [
        "siim: 1 finished record now with sex, age, view and device as the data tell; no number moves"
    ]


@pytest.mark.parametrize("spoilt", ["by hand", "predictions gone", "no groups"])
def test_what_verify_refuses_or_tables_look_up_is_left(
    measured: Callable[..., Found], folder: Any, spoilt: str
) -> None:
    found = folder.add("mine") if spoilt == "no groups" else measured()
    cell = todays(found, lambda n: "LL")
    record, path = found.record, cast(Path, found.path)
    if spoilt == "by hand":
        record = record.model_copy(update={"commit": "another"})
    if spoilt == "predictions gone":
        path.with_suffix(".npz").unlink()
    assert regroup([(cell, record)], folder.store) == ({}, [])
