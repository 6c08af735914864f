"""The tables of the G2D paper in their own shape, as data.

A column names what the paper prints and which of our metrics stands there: under a clean protocol the first
of ``metrics`` that the records have, under a legacy one the first of ``legacy``.
"""

from __future__ import annotations

from dataclasses import dataclass

PAPER = "G2D, NeurIPS 2024"
FRACTIONS = (0.01, 0.1, 1.0)


@dataclass(frozen=True)
class PaperColumn:
    """One column of a printed table.

    Attributes:
        heads: headings from the coarsest to the finest; ``{metric}`` becomes our metric's name.
        task: task card.
        printed: the metric in the paper's words, as in ``results/reported``.
        metrics: ours, in the order of preference.
        legacy: ours under a legacy protocol.
        fraction: share of the labels; None where the table has a panel per fraction or needs no labels.
        label: the finding, where the column shows one.
    """

    heads: tuple[str, ...]
    task: str
    printed: str
    metrics: tuple[str, ...]
    legacy: tuple[str, ...] = ()
    fraction: float | None = None
    label: str = ""


@dataclass(frozen=True)
class Layout:
    """One printed table.

    Attributes:
        table: as the paper numbers it.
        title: what it shows.
        columns: from left to right.
        protocol: the protocol whose cells fill it unless another is asked for.
        panels: label fractions that are blocks of rows; empty where they are columns.
    """

    table: str
    title: str
    columns: tuple[PaperColumn, ...]
    protocol: str = "clean"
    panels: tuple[float, ...] = ()


def _by_fraction(*heads: str, **rest: object) -> tuple[PaperColumn, ...]:
    return tuple(
        PaperColumn((*heads, f"{100 * fraction:g} %"), fraction=fraction, **rest)  # type: ignore[arg-type]
        for fraction in FRACTIONS
    )


_DICE = {"printed": "Dice", "metrics": ("dice_positive",), "legacy": ("dice_legacy_batched", "dice_legacy")}
_MAP = {"printed": "mAP", "metrics": ("ap_40_75", "ap_coco"), "legacy": ("ap_legacy",)}
_AUC = {"printed": "AUC", "metrics": ("auroc",)}

_GROUNDING = (
    ("Recall", ("recall_at_validation",), ("pointing",)),
    ("IoU", ("iou_at_validation",), ("iou_at_medklip",)),
    ("Dice", ("dice_at_validation",), ("dice_at_medklip",)),
)
_ZERO_SHOT = (
    ("AUC", ("auroc",), ("auroc",)),
    ("F1", ("f1_validation",), ("f1_legacy",)),
    ("ACC", ("accuracy_validation",), ("accuracy_legacy",)),
)

CXR14 = (
    *("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia"),
    *("Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural Thickening", "Hernia"),
)

LAYOUTS = {
    "g2d-table1": Layout(
        "Table 1",
        "Segmentation and detection with 1, 10 and 100 % of the labels",
        (
            *_by_fraction("segmentation", "SIIM, {metric}", task="siim-seg", **_DICE),
            *_by_fraction("segmentation", "RSNA, {metric}", task="rsna-seg", **_DICE),
            *_by_fraction("detection", "RSNA, {metric}", task="rsna-det", **_MAP),
            *_by_fraction("detection", "Object-CXR, {metric}", task="object-cxr-det", **_MAP),
        ),
    ),
    "g2d-table2a": Layout(
        "Table 2a",
        "Zero-shot visual grounding",
        tuple(
            PaperColumn((name, "{metric}"), task, printed, metrics, legacy)
            for name, task in (("SIIM", "siim-ground"), ("RSNA", "rsna-ground"))
            for printed, metrics, legacy in _GROUNDING
        ),
    ),
    "g2d-table2b": Layout(
        "Table 2b",
        "Zero-shot classification",
        tuple(
            PaperColumn((name, "{metric}"), task, printed, metrics, legacy)
            for name, task in (
                ("RSNA", "rsna-zeroshot"),
                ("SIIM", "siim-zeroshot"),
                ("CXR14", "cxr14-zeroshot"),
                ("CheXpert", "chexpert-zeroshot"),
            )
            for printed, metrics, legacy in _ZERO_SHOT
            if (name, printed) != ("CheXpert", "ACC")
        ),
    ),
    "g2d-table3": Layout(
        "Table 3",
        "Fine-tuned classification on CXR14, area under the ROC curve per label",
        (
            PaperColumn(("Mean",), "cxr14-cls", "AUC macro-mean", ("auroc",)),
            *(PaperColumn((label,), "cxr14-cls", "AUC", (f"auroc/{label}",), label=label) for label in CXR14),
        ),
        protocol="clean-finetune",
        panels=FRACTIONS,
    ),
    "g2d-table4": Layout(
        "Table 4",
        "Linear classification with 1, 10 and 100 % of the labels",
        (
            *_by_fraction("CheXpert, {metric}", task="chexpert-cls", **_AUC),
            *_by_fraction("RSNA, {metric}", task="rsna-cls", **_AUC),
            *_by_fraction("COVIDx, {metric}", task="covidx-cls", printed="ACC", metrics=("accuracy",)),
        ),
    ),
    "g2d-table7": Layout(
        "Table 7",
        "Fine-tuned classification and segmentation, the paper in MedKLIP's setting",
        (
            *_by_fraction("classification", "CXR14, {metric}", task="cxr14-cls", **_AUC),
            *_by_fraction("segmentation", "RSNA, {metric}", task="rsna-seg", **_DICE),
            *_by_fraction("segmentation", "SIIM, {metric}", task="siim-seg", **_DICE),
        ),
        protocol="clean-finetune",
    ),
}
"""Name on the command line to layout."""
