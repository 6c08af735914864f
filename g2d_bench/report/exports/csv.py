"""All records as CSV, one line per cell and metric."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from g2d_bench.plain import visible_parts
from g2d_bench.report.exports.base import Export, Request
from g2d_bench.report.exports.rows import COLUMNS, rows
from g2d_bench.report.formats.csv import no_formula


def write(request: Request) -> Mapping[str, bytes]:
    """Write one file; empty is missing."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(COLUMNS), lineterminator="\n")
    writer.writeheader()
    for row in rows(request):
        plain = visible_parts(row)
        writer.writerow({n: "" if item is None else no_formula(item) for n, item in plain.items()})
    return {EXPORT.file: stream.getvalue().encode()}


EXPORT = Export(write, "records.csv")
