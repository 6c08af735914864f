"""Hugging Face: the ``model-index`` of a model card, for pages that still read it.

https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import yaml

from g2d_bench.plain import visible_parts
from g2d_bench.report.exports.base import Export, Number, Request, numbers
from g2d_bench.report.marks import behind, caveats, short
from g2d_bench.report.origin import origins, tagged
from g2d_bench.report.reasons import what_was_trained
from g2d_bench.report.titles import DATASETS, METRICS

TASKS = {
    "classification": "image-classification",
    "segmentation": "image-segmentation",
    "detection": "object-detection",
    "zero-shot": "zero-shot-image-classification",
}
"""Kind of task to the hub's word; another kind has its own."""


def write(request: Request) -> Mapping[str, bytes]:
    """Write the front matter of a README per encoder, to be merged into its card."""
    results: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number in numbers(request):
        results[number.encoder].append(_result(number, request))
    known = origins(request.found)
    names = {one: tagged(request.titles.get(one, one), known[one].tag) for one in results}
    return {f"{encoder}/README.md": _card(names[encoder], found) for encoder, found in results.items()}


def _card(name: str, results: list[dict[str, Any]]) -> bytes:
    index = [{"name": name, "results": results}]
    text = yaml.safe_dump(
        visible_parts({"model-index": index}), sort_keys=False, allow_unicode=True, width=1000
    )
    return f"---\n{text}---\n".encode()


def _result(number: Number, request: Request) -> dict[str, Any]:
    record, cell = number.found[0].record, number.found[0].cell
    dataset = record.data.dataset
    data = "GENERATED radiographs (phantom) in the layout of " if number.generated else ""
    metric: dict[str, Any] = {
        "type": number.metric,
        "value": round(number.value, 4),
        # Of all that stands here, pages show names alone.
        "name": behind(
            f"{METRICS.get(number.metric, number.metric)}{' (%)' if number.spec.share else ''}",
            short(number.found),
        ),
        "args": {
            "task": cell.task,
            **({"shots": cell.shots} if cell.shots else {"fraction": cell.fraction}),
            "protocol": cell.protocol,
            "seeds": [one.cell.seed for one in number.found],
            "signature": record.signature,
            "caveats": caveats(number.found),
        },
    }
    result: dict[str, Any] = {
        "task": {
            "type": TASKS.get(record.kind, record.kind),
            "name": f"{cell.task}, {what_was_trained(number.found[0])}",
        },
        "dataset": {
            "type": f"phantom-{dataset}" if number.generated else dataset,
            "name": f"{data}{DATASETS.get(dataset, dataset)}",
            "config": number.name,
            "split": "test",
        },
        "metrics": [metric],
    }
    if request.source:
        result["source"] = {"name": "g2d-bench", "url": request.source}
    return result


EXPORT = Export(write)
