"""Training without a word to the host: the same weights as mmengine's loop, the same end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from g2d_bench.adapters.base import Job, Outcome
from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.adapters.mm.steps import AHEAD, Choice, Plan, learn, staged
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.devices import accelerator
from g2d_bench.encoders.load import load_encoder
from g2d_bench.records.cell import Cell

CPU = torch.device("cpu")
QUICK = {"epochs": 1, "min_steps": 12, "max_steps": 12, "validate_every": 4, "settle_steps": 0}

# So, and not by name: whatever is imported with them finds the operators that mmdet needs.
segmentation: Any = import_quietly("g2d_bench.adapters.segmentation")
seg_steps: Any = import_quietly("g2d_bench.adapters.mm.segmentation_steps")


@pytest.fixture
def job_of(
    tiny_root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Job]:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path_factory.getbasetemp() / "steps-cache"))
    bench = Bench(Settings(data_root=tiny_root))

    def make(budget: int = 1 << 30, name: str = "clean", precision: str = "fp32", **rule: Any) -> Job:
        protocol = bench.catalogue.protocols[name]
        assert protocol.segmentation is not None
        changed = protocol.segmentation.model_copy(update={**QUICK, **rule})
        protocol = protocol.model_copy(
            update={"segmentation": changed, "split": "clean", "draw": "nested", "precision": precision}
        )
        cell = Cell(task="covid-cxr-seg", fraction=1.0, protocol="clean", seed=0, encoder="random")
        card = bench.catalogue.encoders["random"]
        return Job(
            task=protocol.view(bench.catalogue.tasks["covid-cxr-seg"]),
            protocol=protocol,
            data=bench.resolve(cell).data(),
            encoder=load_encoder(card, seed=0),
            seed=0,
            with_decoder=False,
            memory_budget=budget,
        )

    return make


def same(first: Outcome, second: Outcome) -> None:
    for name, values in first.predictions.items():
        np.testing.assert_array_equal(values, second.predictions[name], err_msg=name)
    assert first.metrics == pytest.approx(second.metrics, nan_ok=True, abs=0)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        ({}, {}),
        ({"budget": 1}, {"validate_every": 5}),
        ({}, {"tuning": "finetune", "batchnorm": "train"}),
        # Turned and scaled images, chosen by the loss.
        ({"name": "legacy"}, {}),
    ],
)
def test_segmentation_learns_the_same(
    job_of: Callable[..., Job],
    settings: dict[str, Any],
    rule: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("G2D_BENCH_DEVICE", "cpu")
    first = segmentation.run(job_of(**settings, **rule))
    monkeypatch.setattr(segmentation, "stays", lambda *_: True)
    second = segmentation.run(job_of(**settings, **rule))
    same(first, second)
    assert second.notes.pop("validation") == pytest.approx(first.notes.pop("validation"), rel=1e-6)
    assert first.notes == second.notes
    assert first.predictions["predicted"].any()


@pytest.mark.parametrize("rule", [{}, {"tuning": "finetune", "batchnorm": "train"}])
def test_wherever_it_is_trained_the_first_losses_are_those_of_a_processor(
    job_of: Callable[..., Job], rule: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is a GPU it is held against the processor; later losses lie apart by what training makes of
    last bits."""
    losses: list[float] = []

    def watched(
        model: Any, batches: Any, loss: Callable[[torch.Tensor], torch.Tensor], *rest: Any, **more: Any
    ) -> Any:
        def kept(rows: torch.Tensor) -> torch.Tensor:
            total = loss(rows)
            losses.append(float(total.detach()))
            return total

        return learn(model, batches, kept, *rest, **more)

    monkeypatch.setattr(seg_steps, "learn", watched)
    monkeypatch.setattr(segmentation, "stays", lambda *_: True)
    found = []
    for device in ("cpu", ""):
        monkeypatch.setenv("G2D_BENCH_DEVICE", device)
        losses.clear()
        outcome = segmentation.run(job_of(**rule))
        found.append((list(losses), outcome))
    (first, one), (second, other) = found
    assert len(first) == len(second) == QUICK["max_steps"]
    # 1e-6 of noise on the first weights moves the tenth loss by up to 7e-4.
    assert second[:10] == pytest.approx(first[:10], rel=5e-3)
    assert first[-1] < first[0]
    np.testing.assert_array_equal(one.predictions["true"], other.predictions["true"])


