"""Grounding by prompts on a tiny RSNA release: boxes, maps, thresholds, what looks at no image."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from g2d_bench.adapters import grounding, heat
from g2d_bench.adapters.base import Job, adapter, run_jobs
from g2d_bench.adapters.heat import Pairs, letterboxes
from g2d_bench.adapters.pointer import Pointer
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.devices import steady
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError
from g2d_bench.metrics.grounding import read_maps
from g2d_bench.records.cell import Cell
from g2d_bench.records.recompute import recompute

SIDE = 64
DRAWN = 1024
"""Side of the films on which RSNA's boxes are drawn; the reader scales them to smaller ones."""
CELL = Cell(task="rsna-ground", fraction=1.0, protocol="clean", seed=0, encoder="convirt")


def write_rsna(root: Path, count: int = 40) -> None:
    """Dark films, half of them with a bright 16 x 16 square on the grid of 8 x 8 patches, and its box."""
    generator = np.random.default_rng(0)
    folder = root / "rsna" / "stage_2_train_images"
    folder.mkdir(parents=True)
    rows: list[list[object]] = []
    for n in range(count):
        pixels = generator.normal(70, 5, (SIDE, SIDE))
        left, top = (8 * generator.integers(0, 7, 2)).tolist()
        if n % 2 == 0:
            pixels[top : top + 16, left : left + 16] += 150
            rows.append([f"p{n:03}", *(side * DRAWN // SIDE for side in (left, top, 16, 16)), 1])
        else:
            rows.append([f"p{n:03}", "", "", "", "", 0])
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"p{n:03}.png")
    with (root / "rsna" / "stage_2_train_labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["patientId", "x", "y", "width", "height", "Target"], *rows])


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Bench:
    root = tmp_path_factory.mktemp("data")
    write_rsna(root)
    return Bench(Settings(data_root=root, results=root / "runs"))


def make_job(bench: Bench, encoder: Encoder, **changes: object) -> Job:
    task = bench.catalogue.tasks["rsna-ground"].model_copy(update=changes)
    data = bench.resolve(CELL).data()
    return Job(
        task=task,
        protocol=bench.catalogue.protocols["clean"],
        data=data,
        encoder=encoder,
        seed=0,
        with_decoder=False,
        memory_budget=1,
    )


def test_who_sees_the_square_finds_it_and_its_negative_does_not(
    bench: Bench, told: Callable[..., Encoder]
) -> None:
    right = grounding.run(make_job(bench, told(SIDE)))
    wrong = grounding.run(make_job(bench, told(SIDE, wrong=True)))
    assert right.metrics["pointing"] == 1
    assert right.metrics["dice_at_validation"] > 0.75
    assert right.metrics["cnr_signed"] > 2
    assert wrong.metrics["pointing"] == 0
    assert wrong.metrics["dice_at_validation"] < 0.3
    assert wrong.metrics["cnr_signed"] == pytest.approx(-right.metrics["cnr_signed"], rel=1e-3)
    # Why the signed one is the honest one.
    assert wrong.metrics["cnr"] == pytest.approx(right.metrics["cnr"], rel=1e-3)
    prior = right.references["centre-prior"]
    assert prior == wrong.references["centre-prior"]
    assert prior["dice_at_validation"] < right.metrics["dice_at_validation"]
    assert set(prior) == set(right.metrics) == set(make_job(bench, told(SIDE)).task.metrics)


def test_what_looks_at_no_image_is_read_once_for_all_encoders(
    bench: Bench, told: Callable[..., Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heat, "_image_blind", {})
    read: list[int] = []

    def count(pairs: Pairs, *, threshold: float) -> dict[str, NDArray[Any]]:
        read.append(len(pairs))
        return read_maps(pairs, threshold=threshold)

    monkeypatch.setattr(heat, "read_maps", count)
    first = grounding.run(make_job(bench, told(SIDE)))
    assert len(read) == 2
    # Nobody's changes reach the next one.
    expected = dict(first.references["centre-prior"])
    first.references["centre-prior"].clear()
    second = grounding.run(make_job(bench, told(SIDE, wrong=True)))
    assert len(read) == 3
    assert second.references == {"centre-prior": expected}
    # With other metrics it is another task.
    third = grounding.run(make_job(bench, told(SIDE), metrics=("cnr_signed",)))
    assert len(read) == 5
    assert third.references == {"centre-prior": {"cnr_signed": expected["cnr_signed"]}}


def test_only_positive_images_count_and_their_boxes_are_the_truth(
    bench: Bench, told: Callable[..., Encoder]
) -> None:
    job = make_job(bench, told(SIDE))
    outcome = grounding.run(job)
    stored = outcome.predictions
    positive = [i for i in job.data.test if int(i[1:]) % 2 == 0]
    assert stored["id"].tolist() == positive
    assert stored["patient"].tolist() == positive
    assert outcome.notes["images"]["test"] == len(positive)
    # 16 of 64 pixels a side, on the grid of 256; a mask that is enlarged loses the pixel at each corner.
    assert set(stored["true"].tolist()) <= {64 * 64 - n for n in range(5)}
    assert outcome.notes["map"] == "8x8 cells, bilinear to 256"
    assert {name: recompute(name, stored) for name in outcome.metrics} == pytest.approx(
        outcome.metrics, nan_ok=True
    )
    recall = stored["chosen_common"] / stored["true"]
    assert outcome.metrics["recall_at_validation"] == pytest.approx(recall.mean())


def test_the_threshold_is_the_best_of_validation(bench: Bench, told: Callable[..., Encoder]) -> None:
    outcome = grounding.run(make_job(bench, told(SIDE)))
    threshold = outcome.notes["threshold"]
    # Between the square (about +0.7) and the rest (about -0.45), where the enlarged edge fits best.
    assert -0.4 < threshold < 0.6


def test_maps_are_the_mean_over_prompts_of_a_plain_loop(bench: Bench, narrow: Callable[..., Encoder]) -> None:
    encoder = narrow("gloria")
    job = make_job(bench, encoder)
    assert job.task.prompts is not None
    prompts = job.task.prompts.of("Pneumonia", "gloria")[0].positive
    ids = tuple(i for i in job.data.test if int(i[1:]) % 2 == 0)[:2]
    with steady(encoder.device):  # as a cell is run: a GPU else multiplies in TF32
        heats = Pointer.of(job).by_prompts([(name, "Pneumonia") for name in ids], {"Pneumonia": prompts})
    # The plain loop runs on the processor, whatever made the maps.
    encoder.to(torch.device("cpu"))
    pixels = job.data.pixels(64)
    assert encoder.text is not None
    assert encoder.heads is not None
    for name, found in zip(ids, heats, strict=True):
        image = torch.from_numpy(np.array(pixels.pixels[pixels.rows([name])]))
        with torch.no_grad():
            cells = encoder.heads.embed_image(encoder.image(encoder.preprocess(image))).cells
            assert cells is not None
            total = np.zeros(cells.shape[2:])
            for prompt in prompts:
                tokens = encoder.text.tokenize([prompt.lower().replace(".", "")])
                text = encoder.heads.embed_text(encoder.text(tokens), tokens)
                assert text.words is not None
                assert text.mask is not None
                words = text.words[0][text.mask[0]]
                for y in range(total.shape[0]):
                    for x in range(total.shape[1]):
                        cell = cells[0, :, y, x]
                        total[y, x] += torch.cosine_similarity(words, cell[None]).mean() / len(prompts)
        np.testing.assert_allclose(found, total, atol=2e-5)


def test_what_cannot_be_grounded_is_said_in_one_line(bench: Bench, told: Callable[..., Encoder]) -> None:
    job = make_job(bench, told(SIDE))
    for name in job.data.test:
        job.data.samples[name] = replace(job.data.samples[name], labels={"Pneumonia": 0.0})
    with pytest.raises(InputError, match="no test image shows 'Pneumonia'"):
        grounding.run(job)


def test_without_a_text_side_it_is_not_applicable(bench: Bench) -> None:
    (outcome,) = run_jobs([make_job(bench, load_encoder(bench.catalogue.encoders["random"]))])
    assert outcome.notes == {"n/a": "no text encoder"}
    assert adapter("grounding") is grounding.run


def test_the_caches_are_filled_before_workers_start(bench: Bench, told: Callable[..., Encoder]) -> None:
    bench.resolve(CELL).fill_caches()
    assert list((Path(os.environ["G2D_BENCH_CACHE"]) / "masks").glob("rsna-*.npy"))
    assert [box.size for box in letterboxes(make_job(bench, told(SIDE)).data, ["p000"])] == [256]


def test_a_map_that_is_no_number_is_refused(bench: Bench, told: Callable[..., Encoder]) -> None:
    message = (
        r"map of convirt: has NaN or infinity for 'Pneumonia' on image p\d+; see what the encoder gives of it"
    )
    with pytest.raises(InputError, match=message):
        grounding.run(make_job(bench, told(SIDE, broken=True)))
