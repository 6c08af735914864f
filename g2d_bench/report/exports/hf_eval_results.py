"""Hugging Face: ``.eval_results/*.yaml`` of a model's repository.

One file per task; an entry per fraction and protocol, whose ``task_id`` must be one of the benchmark's data
set. The format: https://huggingface.co/docs/hub/eval-results
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import yaml

from g2d_bench.plain import visible_parts
from g2d_bench.report.exports.base import Export, Number, Request, numbers


def write(request: Request) -> Mapping[str, bytes]:
    """Write a folder per encoder with what belongs into its repository."""
    files: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number in numbers(request):
        task = number.found[0].cell.task
        files[f"{number.encoder}/.eval_results/{task}.yaml"].append(_entry(number, request))
    return {
        path: yaml.safe_dump(visible_parts(entries), sort_keys=False, allow_unicode=True, width=1000).encode()
        for path, entries in files.items()
    }


def _entry(number: Number, request: Request) -> dict[str, Any]:
    newest = max(one.record.created for one in number.found)
    entry: dict[str, Any] = {
        "dataset": {"id": request.dataset, "task_id": number.name},
        "value": round(number.value, 4),
        "date": newest[:10],
        "notes": number.told,
    }
    if request.source:
        entry["source"] = {"url": request.source, "name": "g2d-bench"}
    return entry


EXPORT = Export(write, asks=("dataset",))
