"""The classification adapter on tiny releases in raw layout, through the same steps as `g2d-bench run`."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from g2d_bench.adapters import classification
from g2d_bench.adapters.base import Job, Outcome, adapter, run_jobs
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.cells import workers as local
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.run import run_cell
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.units import units
from g2d_bench.encoders import features
from g2d_bench.encoders.features import frozen_hash, pooled_features
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError
from g2d_bench.readers.cxr14 import LABELS as FINDINGS
from g2d_bench.records.cell import Cell
from g2d_bench.records.recompute import recompute
from g2d_bench.records.record import Failure, Record, read_predictions

WEIGHTS = Path(__file__).resolve().parents[2] / "g2d_bench" / "weights"
CLASSES = ("normal", "pneumonia", "COVID-19")


def film(generator: np.random.Generator, finding: int) -> Image.Image:
    """Noise with a bright square whose place tells the finding, not too clearly."""
    pixels = generator.normal(110, 35, (64, 64))
    top = 6 + 18 * finding
    pixels[top : top + 14, 20:40] += 25
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_covidx(root: Path, train: int = 60, test: int = 24) -> None:
    generator = np.random.default_rng(0)
    folder = root / "covidx"
    for part, count in (("train", train), ("test", test)):
        (folder / part).mkdir(parents=True)
        lines = []
        for n in range(count):
            film(generator, n % 3).save(folder / part / f"{part}{n}.png")
            # Two images per patient.
            lines.append(f"{part}-{n // 6}-{n % 3} {part}{n}.png {CLASSES[n % 3]} cohen")
        (folder / f"{part}_COVIDx9A.txt").write_text("\n".join(lines) + "\n")


def write_cxr14(root: Path, count: int = 70) -> None:
    generator = np.random.default_rng(1)
    folder = root / "cxr14"
    (folder / "images").mkdir(parents=True)
    lists: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    table = []
    for n in range(count):
        # No number of NIH's: the split of the card's list is not for these.
        name = f"9{n:07d}_000.png"
        film(generator, n % 3).save(folder / "images" / name)
        shown = [label for k, label in enumerate(FINDINGS) if (n + k) % 5 == 0 or (k == 0 and n % 3 == 0)]
        words = "|".join(label.replace(" ", "_") for label in shown) or "No Finding"
        table.append([name, words, 0, n, 50, "M", "PA", 2500, 2048, 0.1, 0.1])
        lists["test_list.txt" if n % 3 == 2 else "train_val_list.txt"].append(name)
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    header += "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
    with (folder / "Data_Entry_2017_v2020.csv").open("w", newline="") as stream:
        stream.write(header + "\n")
        csv.writer(stream).writerows(table)
    for name, images in lists.items():
        (folder / name).write_text("\n".join(images) + "\n")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Path:
    """A data root with both releases, and a cache that the tests of this module share."""
    folder = tmp_path_factory.mktemp("data")
    write_covidx(folder)
    write_cxr14(folder)
    return folder


@pytest.fixture
def bench(root: Path, tmp_path: Path) -> Bench:
    return Bench(Settings(data_root=root, results=tmp_path / "runs"))


def cell(task: str = "covidx-cls", fraction: float = 1.0, seed: int = 0, protocol: str = "clean") -> Cell:
    return Cell(task=task, fraction=fraction, protocol=protocol, seed=seed, encoder="random")


def make_job(bench: Bench, which: Cell) -> Job:
    card = bench.catalogue.encoders[which.card]
    return Job(
        task=bench.catalogue.tasks[which.task],
        protocol=bench.catalogue.protocols[which.protocol],
        data=bench.resolve(which).data(),
        encoder=load_encoder(card, seed=which.seed),
        seed=which.seed,
        with_decoder=False,
        memory_budget=1,
    )


def same(one: Outcome, other: Outcome) -> None:
    assert one.metrics == pytest.approx(other.metrics, nan_ok=True, abs=0)
    assert one.references == other.references
    for name, values in one.predictions.items():
        np.testing.assert_array_equal(values, other.predictions[name], err_msg=name)


def test_exclusive_classes_end_to_end(bench: Bench) -> None:
    record = run_cell(bench.resolve(cell()), bench.store, bench.options)
    task = bench.catalogue.tasks["covidx-cls"]
    assert set(task.metrics) | {f"auroc/{label}" for label in task.labels} == set(record.metrics)
    assert record.data.images["test"] == 24
    path = bench.resolve(cell()).path
    stored = read_predictions(path, record)
    scores, targets = stored["scores"], stored["targets"]
    np.testing.assert_allclose(scores.sum(1), 1)
    assert record.metrics["accuracy"] == np.mean(scores.argmax(1) == targets.argmax(1))
    assert record.metrics["accuracy"] is not None
    assert record.metrics["accuracy"] > 0.6
    for k, label in enumerate(task.labels):
        assert record.metrics[f"auroc/{label}"] == pytest.approx(roc_auc_score(targets[:, k], scores[:, k]))
    # All classes are equally frequent, so the majority class is right on a third.
    assert record.references["prevalence"]["accuracy"] == pytest.approx(1 / 3)
    assert record.references["prevalence"]["auroc"] == 0.5
    rule = bench.catalogue.protocols["clean"].table("classification")
    assert record.notes["penalty"] in rule.penalties
    assert record.notes["encoder_frozen"]
    known = {name: value for name, value in record.metrics.items() if value is not None}
    assert {name: recompute(name, stored) for name in known} == known


def test_is_what_scikit_learn_fits_and_validation_chooses(bench: Bench) -> None:
    job = make_job(bench, cell())
    outcome = classification.run(job)
    data = job.data
    pixels = data.pixels(job.encoder.card.image.size)

    def part(ids: tuple[str, ...]) -> tuple[Any, Any]:
        table = pooled_features(job.encoder, pixels.pixels, pixels.rows(ids), content="elsewhere")
        return table.astype(np.float64), data.targets(ids).argmax(1)

    train, truth = part(data.train)
    mean, spread = train.mean(0), train.std(0)
    scale = np.where(spread > 1e-8, spread, 1)  # some channels of a random encoder are dead
    accuracy = {}
    predicted = {}
    assert job.protocol.table("classification") is not None
    for penalty in job.protocol.table("classification").penalties:
        model = LogisticRegression(C=1 / (len(train) * penalty), tol=1e-8, max_iter=5000)
        model.fit((train - mean) / scale, truth)
        val, right = part(data.val)
        accuracy[penalty] = model.score((val - mean) / scale, right)
        predicted[penalty] = model.predict_proba((part(data.test)[0] - mean) / scale)
    best = max(accuracy, key=lambda penalty: (accuracy[penalty], penalty))
    assert outcome.notes["penalty"] == best
    assert outcome.notes["validation"] == {"accuracy": pytest.approx(accuracy[best])}
    np.testing.assert_allclose(outcome.predictions["scores"], predicted[best], atol=2e-3)


def test_many_labels_with_unknown_ones(bench: Bench) -> None:
    job = make_job(bench, cell("cxr14-cls"))
    hidden = dict(job.data.samples)
    for i in job.data.test[::4]:
        hidden[i] = replace(hidden[i], labels={**hidden[i].labels, "Mass": float("nan")})
    job.data.samples = hidden
    outcome = classification.run(job)
    scores, targets = outcome.predictions["scores"], outcome.predictions["targets"]
    mass = FINDINGS.index("Mass")
    known = ~np.isnan(targets[:, mass])
    assert 0 < known.sum() < len(known)
    assert outcome.metrics["auroc/Mass"] == pytest.approx(
        roc_auc_score(targets[known, mass], scores[known, mass])
    )
    each = [outcome.metrics[f"auroc/{label}"] for label in FINDINGS]
    assert outcome.metrics["auroc"] == pytest.approx(np.mean(each))
    assert len(outcome.notes["thresholds"]) == len(FINDINGS)
    share = job.data.targets(job.data.train).mean(0)
    assert share.min() < 0.5 < share.max()
    right = []
    for column, majority in zip(targets.T, share >= 0.5, strict=True):
        right.append(np.mean(column[~np.isnan(column)] == majority))
    assert outcome.references["prevalence"]["accuracy_validation"] == pytest.approx(np.mean(right))


def test_together_as_one_by_one(bench: Bench) -> None:
    jobs = [make_job(bench, cell(fraction=f, seed=s)) for f in (0.3, 1.0) for s in (0, 1)]
    # One encoder for all, but the last: a random one of another seed.
    jobs = [*(replace(job, encoder=jobs[0].encoder) for job in jobs[:3]), jobs[3]]
    assert jobs[0].encoder.weights_hash != jobs[3].encoder.weights_hash
    assert jobs[0].data.train != jobs[1].data.train
    for one, other in zip(run_jobs(jobs), [run_jobs([job])[0] for job in jobs], strict=True):
        same(one, other)


def test_frozen_means_frozen(bench: Bench) -> None:
    job = make_job(bench, cell())
    before = frozen_hash(job.encoder.image)
    job.encoder.image.train()
    outcome = classification.run(job)
    assert frozen_hash(job.encoder.image) == before == outcome.notes["encoder_state"]


def test_a_class_that_no_training_image_shows(bench: Bench) -> None:
    job = make_job(bench, cell())
    truth = job.data.targets(job.data.train)
    job.data.train = tuple(i for i, row in zip(job.data.train, truth, strict=True) if row[2] == 0)
    outcome = classification.run(job)
    assert outcome.predictions["scores"].shape == (24, 3)
    assert outcome.predictions["scores"][:, 2].max() < 0.5
    assert np.isfinite(outcome.predictions["scores"]).all()


def test_a_lower_metric_is_better(bench: Bench) -> None:
    job = make_job(bench, cell())
    task = job.task.model_copy(update={"main": "ece_top"})
    other = classification.run(replace(job, task=task))
    assert set(other.notes["validation"]) == {"ece_top"}
    assert 0 <= other.notes["validation"]["ece_top"] <= classification_error(job)


def classification_error(job: Job) -> float:
    """Greatest calibration error on validation over the grid, by fitting each penalty alone."""
    rule = job.protocol.table("classification")
    assert rule is not None
    task = job.task.model_copy(update={"main": "ece_top"})
    errors: list[float] = []
    for penalty in rule.penalties:
        alone = job.protocol.model_copy(
            update={"classification": rule.model_copy(update={"penalties": (penalty,)})}
        )
        errors.append(
            classification.run(replace(job, task=task, protocol=alone)).notes["validation"]["ece_top"]
        )
    assert min(errors) < max(errors)
    return min(errors) + 1e-9


def test_refusals(bench: Bench) -> None:
    job = make_job(bench, cell())
    silent = job.protocol.model_copy(update={"classification": None})
    with pytest.raises(InputError, match=r"clean\.toml.*says nothing about classification"):
        classification.run(replace(job, protocol=silent))
    many = make_job(bench, cell("cxr14-cls"))
    for i in many.data.val:
        many.data.samples[i] = replace(many.data.samples[i], labels=dict.fromkeys(FINDINGS, 0.0))
    with pytest.raises(InputError, match="auroc is undefined on validation"):
        classification.run(many)
    with pytest.raises(InputError, match="unknown kind 'divination'"):
        adapter("divination")


Execute = Callable[[list[Cell], str], list[Record | Failure]]


@pytest.fixture
def run_all(root: Path, tmp_path: Path) -> Execute:
    def call(cells: list[Cell], where: str) -> list[Record | Failure]:
        bench = Bench(Settings(data_root=root, results=tmp_path / where), Options())
        report = local.execute(cells, bench, jobs=1)
        return [*report.records, *report.failures]

    return call


def of_the_cell(record: Record) -> dict[str, Any]:
    """Return what a record says, without time, memory, and the seal over these."""
    said = record.model_dump()
    for name in ("seconds", "peak_memory_mb", "created", "digest"):
        assert said.pop(name)
    for name in ("cells_together", "images_per_second"):
        said["notes"].pop(name, None)
    return said


def test_a_sweep_in_groups_leaves_the_records_of_single_cells(
    run_all: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [cell(fraction=f, seed=s) for f in (0.2, 1.0) for s in (0, 1)]
    grouped = run_all(cells, "grouped")
    monkeypatch.setattr(local, "units", lambda cells, bench: [(one,) for one in cells])
    alone = run_all(cells, "alone")
    for one, other in zip(grouped, alone, strict=True):
        assert isinstance(one, Record)
        assert isinstance(other, Record)
        assert one.predictions is not None
        assert one.notes["cells_together"] == 4
        # Every field there is, and every one to come, but for what the work itself took.
        assert of_the_cell(one) == of_the_cell(other)
        assert one.encoder.weights.endswith(f":{one.cell.seed}")
        assert f"--fraction {one.cell.fraction} --seed {one.cell.seed} " in one.command


def test_a_group_that_fails_is_run_one_by_one(run_all: Execute, monkeypatch: pytest.MonkeyPatch) -> None:
    real = classification.run_many

    def flaky(jobs: Sequence[Any]) -> list[Any]:
        if any(job.seed == 1 for job in jobs):
            raise RuntimeError("planted")
        return real(jobs)

    kind = replace(KINDS["classification"], run_many=flaky, run=lambda job: flaky([job])[0])
    monkeypatch.setitem(KINDS._found, "classification", kind)
    done = run_all([cell(seed=s) for s in (0, 1, 2)], "flaky")
    assert [one.cell.seed for one in done if isinstance(one, Record)] == [0, 2]
    [failure] = [one for one in done if isinstance(one, Failure)]
    assert failure.cell.seed == 1
    assert "planted" in failure.error


def test_units(bench: Bench) -> None:
    cells = [
        cell("covidx-cls", f, s, p) for p in ("clean", "clean-finetune") for f in (0.1, 1.0) for s in (0, 1)
    ]
    found = units([*cells, replace(cells[0], task="cxr14-cls")], bench)
    # Fine-tuned cells share nothing: alone, and after all that do.
    assert found == [tuple(cells[:4]), (replace(cells[0], task="cxr14-cls"),), *((one,) for one in cells[4:])]
    tasks, protocols = bench.catalogue.tasks, bench.catalogue.protocols
    assert not KINDS["segmentation"].together(tasks["siim-seg"], protocols["clean"])
    assert KINDS["segmentation"].together(tasks["siim-seg"], protocols["clean-linear"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tuning": "frozen"}, "takes either penalties or training"),
        ({"tuning": "finetune"}, "takes training alone"),
        ({"tuning": "frozen", "penalties": [0.0, 1.0], "tolerance": 1e-5}, "must be positive"),
        ({"tuning": "frozen", "penalties": [1.0, 0.1], "tolerance": 1e-5}, "must ascend"),
        ({"tuning": "frozen", "penalties": [1.0]}, "penalties take a tolerance above 0"),
    ],
)
def test_a_wrong_rule_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Protocol.model_validate(
            {"name": "x", "version": "1.0", "title": "x", "split": "clean", "classification": change}
        )


def test_a_wrong_task_card_is_refused(bench: Bench) -> None:
    card = bench.catalogue.tasks["chexpert-cls"].model_dump()
    with pytest.raises(ValueError, match="did you mean 'Edema'"):
        TaskCard.model_validate({**card, "uncertain": {"Edem": 1}})
    with pytest.raises(ValueError, match="goes with official"):
        TaskCard.model_validate({**card, "split": {"clean": {"ratios": [0.5, 0.2, 0.3], "val_share": 0.1}}})


@pytest.mark.slow
def test_features_are_computed_once_for_all_that_ask(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data"
    shutil.copytree(root, data)
    shipped = (Path(__file__).resolve().parents[2] / "tasks" / "cxr14-cls.toml").read_text()
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "one-finding.toml").write_text(
        re.sub(r"labels = \[.*?\]", 'labels = ["Atelectasis"]', shipped, flags=re.S)
    )
    computed: list[int] = []
    forward = features.forward

    def counting(encoder: Encoder, pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> Any:
        computed.append(len(rows))
        return forward(encoder, pixels, rows)

    monkeypatch.setattr(features, "forward", counting)

    def sweep(where: str, *tasks: str, encoder_dirs: tuple[Path, ...] = (), encoder: str = "convirt") -> int:
        settings = Settings(
            data_root=data,
            results=tmp_path / where,
            task_dirs=(tmp_path / "tasks",),
            encoder_dirs=encoder_dirs,
        )
        cells = [
            Cell(task=task, fraction=fraction, protocol="clean", seed=seed, encoder=encoder)
            for task in tasks
            for fraction in (0.5, 1.0)
            for seed in (0, 1, 2)
        ]
        report = local.execute(cells, Bench(settings), jobs=1)
        assert not report.failures, report.failures
        made = sum(computed)
        computed.clear()
        return made

    assert sweep("first", "cxr14-cls", "one-finding") == 70, "each of the 70 images once"
    assert sweep("again", "one-finding", "cxr14-cls") == 0
    # A change of anything misses: an image,
    film(np.random.default_rng(9), 2).save(data / "cxr14" / "images" / "90000003_000.png")
    assert sweep("other data", "cxr14-cls") == 70
    # the preprocessing,
    card = (Path(__file__).resolve().parents[2] / "baselines" / "convirt.toml").read_text()
    (tmp_path / "encoders").mkdir()
    darker = re.sub(r"(?m)^standardise = true$", "mean = 0.3", card)
    assert darker != card
    (tmp_path / "encoders" / "darker.toml").write_text(darker)
    # A card of one's own takes no shipped weights.
    shutil.copy(WEIGHTS / "convirt.safetensors", tmp_path / "encoders")
    assert sweep("darker", "cxr14-cls", encoder_dirs=(tmp_path / "encoders",), encoder="darker") == 70
    # the weights,
    assert sweep("other weights", "cxr14-cls", encoder="gloria") == 70
    # the code.
    monkeypatch.setattr(features, "digest_package", lambda _: "edited")
    assert sweep("other code", "cxr14-cls") == 70
