"""The thousand films: in a clone, in a full ChestX-ray14, in any part of either."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from g2d_bench.data.splits import read_id_list
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.readers.base import PHANTOM_MARKER
from g2d_bench.readers.nih1k import ROWS, Nih1k
from g2d_bench.readers.registry import open_dataset
from g2d_bench.readers.tables import read_table

ILL, WELL = "00000061_012", "00001280_004"
CLONE = "X-Ray Image DataSet"


def film(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8)).save(path)


def test_rows_are_those_of_the_real_table(real_pack: Path) -> None:
    whole = read_table(real_pack / "annotations/nih/Data_Entry_2017_v2020.csv.gz", ("Image Index",))
    cells = {row["Image Index"]: row.cells for row in whole}
    mine = read_table(shipped("tasks") / ROWS, tuple(whole.columns))
    assert all(list(row.cells) == list(cells[row["Image Index"]]) for row in mine)
    assert len(mine) == 1000


def test_what_the_set_is(tmp_path: Path) -> None:
    samples = Nih1k(tmp_path).table_samples()
    assert len({sample.patient for sample in samples}) == 682
    ill = [sample for sample in samples if sample.labels["Pneumonia"]]
    well = [sample for sample in samples if not any(sample.labels.values())]
    assert (len(ill), len(well)) == (500, 500)
    # The task cards say so, too.
    assert Counter(sample.meta["view"] for sample in ill) == {"PA": 275, "AP": 225}
    assert Counter(sample.meta["view"] for sample in well) == {"PA": 158, "AP": 342}
    listed = read_id_list(shipped("tasks") / "splits" / "nih1k-clean.csv.gz")
    assert sorted(i for ids in listed.parts.values() for i in ids) == sorted(sample.id for sample in samples)


def test_a_clone(tmp_path: Path) -> None:
    root = tmp_path / "COVID-19"
    film(root / CLONE / "Pneumonia" / f"{ILL}.png")
    film(root / CLONE / "No_findings" / f"{WELL}.png")
    film(root / CLONE / "No_findings" / "other.png")
    film(root / CLONE / "Covid-19" / "x.jpeg")
    dataset = open_dataset("nih1k", tmp_path)
    samples = dataset.samples()
    assert [sample.id for sample in samples] == [f"{ILL}.png", f"{WELL}.png"]
    assert [sample.labels["Pneumonia"] for sample in samples] == [1, 0]
    assert samples[0].patient == "61"
    assert samples[0].meta["view"] == "AP"
    assert samples[0].path == root / CLONE / "Pneumonia" / f"{ILL}.png"
    assert dataset.remarks == [
        "1 image files are none of these films and are left out",
        "998 of the 1,000 films are not here: a part of the set",
    ]
    assert [path.name for path in dataset.beside()] == ["nih1k.csv"]


def test_a_chestxray14(tmp_path: Path) -> None:
    """Wherever its films lie, as PNG or not; its own tables are not needed, and not read."""
    root = tmp_path / "cxr14"
    film(root / "images_001" / "images" / f"{ILL}.png")
    film(root / "images_002" / "images" / f"{WELL}.jpg")
    film(root / "images_002" / "images" / "00000001_000.png")
    (root / "Data_Entry_2017_v2020.csv").write_text("broken")
    samples = open_dataset("nih1k", tmp_path).samples()
    assert [sample.id for sample in samples] == [f"{ILL}.png", f"{WELL}.png"]
    assert samples[1].path.suffix == ".jpg"


def test_what_is_wrong_costs_a_line(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(InputError, match=r"none of the 1,000 films is below\. git clone https"):
        Nih1k(tmp_path).samples()
    film(tmp_path / "images" / f"{ILL}.png")
    film(tmp_path / "more" / f"{ILL}.jpg")
    with pytest.raises(InputError, match=rf"{ILL}\.jpg: a second file for the same image, beside images/"):
        Nih1k(tmp_path).samples()


def test_a_generated_twin_brings_its_own_rows(tmp_path: Path) -> None:
    (tmp_path / PHANTOM_MARKER).write_text("{}")
    film(tmp_path / CLONE / "Pneumonia" / "90000001_000.png")
    header = next(csv.reader((shipped("tasks") / ROWS).open()))
    row = ["90000001_000.png", "Pneumonia", "0", "90000001", "40", "F", "PA", "9", "9", "1", "1"]
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text("\n".join(map(",".join, (header, row))) + "\n")
    dataset = Nih1k(tmp_path)
    assert [sample.id for sample in dataset.samples()] == ["90000001_000.png"]
    assert dataset.beside() == []


def test_the_pack(real_pack: Path) -> None:
    dataset = open_dataset("nih1k", real_pack)
    samples = dataset.samples()
    assert (len(samples), len({sample.patient for sample in samples})) == (594, 409)
    assert dataset.remarks == ["406 of the 1,000 films are not here: a part of the set"]
