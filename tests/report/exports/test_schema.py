"""The JSON schema of a record takes every record that is committed, and refuses what the reader refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.report.exports import EXPORTS
from g2d_bench.report.exports.base import Request

jsonschema = pytest.importorskip("jsonschema")
COMMITTED = sorted((Path(__file__).parents[3] / "results" / "phantom").rglob("*.json"))


@pytest.fixture(scope="module")
def validator() -> Any:
    (data,) = EXPORTS["schema"].write(Request()).values()
    schema = json.loads(data)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_every_committed_record_is_valid(validator: Any) -> None:
    assert len(COMMITTED) > 100
    for path in COMMITTED:
        validator.validate(json.loads(path.read_bytes()))


@pytest.mark.parametrize(
    "change",
    [
        {"more": 1},
        {"metrics": {}},
        {"metrics": {"auroc": "high"}},
        {"schema_version": 2},
        {"digest": "abc"},
        {"data": {}},
    ],
)
def test_what_is_no_record_is_not(validator: Any, change: dict[str, Any]) -> None:
    raw = json.loads(COMMITTED[0].read_bytes()) | change
    assert not validator.is_valid(raw)
