"""Training without a word to the host: the same weights as mmengine's loop, the same end."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from g2d_bench.adapters.mm.plan import Plan
from g2d_bench.adapters.mm.steps import AHEAD, Choice, learn, staged
from g2d_bench.devices import accelerator

CPU = torch.device("cpu")
QUICK = {"epochs": 1, "min_steps": 12, "max_steps": 12, "validate_every": 4, "settle_steps": 0}


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