def test_fast_has_about_the_same_result(job_of: Callable[..., Job]) -> None:
    long = {"min_steps": 60, "max_steps": 60, "validate_every": 20}
    first, second, again = (
        segmentation.run(job_of(precision=kind, **long)) for kind in ("fp32", "fast", "fast")
    )
    assert not np.array_equal(first.predictions["mask"], second.predictions["mask"])
    assert second.metrics["dice_positive"] == pytest.approx(first.metrics["dice_positive"], abs=0.15)
    assert second.notes["precision"] == "fast"
    same(second, again)


def plan(**changes: Any) -> Plan:
    given = {"steps": 60, "every": 10, "patience": 2, "settle_steps": 0, "learning_rate": 1e-2}
    return Plan(**{**given, "weight_decay": 0.0, **changes})


@pytest.mark.parametrize(
    ("scores", "changes", "chosen", "end"),
    [
        ([0.2, 0.1, 0.1, 0.1, 0.4, 0.5], {}, 10, 30),
        ([0.2, 0.1, 0.1, 0.1, 0.4, 0.5], {"settle_steps": 30}, 10, 40),
        ([0.2, 0.2, 0.2, 0.2, 0.1, 0.1], {}, 10, 60),
        ([3.0, 2.0, 2.5, 2.5, 1.0, 1.0], {"lower_is_better": True}, 20, 40),
        ([0.1, float("nan"), 0.9, 0.9, 0.9, 0.9], {}, 10, 20),
    ],
)
def test_the_best_step_is_kept_and_patience_ends_the_loop(
    scores: list[float], changes: dict[str, Any], chosen: int, end: int
) -> None:
    model = nn.Linear(1, 1)
    waiting, weights = iter(scores), []

    def score() -> float:
        assert not model.training
        weights.append(model.weight.detach().clone())
        return next(waiting)

    batches = iter(lambda: torch.tensor([1.0, 2.0]), None)
    taken, choice = learn(
        model,
        batches,
        lambda rows: (model(rows[:, None]) - 3).square().mean(),
        score,
        plan(**changes),
        device=CPU,
        precision="fp32",
    )
    assert (taken, choice.step) == (end, chosen)
    assert choice.score == scores[chosen // 10 - 1]
    assert torch.equal(model.weight, weights[chosen // 10 - 1])


def test_a_choice_ends_with_the_last_validation_at_the_latest() -> None:
    choice = Choice(plan())
    assert [choice.take(10 * n, value) for n, value in enumerate((0.5, 0.6, 0.6), 1)] == [True, True, False]
    assert not choice.ended


@pytest.mark.parametrize("device", sorted({CPU, accelerator()}, key=str), ids=str)
def test_batches_arrive_in_their_order(device: torch.device) -> None:
    numbers = iter([torch.tensor([n]) for n in range(2 * AHEAD)])
    assert [int(row) for row in staged(numbers, AHEAD + 3, device)] == list(range(AHEAD + 3))
    assert int(next(numbers)) == AHEAD + 3


@pytest.mark.parametrize("side", [8, 6])
@pytest.mark.parametrize("device", sorted({CPU, accelerator()}, key=str), ids=str)
def test_masks_and_bits(side: int, device: torch.device) -> None:
    mask = np.random.default_rng(0).random((5, side, side)) < 0.4
    bits = np.packbits(mask.reshape(5, -1), axis=1)
    masks = seg_steps.Masks(bits, side, device)
    assert len(masks) == 5
    chosen = masks[torch.tensor([3, 1], device=device)]
    assert chosen.dtype == torch.uint8
    np.testing.assert_array_equal(chosen[:, 0].cpu().numpy(), mask[[3, 1]])
    found = seg_steps.packed(torch.from_numpy(mask)[:, None].to(device))
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found.cpu().numpy(), bits)
