"""Fine-tuning on a tiny release: the loop learns, keeps its best step, and leaves the encoder alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from g2d_bench.adapters import classification
from g2d_bench.adapters.base import KERNELS, Job
from g2d_bench.adapters.finetune import (
    Classifier,
    Crops,
    Fed,
    batches,
    fine_tune,
    masked_loss,
    mean_batch_loss,
)
from g2d_bench.adapters.stepwise import ClassificationTraining
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.encoders.features import frozen_hash
from g2d_bench.encoders.load import load_encoder
from g2d_bench.records.cell import Cell

WORDS = ("normal", "pneumonia", "COVID-19")


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(3)
    for part, count in (("train", 45), ("test", 18)):
        folder = tmp_path / "covidx" / part
        folder.mkdir(parents=True)
        lines = []
        for n in range(count):
            pixels = generator.normal(110, 20, (32, 32))
            pixels[4 + 8 * (n % 3) : 12 + 8 * (n % 3)] += 60
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{part}{n}.png")
            lines.append(f"{part}{n} {part}{n}.png {WORDS[n % 3]} cohen")
        (folder.parent / f"{part}_COVIDx9A.txt").write_text("\n".join(lines) + "\n")
    bench = Bench(Settings(data_root=tmp_path, results=tmp_path / "runs"))
    cell = Cell(task="covidx-cls", fraction=1.0, protocol="clean-finetune", seed=0, encoder="random")
    card = bench.catalogue.encoders["random"]
    options = {**card.image.options, "channels": [8, 8, 16, 16]}
    card = card.model_copy(update={"image": card.image.model_copy(update={"size": 32, "options": options})})
    return Job(
        task=bench.catalogue.tasks["covidx-cls"],
        protocol=bench.catalogue.protocols["clean-finetune"],
        data=bench.resolve(cell).data(),
        encoder=load_encoder(card, seed=0),
        seed=0,
        with_decoder=False,
        memory_budget=1,
    )


def rule(job: Job, **changes: Any) -> ClassificationTraining:
    assert job.protocol.table("classification") is not None
    assert job.protocol.table("classification").training is not None
    quick = {"learning_rate": 3e-3, "batch_size": 15, "epochs": 1, "min_steps": 30, "validate_every": 5}
    known: ClassificationTraining = job.protocol.table("classification").training
    return known.model_copy(update={**quick, "max_steps": 30, **changes})


def with_rule(job: Job, training: ClassificationTraining) -> Job:
    assert job.protocol.table("classification") is not None
    card = job.protocol.table("classification").model_copy(update={"training": training})
    return replace(job, protocol=job.protocol.model_copy(update={"classification": card}))


def test_it_learns_and_leaves_the_encoder_as_it_was(job: Job) -> None:
    before = frozen_hash(job.encoder.image)
    outcome = classification.run(with_rule(job, rule(job)))
    assert frozen_hash(job.encoder.image) == before
    assert not any(p.grad is not None for p in job.encoder.image.parameters())
    assert outcome.metrics["accuracy"] > 0.8
    assert outcome.references["prevalence"]["accuracy"] == pytest.approx(1 / 3)
    assert not outcome.notes["encoder_frozen"]
    assert 0 < outcome.notes["chosen_step"] <= outcome.notes["steps"] <= 30
    scores = outcome.predictions["scores"]
    np.testing.assert_allclose(scores.sum(1), 1)
    again = classification.run(with_rule(job, rule(job)))
    np.testing.assert_array_equal(scores, again.predictions["scores"])
    other = classification.run(replace(with_rule(job, rule(job)), seed=1))
    assert not np.array_equal(scores, other.predictions["scores"])


def test_the_best_step_is_kept_and_patience_ends_the_loop(job: Job) -> None:
    seen: list[np.ndarray[Any, Any]] = []
    marks = iter([0.2, 0.9, 0.3, 0.9, 0.1, 0.8])

    def judge(scores: np.ndarray[Any, Any]) -> float:
        seen.append(scores)
        return next(marks)

    tuned = fine_tune(job, rule(job, patience=3), judge)
    # 0.9 at step 10; three validations without a better one: 15, 20, 25.
    assert (tuned.notes["chosen_step"], tuned.notes["steps"], len(seen)) == (10, 25, 5)
    np.testing.assert_array_equal(tuned.val, seen[1])
    assert not np.array_equal(tuned.val, seen[-1])


def test_frozen_batchnorm_keeps_its_statistics(job: Job) -> None:
    for freeze in (True, False):
        encoder = replace(job.encoder, image=load_encoder(job.encoder.card, seed=0).image)
        before = {name: value.clone() for name, value in encoder.image.named_buffers()}
        model = Classifier(encoder, 3, freeze_norm=freeze).train()
        model(torch.randint(0, 256, (4, 32, 32), dtype=torch.uint8))
        same = all(torch.equal(value, before[name]) for name, value in encoder.image.named_buffers())
        assert same is freeze


def test_batches_are_orders_of_all_rows_cut_in_pieces() -> None:
    drawn = torch.cat(list(islice(batches(7, 3, seed=4), 7)))
    assert all(sorted(drawn[n : n + 7].tolist()) == list(range(7)) for n in (0, 7, 14))
    assert drawn[:7].tolist() != drawn[7:14].tolist()
    assert drawn.tolist() == torch.cat(list(islice(batches(7, 3, seed=4), 7))).tolist()
    assert drawn.tolist() != torch.cat(list(islice(batches(7, 3, seed=5), 7))).tolist()


def test_unknown_labels_do_not_count() -> None:
    logits = torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=True)
    targets = torch.tensor([[1.0, torch.nan], [0.0, 1.0]])
    known = torch.tensor([1.0, 0.5, 3.0])
    wanted = F.binary_cross_entropy_with_logits(known, torch.tensor([1.0, 0.0, 1.0]))
    loss = masked_loss(logits, targets, exclusive=False)
    assert loss.item() == pytest.approx(wanted.item())
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad.isfinite().all()
    nothing = masked_loss(logits, torch.full((2, 2), torch.nan), exclusive=False)
    assert nothing.item() == 0
    one_hot = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    both = masked_loss(logits, one_hot, exclusive=True)
    assert both.item() == pytest.approx(F.cross_entropy(logits, torch.tensor([1, 0])).item())


def published(job: Job) -> Job:
    """The cell under the published linear protocol, with fewer steps and on the same split."""
    protocol = Catalogue.open().protocols["legacy"]
    assert protocol.table("classification") is not None
    assert protocol.table("classification").training is not None
    quick = {"learning_rate": 3e-2, "batch_size": 15, "epochs": 1, "min_steps": 60, "max_steps": 60}
    training = protocol.table("classification").training.model_copy(update=quick)
    card = protocol.table("classification").model_copy(update={"training": training})
    return replace(job, protocol=protocol.model_copy(update={"classification": card}))


def test_a_linear_layer_learns_on_a_frozen_encoder(job: Job) -> None:
    before = frozen_hash(job.encoder.image)
    outcome = classification.run(published(job))
    assert frozen_hash(job.encoder.image) == before == outcome.notes["encoder_state"]
    assert outcome.notes["encoder_frozen"]
    assert set(outcome.notes["validation"]) == {"val_loss"}
    assert outcome.metrics["accuracy"] > 0.6
    again = classification.run(published(job))
    np.testing.assert_array_equal(outcome.predictions["scores"], again.predictions["scores"])


def test_the_step_with_the_lowest_loss_is_kept(job: Job) -> None:
    tuned = fine_tune(job, rule(job, select="val_loss", drop_last=True), lambda scores: 1 / 0)
    truth = job.data.targets(job.data.val).argmax(1)
    losses = -np.log(tuned.val[np.arange(len(truth)), truth])
    # The nine images of validation are fewer than a batch of 15, so that all of them count.
    assert len(truth) < 15
    assert tuned.notes["validation"]["val_loss"] == pytest.approx(losses.mean())


def test_validation_loss_is_a_mean_of_full_batches(job: Job) -> None:
    generator = np.random.default_rng(1)
    logits, targets = generator.normal(0, 3, (23, 2)), (generator.random((23, 2)) < 0.5).astype(float)
    targets[4, 0] = targets[8, 1] = np.nan

    def one(rows: range) -> float:
        each = [
            np.log1p(np.exp(-logits[n, k] if targets[n, k] else logits[n, k]))
            for n in rows
            for k in range(2)
            if not np.isnan(targets[n, k])
        ]
        return float(sum(each) / len(each))

    fives = [range(n, n + 5) for n in (0, 5, 10, 15)]
    for size, drop, parts in ((5, True, fives), (5, False, [*fives, range(20, 23)]), (50, True, [range(23)])):
        given = rule(job, batch_size=size, drop_last=drop)
        found = mean_batch_loss(torch.from_numpy(logits), torch.from_numpy(targets), given, exclusive=False)
        assert found == pytest.approx(np.mean([one(part) for part in parts]))


def test_crops_lie_inside_and_reach_every_place() -> None:
    pixels = np.arange(2 * 7 * 7, dtype=np.uint8).reshape(2, 7, 7)
    crops = Crops(pixels, 5)
    np.testing.assert_array_equal(crops.centres, pixels[:, 1:6, 1:6])
    drawn = crops.random(np.zeros(400, np.intp), torch.Generator().manual_seed(0))
    corners = {int(crop[0, 0]) for crop in drawn}
    assert corners == {7 * top + left for top in range(3) for left in range(3)}
    for crop in drawn[:20]:
        top, left = divmod(int(crop[0, 0]), 7)
        np.testing.assert_array_equal(crop, pixels[0, top : top + 5, left : left + 5])
    whole = Crops(pixels, 7)
    np.testing.assert_array_equal(whole.random(np.array([1, 0]), torch.Generator()), pixels[[1, 0]])
    np.testing.assert_array_equal(whole.centres, pixels)


@pytest.mark.parametrize("side", [7, 5])
def test_what_lies_on_the_device_is_cut_at_the_same_places(side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, side, side), dtype=np.uint8)
    crops, rows = Crops(pixels, 5), np.array([3, 0, 3])
    there, elsewhere = (Fed(crops, torch.device("cpu"), held) for held in (True, False))
    assert torch.equal(there.centres(rows), elsewhere.centres(rows))
    one, other = (fed.random(rows, torch.Generator().manual_seed(2)) for fed in (there, elsewhere))
    assert torch.equal(one, other)


def test_fast_is_noted_and_repeats(job: Job) -> None:
    quick = with_rule(job, rule(job))
    quick = replace(quick, protocol=quick.protocol.model_copy(update={"precision": "fast"}))
    first, second = classification.run(quick), classification.run(quick)
    if KERNELS not in first.notes:
        np.testing.assert_array_equal(first.predictions["scores"], second.predictions["scores"])
    assert first.notes["precision"] == "fast"
    assert first.metrics["accuracy"] > 0.8
