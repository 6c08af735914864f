"""Names as papers print them: of metrics with their unit, of tasks, of encoders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from g2d_bench.cards.kind import KINDS
from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.records.cell import DECODER
from g2d_bench.records.selection import Found
from g2d_bench.report.model import Column

METRICS = {
    "accuracy": "Accuracy",
    "accuracy_at_medklip": "Accuracy, pixel-wise at MedKLIP's threshold",
    "accuracy_half": "Accuracy at 0.5",
    "accuracy_legacy": "Accuracy, threshold from the test set",
    "accuracy_validation": "Accuracy",
    "ap_40_75": "AP 40:75",
    "ap_50": "AP 50",
    "ap_coco": "AP 50:95",
    "ap_legacy": "AP 40:75, confident boxes only",
    "auprc": "AUPRC",
    "auroc": "AUROC",
    "brier": "Brier score",
    "cnr": "|CNR|",
    "cnr_by_category": "|CNR|, mean of categories",
    "cnr_signed": "CNR",
    "dice_at_medklip": "Dice at 0.008",
    "dice_at_validation": "Dice",
    "dice_legacy": "Dice, empty images included",
    "dice_legacy_batched": "Dice, empty images included, by batch",
    "dice_pooled": "Dice, pixels pooled",
    "dice_positive": "Dice",
    "ece": "ECE",
    "ece_top": "ECE, top label",
    "f1_legacy": "F1, threshold from the test set",
    "f1_validation": "F1",
    "froc_sensitivity": "FROC",
    "iou_at_medklip": "IoU at 0.008",
    "iou_at_validation": "IoU",
    "iou_positive": "IoU",
    "miou_cosine": "mIoU",
    "miou_cosine_by_category": "mIoU, mean of categories",
    "miou_minmax": "mIoU, stretched maps",
    "pointing": "Pointing game",
    "pointing_at_medklip": "Pointing game, any of the strongest",
    "recall_at_medklip": "Recall at 0.008",
    "recall_at_validation": "Recall",
    "sensitivity_1fp": "Sensitivity at 1 FP",
    "specificity_empty": "Specificity",
}
"""Short names; what else a convention says is in its description, which goes below the table."""
DATASETS = {
    "chexpert": "CheXpert",
    "chestx-det10": "ChestX-Det10",
    "covid-cxr": "COVID-CXR",
    "covidx": "COVIDx",
    "cxr14": "ChestX-ray14",
    "ms-cxr": "MS-CXR",
    "object-cxr": "Object-CXR",
    "rsna": "RSNA",
    "siim": "SIIM",
}


def metric_title(column: Column, *, unit: bool = True) -> str:
    """Return a metric's printed name and its unit, as ``Dice (%)``; one that is not known here is spelled."""
    name, _, label = column.metric.partition(PER_LABEL)
    title = METRICS.get(name) or name.replace("_", " ")
    title += f", {label}" if label else ""
    return f"{title} (%)" if unit and column.spec.share else title


def convention(column: Column) -> str:
    """Return what a metric's printed name stands for, "" where nobody described it."""
    described = column.spec.description
    return f"{metric_title(column, unit=False)} ({column.metric}): {described}" if described else ""


def task_titles(found: Iterable[Found]) -> dict[str, str]:
    """Return task name to data set and kind, as ``SIIM segmentation``."""
    titles = {}
    for one in found:
        kind, dataset = one.record.kind, one.record.data.dataset
        heading = KINDS[kind].heading.partition(" (")[0] if kind in KINDS else kind
        titles[one.cell.task] = f"{DATASETS.get(dataset, dataset)} {heading}"
    several = {title for title in titles.values() if list(titles.values()).count(title) > 1}
    return {task: f"{title} ({task})" if title in several else title for task, title in titles.items()}


def encoder_titles(found: Iterable[Found], cards: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return encoder name to the title that its records bear, or else its card here.

    Two encoders of one title keep their names behind it, and one that bears none is called as it is.

    Args:
        found: the records.
        cards: card name to title.
    """
    titles: dict[str, str] = {}
    for one in found:
        cell, part = one.cell, one.record.encoder
        title = part.title or (cards or {}).get(cell.card, "") or cell.card
        titles[cell.encoder] = title + (" + decoder" if cell.encoder.endswith(DECODER) else "")
    several = {title for title in titles.values() if list(titles.values()).count(title) > 1}
    return {name: f"{title} ({name})" if title in several else title for name, title in titles.items()}
