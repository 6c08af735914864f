"""Cells with made-up predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.records.recompute import recompute


def classification_cell(folder: Any, encoder: str, fraction: float, labels: list[str], **where: str) -> Path:
    """Add the record of a classifier to a folder and return where it lies."""
    rng = np.random.default_rng([len(encoder), int(100 * fraction)])
    targets = (rng.random((80, len(labels))) < 0.4).astype(float)
    scores = np.clip(0.4 * targets + 0.6 * rng.random(targets.shape), 0, 1)
    arrays = {
        "id": np.array([str(n) for n in range(80)]),
        "patient": np.array([str(n // 2) for n in range(80)]),
        "scores": scores,
        "targets": targets,
        "label": np.array(labels),
    }
    place = {"task": "cxr14-cls", "protocol": "clean-finetune"} | where
    found = folder.add(encoder, fraction=fraction, **place)
    record = found.record.model_copy(
        update={"kind": "classification", "metrics": {"auroc": recompute("auroc", arrays)}, "references": {}}
    )
    folder.store.save(found.path, record, arrays)
    return Path(found.path)
