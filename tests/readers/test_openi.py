"""Open-i: reports in XML, films under three names, and a table that says which are frontal."""

from __future__ import annotations

import math
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.openi import OpenI
from g2d_bench.readers.registry import find_dataset, open_dataset
from g2d_bench.readers.reports import report_text

XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <uId id="CXR{number}"/>
   <MedlineCitation><Article><Abstract>
      <AbstractText Label="COMPARISON"/>
      <AbstractText Label="INDICATION">Cough.</AbstractText>
      <AbstractText Label="FINDINGS">{findings}</AbstractText>
      <AbstractText Label="IMPRESSION">No acute disease &amp; no change.</AbstractText>
   </Abstract></Article></MedlineCitation>
   <MeSH>{headings}</MeSH>
   {films}
</eCitation>
"""
PROJECTIONS = "indiana_projections.csv"


def write(root: Path) -> Path:
    """Three visits: two films under names of the archive, two under Kaggle's, one that is not there."""
    folder = root / "openi"
    (folder / "ecgen-radiology").mkdir(parents=True)
    (folder / "png").mkdir()
    visits = {
        1: (["CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001"], ["normal"]),
        2: (["CXR2_IM-0652-1001", "CXR2_IM-0652-2001"], ["Cardiomegaly/borderline", "Cicatrix/lung"]),
        10: (["CXR10_IM-0002-1001"], ["No Indexing"]),
    }
    for number, (films, headings) in visits.items():
        text = XML.format(
            number=number,
            findings=f"The heart of visit {number} is normal.",
            headings="".join(f"<major>{heading}</major>" for heading in headings),
            films="".join(f'<parentImage id="{film}"><figureId>F</figureId></parentImage>' for film in films),
        )
        (folder / "ecgen-radiology" / f"{number}.xml").write_text(text)
    film = Image.new("L", (8, 8), 90)
    for name in ("CXR1_1_IM-0001-3001", "CXR1_1_IM-0001-4001", "2_IM-0652-1001.dcm", "2_IM-0652-2001.dcm"):
        film.save(folder / "png" / f"{name}.png")
    rows = ["uid,filename,projection", "1,1_IM-0001-4001.dcm.png,Frontal", "1,1_IM-0001-3001.dcm.png,Lateral"]
    rows.append("2,2_IM-0652-1001.dcm.png,Frontal")
    (folder / PROJECTIONS).write_text("\n".join(rows) + "\n")
    return folder


def test_films_reports_and_views(tmp_path: Path) -> None:
    write(tmp_path)
    dataset = open_dataset("openi", tmp_path)
    samples = {sample.id: sample for sample in dataset.samples()}
    assert list(samples) == sorted(samples)
    assert {name: sample.meta["view"] for name, sample in samples.items()} == {
        "CXR1_1_IM-0001-3001": "lateral",
        "CXR1_1_IM-0001-4001": "frontal",
        "CXR2_IM-0652-1001": "frontal",
        "CXR2_IM-0652-2001": "",
    }
    second = samples["CXR2_IM-0652-1001"]
    assert second.path.name == "2_IM-0652-1001.dcm.png"
    assert second.patient == "CXR2"
    assert {name for name, value in second.labels.items() if value == 1} == {"Cardiomegaly", "Scar"}
    assert second.labels["Normal"] == 0
    assert samples["CXR1_1_IM-0001-3001"].labels["Normal"] == 1
    assert report_text(second.report) == "No acute disease & no change. The heart of visit 2 is normal."
    assert dataset.remarks == [
        "1 images of the reports are not here and are left out",
        "1 images have no view in the table, so that no task takes them",
    ]
    nobody = next(sample for sample in dataset.table_samples() if sample.id == "CXR10_IM-0002-1001")
    assert all(math.isnan(value) for value in nobody.labels.values())


def test_the_table_made_from_pixels_serves_where_there_is_no_other(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / PROJECTIONS).unlink()
    (folder / "nlmcxr_tsne_pa.csv").write_text(
        "imageid,tsne-view\nCXR2_IM-0652-1001,PA\nCXR2_IM-0652-2001,L\n"
    )
    views = [sample.meta["view"] for sample in find_dataset("openi", [tmp_path]).samples()]
    assert views == ["", "", "frontal", "lateral"]


