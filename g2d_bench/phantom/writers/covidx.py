"""COVIDx: lists without a header over images with the names of their sources."""

from __future__ import annotations

from pathlib import Path

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.labels import COVID
from g2d_bench.phantom.seeds import digest
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import (
    encode,
    number_of,
    patient_number,
    place_in_block,
    uuid_of,
    write_bytes,
)

COUNT = 3000
SIZE = 256


def _name(phantom: Phantom, covid: bool, test: bool) -> tuple[str, str, str]:
    """Patient, file name and source, in the style of one of the sources."""
    scene = phantom.scene
    patient = patient_number(scene, 8)
    if not covid:
        first = uuid_of(scene, patient=True)
        # Several images of a patient keep the patient's word; the list has a misspelt source.
        name = f"{first}.png" if scene.order == 0 else f"{first}-{scene.order}.png"
        typo = not test and number_of(scene, "typo", digits=3) < 15
        return first, name, "rnsa" if typo else "rsna"
    if test or digest("covidx source", scene.patient.uid, bits=32) % 20 < 2:
        word = f"419639-{patient}"
        return word, f"MIDRC-RICORD-1C-{word}-{10_000 + scene.index}-{scene.order}.png", "ricord"
    if digest("covidx source", scene.patient.uid, bits=32) % 20 < 4:
        return f"COVID_{scene.patient.number}", f"COVID({scene.index}).png", "sirm"
    word = f"A{patient}"
    day = 1 + number_of(scene, "day", digits=1)
    number = 10_000 + scene.index
    name = f"{word}-12-{day:02d}-1900-NA-CHEST_AP_VIEWONLY-{number}-1.000000-AP-{number}-1-1.jpg"
    return word, name, "stonybrook"


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write one image; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    test = place_in_block(scene) == 1
    word = COVID if scene.has(COVID) else "pneumonia" if scene.has("Pneumonia") else "normal"
    patient, name, source = _name(phantom, scene.has(COVID), test)
    part = "test" if test else "train"
    write_bytes(folder / part / name, encode(phantom.image, "JPEG" if name.endswith("jpg") else "PNG"))
    return {"part": part, "row": f"{patient} {name} {word} {source}"}


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write ``train_COVIDx9A.txt`` and ``test_COVIDx9A.txt``."""
    for part in ("train", "test"):
        rows = [item["row"] for item in items if item["part"] == part]
        rows.sort(key=lambda row: digest("covidx order", row, bits=64))
        (folder / f"{part}_COVIDx9A.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
        (folder / part).mkdir(exist_ok=True)
