"""A record: its key, its seal, what it holds."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.records.cell import Cell
from g2d_bench.records.record import (
    DataPart,
    EncoderPart,
    Record,
    changes,
    key_of,
    read_record,
    sealed,
    to_json,
)

CELL = Cell(task="siim-seg", fraction=0.01, protocol="clean", seed=2, encoder="g2d+decoder")


def _record(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "key": key_of({"a": 1}),
        "signature": "siim-seg@1.0#aaaa|phantom:siim#bbbb",
        "kind": "segmentation",
        "cell": CELL,
        "data": DataPart(
            dataset="siim",
            kind="phantom",
            hash="00",
            split_hash="11",
            images={"train": 1, "val": 1, "test": 2},
            positive={"train": 1, "val": 1, "test": 1},
        ),
        "encoder": EncoderPart(card_hash="22", weights="33"),
        "metrics": {"dice_positive": 0.25, "specificity_empty": None},
        "references": {"all-empty": {"dice_positive": 0.0}},
        "versions": {"torch": "2"},
        "commit": "",
        "hardware": {"cores": 2},
        "seconds": {"train": 1.0},
        "peak_memory_mb": 10,
        "command": "g2d-bench run",
        "created": "2026-01-01T00:00:00+00:00",
    }
    return Record(**{**fields, **changes})


def test_keys_depend_on_content_not_on_order() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})


def test_the_seal_is_over_everything() -> None:
    record = sealed(_record())
    assert len(record.digest) == 64
    assert sealed(record) == record
    others = {
        "commit": "other",
        "metrics": {"dice_positive": 0.5},
        "notes": {"x": 1},
        "created": "then",
        "seconds": {"train": 2.0},
        "data": record.data.model_copy(update={"leaks": "some"}),
    }
    digests = {sealed(record.model_copy(update={name: value})).digest for name, value in others.items()}
    assert len(digests | {record.digest}) == len(others) + 1


def test_a_seal_outlives_fields_that_are_added_later(tmp_path: Path) -> None:
    """A file that leaves an optional field out has the seal of one that gives its default."""
    record = sealed(_record())
    raw = json.loads(to_json(record))
    assert raw.pop("notes") == {}
    assert raw.pop("predictions") is None
    (tmp_path / "x.json").write_text(json.dumps(raw))
    assert read_record(tmp_path / "x.json") == record


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("a" * 64, "b" * 64, "weights aaaaaaaa -> bbbbbbbb"),
        ("a" * 64, "a" * 20 + "b" * 44, f"weights {'a' * 21} -> {'a' * 20}b"),
        ("init:resnet18:84738222:0", "init:resnet18:84738222:2", "init:resnet18:84738222:0 -> init:resnet18"),
        ("init:resnet18:84738222:0", "a" * 64, f"init:resnet18:84738222:0 -> {'a' * 64}"),
    ],
)
def test_weights_that_differ_are_told_apart(before: str, after: str, said: str) -> None:
    old, new = (
        _record().model_copy(update={"encoder": _record().encoder.model_copy(update={"weights": weights})})
        for weights in (before, after)
    )
    assert said in changes(old, new)
    assert changes(old, old) == ""


def test_what_is_no_number_is_null() -> None:
    record = _record().model_copy(update={"notes": {"x": math.nan}})
    assert json.loads(to_json(record))["notes"] == {"x": None}
    assert sealed(record).digest == sealed(_record().model_copy(update={"notes": {"x": None}})).digest
