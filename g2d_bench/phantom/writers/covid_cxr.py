"""COVID-19 Image Data Collection: a clone's layout, with lung masks and lung boxes for some images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from g2d_bench.phantom.generate import Phantom, mask_box
from g2d_bench.phantom.labels import COVID, DEVICES, OBJECT
from g2d_bench.phantom.reports import write_report
from g2d_bench.phantom.seeds import digest
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import age_of, csv_text, encode, number_of, patient_number, write_bytes

COUNT = 2000
SIZE = 256
HEADER = (
    "patientid,offset,sex,age,finding,survival,intubated,intubation_present,went_icu,in_icu,"
    "needed_supplemental_O2,extubated,temperature,pO2_saturation,leukocyte_count,neutrophil_count,"
    "lymphocyte_count,view,modality,date,location,folder,filename,doi,url,license,clinical_notes,"
    "other_notes,Unnamed: 28"
)
COLUMNS = tuple(HEADER.split(","))
GERMS = (
    "Pneumonia/Bacterial/Streptococcus",
    "Pneumonia/Bacterial/Klebsiella",
    "Pneumonia/Viral/Varicella",
    "Pneumonia",
    "Pneumonia/Fungal/Pneumocystis",
    "Pneumonia/Bacterial/Legionella",
)
MASKED, BOXED = 70, 50
"""Share of the images, in percent, with a lung mask and with lung boxes."""


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one image and, for some, its lung mask; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    patient = patient_number(scene, 7)
    jpeg = number_of(scene, "format", digits=1) < 6
    word = digest("covid file", scene.namespace, scene.seed, scene.index, bits=32)
    stem = f"{word:08x}-{patient}-{scene.order}"
    name = f"{stem}.{'jpg' if jpeg else 'png'}"
    write_bytes(folder / "images" / name, encode(phantom.image, "JPEG" if jpeg else "PNG"))
    if number_of(scene, "mask", digits=2) < MASKED:
        # As the collection's outlines: with the lung behind the heart.
        both = np.logical_or(*(phantom.whole_lungs[side] for side in ("right", "left")))
        content = encode(both.astype(np.uint8) * 255, "PNG")
        write_bytes(folder / "annotations" / "v7labs-lung-masks" / f"{stem}.png", content)
    boxes = []
    if number_of(scene, "boxes", digits=2) < BOXED:
        for category, side in ((1, "right"), (2, "left")):
            box = mask_box(phantom.whole_lungs[side], side)
            if box is not None:
                boxes.append([category, box.x, box.y, box.w, box.h])
    if scene.has(COVID):
        finding = "Pneumonia/Viral/COVID-19"
    elif scene.has("Pneumonia"):
        finding = GERMS[digest("germ", scene.patient.uid, bits=32) % len(GERMS)]
    else:
        finding = "Unknown" if scene.labels - {DEVICES, OBJECT} else "No Finding"
    sections = write_report(scene).sections
    row = dict.fromkeys(COLUMNS, "") | {
        "patientid": str(patient),
        "offset": f"{3 * scene.order}.0",
        "sex": scene.patient.sex,
        "age": f"{age_of(scene)}.0",
        "finding": finding,
        "view": "AP Supine" if scene.supine else scene.technique.view,
        "modality": "X-ray",
        "date": "2020",
        "folder": "images",
        "filename": name,
        "license": "CC BY-NC-SA",
        "clinical_notes": sections.get("impression") or sections.get("findings", ""),
        "other_notes": "g2d-bench phantom",
    }
    return {"row": row, "boxes": boxes, "size": phantom.image.shape, "finding": finding.split("/")}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write ``metadata.csv``, with rows of other modalities between, and the COCO file of lung boxes."""
    rows: list[list[str]] = [list(COLUMNS)]
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number, item in enumerate(items):
        row = item["row"]
        rows.append([row[name] for name in COLUMNS])
        if number % 40 == 7:
            # As in the collection, a patient may have a CT volume, which is no radiograph.
            volume = row | {
                "modality": "CT",
                "view": "Axial",
                "folder": "volumes",
                "filename": f"{row['patientid']}_ct.nii.gz",
            }
            rows.append([volume[name] for name in COLUMNS])
        if item["boxes"]:
            images.append(
                {
                    "license": 1,
                    "file_name": row["filename"],
                    "height": item["size"][0],
                    "width": item["size"][1],
                    "id": number,
                }
            )
            for category, *bbox in item["boxes"]:
                annotations.append(
                    {
                        "image_id": number,
                        "bbox": bbox,
                        "id": len(annotations) + 1,
                        "category_id": category,
                        "attributes": {
                            "Finding": item["finding"],
                            "Modality": ["X-Ray"],
                            "View": [row["view"]],
                        },
                    }
                )
    (folder / "metadata.csv").write_text(csv_text(rows), encoding="utf-8")
    names = ("Right Lung", "Left Lung")
    categories = [
        {"supercategory": "Lungs", "id": place, "name": name} for place, name in enumerate(names, 1)
    ]
    content = json.dumps({"categories": categories, "images": images, "annotations": annotations})
    place = folder / "annotations"
    place.mkdir(exist_ok=True)
    (place / "imageannotation_ai_lung_bounding_boxes.json").write_text(content, encoding="utf-8")
