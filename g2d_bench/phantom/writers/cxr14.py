"""ChestX-ray14: PNG files, labels mined from reports, the two lists, and boxes for some test images."""

from __future__ import annotations

from pathlib import Path

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.labels import CXR14
from g2d_bench.phantom.scene import Scene
from g2d_bench.phantom.seeds import digest, stream
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import age_of, encode, patient_number, place_in_block, write_bytes

COUNT = 4000
SIZE = 256
BOXED = {
    "Atelectasis": "Atelectasis",
    "Cardiomegaly": "Cardiomegaly",
    "Effusion": "Effusion",
    "Infiltration": "Infiltrate",
    "Mass": "Mass",
    "Nodule": "Nodule",
    "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}
"""Labels with boxes, and how the box table spells them."""

HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)


def mined_labels(scene: Scene) -> list[str]:
    """Labels as mined from text: one in sixteen is missed, and airspace words are taken for one another."""
    rng = stream("mined", scene.namespace, scene.seed, scene.index)
    found = set()
    for label in CXR14:
        draw = rng.random(2)
        if label in scene.labels and draw[0] > 0.06:
            blurred = label in ("Consolidation", "Pneumonia") and draw[1] < 0.12
            found.add("Infiltration" if blurred else label)
    return sorted(found)


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one PNG file; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    patient = patient_number(scene, 8)
    name = f"{patient:08d}_{scene.order:03d}.png"
    write_bytes(folder / "images" / name, encode(phantom.image, "PNG"))
    labels = mined_labels(scene)
    part = "test" if place_in_block(scene) in (1, 4) else "train"
    boxes = []
    # The release has boxes for one test image in 29; more here, so that small sets have some.
    if part == "test" and digest("cxr14 box", name, bits=32) % 100 < 30:
        for finding, found in zip(scene.findings, phantom.finding_boxes, strict=True):
            if finding.label in BOXED and finding.label in labels and finding.side != "bilateral":
                boxes += [(BOXED[finding.label], box.x, box.y, box.w, box.h) for box in found]
    wide = 2500 if digest("cxr14 format", name, bits=32) % 4 else 2048
    spacing = "0.168" if wide == 2500 else "0.171"
    words = "|".join(labels) or "No Finding"
    row = (
        f"{name},{words},{scene.order},{patient},{age_of(scene)},{scene.patient.sex},"
        f"{scene.technique.view.split()[0]},{wide},{4548 - wide},{spacing},{spacing}"
    )
    return {"name": name, "row": row, "part": part, "boxes": boxes}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write the image table, the box table with its odd header, and the two lists."""
    items = sorted(items, key=lambda item: str(item["name"]))
    table = "\n".join([HEADER, *(item["row"] for item in items)]) + "\n"
    (folder / "Data_Entry_2017_v2020.csv").write_text(table, encoding="utf-8")
    boxes = sorted((label, item["name"], *xywh) for item in items for label, *xywh in item["boxes"])
    lines = [
        f"{name},{label},{','.join(f'{value + 0.000135:.12f}' for value in xywh[:2])},"
        f"{','.join(f'{value - 0.00027:.12f}' for value in xywh[2:])},,,"
        for label, name, *xywh in boxes
    ]
    if lines:
        text = "\n".join(["Image Index,Finding Label,Bbox [x,y,w,h],,,", *lines]) + "\n"
        (folder / "BBox_List_2017.csv").write_text(text, encoding="utf-8")
    for part, name in (("train", "train_val_list.txt"), ("test", "test_list.txt")):
        names = [item["name"] for item in items if item["part"] == part]
        (folder / name).write_text("\n".join(names), encoding="utf-8")
