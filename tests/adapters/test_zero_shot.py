"""Zero-shot classification on tiny releases in raw layout."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score, roc_auc_score

from g2d_bench.adapters import zero_shot
from g2d_bench.adapters.base import Job, NotApplicable, adapter, run_jobs
from g2d_bench.adapters.text_image import TextImage
from g2d_bench.cells import workers as local
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.plan import make_cells
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import verify
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.recompute import recompute
from g2d_bench.records.record import read_predictions, read_record
from g2d_bench.records.selection import Found
from g2d_bench.report.table import blocks

SIDE = 64


def write_rsna(root: Path, count: int = 70) -> None:
    """Films of which every third is bright, not too clearly, and has a box."""
    generator = np.random.default_rng(0)
    folder = root / "rsna" / "stage_2_train_images"
    folder.mkdir(parents=True)
    rows: list[list[object]] = []
    for n in range(count):
        shown = n % 3 == 0
        pixels = generator.normal(128 + 8 * shown + generator.normal(0, 6), 30, (SIDE, SIDE))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"p{n:03}.png")
        rows.append([f"p{n:03}", *((8.0, 8.0, 20.0, 20.0, 1) if shown else ("", "", "", "", 0))])
    with (root / "rsna" / "stage_2_train_labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["patientId", "x", "y", "width", "height", "Target"], *rows])


PROMPTS = """
title = "two findings"
[label.Pneumonia]
positive = ["pneumonia", "There is pneumonia."]
negative = ["no pneumonia"]
[label.COVID-19]
positive = ["opacity"]
negative = ["clear", "no opacity"]
[method.convirt.COVID-19]
positive = ["covid opacity"]
negative = ["no covid"]
"""
TASK = """
version = "1.0"
title = "x"
kind = "zero-shot"
dataset = "covid-cxr"
labels = ["Pneumonia", "COVID-19"]
prompts = "two"
metrics = ["auroc", "auprc", "f1_validation", "accuracy_validation"]
main = "auroc"
[split.clean]
ratios = [0.4, 0.3, 0.3]
"""


def write_covid(root: Path, count: int = 60) -> None:
    folder = root / "covid-cxr"
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(4)
    rows = [
        ["patientid", "sex", "age", "finding", "view", "modality", "folder", "filename", "clinical_notes"]
    ]
    for n in range(count):
        finding = ("Pneumonia/Viral/COVID-19", "Pneumonia/Bacterial", "No Finding", "todo")[n % 4]
        pixels = generator.integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"f{n}.png")
        rows.append([str(n), "M", "50", finding, "PA", "X-ray", "images", f"f{n}.png", "note"])
    with (folder / "metadata.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_rsna(folder)
    write_covid(folder)
    return folder


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "prompts").mkdir()
    (folder / "prompts" / "two.toml").write_text(PROMPTS)
    (folder / "covid-zeroshot.toml").write_text(TASK)
    return folder


@pytest.fixture
def bench(root: Path, cards: Path, tmp_path: Path) -> Bench:
    return Bench(Settings(data_root=root, results=tmp_path / "runs", task_dirs=(cards,)))


def cell(task: str = "rsna-zeroshot", encoder: str = "convirt", fraction: float = 1.0, seed: int = 0) -> Cell:
    return Cell(task=task, fraction=fraction, protocol="clean", seed=seed, encoder=encoder)


def make_job(bench: Bench, encoder: Encoder, which: Cell | None = None) -> Job:
    which = which or cell()
    return Job(
        task=bench.catalogue.tasks[which.task],
        protocol=bench.catalogue.protocols["clean"],
        data=bench.resolve(which).data(),
        encoder=encoder,
        seed=which.seed,
        with_decoder=False,
        memory_budget=1,
    )


def test_who_knows_the_answer_is_right_and_who_knows_it_wrong_is_wrong(
    bench: Bench, told: Callable[..., Encoder]
) -> None:
    right = zero_shot.run(make_job(bench, told(SIDE)))
    wrong = zero_shot.run(make_job(bench, told(SIDE, wrong=True)))
    assert 0.8 < right.metrics["auroc"] < 1
    assert wrong.metrics["auroc"] == pytest.approx(1 - right.metrics["auroc"])
    truth = right.predictions["targets"]
    assert right.references["prevalence"]["auroc"] == 0.5
    assert right.references["prevalence"]["auprc"] == pytest.approx(truth.mean())
    assert right.references["prevalence"]["accuracy_validation"] == pytest.approx(1 - truth.mean())
    np.testing.assert_allclose(wrong.predictions["scores"], -right.predictions["scores"], atol=1e-6)


@pytest.mark.parametrize("method", ["convirt", "gloria", "mgca"])
def test_scores_are_those_of_a_plain_loop(bench: Bench, narrow: Callable[..., Encoder], method: str) -> None:
    job = make_job(bench, narrow(method), cell("covid-zeroshot", method))
    outcome = zero_shot.run(job)
    # The plain loop runs on the processor, whatever made the scores.
    encoder = job.encoder.to(torch.device("cpu"))
    assert encoder.text is not None
    assert encoder.heads is not None
    own = method == "convirt"
    prompts = {
        "Pneumonia": (["pneumonia", "There is pneumonia."], ["no pneumonia"]),
        "COVID-19": (["covid opacity"], ["no covid"]) if own else (["opacity"], ["clear", "no opacity"]),
    }
    assert outcome.notes["prompts"]["of"] == {
        "Pneumonia": "default",
        "COVID-19": method if own else "default",
    }

    def direction(texts: list[str]) -> np.ndarray[Any, Any]:
        vectors = []
        for text in texts:
            if method != "convirt":
                text = text.lower().replace(".", "")
            tokens = encoder.text.tokenize([text])  # type: ignore[union-attr]
            with torch.no_grad():
                states = encoder.text(tokens)  # type: ignore[misc]
                vector = encoder.heads.embed_text(states, tokens).vector[0]  # type: ignore[union-attr]
            vectors.append(vector.double().numpy())
        mean = np.mean([vector / np.linalg.norm(vector) for vector in vectors], axis=0)
        return np.asarray(mean / np.linalg.norm(mean))

    pixels = job.data.pixels(64)
    for n, name in enumerate(job.data.test[:3]):
        image = torch.from_numpy(np.array(pixels.pixels[pixels.rows([name])]))
        with torch.no_grad():
            vector = encoder.heads.embed_image(encoder.image(encoder.preprocess(image))).vector[0]
        seen = vector.double().numpy() / np.linalg.norm(vector.double().numpy())
        for k, label in enumerate(job.task.labels):
            yes, no = (direction(texts) for texts in prompts[label])
            assert outcome.predictions["scores"][n, k] == pytest.approx(seen @ yes - seen @ no, abs=2e-6)


def test_metrics_are_scikit_learn_s_and_thresholds_come_from_validation(
    bench: Bench, narrow: Callable[..., Encoder]
) -> None:
    job = make_job(bench, narrow(), cell("covid-zeroshot"))
    outcome = zero_shot.run(job)
    stored = outcome.predictions
    scores, targets = stored["scores"], stored["targets"]
    each = {label: roc_auc_score(targets[:, k], scores[:, k]) for k, label in enumerate(job.task.labels)}
    for label, value in each.items():
        assert outcome.metrics[f"auroc/{label}"] == pytest.approx(value)
    assert outcome.metrics["auroc"] == pytest.approx(np.mean(list(each.values())))
    precision = [average_precision_score(targets[:, k], scores[:, k]) for k in range(2)]
    assert outcome.metrics["auprc"] == pytest.approx(np.mean(precision))
    both = TextImage.of(job.encoder)
    anchors, _ = zero_shot.prompt_vectors(job, both)
    val = zero_shot.scores(job, both, anchors, job.data.val)
    truth = job.data.targets(job.data.val)
    for k in range(2):
        found = {}
        for threshold in val[:, k]:
            called = val[:, k] >= threshold
            found[threshold] = 2 * (called * truth[:, k]).sum() / (called.sum() + truth[:, k].sum())
        assert found[stored["thresholds"][k]] == pytest.approx(max(found.values()))
    right = (scores >= stored["thresholds"]) == targets
    assert outcome.metrics["accuracy_validation"] == pytest.approx(right.mean())
    assert {name: recompute(name, stored) for name in outcome.metrics} == outcome.metrics


def test_cosines_have_no_calibration(bench: Bench, narrow: Callable[..., Encoder]) -> None:
    job = make_job(bench, narrow())
    task = job.task.model_copy(update={"metrics": ("auroc", "ece")})
    with pytest.raises(InputError, match=r"rsna-zeroshot\.toml.*metrics: ece does not apply"):
        zero_shot.run(replace(job, task=task))


def test_no_score_depends_on_the_other_images(bench: Bench, told: Callable[..., Encoder]) -> None:
    job = make_job(bench, told(SIDE))
    both = TextImage.of(job.encoder)
    anchors, _ = zero_shot.prompt_vectors(job, both)
    ids = job.data.train[:34]
    whole = zero_shot.scores(job, both, anchors, ids)
    assert np.ptp(whole) > 0.05
    np.testing.assert_allclose(zero_shot.scores(job, both, anchors, ids[3:5]), whole[3:5], atol=1e-6)
    np.testing.assert_allclose(zero_shot.scores(job, both, anchors, ids[::-1]), whole[::-1], atol=1e-6)


def test_neither_fraction_nor_seed_moves_anything(bench: Bench, narrow: Callable[..., Encoder]) -> None:
    encoder = narrow()
    first, second = (
        zero_shot.run(make_job(bench, encoder, cell(fraction=f, seed=s))) for f, s in ((1.0, 0), (0.1, 3))
    )
    assert first.metrics == second.metrics
    assert first.references == second.references
    cells, _ = make_cells(
        bench.catalogue,
        tasks=["rsna-zeroshot", "rsna-cls"],
        encoders=["random"],
        fractions=[0.01, 0.1],
        seeds=[0, 1],
        protocol="clean",
        weights=bench.weights,
    )
    assert [one for one in cells if one.task == "rsna-zeroshot"] == [cell(encoder="random")]
    assert len(cells) == 1 + 4


def test_end_to_end_from_a_weights_file(root: Path, weights_file: Path, tmp_path: Path) -> None:
    settings = Settings(data_root=root, results=tmp_path / "runs", checkpoints={"convirt": weights_file})
    bench = Bench(settings)
    cells = [cell(), cell(encoder="random")]
    report = local.execute(cells, bench, jobs=1)
    assert not report.failures
    measured, without = report.records
    path = bench.resolve(cell()).path
    assert read_record(path) == measured
    assert set(measured.metrics) == set(bench.catalogue.tasks["rsna-zeroshot"].metrics)
    known = {name: value for name, value in measured.metrics.items() if value is not None}
    stored = read_predictions(path, measured)
    assert {name: recompute(name, stored) for name in known} == known
    assert json.loads(path.read_text())["notes"]["prompts"]["set"] == "findings"

    # The random encoder has no text side: a record without numbers, no failure.
    place = bench.resolve(cell(encoder="random")).path
    assert read_record(place) == without
    assert set(without.metrics.values()) == {None}
    assert set(without.metrics) == set(measured.metrics)
    assert without.notes == {"n/a": "no text encoder"}
    assert without.predictions is None
    assert not place.with_suffix(".npz").exists()
    assert local.execute(cells, bench, jobs=1).reused == 2
    checked = verify(tmp_path / "runs")
    assert checked.problems == ()
    assert (checked.records, checked.unchecked, checked.metrics) == (2, 0, len(measured.metrics))
    (table,) = blocks([Found(measured, path), Found(without, place)], metrics={})
    assert table.notes == ("n/a: random in rsna-zeroshot: no text encoder",)
    rows = {row.name: row for row in table.rows}
    assert all(str(value) == "n/a" for value in rows["random"].values)
    assert not math.isnan(rows["convirt"].values[0].mean)
    assert rows["prevalence"].sort == "reference"


def test_says_what_is_missing(
    bench: Bench, narrow: Callable[..., Encoder], capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = narrow()
    encoder.text = None
    with pytest.raises(NotApplicable, match="no text encoder in the weights that were read"):
        zero_shot.run(make_job(bench, encoder))
    bare = make_job(bench, load_encoder(bench.catalogue.encoders["random"]))
    (outcome,) = run_jobs([bare])
    assert outcome.notes == {"n/a": "no text encoder"}
    assert all(math.isnan(value) for value in outcome.metrics.values())
    assert adapter("zero-shot") is zero_shot.run
    local.execute([cell(encoder="random")], bench, jobs=1)
    assert "n/a: no text encoder" in capsys.readouterr().err


def test_an_ensemble_says_the_mean_of_its_probabilities() -> None:
    cosines = np.array([[[0.2, -0.1], [0.0, 0.4]], [[0.4, 0.3], [0.0, 0.1]]])
    # Softmax over the cosines with a positive and a negative prompt, whose difference is what is stored.
    yes, no = cosines, np.zeros_like(cosines)
    chance = np.exp(yes) / (np.exp(yes) + np.exp(no))
    np.testing.assert_allclose(zero_shot.averaged(list(cosines)), chance.mean(axis=0))
    np.testing.assert_array_equal(zero_shot.averaged([cosines[0]]), cosines[0])
