"""Phrases on a tiny covid-cxr release (two lungs, a box each) and on made-up samples."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from g2d_bench.adapters import phrase
from g2d_bench.adapters.base import Job, adapter, run_jobs
from g2d_bench.adapters.heat import region
from g2d_bench.adapters.pointer import Pointer
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Phrase, Sample
from g2d_bench.readers.images import Letterbox
from g2d_bench.records.cell import Cell
from g2d_bench.records.recompute import recompute

WIDE, HIGH = 64, 48
CELL = Cell(task="covid-cxr-phrase", fraction=1.0, protocol="clean", seed=0, encoder="convirt")


def write_covid(root: Path, count: int = 40) -> None:
    """Dark films, wider than high, with two bright lungs; the patient's left is on the right."""
    generator = np.random.default_rng(2)
    folder = root / "covid-cxr"
    (folder / "images").mkdir(parents=True)
    (folder / "annotations").mkdir()
    rows = [
        ["patientid", "sex", "age", "finding", "view", "modality", "folder", "filename", "clinical_notes"]
    ]
    images, annotations = [], []
    for n in range(count):
        pixels = generator.normal(70, 5, (HIGH, WIDE))
        for category, left in ((1, 8), (2, 40)):
            top = 8 * int(generator.integers(0, 3))
            pixels[top : top + 24, left : left + 16] += 140
            box = [left, top, 16, 24]
            annotations.append({"id": 2 * n + category, "image_id": n, "category_id": category, "bbox": box})
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"f{n}.png")
        rows.append([str(n), "M", "50", "No Finding", "PA", "X-ray", "images", f"f{n}.png", "note"])
        images.append({"id": n, "file_name": f"f{n}.png", "width": WIDE, "height": HIGH})
    with (folder / "metadata.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    categories = [{"id": 1, "name": "Right Lung"}, {"id": 2, "name": "Left Lung"}]
    content = {"images": images, "categories": categories, "annotations": annotations}
    (folder / "annotations" / "imageannotation_ai_lung_bounding_boxes.json").write_text(json.dumps(content))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Bench:
    root = tmp_path_factory.mktemp("data")
    write_covid(root)
    return Bench(Settings(data_root=root, results=root / "runs"))


def make_job(bench: Bench, encoder: Encoder) -> Job:
    return Job(
        task=bench.catalogue.tasks["covid-cxr-phrase"],
        protocol=bench.catalogue.protocols["clean"],
        data=bench.resolve(CELL).data(),
        encoder=encoder,
        seed=0,
        with_decoder=False,
        memory_budget=1,
    )


def test_who_follows_the_words_finds_the_lung(bench: Bench, told: Callable[..., Encoder]) -> None:
    job = make_job(bench, told(WIDE))
    right = phrase.run(job)
    wrong = phrase.run(make_job(bench, told(WIDE, wrong=True)))
    assert right.metrics["pointing"] == 1
    assert right.metrics["dice_at_validation"] > 0.7
    assert right.metrics["cnr_signed"] > 1
    assert wrong.metrics["cnr_signed"] == pytest.approx(-right.metrics["cnr_signed"], rel=1e-3)
    assert wrong.metrics["pointing"] == 0
    # The lungs hardly move, so a map of their side beats one of both, which beats nothing.
    blind, sided = (right.references[name] for name in ("centre-prior", "category-prior"))
    assert sided["cnr_signed"] > blind["cnr_signed"] > 0
    assert sided["miou_minmax"] > blind["miou_minmax"]

    stored = right.predictions
    assert len(stored["id"]) == 2 * len(job.data.test)
    assert sorted(set(stored["id"].tolist())) == sorted(job.data.test)
    assert set(zip(stored["category"].tolist(), stored["text"].tolist(), strict=True)) == {
        ("Left Lung", "left lung"),
        ("Right Lung", "right lung"),
    }
    # 16 x 24 pixels, four times as large on the grid of 256.
    assert set(stored["true"].tolist()) == {64 * 96}
    assert {name: recompute(name, stored) for name in right.metrics} == pytest.approx(right.metrics)
    assert right.notes["phrases"]["test"] == len(stored["id"])


def test_every_map_belongs_to_its_phrase(bench: Bench, narrow: Callable[..., Encoder]) -> None:
    encoder = narrow("mgca")
    job = make_job(bench, encoder)
    asked = [
        phrase.Query(image, "Left Lung", text, ())
        for image, text in zip(
            (*job.data.test[:3], job.data.test[0], job.data.test[1]),
            ("left lung", "clear", "left lung", "There is no opacity, left.", "left lung"),
            strict=True,
        )
    ]
    heats = Pointer.of(job).by_phrases([(query.image, query.text) for query in asked])
    # The plain loop runs on the processor, whatever made the maps.
    encoder.to(torch.device("cpu"))
    pixels = job.data.pixels(64)
    assert encoder.text is not None
    assert encoder.heads is not None
    assert not np.allclose(heats[0], heats[3], atol=1e-3)
    for query, heat in zip(asked, heats, strict=True):
        image = torch.from_numpy(np.array(pixels.pixels[pixels.rows([query.image])]))
        tokens = encoder.text.tokenize([query.text.lower().replace(",", "").replace(".", "")])
        with torch.no_grad():
            seen = encoder.heads.embed_image(encoder.image(encoder.preprocess(image)))
            text = encoder.heads.embed_text(encoder.text(tokens), tokens)
            expected = encoder.heads.local_map(seen, text)[0].numpy()
        np.testing.assert_allclose(heat, expected, atol=2e-5)


def sample(*phrases: Phrase, boxes: tuple[Box, ...] = ()) -> Sample:
    return Sample(id="i", patient="p", path=Path("x"), phrases=phrases, boxes=boxes)


def test_phrases_go_before_boxes_and_only_the_task_s_labels_count() -> None:
    edema, mass = Box("Edema", 0, 0, 2, 2), Box("Mass", 1, 1, 2, 2)
    both = sample(Phrase("mild edema", (edema, edema)), Phrase("a mass", (mass,)), Phrase("nothing", ()))
    assert [q.text for q in phrase.queries(both, ["Edema"])] == ["mild edema"]
    assert phrase.queries(both, ["Edema"])[0].boxes == (edema, edema)
    assert [q.category for q in phrase.queries(both, ["Mass", "Edema"])] == ["Edema", "Mass"]
    bare = sample(boxes=(mass, edema, mass))
    assert [(q.text, len(q.boxes)) for q in phrase.queries(bare, ["Edema", "Mass"])] == [
        ("edema", 1),
        ("mass", 2),
    ]
    assert phrase.queries(sample(), ["Edema"]) == []


def test_regions_on_the_grid() -> None:
    box = Letterbox.of((HIGH, WIDE), 64)
    mask = region([Box("A", 0, 0, 10, 4), Box("A", 5, 2, 10, 4)], box)
    expected = np.zeros((64, 64), bool)
    expected[8:12, :10] = True  # 8 rows of padding above
    expected[10:14, 5:15] = True
    np.testing.assert_array_equal(mask, expected)
    # A box between two pixel centres must not turn a phrase into one without a region.
    tiny = region([Box("A", 10.6, 10.6, 0.2, 0.2)], box)
    assert np.argwhere(tiny).tolist() == [[18, 10]]
    corner = region([Box("A", 63.8, 47.8, 0.2, 0.2)], Letterbox.of((HIGH, WIDE), 32))
    assert corner.sum() == 1


def test_a_part_without_phrases_and_an_encoder_without_text(
    bench: Bench, told: Callable[..., Encoder]
) -> None:
    job = make_job(bench, told(WIDE))
    for name in job.data.val:
        job.data.samples[name] = replace(job.data.samples[name], boxes=())
    with pytest.raises(InputError, match=r"covid-cxr-phrase.toml: split: no val image has a phrase"):
        phrase.run(job)
    (outcome,) = run_jobs([make_job(bench, load_encoder(bench.catalogue.encoders["random"]))])
    assert outcome.notes == {"n/a": "no text encoder"}
    assert adapter("phrase") is phrase.run


def test_a_map_that_is_no_number_is_refused(bench: Bench, told: Callable[..., Encoder]) -> None:
    message = r"map of convirt: has NaN or infinity for '(left|right) lung' on image "
    with pytest.raises(InputError, match=message):
        phrase.run(make_job(bench, told(WIDE, broken=True)))
