"""Task cards for somebody's own films: one for each kind that labels, boxes, masks and reports allow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from g2d_bench.plain import in_toml
from g2d_bench.readers.base import Sample
from g2d_bench.readers.folder_table import Meaning

MANY, SOME = 1000, 100
"""Training films from which 1 % and 10 % of the labels are worth a run."""
LEAST_REPORTS = 20
"""Reports among which there is something to find."""
METRICS = {
    "classification": ("auroc", "auprc", "accuracy_validation", "f1_validation", "ece", "brier"),
    "zero-shot": ("auroc", "auprc", "f1_validation", "accuracy_validation"),
    "segmentation": ("dice_positive", "specificity_empty", "iou_positive"),
    "detection": ("ap_50", "ap_coco", "ap_40_75", "froc_sensitivity", "sensitivity_1fp"),
    "grounding": (
        "dice_at_validation",
        "iou_at_validation",
        "recall_at_validation",
        "pointing",
        "cnr_signed",
    ),
    "phrase": ("cnr_signed", "miou_minmax", "pointing", "dice_at_validation"),
    "retrieval": ("i2t_r10", "i2t_r1", "i2t_r5", "i2t_median", "t2i_r1", "t2i_r5", "t2i_r10", "t2i_median"),
}
"""Kind to its metrics, the main one first."""


@dataclass(frozen=True)
class OwnTask:
    """A card that is to be written.

    Attributes:
        name: of the task, and of its file.
        text: the card.
        needs: films of which each part of the split needs one; empty where any film will do.
    """

    name: str
    text: str
    needs: frozenset[str] = frozenset()


def own_tasks(
    name: str, samples: Sequence[Sample], meaning: Meaning, labels: Sequence[str], boxed: Sequence[str]
) -> list[OwnTask]:
    """Make a card for each kind that the films allow.

    Args:
        name: what task names begin with.
        samples: all films.
        meaning: of the table.
        labels: which enough patients show and lack.
        boxed: labels of boxes.
    """
    official = any(sample.split for sample in samples)
    tasks = []

    def add(suffix: str, kind: str, title: str, of: Sequence[str], *more: str) -> None:
        needs = frozenset(s.id for s in samples if any(s.labels.get(label) == 1 for label in of))
        text = _card(kind, title, of, samples, official=official, more=more)
        tasks.append(OwnTask(f"{name}-{suffix}", text, needs if kind != "retrieval" else frozenset()))

    asks = f"prompts = {in_toml(name)}"
    if labels:
        add("cls", "classification", f"Findings, {name}", labels)
        add("zeroshot", "zero-shot", f"Findings without training, {name}", labels, asks)
    regions = [label for label in labels if label in meaning.drawn]
    regions += [label for label in labels if label in boxed and label not in regions]
    for label in regions:
        ending = "" if len(regions) == 1 else f"-{_word(label)}"
        if label in meaning.drawn:
            add(f"seg{ending}", "segmentation", f"{label}, outlined, {name}", [label], "eval_size = 256")
        add(
            f"ground{ending}",
            "grounding",
            f"{label}, found by its name, {name}",
            [label],
            asks,
            "eval_size = 256",
        )
    boxes = [label for label in labels if label in boxed]
    if boxes:
        add("det", "detection", f"Findings, boxed, {name}", boxes)
        add("phrase", "phrase", f"Boxes found by their labels, {name}", boxes, "eval_size = 256")
    if sum(bool(sample.report.strip()) for sample in samples) >= LEAST_REPORTS:
        known = next((label for sample in samples for label in sample.labels), "")
        add(
            "retrieval",
            "retrieval",
            f"Report of a film and film of a report, {name}",
            [known or "Report"],
            "unmentioned = 0",
            "uncertain = { default = 0 }",
        )
    return tasks


def _word(label: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-") or "region"


def _card(
    kind: str,
    title: str,
    labels: Sequence[str],
    samples: Sequence[Sample],
    *,
    official: bool,
    more: Sequence[str],
) -> str:
    train = sum(s.split == "train" for s in samples) if official else round(0.7 * len(samples))
    trained = kind in ("classification", "segmentation", "detection")
    fractions = [share for share, least in ((0.01, MANY), (0.1, SOME), (1.0, 0)) if train >= least]
    metrics = METRICS[kind]
    lines = [
        'version = "1.0"',
        f"title = {in_toml(title)}",
        f"kind = {in_toml(kind)}",
        'dataset = "folder"',
        f"labels = {in_toml(labels)}",
        f"metrics = {in_toml(metrics)}",
        f"main = {in_toml(metrics[0])}",
        f"fractions = {fractions if trained else [1.0]}",
        *more,
        "",
        "[split.clean]",
    ]
    if not official:
        ratios = [0.7, 0.15, 0.15] if trained else [0.2, 0.2, 0.6]
        return "\n".join([*lines, 'by = "patient"', f"ratios = {ratios}", ""])
    validated = any(s.split == "valid" for s in samples)
    return "\n".join([*lines, "official = true", *([] if validated else ["val_share = 0.2"]), ""])


def prompts_text(name: str, labels: Sequence[str]) -> str:
    """Write a prompt set that asks for each label by its name."""
    lines = [f"title = {in_toml(f'Labels of {name} by their names')}"]
    for label in labels:
        said = re.sub(r"[_\s]+", " ", label).strip()
        said = said if said.isupper() or any(c.isdigit() for c in said) else said.lower()
        positive = [f"There is {said}.", f"Findings consistent with {said}."]
        negative = [f"There is no {said}.", f"No evidence of {said}."]
        lines += [
            "",
            f"[label.{in_toml(label)}]",
            f"positive = {in_toml(positive)}",
            f"negative = {in_toml(negative)}",
        ]
    return "\n".join(lines) + "\n"
