"""Tables as JSON, with all that stands around them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from g2d_bench.plain import in_json
from g2d_bench.report.formats.base import Format
from g2d_bench.report.formats.flat import as_dict
from g2d_bench.report.model import Table


def to_json(tables: Sequence[Table]) -> str:
    """Write all tables with all that stands around them."""
    return in_json(json.dumps([as_dict(table) for table in tables], indent=1, ensure_ascii=False))


FORMAT = Format(to_json, escapes=True, for_programs=True)
