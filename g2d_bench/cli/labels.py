"""Which labels the tasks use, and what becomes of the "25 diseases" of the G2D paper."""

from __future__ import annotations

from typing import Any

from g2d_bench.cards.catalogue import Catalogue

SAME = {"Effusion": "Pleural Effusion"}
"""Names of one finding in different data sets."""

NO_DISEASE = ("Foreign object", "Heart", "Left Lung", "Lung", "No Finding", "Normal", "Right Lung")
"""Labels that name an absence, an organ or a thing."""

PAPER = "G2D, NeurIPS 2024"


def label_rows(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return one row per label: the finding it stands for, the data sets in which G2D has it, its tasks."""
    tasks: dict[str, list[str]] = {}
    for card in catalogue.tasks:
        for label in card.labels:
            tasks.setdefault(label, []).append(card.name)
    paper = _of_the_paper(catalogue)
    return [
        {
            "label": label,
            "finding": "(no disease)" if label in NO_DISEASE else SAME.get(label, label),
            "in the G2D paper": ", ".join(name for name, labels in paper.items() if label in labels),
            "tasks": ", ".join(tasks[label]),
        }
        for label in sorted(tasks)
    ]


def label_summary(catalogue: Catalogue) -> str:
    """Resolve the paper's "25 diseases" from the cards of the tasks that it reports."""
    paper = _of_the_paper(catalogue)
    everything = [label for labels in paper.values() for label in labels]
    diseases = {SAME.get(label, label) for label in everything if label not in NO_DISEASE}
    others = sorted({label for label in everything if label in NO_DISEASE})
    parts = " + ".join(f"{name} {len(labels)}" for name, labels in paper.items())
    return (
        f'The "25 diseases" of the G2D paper, which does not list them: {parts} = {len(everything)} labels, '
        f"repeats counted.\nDistinct diseases among them: {len(diseases)} ({', '.join(sorted(diseases))}).\n"
        f"No diseases: {', '.join(others)}. The sum is our reading; the paper gives only the number."
    )


def _of_the_paper(catalogue: Catalogue) -> dict[str, list[str]]:
    """Data set to its labels, over the tasks whose cards name the paper; most labels first."""
    found: dict[str, list[str]] = {}
    for card in catalogue.tasks:
        if any(text.startswith(PAPER) for text in card.papers):
            known = found.setdefault(card.dataset, [])
            known += [label for label in card.labels if label not in known]
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))
