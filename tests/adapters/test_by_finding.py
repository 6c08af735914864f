"""Several findings asked for by their own prompts, on a tiny ChestX-ray14 with boxes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from g2d_bench.adapters import by_scorer, grounding
from g2d_bench.adapters.base import Job, run_jobs
from g2d_bench.adapters.by_finding import findings
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Sample
from g2d_bench.records.cell import Cell
from g2d_bench.records.recompute import recompute
from g2d_bench.records.shapes import require_shapes

SIDE = 64
SCALE = 1024 // SIDE
CELL = Cell(task="cxr14-ground", fraction=1.0, protocol="clean", seed=0, encoder="convirt")
HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)


def write_release(root: Path, count: int = 48) -> None:
    """Dark films with a bright square: an effusion left, a mass right; every third has no box."""
    generator = np.random.default_rng(0)
    folder = root / "cxr14"
    (folder / "images").mkdir(parents=True)
    rows, boxes, names = [HEADER], ["Image Index,Finding Label,Bbox [x,y,w,h],,,"], []
    for n in range(count):
        name = f"9{n:07d}_000.png"
        # Coarse grain, or two films with the same square would pass for one film.
        pixels = np.kron(generator.normal(70, 25, (SIDE // 2, SIDE // 2)), np.ones((2, 2)))
        label = "Effusion" if n % 2 else "Mass"
        left, top = (8 * int(generator.integers(0, 3)) + (0 if n % 2 else 32) for _ in range(2))
        pixels[top : top + 16, left : left + 16] += 150
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "images" / name)
        rows.append(f"{name},{label},0,9{n:07d},50,F,{'PA' if n % 4 else 'AP'},2500,2048,0.1,0.1")
        names.append(name)
        if n % 3:
            boxes.append(f"{name},{label},{left * SCALE},{top * SCALE},{16 * SCALE},{16 * SCALE},,,")
    (folder / "Data_Entry_2017_v2020.csv").write_text("\n".join(rows) + "\n")
    (folder / "BBox_List_2017.csv").write_text("\n".join(boxes) + "\n")
    (folder / "train_val_list.txt").write_text("\n".join(names[: count // 2]))
    (folder / "test_list.txt").write_text("\n".join(names[count // 2 :]))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Bench:
    root = tmp_path_factory.mktemp("data")
    write_release(root)
    return Bench(Settings(data_root=root, results=root / "runs"))


@pytest.fixture
def job(bench: Bench) -> Callable[..., Job]:
    def make(encoder: Encoder, **changes: object) -> Job:
        task, data = (
            bench.catalogue.tasks["cxr14-ground"].model_copy(update=changes),
            bench.resolve(CELL).data(),
        )
        data.task = task
        return Job(
            task=task,
            protocol=bench.catalogue.protocols["clean"],
            data=data,
            encoder=encoder,
            seed=0,
            with_decoder=False,
            memory_budget=1,
        )

    return make


def test_a_sample_is_a_finding_of_an_image() -> None:
    boxes = (
        Box("Mass", 1, 2, 3, 4),
        Box("Effusion", 5, 6, 7, 8),
        Box("Mass", 9, 9, 1, 1),
        Box("Hernia", 0, 0, 1, 1),
    )
    asked = findings(Sample("a", "p", Path("a"), boxes=boxes), ("Effusion", "Mass", "Nodule"))
    assert [(one.finding, len(one.boxes)) for one in asked] == [("Effusion", 1), ("Mass", 2)]


def test_who_sees_the_square_finds_each_finding(
    job: Callable[..., Job], told: Callable[..., Encoder]
) -> None:
    made = job(told(SIDE))
    right, wrong = grounding.run(made), grounding.run(job(told(SIDE, wrong=True)))
    assert right.metrics["pointing"] == right.metrics["pointing_by_category"] == 1
    assert wrong.metrics["pointing"] == 0
    stored = right.predictions
    require_shapes("grounding", stored, Path("x.npz"))
    assert set(stored["category"].tolist()) == {"Effusion", "Mass"}
    # Only films with a box are asked, each for the finding that it has.
    assert len(stored["id"]) == len(made.data.test) == right.notes["findings"]["test"]
    assert right.metrics["pointing/Effusion"] == right.metrics["pointing/Mass"] == 1
    assert np.isnan(right.metrics["pointing/Nodule"])
    assert {name: recompute(name, stored) for name in right.metrics} == pytest.approx(
        right.metrics, nan_ok=True
    )
    ious = [right.metrics[f"iou_at_validation/{label}"] for label in ("Effusion", "Mass")]
    assert right.metrics["iou_at_validation_by_category"] == pytest.approx(np.mean(ious))


def test_what_looks_at_no_image_knows_where_a_finding_usually_lies(
    job: Callable[..., Job], told: Callable[..., Encoder]
) -> None:
    outcome = grounding.run(job(told(SIDE)))
    assert set(outcome.references) == {"centre-prior"}
    assert set(outcome.references["centre-prior"]) == set(outcome.metrics)
    # Effusions lie left, masses right: a prior of all findings together would point at the wrong half.
    train = job(told(SIDE)).data
    sides: dict[str, set[bool]] = {"Effusion": set(), "Mass": set()}
    for name in train.test:
        (box,) = train.samples[name].boxes
        sides[box.label].add(box.x < SIDE // 2)
    assert sides == {"Effusion": {True}, "Mass": {False}}
    assert outcome.references["centre-prior"]["pointing"] > 0.1


def test_a_part_without_a_box_is_said(job: Callable[..., Job], told: Callable[..., Encoder]) -> None:
    with pytest.raises(
        InputError, match=r"cxr14-ground\.toml: split: no train image has a box of Nodule, Hernia"
    ):
        grounding.run(job(told(SIDE), labels=("Nodule", "Hernia")))


def test_without_a_text_side_it_is_not_applicable(bench: Bench, job: Callable[..., Job]) -> None:
    (outcome,) = run_jobs([job(load_encoder(bench.catalogue.encoders["random"]))])
    assert all(np.isnan(value) for value in outcome.metrics.values())


def test_its_record_is_verified_against_the_data(
    cli: Callable[..., Any], edit: Callable[..., None], tmp_path: Path, shared_cache: Path
) -> None:
    write_release(tmp_path)
    asked = ("--task", "cxr14-ground", "--encoder", "convirt", "--data-root", tmp_path, "--jobs", "1")
    result = cli("run", *asked, "--results", "runs")
    assert result.exit_code == 0, result.output
    result = cli("verify", "--results", "runs", "--data-root", tmp_path)
    assert result.exit_code == 0, result.output
    assert "all as recorded" in result.stdout
    # The truth of each finding of each image has been derived from the boxes again.
    assert "ids, patients, truth" not in result.output
    (path,) = Path("runs").rglob("1-s0-*.json")
    edit(path, lambda raw: raw["metrics"].pop("pointing/Mass"))
    result = cli("verify", "--results", "runs", "--data-root", tmp_path)
    assert result.exit_code == 1
    assert "metrics.pointing/Mass: is missing" in result.stdout


def test_a_map_that_is_no_number_is_refused(job: Callable[..., Job], told: Callable[..., Encoder]) -> None:
    message = r"map of convirt: has NaN or infinity for '(Effusion|Mass)' on image "
    with pytest.raises(InputError, match=message):
        grounding.run(job(told(SIDE, broken=True)))


class Light:
    """A scorer: brightness of 8 x 8 fields, for an effusion left of the middle, for a mass right of it."""

    def score(self, images: Tensor, prompts: list[str]) -> Tensor:
        return images.mean(dim=(1, 2, 3))[:, None].expand(-1, len(prompts))

    def heat(self, images: Tensor, phrases: list[str]) -> Tensor:
        found = torch.nn.functional.avg_pool2d(images[:, 0], 8)
        half = found.shape[-1] // 2
        for row, phrase in enumerate(phrases):
            found[row, :, half:] *= float("effusion" not in phrase.lower())
            found[row, :, :half] *= float("effusion" in phrase.lower())
        return found


def test_a_scorer_is_asked_for_each_finding(
    bench: Bench, job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_scorer, "code_of", lambda name: "code")
    encoder = load_encoder(bench.catalogue.encoders["random"])
    image = encoder.card.image.model_copy(update={"size": SIDE, "standardise": False})
    encoder.card, encoder.scorer = (
        encoder.card.model_copy(update={"image": image, "scorer": "light"}),
        Light(),
    )
    (outcome,) = run_jobs([job(encoder)])
    assert outcome.metrics["pointing/Effusion"] == outcome.metrics["pointing/Mass"] == 1
    assert outcome.notes["encoder_state"] == {"scorer": "light", "code": "code"}
    assert "n/a" not in outcome.notes
