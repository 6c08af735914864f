"""Groups of patients among the predictions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.compact import write_compact
from g2d_bench.records.groups import described, digest_groups, group_arrays, groups_of, in_order
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import select


def test_groups_are_named_sample_by_sample() -> None:
    first, second = np.array(["AP", "PA"]), np.array(["PA", "AP"])
    names = {digest_groups({"group_view": texts, "id": first}) for texts in (first, second)}
    assert len(names | {digest_groups({"group_sex": first})}) == 3
    assert digest_groups({"group_view": first.astype("U40")}) in names
    assert digest_groups({"id": first}) == ""


@pytest.mark.parametrize(
    ("meta", "wanted"),
    [
        ({"sex": "Male", "age": "61.0", "view": "PA"}, ("M", "61", "PA", "")),
        ({"sex": "Unknown", "age": "155", "view": "AP Supine"}, ("", "", "AP Supine", "")),
        ({"sex": "f", "age": "058Y", "view": "frontal", "projection": "AP"}, ("F", "58", "AP", "")),
        ({"sex": "F", "age": "011M", "view": "ll", "device": " Agfa  DX "}, ("F", "", "LL", "Agfa DX")),
        ({}, ("", "", "", "")),
    ],
)
def test_all_data_sets_say_it_in_the_same_words(meta: dict[str, str], wanted: tuple[str, ...]) -> None:
    assert tuple(described(meta).values()) == wanted


def test_what_nobody_tells_has_no_array() -> None:
    arrays = group_arrays([{"sex": "M", "age": "12"}, {"sex": "F"}, {"age": "80"}])
    assert sorted(arrays) == ["group_age", "group_sex"]
    assert groups_of(arrays, "sex").tolist() == ["M", "F", ""]  # type: ignore[union-attr]
    assert groups_of(arrays, "age").tolist() == ["under 20", "", "80 and over"]  # type: ignore[union-attr]
    assert groups_of(arrays, "view") is None
    assert in_order("age", ["80 and over", "20 to 39", "under 20"]) == ["under 20", "20 to 39", "80 and over"]
    with pytest.raises(InputError, match="--by: unknown 'height'"):
        groups_of(arrays, "height")


def test_groups_are_part_of_predictions_and_of_compact_ones(
    folder: Any, other: Any, edit: Callable[..., None], tmp_path: Path
) -> None:
    found = folder.add("g2d")
    arrays = read_predictions(found.path, found.record)
    count = len(arrays["id"])
    folder.store.save(found.path, found.record, {**arrays, "group_sex": np.array(["M", "F"] * (count // 2))})
    (full,) = select(folder.root)
    (path,) = write_compact([full], folder.root, other.root)
    (small,) = select(other.root)
    assert groups_of(read_predictions(path, small.record), "sex").tolist()[:3] == ["M", "F", "M"]  # type: ignore[union-attr]
    folder.store.save(found.path, found.record, {**arrays, "group_sex": np.array(["M"])})
    (bad,) = select(folder.root)
    with pytest.raises(InputError, match="group_sex"):
        read_predictions(bad.path, bad.record)  # type: ignore[arg-type]
