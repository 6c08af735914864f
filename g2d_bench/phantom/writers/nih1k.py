"""The thousand open films: a clone's two folders, and the rows that ship with the suite for the real ones."""

from __future__ import annotations

from pathlib import Path

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.seeds import stream
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.cxr14 import HEADER
from g2d_bench.phantom.writers.files import age_of, encode, patient_number, write_bytes

COUNT = 1000
SIZE = 256
MISSED = 0.05
"""Share of the films with pneumonia whose report, and so whose label, does not mention it."""


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one PNG file; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    patient = patient_number(scene, 8)
    name = f"{patient:08d}_{scene.order:03d}.png"
    rng = stream("mined", scene.namespace, scene.seed, scene.index)
    ill = scene.has("Pneumonia") and rng.random() >= MISSED
    place = folder / "X-Ray Image DataSet" / ("Pneumonia" if ill else "No_findings")
    write_bytes(place / name, encode(phantom.image, "PNG"))
    row = (
        f"{name},{'Pneumonia' if ill else 'No Finding'},{scene.order},{patient},{age_of(scene)},"
        f"{scene.patient.sex},{scene.technique.view.split()[0]},2500,2048,0.168,0.168"
    )
    return {"row": row}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write the image table, as ChestX-ray14 has it."""
    text = "\n".join([HEADER, *sorted(item["row"] for item in items)]) + "\n"
    (folder / "Data_Entry_2017_v2020.csv").write_text(text, encoding="utf-8")