@pytest.mark.parametrize(
    ("file", "old", "new", "line"),
    [
        (PROJECTIONS, "Lateral", "Oblique", f"{PROJECTIONS}:3: projection: unknown value 'Oblique'"),
        (PROJECTIONS, "filename", "file", f"{PROJECTIONS}:1: filename: column is missing"),
        ("ecgen-radiology/2.xml", "</MeSH>", "", "2.xml:"),
        ("ecgen-radiology/2.xml", 'id="CXR2"', 'nr="2"', "2.xml: uId: has no number"),
        ("ecgen-radiology/2.xml", 'id="CXR2"', 'id="CXR1"', "2.xml: uId: CXR1 is the number of 1.xml, too"),
        (
            "ecgen-radiology/2.xml",
            "CXR2_IM-0652-1001",
            "CXR1_1_IM-0001-3001",
            "2.xml: parentImage: CXR1_1_IM-0001-3001 belongs to 1.xml, too",
        ),
        ("ecgen-radiology/2.xml", "CXR2_IM-0652-2001", "CXR2_IM-0652-1001", "an image stands twice"),
        ("ecgen-radiology/2.xml", "CXR2_IM-0652-2001", "", "an image has no id"),
    ],
)
def test_what_is_wrong_costs_one_line(tmp_path: Path, file: str, old: str, new: str, line: str) -> None:
    path = write(tmp_path) / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        open_dataset("openi", tmp_path).samples()
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_said_with_where_to_get_it(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for path in (folder / "png").iterdir():
        path.rename(path.with_suffix(".txt"))
    with pytest.raises(InputError, match=r"no image CXR1_1_IM-0001-3001 below .* \(5 of 5 images\)"):
        OpenI(folder).samples()
    for path in (folder / "ecgen-radiology").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"no report \(\*\.xml\)"):
        OpenI(folder).samples()
    (folder / PROJECTIONS).unlink()
    with pytest.raises(InputError, match="no table says which films are frontal"):
        OpenI(folder).samples()


def test_two_files_for_one_film(tmp_path: Path) -> None:
    folder = write(tmp_path)
    Image.new("L", (8, 8)).save(folder / "png" / "1_IM-0001-3001.dcm.png")
    with pytest.raises(InputError, match="a second file for the same image"):
        OpenI(folder).samples()


def test_the_real_reports(real_pack: Path, tmp_path: Path) -> None:
    """3,955 visits with 7,470 films; without images, so the tables alone are read."""
    with tarfile.open(real_pack / "annotations" / "nlmcxr" / "NLMCXR_reports.tgz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "nlmcxr_tsne_pa.csv").write_text("imageid,tsne-view\nCXR1_1_IM-0001-4001,PA\n")
    samples = OpenI(tmp_path).table_samples()
    assert len(samples) == len({sample.id for sample in samples}) == 7470
    visits = {sample.patient: sample for sample in samples}
    assert len(visits) == 3955 - 104  # as many have no film
    assert sum(sample.labels["Normal"] == 1 for sample in visits.values()) == 1379
    assert [sample.id for sample in samples if sample.meta["view"]] == ["CXR1_1_IM-0001-4001"]
    texts = {report_text(sample.report) for sample in samples if sample.report}
    assert 3000 < len(texts) < 3124


def test_the_table_of_views_may_lie_deeper(tmp_path: Path) -> None:
    folder = write(tmp_path)
    wanted = [sample.meta for sample in open_dataset("openi", tmp_path).samples()]
    (folder / "views").mkdir()
    (folder / PROJECTIONS).rename(folder / "views" / PROJECTIONS)
    assert [sample.meta for sample in open_dataset("openi", tmp_path).samples()] == wanted
    (folder / "views" / PROJECTIONS).rename(folder / "views" / "indiana_projections (1).csv")
    with pytest.raises(InputError, match=r"frontal; but .*indiana_projections \(1\)\.csv lies there"):
        OpenI(folder).samples()
