"""A record: its key, its seal, what it holds."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.identity import key_of
from g2d_bench.records.record import (
    Record,
    changes,
    read_record,
    sealed,
    to_json,
)

CELL = Cell(task="siim-seg", fraction=0.01, protocol="clean", seed=2, encoder="g2d+decoder")


def test_keys_depend_on_content_not_on_order() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1})
    assert key_of({"a": 1}) != key_of({"a": 2})


def test_the_seal_is_over_everything(plain: Record) -> None:
    record = sealed(plain)
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


def test_a_seal_outlives_fields_that_are_added_later(plain: Record, tmp_path: Path) -> None:
    """A file that leaves an optional field out has the seal of one that gives its default."""
    record = sealed(plain)
    raw = json.loads(to_json(record))
    assert raw.pop("notes") == {}
    assert raw.pop("predictions") is None
    (tmp_path / "x.json").write_text(json.dumps(raw))
    assert read_record(tmp_path / "x.json") == record


def test_a_field_stands_once(plain: Record, tmp_path: Path) -> None:
    """One reader takes the first, another the last: what is sealed and what is shown must be one thing."""
    path = tmp_path / "x.json"
    text = to_json(sealed(plain)).decode()
    path.write_text(text.replace('"metrics": {', '"metrics": {"dice_positive": 0.99}, "metrics": {', 1))
    with pytest.raises(InputError, match=r"x\.json: metrics: stands twice; leave one$"):
        read_record(path)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("a" * 64, "b" * 64, "weights aaaaaaaa -> bbbbbbbb"),
        ("a" * 64, "a" * 20 + "b" * 44, f"weights {'a' * 21} -> {'a' * 20}b"),
        ("init:resnet18:84738222:0", "init:resnet18:84738222:2", "init:resnet18:84738222:0 -> init:resnet18"),
        ("init:resnet18:84738222:0", "a" * 64, f"init:resnet18:84738222:0 -> {'a' * 64}"),
    ],
)
def test_weights_that_differ_are_told_apart(plain: Record, before: str, after: str, said: str) -> None:
    old, new = (
        plain.model_copy(update={"encoder": plain.encoder.model_copy(update={"weights": weights})})
        for weights in (before, after)
    )
    assert said in changes(old, new)
    assert changes(old, old) == ""


def test_machines_are_told_apart_by_what_both_say(plain: Record) -> None:
    """A record of before the processor was written down says nothing of it, and a package can be absent."""
    old, first, second = (
        plain.model_copy(update={"hardware": said})
        for said in (
            {"cores": 2, "threads": 1},
            {"cores": 2, "threads": 1, "processor": "A", "kernels": "AVX512"},
            {"cores": 4, "threads": 1, "processor": "B", "kernels": "AVX2"},
        )
    )
    assert changes(old, first) == ""
    assert changes(first, second) == "cores 2 -> 4, kernels AVX512 -> AVX2, processor A -> B"
    assert changes(first, old) == ""
    more = plain.model_copy(update={"versions": {**plain.versions, "timm": "9"}})
    assert changes(plain.model_copy(update={"versions": {}}), more).count("absent -> ") == len(more.versions)


def test_what_is_no_number_is_null(plain: Record) -> None:
    record = plain.model_copy(update={"notes": {"x": math.nan}})
    assert json.loads(to_json(record))["notes"] == {"x": None}
    assert sealed(record).digest == sealed(plain.model_copy(update={"notes": {"x": None}})).digest
