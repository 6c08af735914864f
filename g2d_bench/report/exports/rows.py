"""All records as rows: one per cell and metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from g2d_bench.metrics.resample import interval
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.record import NOT_APPLICABLE, WHY_UNDEFINED
from g2d_bench.records.selection import Found
from g2d_bench.records.signature import parse_signature
from g2d_bench.report.contamination import seen_by
from g2d_bench.report.exports.base import Request
from g2d_bench.report.marks import defects_of, leaks_of
from g2d_bench.report.origin import origin

if TYPE_CHECKING:
    import pandas as pd

TYPES = {
    "text": (
        *("task", "task_version", "kind", "dataset", "data", "encoder", "title", "scale", "pretraining"),
        *("pretraining_saw", "leaks", "split_defects"),
        *("protocol", "metric", "reason", "key", "signature", "weights", "commit", "suite", "torch"),
        *("accelerator", "created", "command", "file"),
    ),
    "number": ("fraction", "value", "low", "high", "seconds"),
    "count": (
        *("shots", "seed", "images_train", "images_val", "images_test", "positive_test", "peak_memory_mb"),
        *("predictions",),
    ),
}
"""What columns hold: text, real numbers, whole numbers."""
COLUMNS = (
    *("task", "task_version", "kind", "dataset", "data", "encoder", "title", "scale", "pretraining"),
    *("pretraining_saw", "leaks", "split_defects"),
    *("fraction", "shots", "seed", "protocol", "metric", "value", "low", "high", "reason"),
    *("images_train", "images_val", "images_test", "positive_test", "seconds", "peak_memory_mb"),
    *("key", "signature", "weights", "predictions", "commit", "suite", "torch", "accelerator", "created"),
    *("command", "file"),
)


def rows(request: Request) -> Iterator[dict[str, Any]]:
    """Yield a row per record and metric; values as shares where the metric is one, None where undefined."""
    evidence = Evidence()
    for found in request.found:
        shared = _shared(found)
        why = found.record.notes.get(WHY_UNDEFINED, {})
        reason = found.record.notes.get(NOT_APPLICABLE, "")
        for metric, value in found.record.metrics.items():
            drawn = None
            if request.intervals and value is not None:
                drawn = evidence.mean([found], metric)
            low, high = interval(drawn.draws) if drawn is not None else (math.nan, math.nan)
            own = {
                "metric": metric,
                "value": value,
                "low": None if math.isnan(low) else low,
                "high": None if math.isnan(high) else high,
                "reason": reason or (str(why.get(metric, "")) if isinstance(why, dict) else ""),
            }
            whole = {**shared, **own}
            yield {name: whole[name] for name in COLUMNS}


def frame(request: Request) -> pd.DataFrame:
    """Return the rows as a data frame with types that do not depend on what is in it."""
    import pandas as pd

    made = pd.DataFrame(list(rows(request)), columns=list(COLUMNS))
    types = {"text": "string", "number": "float64", "count": "int64"}
    return made.astype({name: types[kind] for kind, names in TYPES.items() for name in names})


def _shared(found: Found) -> dict[str, Any]:
    record, cell, known = found.record, found.cell, origin(found)
    parts = parse_signature(record.signature)
    return {
        **cell.as_dict(),
        "shots": cell.shots,
        "task_version": parts.version if parts is not None else "",
        "kind": record.kind,
        "dataset": record.data.dataset,
        "data": "generated" if record.data.kind == "phantom" else "real",
        "title": record.encoder.title,
        "scale": known.scale,
        "pretraining": "unknown" if known.pretraining is None else " + ".join(known.pretraining) or "none",
        "pretraining_saw": seen_by(found),
        "leaks": "; ".join(leaks_of([found])),
        "split_defects": "; ".join(defects_of([found])),
        **{f"images_{part}": count for part, count in record.data.images.items()},
        "positive_test": record.data.positive["test"],
        "seconds": round(sum(record.seconds.values()), 3),
        "peak_memory_mb": record.peak_memory_mb,
        "key": record.key,
        "signature": record.signature,
        "weights": record.encoder.weights,
        "predictions": int(record.predictions is not None),
        "commit": record.commit,
        "suite": record.versions.get("g2d-bench", ""),
        "torch": record.versions.get("torch", ""),
        "accelerator": str(record.hardware.get("accelerator", "")),
        "created": record.created,
        "command": record.command,
        "file": found.path.name if found.path is not None else "",
    }
