from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box
from g2d_bench.readers.covid_cxr import CovidCxr

COLUMNS = [
    *("patientid", "sex", "age", "finding", "view", "modality", "folder", "filename", "clinical_notes", "")
]
BOXES = "annotations/imageannotation_ai_lung_bounding_boxes.json"
Row = dict[str, str]


def row(name: str, patient: str, **values: str) -> Row:
    given: Row = {"finding": "COVID-19", "view": "PA", "modality": "X-ray", "folder": "images"}
    return given | {"filename": name, "patientid": patient} | values


def write(root: Path, rows: list[Row], columns: list[str] = COLUMNS) -> Path:
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return root


def boxes(root: Path, **change: object) -> None:
    content = {
        "images": [{"id": 7, "file_name": "b.jpg", "width": 30, "height": 20}],
        "categories": [
            {"id": 1, "name": "Right Lung"},
            {"id": 2, "name": "Left Lung"},
            {"id": 3, "name": "Liver"},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "bbox": [2.0, 3.0, 8.0, 10.0]},
            {"id": 2, "image_id": 7, "category_id": 2, "bbox": [15.5, 3, 9.5, 12]} | change,
        ],
    }
    (root / BOXES).write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images of 20 x 30 pixels, two with lung masks, one with boxes; a CT slice and a lateral film."""
    for folder in ("images", "annotations/v7labs-lung-masks", "annotations/lungVAE-masks"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("a.png", "b.jpg", "c.x.png"):
        Image.fromarray(np.full((20, 30), 90, np.uint8)).save(tmp_path / "images" / name)
    mask = np.zeros((20, 30), np.bool_)
    mask[5:15, 4:12] = True
    Image.fromarray(mask).save(tmp_path / "annotations/v7labs-lung-masks/a.png")
    Image.fromarray(~mask).save(tmp_path / "annotations/lungVAE-masks/a_mask.png")
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "annotations/lungVAE-masks/c.x_mask.png")
    boxes(tmp_path)
    rows = [
        row("b.jpg", "12", sex="F", age="40", clinical_notes="Opacity on the left."),
        row("a.png", "9", finding="Pneumonia/Viral/Influenza/H1N1", view="AP Supine"),
        row("c.x.png", "12", finding="No finding", view="AP semi erect"),
        row("missing.jpg", "3", modality="CT", view="Axial"),
        row("lateral.jpg", "12", view="L"),
    ]
    return write(tmp_path, rows)


def test_samples(root: Path) -> None:
    data = CovidCxr(root)
    a, b, c = data.samples()
    assert [s.id for s in (a, b, c)] == ["a.png", "b.jpg", "c.x.png"]
    assert [s.patient for s in (a, b, c)] == ["9", "12", "12"]
    assert b.report == "Opacity on the left."
    assert b.meta == {"sex": "F", "age": "40", "view": "PA", "finding": "COVID-19", "pneumonia": "yes"}
    assert b.boxes == (Box("Right Lung", 2, 3, 8, 10), Box("Left Lung", 15.5, 3, 9.5, 12))
    lungs = [[s.labels.get(name) for name in ("Lung", "Left Lung", "Right Lung")] for s in (a, b, c)]
    assert lungs == [[1, None, None], [None, 1, 1], [1, None, None]]
    positive = [{name for name in data.labels[3:] if s.labels[name] == 1} for s in (a, b, c)]
    assert positive == [
        {"Pneumonia", "Viral", "Influenza", "H1N1"},
        {"Pneumonia", "Viral", "COVID-19"},
        {"No Finding"},
    ]
    assert set(a.labels) | set(b.labels) == set(data.labels)


def test_masks(root: Path) -> None:
    data = CovidCxr(root)
    a, b, c = data.samples()
    for sample in (a, c):  # drawn masks go before those of a model
        mask = data.read_mask(sample, (20, 30), "Lung")
        assert (np.argwhere(mask).min(0).tolist(), np.argwhere(mask).max(0).tolist()) == ([5, 4], [14, 11])
        assert mask.sum() == 80
    left = data.read_mask(b, (20, 30), "Left Lung")
    assert (np.argwhere(left).min(0).tolist(), np.argwhere(left).max(0).tolist()) == ([3, 16], [14, 24])
    for sample, label in ((b, "Lung"), (a, "Left Lung"), (a, "COVID-19")):
        with pytest.raises(InputError, match=f"{sample.id}: no mask of '{label}'"):
            data.read_mask(sample, (20, 30), label)
    with pytest.raises(InputError, match=r"a\.png: mask has 30x20 pixels, image a\.png has 29x20"):
        data.read_mask(a, (20, 29), "Lung")


def test_a_case_entered_twice(root: Path) -> None:
    twice = [
        row("b.jpg", "100", clinical_notes="39\ufffd C"),
        row("b.jpg", "20", clinical_notes="39° C"),
        row("a.png", "20"),
        row("c.x.png", "100", finding="COVID-19, ARDS"),
    ]
    a, b, c = CovidCxr(write(root, twice)).samples()
    assert [s.patient for s in (a, b, c)] == ["20", "20", "20"]
    assert b.report == "39° C"
    assert c.labels["ARDS"] == c.labels["COVID-19"] == 1
    for column, value in (("finding", "SARS"), ("view", "AP"), ("folder", "volumes")):
        write(root, [twice[0], twice[1] | {column: value}])
        with pytest.raises(InputError, match=rf"metadata.csv:3: {column}: '{value}', but .* in row 2"):
            CovidCxr(root).samples()


@pytest.mark.parametrize("finding", ["Unknown", "todo"])
def test_unknown_finding_gives_no_labels(root: Path, finding: str) -> None:
    assert set(CovidCxr(write(root, [row("a.png", "1", finding=finding)])).samples()[0].labels) == {"Lung"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"finding": "Pneumonia/Viral/COVID-20"},
            r"metadata.csv:2: finding: .*'covid-20'.*did you mean 'covid-19'",
        ),
        ({"finding": ""}, "metadata.csv:2: finding"),
        ({"filename": "z.png"}, r"metadata.csv:2: filename: no image .*z\.png"),
        ({"filename": ""}, "metadata.csv:2: filename"),
        ({"patientid": ""}, "metadata.csv:2: patientid"),
        ({"view": "L"}, "metadata.csv: view: no frontal radiograph"),
    ],
)
def test_malformed_rows(root: Path, change: Row, message: str) -> None:
    with pytest.raises(InputError, match=message):
        CovidCxr(write(root, [row("a.png", "1") | change])).samples()


def test_malformed_table(root: Path) -> None:
    write(root, [row("a.png", "1")], columns=[c for c in COLUMNS if c != "finding"])
    with pytest.raises(InputError, match=r"metadata.csv.*finding"):
        CovidCxr(root).samples()
    (root / "metadata.csv").unlink()
    with pytest.raises(InputError, match=r"Clone https://github.com"):
        CovidCxr(root).samples()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": 8}, "annotation 2: image 8 is not listed"),
        ({"category_id": 3}, "annotation 2: category 3 is no lung"),
        ({"category_id": 9}, "annotation 2: category 9 is no lung"),
        ({"bbox": [1, 2, 3]}, "annotation 2: bbox .* is not four numbers"),
        ({"bbox": [1, 2, "x", 4]}, "annotation 2: bbox .* is not four numbers"),
        ({"bbox": [1, 2, 0, 4]}, "annotation 2: bbox .* is empty"),
        ({"bbox": [1, 2, 3, -4]}, "annotation 2: bbox .* is empty"),
        ({"bbox": [-1, 2, 3, 4]}, "annotation 2: bbox .* not in 30x20"),
        ({"bbox": [20, 2, 12, 4]}, "annotation 2: bbox .* not in 30x20"),
        ({"bbox": [20, 2, float("nan"), 4]}, "annotation 2: bbox .* is empty"),
        ({"id": "two"}, "not a COCO file"),
    ],
)
def test_malformed_boxes(root: Path, change: dict[str, object], message: str) -> None:
    boxes(root, **change)
    with pytest.raises(InputError, match=f"bounding_boxes.json: {message}"):
        CovidCxr(root).samples()


@pytest.mark.parametrize("content", ["{", "[]", '{"images": []}', '{"images": [{}]}'])
def test_boxes_of_another_kind(root: Path, content: str) -> None:
    (root / BOXES).write_text(content)
    with pytest.raises(InputError, match="not a COCO file"):
        CovidCxr(root).samples()


def test_boxes_may_be_missing(root: Path) -> None:
    (root / BOXES).unlink()
    assert not any(sample.boxes for sample in CovidCxr(root).samples())


def test_the_real_pack(real_pack: Path) -> None:
    data = CovidCxr(real_pack / "covid-cxr")
    samples = data.samples()
    assert len(samples) == 165  # of 169 rows: four files stand twice, under two patient numbers
    assert len({s.patient for s in samples}) == 96  # of 98 numbers
    count = Counter(label for s in samples for label, value in s.labels.items() if value == 1)
    wanted = {"Lung": 117, "Left Lung": 40, "Right Lung": 40, "COVID-19": 117, "ARDS": 8, "No Finding": 7}
    assert {label: count[label] for label in wanted} == wanted
    for sample in [s for s in samples if s.annotation][::10]:
        image = data.read_image(sample)
        assert 0.1 < data.read_mask(sample, (image.shape[0], image.shape[1]), "Lung").mean() < 0.8


def test_films_without_a_row_are_counted(root: Path) -> None:
    """A table that was cut short would else halve the data without a word."""
    for name in ("strange.png", "lateral.jpg"):
        Image.fromarray(np.full((20, 30), 90, np.uint8)).save(root / "images" / name)
    dataset = CovidCxr(root)
    assert len(dataset.samples()) == 3
    assert "1 image files have no row in metadata.csv and are left out" in dataset.remarks
