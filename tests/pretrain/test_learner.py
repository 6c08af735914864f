"""A step of pre-training: what it changes, what it gives, and that any device can go on with its state."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.encoders.replay import Replayed
from g2d_bench.pretrain import learner as module
from g2d_bench.pretrain.distributed import World
from g2d_bench.pretrain.learner import Learner, Part
from g2d_bench.pretrain.pretrain import pretrain
from g2d_bench.pretrain.run_folder import RunFolder

CPU = World(0, 1, torch.device("cpu"))


class Toy(nn.Module):
    """Losses of a linear map; the ids are not looked at."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.map = nn.Linear(4, 2)

    def forward(self, grey: Tensor, tokens: dict[str, Tensor], ids: tuple[str, ...]) -> dict[str, Tensor]:
        found = self.map(grey) - tokens["input_ids"]
        return {"loss": found.square().mean(), "part": found.abs().mean()}


def recipe(**changes: Any) -> Any:
    given = {"optimiser": "adamw", "lr": 1e-2, "betas": (0.9, 0.95), "weight_decay": 0.1, "clip": 0.5}
    return SimpleNamespace(**{**given, "amp": False, **changes})


def objective(phase: Any = 0) -> Any:
    return SimpleNamespace(phase=lambda: phase)


def part(seed: int, count: int = 6) -> Part:
    generator = torch.Generator().manual_seed(seed)
    grey = torch.randn(count, 4, generator=generator)
    return grey, {"input_ids": torch.randn(count, 2, generator=generator)}, ()


def by_hand(model: Toy, batches: list[list[Part]], rates: list[float], recipe: Any) -> list[dict[str, float]]:
    """Take the steps with one optimiser, as its documentation has it."""
    groups = [
        {"params": [model.map.weight], "weight_decay": recipe.weight_decay},
        {"params": [model.map.bias], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=1.0, betas=recipe.betas)
    found = []
    for parts, rate in zip(batches, rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses = [model(*one) for one in parts]
        total = sum(one["loss"] for one in losses) / len(parts)
        total.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimiser.step()
        optimiser.zero_grad()
        found.append(
            {
                "loss": float(total.detach()),
                "part": float(sum(one["part"].detach() for one in losses) / len(parts)),
                "grad_norm": float(norm),
            }
        )
    return found


@pytest.mark.parametrize("accumulate", [1, 3])
def test_steps_are_those_of_the_optimiser(accumulate: int) -> None:
    batches = [[part(10 * step + n) for n in range(accumulate)] for step in range(5)]
    rates = [1e-2, 2e-2, 0.0, 3e-2, 1e-3]
    model, other = Toy(), Toy()
    seen: list[Tensor] = []
    expected = by_hand(other, batches, rates, recipe())
    learner = Learner(model, objective(), recipe(), CPU)
    for parts, rate, wanted in zip(batches, rates, expected, strict=True):
        found = learner.step(parts, rate, seen.append if accumulate > 1 else None)
        assert {name: float(value) for name, value in found.items()} == pytest.approx(wanted, rel=1e-6)
    torch.testing.assert_close(model.state_dict(), other.state_dict(), rtol=1e-6, atol=1e-7)
    assert len(seen) == (5 if accumulate > 1 else 0)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_is_checked_has_changed_nothing() -> None:
    model = Toy()
    before = copy.deepcopy(model.state_dict())

    def refuse(loss: Tensor) -> None:
        raise ArithmeticError(float(loss))

    with pytest.raises(ArithmeticError):
        Learner(model, objective(), recipe(), CPU).step([part(0)], 1e-2, refuse)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_a_state_goes_on_here_wherever_it_was_made(tmp_path: Path) -> None:
    batches = [[part(step)] for step in range(6)]
    whole, cut = Toy(), Toy()
    learner = Learner(whole, objective(), recipe(), CPU)
    for parts in batches:
        learner.step(parts, 1e-2)
    first = Learner(cut, objective(), recipe(), CPU)
    for parts in batches[:3]:
        first.step(parts, 1e-2)
    # What a GPU writes of its kernels must not bind a processor.
    state = first.state()
    for group in state["optimiser"]["param_groups"]:
        assert group["lr"] == 1e-2
        group.update(fused=True, capturable=True)
    folder = RunFolder(tmp_path / "run", {})
    folder.save(state)
    again = folder.load(CPU.device)
    assert again is not None
    second = Learner(cut, objective(), recipe(), CPU)
    second.load(again)
    for parts in batches[3:]:
        second.step(parts, 1e-2)
    torch.testing.assert_close(cut.state_dict(), whole.state_dict(), rtol=0, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("method", OBJECTIVES.names)
def test_a_gpu_replays_what_it_would_compute(
    toy: Path, tiny: dict[str, Any], tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Noted(Replayed):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(module, "Replayed", Noted)
    found = {}
    for name in ("replayed", "plain"):
        with monkeypatch.context() as patch:
            if name == "plain":
                patch.setattr(OBJECTIVES[method], "phase", lambda _: None)
            pretrain(
                method,
                str(toy),
                out=tmp_path / name,
                overrides=tiny | {"steps": 24},
                device="cuda",
                cache=tmp_path / "cache",
            )
        lines = map(json.loads, (tmp_path / name / "log.jsonl").read_text().splitlines())
        found[name] = [[line["loss"], line["grad_norm"]] for line in lines]
    replayed, plain = made
    assert plain.replays == 0
    if method == "mgca":  # it reads how many words there are
        assert replayed.replays == 0
    else:
        assert replayed.plain is None
        assert replayed.replays > 6
    # Kernels of pre-training add up in any order.
    torch.testing.assert_close(
        torch.tensor(found["replayed"][:12]), torch.tensor(found["plain"][:12]), rtol=2e-2, atol=1e-3
    )
