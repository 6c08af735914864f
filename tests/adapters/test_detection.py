"""Detection on a tiny release: the head learns, boxes come back in raw pixels, the encoder stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope
from PIL import Image

from g2d_bench import progress
from g2d_bench.adapters import detection
from g2d_bench.adapters.base import Job, Outcome, adapter
from g2d_bench.adapters.detection import Truth, mean_box
from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.encoders.dense import _kept
from g2d_bench.encoders.features import frozen_hash, pyramid_features
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError
from g2d_bench.metrics.boxes import Detections, pair_iou
from g2d_bench.readers.images import Letterbox
from g2d_bench.records.cell import Cell
from g2d_bench.records.recompute import recompute

QUICK = {
    "batch_size": 8,
    "epochs": 1,
    "min_steps": 4,
    "max_steps": 4,
    "validate_every": 2,
    "learning_rate": 3e-3,
}
SIZE = 64


training: Any = import_quietly("g2d_bench.adapters.mm.train")


@pytest.fixture(scope="module")
def modules() -> Any:
    return import_quietly("g2d_bench.adapters.mm.detection")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Object-CXR with one bright plate near a corner, or none, on images of two shapes."""
    root = tmp_path_factory.mktemp("release")
    generator = np.random.default_rng(5)
    for part, count in (("train", 64), ("dev", 16)):
        folder = root / "object-cxr" / part
        folder.mkdir(parents=True)
        lines = ["image_name,annotation"]
        for n in range(count):
            height, width = ((150, 100), (100, 140))[n % 2]
            pixels = generator.normal(80, 12, (height, width))
            text = ""
            if n % 4:
                w, h = (int(side * generator.uniform(0.34, 0.42)) for side in (width, height))
                x = (width // 10, width - width // 10 - w)[n % 4 == 1 or n % 8 == 2]
                y = (height // 10, height - height // 10 - h)[n % 8 in (3, 5, 6)]
                pixels[y : y + h, x : x + w] += 110
                text = f"0 {x} {y} {x + w} {y + h}"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{part}{n:03}.png")
            lines.append(f"{part}{n:03}.png,{text}")
        (folder.parent / f"{part}.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def job(
    release: Path,
    small_encoder: Callable[..., Encoder],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Job:
    cache = tmp_path_factory.getbasetemp() / "detection-cache"
    monkeypatch.setenv("G2D_BENCH_CACHE", str(cache))
    bench = Bench(Settings(data_root=release))
    cell = Cell(task="object-cxr-det", fraction=1.0, protocol="clean", seed=0, encoder="random")
    return Job(
        task=bench.catalogue.tasks["object-cxr-det"],
        protocol=bench.catalogue.protocols["clean"],
        data=bench.resolve(cell).data(),
        encoder=small_encoder(SIZE),
        seed=0,
        with_decoder=False,
        memory_budget=1 << 30,
    )


def changed(job: Job, **rule: Any) -> Job:
    """The job under a shortened protocol."""
    assert job.protocol.table("detection") is not None
    card = job.protocol.table("detection").model_copy(update={**QUICK, **rule})
    return replace(job, protocol=job.protocol.model_copy(update={"detection": card}))


def same(first: Outcome, second: Outcome) -> bool:
    return all(np.array_equal(first.predictions[k], second.predictions[k]) for k in first.predictions)


def test_learns_and_is_found_by_its_kind(job: Job) -> None:
    before = frozen_hash(job.encoder.image)
    outcome = adapter("detection")(
        changed(job, min_steps=60, max_steps=60, validate_every=20, learning_rate=5e-3)
    )
    assert tuple(outcome.metrics) == job.task.metrics
    assert outcome.metrics["ap_50"] > 0.5
    assert outcome.metrics["ap_50"] > outcome.references["mean-box"]["ap_50"] + 0.3
    assert frozen_hash(job.encoder.image) == before == outcome.notes["encoder_state"]
    assert outcome.notes["dense_features"] == "computed once"
    assert outcome.notes["chosen_step"] in (20, 40, 60)
    # The stored arrays alone give the same numbers, to the last bit.
    assert {name: recompute(name, outcome.predictions) for name in job.task.metrics} == outcome.metrics

    boxes = Detections.read(outcome.predictions)
    assert outcome.predictions["id"].tolist() == list(job.data.test)
    assert len(outcome.predictions["patient"]) == boxes.images == len(job.data.test)
    sides = np.array([job.data.manifest.sizes[job.data.manifest.index[i]][::-1] for i in job.data.test])
    assert (boxes.box[:, :2] >= 0).all()
    assert (boxes.box[:, 2:] > 0).all()
    assert (boxes.box[:, :2] + boxes.box[:, 2:] <= sides[boxes.image] + 1e-3).all()
    assert np.bincount(boxes.image).max() <= 100
    # No cut of confidence: the curve has its weak end.
    assert boxes.score.min() < 0.05 < 0.5 < boxes.score.max()
    # What is surely found lies on a plate in raw pixels, in images of either shape.
    for shape in {tuple(side) for side in sides.tolist()}:
        hits = [
            float(pair_iou(boxes.box[n], boxes.true_box[boxes.true_image == boxes.image[n]]).max(initial=0))
            for n in np.flatnonzero(boxes.score > 0.5)
            if tuple(sides[boxes.image[n]]) == shape
        ]
        assert np.median(hits) > 0.5


def test_same_seed_same_boxes_and_no_cache_no_difference(job: Job) -> None:
    first = detection.run(changed(job))
    assert same(first, detection.run(changed(job)))
    assert not same(first, detection.run(replace(changed(job), seed=1)))
    tight = detection.run(replace(changed(job), memory_budget=1))
    assert tight.notes["dense_features"] == "computed per step"
    assert tight.metrics == pytest.approx(first.metrics, abs=0.02)
    assert tight.predictions["box_score"].max() == pytest.approx(
        first.predictions["box_score"].max(), abs=1e-3
    )


@pytest.mark.parametrize("steps", [False, True], ids=["by mmengine", "by steps"])
def test_training_says_how_far_it_is(
    job: Job, steps: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The libraries are kept from printing while it trains; that must not swallow our own line."""
    monkeypatch.setattr(progress, "FIRST", 0.0)
    monkeypatch.setattr(training, "stays", lambda *_: steps)
    detection.run(changed(job))
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("training: ")]
    assert said[0].startswith("training: 1/4 steps, about ")
    assert said[0].endswith(" left")
    assert said[-1].startswith("training: 4/4 steps, in ")


@pytest.mark.parametrize("budget", [1 << 30, 1])
def test_without_a_word_to_the_host_it_learns_the_same(
    job: Job, budget: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = replace(changed(job, min_steps=12, max_steps=12, validate_every=4), memory_budget=budget)
    quick.encoder.to(torch.device("cpu"))
    monkeypatch.setenv("G2D_BENCH_DEVICE", "cpu")
    first = detection.run(quick)
    monkeypatch.setattr(training, "stays", lambda *_: True)
    second = detection.run(quick)
    assert same(first, second)
    assert first.metrics == second.metrics
    assert first.notes == second.notes


def test_fast_is_another_precision_with_about_the_same_result(job: Job) -> None:
    settings = {"min_steps": 60, "max_steps": 60, "validate_every": 20, "learning_rate": 5e-3}
    exact, fast = changed(job, **settings), changed(job, **settings)
    fast = replace(fast, protocol=fast.protocol.model_copy(update={"precision": "fast"}))
    first, second = detection.run(exact), detection.run(fast)
    assert not same(first, second)
    assert second.notes["precision"] == "fast"
    assert "precision" not in first.notes
    assert second.metrics["ap_50"] == pytest.approx(first.metrics["ap_50"], abs=0.25)
    assert same(second, detection.run(fast))


def test_cells_of_one_encoder_share_its_maps(modules: Any, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []

    def counting(encoder: Any, pixels: Any, rows: Any) -> Any:
        computed.extend(rows.tolist())
        return pyramid_features(encoder, pixels, rows)

    monkeypatch.setattr(modules, "pyramid_features", counting)
    _kept.clear()
    detection.run(changed(job))
    images = {*job.data.train, *job.data.val, *job.data.test}
    assert len(computed) == len(images) == len(set(computed))
    shared = detection.run(replace(changed(job), seed=1))
    assert len(computed) == len(images)
    _kept.clear()
    assert same(shared, detection.run(replace(changed(job), seed=1)))
    assert len(computed) == 2 * len(images)


@pytest.mark.parametrize("batchnorm", ["train", "frozen"])
def test_fine_tuning_moves_the_weights_and_norms_as_told(job: Job, batchnorm: str) -> None:
    body = job.encoder.image
    before = {name: value.clone() for name, value in body.state_dict().items()}
    outcome = detection.run(changed(job, tuning="finetune", batchnorm=batchnorm))
    moved = {name for name, value in body.state_dict().items() if not torch.equal(value.cpu(), before[name])}
    assert not outcome.notes["encoder_frozen"]
    assert "body.conv1.0.weight" in moved
    assert ("body.bn1.running_mean" in moved) == (batchnorm == "train")


def test_whatever_registry_scope_is_current_it_works_and_is_put_back(job: Job) -> None:
    with DefaultScope.overwrite_default_scope("mmseg"):
        detection.run(changed(job))
        current = DefaultScope.get_current_instance()
        assert current is not None
        assert current.scope_name == "mmseg"


@pytest.mark.slow
def test_segmentation_and_detection_in_one_process(real_pack: Path, tmp_path: Path) -> None:
    bench = Bench(Settings(data_root=real_pack, results=tmp_path))
    protocol = bench.catalogue.protocols["clean"]
    assert protocol.table("segmentation") is not None
    assert protocol.table("detection") is not None
    short = {name: value for name, value in QUICK.items() if name != "learning_rate"}
    protocol = protocol.model_copy(
        update={
            "segmentation": protocol.table("segmentation").model_copy(update=short),
            "detection": protocol.table("detection").model_copy(update=short),
        }
    )
    for name in ("covid-cxr-seg", "covid-cxr-det", "covid-cxr-seg", "covid-cxr-det"):
        task = bench.catalogue.tasks[name]
        data = bench.resolve(Cell(task=name, fraction=1.0, protocol="clean", seed=0, encoder="random")).data()
        card = bench.catalogue.encoders["random"]
        outcome = adapter(task.kind)(
            Job(task, protocol, data, load_encoder(card, seed=0), 0, False, memory_budget=1 << 30)
        )
        assert set(outcome.metrics) == set(task.metrics)


def test_refusals(job: Job) -> None:
    with pytest.raises(InputError, match="says nothing about detection"):
        detection.run(replace(job, protocol=job.protocol.model_copy(update={"detection": None})))
    negatives = [i for i in job.data.split.val if not job.data.samples[i].boxes]
    job.data.split = replace(job.data.split, val=tuple(negatives))
    with pytest.raises(InputError, match="no validation image has a box"):
        detection.run(job)


def test_truth_and_back(job: Job) -> None:
    truth = Truth.of(job.data, job.data.test, job.task.labels, SIZE)
    expected = [
        (n, (b.x, b.y, b.w, b.h)) for n, i in enumerate(job.data.test) for b in job.data.samples[i].boxes
    ]
    assert [(int(n), tuple(b)) for n, b in zip(truth.image, truth.box.tolist(), strict=True)] == expected
    found = [
        (
            truth.corners(n),
            np.zeros(int((truth.image == n).sum()), np.int64),
            np.ones(int((truth.image == n).sum())),
        )
        for n in range(len(job.data.test))
    ]
    stored = detection._stored(found, truth, job.data.test)
    np.testing.assert_allclose(stored["box"], truth.box, atol=1e-4)
    assert recompute("ap_coco", stored) == pytest.approx(1.0)
    assert len(Truth.of(job.data, job.data.test, ("Something else",), SIZE).box) == 0


def test_what_leaves_the_image_is_cut_or_dropped() -> None:
    frame = Letterbox.of((50, 100), 64)
    truth = Truth((frame,), np.zeros(0, np.int32), np.zeros(0, np.int16), np.zeros((0, 4)))
    corners = np.array([[-10.0, 10, 32, 80], [0, 0, 64, 15], [10, 20, 20, 30]])
    found = [(corners, np.array([0, 1, 2]), np.array([0.9, 0.8, 0.7]))]
    stored = detection._stored(found, truth, ("a",))
    # The image fills rows 16 to 48 of its square: the second box lies in the padding above it.
    assert stored["box_label"].tolist() == [0, 2]
    np.testing.assert_allclose(stored["box"][0], [0, 0, 50, 50], atol=1e-4)
    np.testing.assert_allclose(stored["box"][1], [10 / 0.64, 4 / 0.64, 10 / 0.64, 10 / 0.64], rtol=1e-5)


def test_mean_box_by_hand() -> None:
    train = Truth(
        (Letterbox.of((100, 200), 64), Letterbox.of((10, 10), 64)),
        np.array([0, 1, 1], np.int32),
        np.array([0, 0, 2], np.int16),
        np.array([[20.0, 10, 40, 20], [3, 3, 4, 4], [0, 0, 5, 5]]),
    )
    # Mean shares of label 0: left 0.2, top 0.2, width 0.3, height 0.3. Label 1 has no training box.
    frames = (Letterbox.of((300, 100), 64), Letterbox.of((50, 50), 64))
    image, label = np.array([0, 1], np.int32), np.array([0, 0], np.int16)
    test = Truth(frames, image, label, np.array([[20.0, 60, 30, 90], [10, 10, 15, 15]]))
    assert mean_box(train, test, names=("ap_coco",)) == {"ap_coco": pytest.approx(1.0)}
    other = replace(test, label=np.array([0, 1], np.int16))
    assert mean_box(train, other, names=("ap_coco",)) == {"ap_coco": pytest.approx(0.5)}
    nothing = Truth((frames[0],), image[:0], label[:0], np.zeros((0, 4)))
    assert mean_box(nothing, test, names=("ap_coco",)) == {"ap_coco": 0.0}
