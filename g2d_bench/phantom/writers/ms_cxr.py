"""MS-CXR 1.1.0: phrases and boxes, with the MIMIC-CXR-JPG images that they lie on."""

from __future__ import annotations

import json
from pathlib import Path

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.seeds import digest
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import csv_text, encode, write_bytes
from g2d_bench.phantom.writers.mimic_cxr import identity

COUNT = 2000
SIZE = 256
CATEGORIES = {
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Consolidation": "Consolidation",
    "Edema": "Edema",
    "Infiltration": "Lung Opacity",
    "Effusion": "Pleural Effusion",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}
"""Drawn label to category."""

NAMES = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Lung Opacity",
    "Pleural Effusion",
    "Pneumonia",
    "Pneumothorax",
)
LEAST = 6
"""Boxes narrower or lower than this many pixels at 256 are not drawn."""


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one image if a phrase lies on it; see :mod:`g2d_bench.phantom.writers`."""
    subject, study, dicom = identity(phantom)
    height, width = phantom.image.shape
    rows: list[dict[str, object]] = []
    for phrase in phantom.phrases:
        name = CATEGORIES.get(phrase.boxes[0].label)
        least = LEAST * max(height, width) / 256
        boxes = [[int(b.x), int(b.y), int(b.w), int(b.h)] for b in phrase.boxes if min(b.w, b.h) >= least]
        if name and boxes and all(row["text"] != phrase.text for row in rows):
            rows.append({"category": name, "text": phrase.text, "boxes": boxes})
    place = f"files/p{str(subject)[:2]}/p{subject}/s{study}/{dicom}.jpg"
    if rows:
        write_bytes(folder / place, encode(phantom.image, "JPEG"))
    return {"dicom": dicom, "path": place, "size": (height, width), "rows": rows, "subject": subject}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write the CSV and the COCO form."""
    items = sorted((item for item in items if item["rows"]), key=lambda item: str(item["dicom"]))
    lines: list[list[object]] = []
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, item in enumerate(items, 1):
        split = ("train", "val", "test")[digest("ms-cxr split", item["subject"], bits=32) % 3]
        height, width = item["size"]
        images.append(
            {
                "file_name": f"{item['dicom']}.jpg",
                "height": height,
                "width": width,
                "id": number,
                "path": item["path"],
                "num_annotations": sum(len(row["boxes"]) for row in item["rows"]),
            }
        )
        for row in item["rows"]:
            for x, y, w, h in row["boxes"]:
                lines.append(
                    [
                        *(item["dicom"], row["category"], row["text"], item["path"]),
                        *(x, y, w, h, width, height, split),
                    ]
                )
                annotations.append(
                    {
                        "area": w * h,
                        "bbox": [x, y, w, h],
                        "category_id": NAMES.index(row["category"]) + 1,
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "iscrowd": 0,
                        "label_text": row["text"],
                        "segmentation": [],
                    }
                )
    lines.sort(key=lambda line: (str(line[1]), str(line[0])))
    header = [
        "dicom_id",
        "category_name",
        "label_text",
        "path",
        "x",
        "y",
        "w",
        "h",
        "image_width",
        "image_height",
        "split",
    ]
    (folder / "MS_CXR_Local_Alignment_v1.1.0.csv").write_text(csv_text([header, *lines]), encoding="utf-8")
    coco = {
        "info": {"description": "g2d-bench phantom"},
        "licenses": [],
        "categories": [
            {"id": place, "name": name, "supercategory": ""} for place, name in enumerate(NAMES, 1)
        ],
        "images": images,
        "annotations": annotations,
    }
    (folder / "MS_CXR_Local_Alignment_v1.1.0.json").write_text(json.dumps(coco, indent=1), encoding="utf-8")
