"""A format of a table: only its heading."""

from __future__ import annotations

from g2d_bench.report.formats.base import Format

FORMAT = Format(lambda tables: "\n".join(f"== {table.title} ==" for table in tables))
