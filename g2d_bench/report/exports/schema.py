"""The JSON schema of a record, for those who read records without this package."""

from __future__ import annotations

import json
from collections.abc import Mapping

from g2d_bench import __version__
from g2d_bench.records.record import Record
from g2d_bench.report.exports.base import Export, Request


def write(_: Request) -> Mapping[str, bytes]:
    """Write one file."""
    schema = Record.model_json_schema(mode="validation")
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"made by g2d-bench {__version__}: g2d-bench export schema",
        **schema,
    }
    return {EXPORT.file: (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()}


EXPORT = Export(write, "record.schema.json", of_records=False)
