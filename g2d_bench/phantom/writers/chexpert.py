"""CheXpert in its small version, with the test labels as published later, keyed by study."""

from __future__ import annotations

from pathlib import Path

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.labels import CHEXPERT, chexpert_labels
from g2d_bench.phantom.reports import write_report
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import (
    age_of,
    csv_text,
    encode,
    number_of,
    patient_number,
    place_in_block,
    write_bytes,
)

COUNT = 3600
SIZE = 256
RELEASE = "CheXpert-v1.0-small"
HEADER = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *CHEXPERT)


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one JPEG file; see :mod:`g2d_bench.phantom.writers`.

    Labels of the train part are read off an unseen report, with its omissions and hedges; the other two parts
    have the truth.
    """
    scene = phantom.scene
    part = {1: "test", 3: "valid"}.get(place_in_block(scene), "train")
    study = f"{part}/patient{patient_number(scene, 8)}/study{scene.order + 1}"
    place = f"{study}/view1_frontal.jpg"
    write_bytes(folder / RELEASE / place, encode(phantom.image, "JPEG", 88))
    labels: dict[str, int] = chexpert_labels(scene.labels)
    if part == "train":
        labels = dict(write_report(scene).mentions)
        if labels.get("No Finding") == 0:
            del labels["No Finding"]
    sex = (
        "Unknown"
        if number_of(scene, "sex", digits=4) == 0
        else "Male"
        if scene.patient.sex == "M"
        else "Female"
    )
    age = 0 if number_of(scene, "age", digits=4) == 0 else min(age_of(scene), 90)
    return {
        "part": part,
        "study": study,
        "row": [f"{RELEASE}/{place}", sex, age, "Frontal", scene.technique.view.split()[0]],
        "labels": labels,
    }


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write ``train.csv`` and ``valid.csv`` by image and ``groundtruth.csv`` by study."""
    items = sorted(items, key=lambda item: str(item["row"][0]))
    base = folder / RELEASE
    base.mkdir(exist_ok=True)
    for part in ("train", "valid"):
        rows = [
            [
                *item["row"],
                *(f"{item['labels'][name]:.1f}" if name in item["labels"] else "" for name in CHEXPERT),
            ]
            for item in items
            if item["part"] == part
        ]
        (base / f"{part}.csv").write_text(csv_text([HEADER, *rows]), encoding="utf-8")
    studies = [
        [f"CheXpert-v1.0/{item['study']}", *(item["labels"][name] for name in CHEXPERT)]
        for item in items
        if item["part"] == "test"
    ]
    (base / "groundtruth.csv").write_text(csv_text([("Study", *CHEXPERT), *studies]), encoding="utf-8")
