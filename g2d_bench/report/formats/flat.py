"""Tables for programs: one line per number, or a table as it stands."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from g2d_bench.report.model import GENERATED, Row, Table, Value


def data_of(table: Table, row: Row) -> str:
    """Say in plain words on which data a row's numbers rest."""
    if row.sort == "quoted":
        return "quoted from a paper (real data)"
    return "GENERATED DATA (phantom)" if table.generated else "real data"


def scale_of(row: Row) -> str:
    """Return the scale of a measured encoder (``phantom``, ``published``, ``unknown``), "" for other rows."""
    return row.origin.scale if row.origin is not None else ""


def seen_by(row: Row) -> list[str] | None:
    """Return the data sets of an encoder's pre-training; None where unknown, and for other rows."""
    seen = row.origin.pretraining if row.origin is not None else None
    return None if seen is None else list(seen)


def lines_of(table: Table) -> Iterator[dict[str, Any]]:
    """Yield one line per number of a table."""
    for row in table.rows:
        for value in row.values:
            number = _number(value)
            yield {
                "table": table.title,
                "data": data_of(table, row),
                "sort": row.sort,
                "panel": row.panel,
                "encoder": row.name,
                "column": " · ".join(value.column.heads),
                "task": value.column.task,
                "protocol": value.column.protocol,
                "fraction": value.column.fraction,
                "shots": value.column.shots or "",
                "of": value.of,
                "metric": value.column.metric,
                **{name: "" if item is None else item for name, item in number.items()},
                "seeds": " ".join(map(str, value.seeds)),
                "scale": scale_of(row),
                "form": row.origin.form if row.origin is not None else "",
                "pretraining": "" if (seen := seen_by(row)) is None else " + ".join(seen) or "none",
            }


def _number(value: Value) -> dict[str, Any]:
    return {
        "unit": "percent" if value.column.spec.share else "plain",
        "mean": _known(value.mean),
        "spread": _known(value.spread),
        "spread_is": value.spread_is,
        "low": _known(value.low),
        "high": _known(value.high),
        "seeds": list(value.seeds),
        "not_significantly_worse_than_best": value.best,
        "p_against_best": _known(value.p),
        "signature_mark": value.marks,
        **({"of": value.of} if value.of else {}),
        "pretraining_saw": value.sight,
        "leaks": "; ".join(value.leaks),
        "split_defects": "; ".join(value.defects),
        "missing": value.missing,
        "reason": value.reason,
    }


def as_dict(table: Table) -> dict[str, Any]:
    """Return a table with all that stands around it."""
    return {
        "title": table.title,
        "generated": table.generated,
        "data": GENERATED if table.generated else "real data",
        "warnings": list(table.warnings),
        "facts": list(table.facts),
        "notes": list(table.notes),
        "signatures": list(table.signatures),
        "rows": [
            {
                "name": row.name,
                "sort": row.sort,
                "panel": row.panel,
                "data": data_of(table, row),
                "scale": scale_of(row) or None,
                "pretraining": seen_by(row),
                "marked": row.tag,
                "form": row.origin.form if row.origin is not None else "",
                "values": [
                    {
                        "column": list(value.column.heads),
                        "task": value.column.task,
                        "protocol": value.column.protocol,
                        "fraction": value.column.fraction,
                        **({"shots": value.column.shots} if value.column.shots else {}),
                        "metric": value.column.metric,
                        **_number(value),
                    }
                    for value in row.values
                ],
            }
            for row in table.rows
        ],
    }


def _known(number: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(number) else number
