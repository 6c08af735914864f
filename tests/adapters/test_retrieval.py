"""Retrieval of reports on a tiny release whose right answers are known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.adapters import retrieval
from g2d_bench.adapters.base import Job, run_jobs
from g2d_bench.cards.task import TaskCard
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.data.task_data import TaskData
from g2d_bench.encoders.load import Encoder
from g2d_bench.errors import InputError
from g2d_bench.records.recompute import derive, recompute
from g2d_bench.records.shapes import require_shapes

SIDE = 32
BRIGHT, DARK = "There is pneumonia.", "There is no pneumonia."


def write_openi(root: Path, count: int = 60) -> None:
    """Films of noise; every third is bright, and its report says so; one report has no text."""
    generator = np.random.default_rng(3)
    folder = root / "openi"
    (folder / "xml").mkdir(parents=True)
    rows = ["uid,filename,projection"]
    for n in range(1, count + 1):
        grey = 180 if n % 3 == 0 else 60
        pixels = generator.normal(grey, 8, (SIDE, SIDE)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"CXR{n}_IM-1-1001.png")
        text = "" if n == 7 else BRIGHT if n % 3 == 0 else DARK
        (folder / "xml" / f"{n}.xml").write_text(
            f'<eCitation><uId id="CXR{n}"/><AbstractText Label="IMPRESSION">{text}</AbstractText>'
            f"<MeSH><major>{'Pneumonia' if n % 3 == 0 else 'normal'}</major></MeSH>"
            f'<parentImage id="CXR{n}_IM-1-1001"/></eCitation>'
        )
        rows.append(f"{n},{n}_IM-1-1001.dcm.png,Frontal")
    (folder / "indiana_projections.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Bench:
    root = tmp_path_factory.mktemp("data")
    write_openi(root)
    return Bench(Settings(data_root=root, results=root / "runs"))


def make_job(bench: Bench, encoder: Encoder, task: TaskCard | None = None) -> Job:
    task, protocol = task or bench.catalogue.tasks["openi-retrieval"], bench.catalogue.protocols["clean"]
    return Job(
        task=task,
        protocol=protocol,
        data=TaskData(task, protocol, *bench.source.opened("openi"), 1.0, 0),
        encoder=encoder,
        seed=0,
        with_decoder=False,
        memory_budget=1,
    )


def test_who_reads_finds_the_report(bench: Bench, told: Callable[..., Encoder]) -> None:
    job = make_job(bench, told(SIDE))
    right, wrong = retrieval.run(job), retrieval.run(make_job(bench, told(SIDE, wrong=True)))
    assert "CXR7_IM-1-1001" not in job.data.samples  # it has no report
    assert right.metrics["i2t_r1"] == right.metrics["t2i_r1"] == 1
    assert right.metrics["i2t_median"] == 1
    # Of two different reports, who reads the wrong way round ranks the right one second.
    assert wrong.metrics["i2t_r1"] == 0
    assert wrong.metrics["i2t_median"] == 2
    # Asked for images, the wrong ones all come first.
    dark = sum(text == right.predictions["report"][0] for text in right.predictions["report"])
    several = sorted({dark, len(right.predictions["id"]) - dark})
    assert set(wrong.predictions["t2i_above"]) == set(several)
    assert wrong.metrics["t2i_median"] in (several[0] + 1, several[1] + 1)
    assert right.notes["reports"]["different"] == 2
    assert right.notes["reports"]["images_that_share_one"] == len(right.predictions["id"])


def test_trivial_rows(bench: Bench, told: Callable[..., Encoder]) -> None:
    done = retrieval.run(make_job(bench, told(SIDE)))
    stored = done.predictions
    _, counts = np.unique(stored["report"], return_counts=True)
    # The training images have the dark report more often; it is right wherever it stands.
    commonest = stored["report"][stored["seen"].argmax()]
    assert done.references["most-common"]["i2t_r1"] == np.mean(stored["report"] == commonest)
    assert done.references["random-order"]["i2t_r1"] == 0.5
    share = counts / counts.sum()
    assert done.references["random-order"]["t2i_r1"] == pytest.approx((share**2).sum())


def test_a_record_tells_all_of_it_again(bench: Bench, told: Callable[..., Encoder], tmp_path: Path) -> None:
    done = retrieval.run(make_job(bench, told(SIDE)))
    require_shapes("retrieval", done.predictions, tmp_path / "x.npz")
    for name, value in done.metrics.items():
        assert recompute(name, done.predictions) == value
    facts = derive("retrieval", done.predictions, list(done.metrics))
    assert facts.references == done.references
    assert facts.truth
    assert not facts.faults
    moved = {**done.predictions, "i2t_tied": done.predictions["i2t_tied"] * 0}
    with pytest.raises(InputError, match="i2t_tied"):
        require_shapes("retrieval", moved, tmp_path / "x.npz")


def by_class(bench: Bench, **changes: object) -> TaskCard:
    card = bench.catalogue.tasks["chexpert-8x200"]
    card = card.model_copy(
        update={
            "labels": ("Normal", "Pneumonia"),
            "dataset": "openi",
            "where": {},
            "split": bench.catalogue.tasks["openi-retrieval"].split,
            **changes,
        }
    )
    assert card.prompts is not None
    label = card.prompts.label["Pneumonia"]
    asks = {
        "Pneumonia": label.model_copy(update={"positive": (BRIGHT,)}),
        "Normal": label.model_copy(update={"positive": (DARK,)}),
    }
    return card.model_copy(update={"prompts": card.prompts.model_copy(update={"label": asks})})


def test_classes_by_text_by_image_and_by_report(
    bench: Bench, told: Callable[..., Encoder], tmp_path: Path
) -> None:
    names = ("t2i_class_p5", "i2i_class_p5", "i2t_class_p5", "i2t_class_hit1")
    done = retrieval.run(make_job(bench, told(SIDE), by_class(bench, metrics=names)))
    assert done.metrics == dict.fromkeys(names, 1.0)
    require_shapes("retrieval", done.predictions, tmp_path / "x.npz")
    assert {name: recompute(name, done.predictions) for name in names} == done.metrics
    assert 0.3 < done.references["random-order"]["t2i_class_p5"] < 0.7
    assert len(done.notes["query_images"]) == len(done.predictions["image_label"])
    assert not set(done.notes["query_images"]) & set(done.predictions["id"].tolist())
    wrong = retrieval.run(make_job(bench, told(SIDE, wrong=True), by_class(bench, metrics=names)))
    assert wrong.metrics["t2i_class_p5"] == 0


def test_images_ask_for_their_class(bench: Bench) -> None:
    job = make_job(bench, None, by_class(bench))  # type: ignore[arg-type]
    chosen = retrieval.query_images(job.task, job.data)
    assert {place for _, place in chosen} == {0, 1}
    assert {image for image, _ in chosen} <= set(job.data.val)
    lonely = by_class(bench, labels=("Normal", "Mass"))
    with pytest.raises(InputError, match="no validation image shows 'Mass' alone"):
        retrieval.query_images(lonely, make_job(bench, None, lonely).data)  # type: ignore[arg-type]


def test_no_text_side_is_no_failure(bench: Bench, narrow: Callable[..., Encoder]) -> None:
    encoder = narrow()
    encoder.text = encoder.heads = None
    (done,) = run_jobs([make_job(bench, encoder)])
    assert done.notes["n/a"].startswith("no text encoder")
    assert all(np.isnan(value) for value in done.metrics.values())
