"""Steps that a GPU replays: the same bits as plain ones, and plain ones where recording is impossible."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from g2d_bench.devices import steady
from g2d_bench.encoders.replay import PLAIN, Replayed, waits

CPU, GPU = torch.device("cpu"), torch.device("cuda")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_elsewhere_every_call_is_plain() -> None:
    weight, calls = torch.ones(2, requires_grad=True), []

    def step(values: Tensor) -> dict[str, Tensor]:
        calls.append(float(values.sum()))
        return {"loss": (weight * values).sum()}

    replayed = Replayed(step, CPU)
    found = [replayed(torch.full((2,), float(n)), phase=n or None) for n in range(PLAIN + 3)]
    assert calls == [2.0 * n for n in range(PLAIN + 3)]
    assert [float(one["loss"]) for one in found] == calls
    assert not any(one["loss"].requires_grad for one in found)
    assert replayed.replays == 0
    assert replayed.plain == "there is no GPU"


def trained(wrap: Callable[[Any], Any], shapes: list[int]) -> tuple[list[Tensor], list[Tensor], Any]:
    """Train a small network with dropout on batches of some sizes; return losses, weights and the step."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3)]
    model = nn.Sequential(*layers, nn.Conv2d(8, 1, 3, padding=1)).to(GPU).train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True, capturable=True)

    def step(images: Tensor, truth: Tensor) -> dict[str, Tensor]:
        optimiser.zero_grad(set_to_none=True)
        loss = nn.functional.binary_cross_entropy_with_logits(model(images), truth)
        torch.autograd.backward(loss)
        optimiser.step()
        return {"loss": loss}

    taken, losses = wrap(step), []
    generator = torch.Generator().manual_seed(1)
    for number, count in enumerate(shapes):
        images = torch.rand(count, 1, 16, 16, generator=generator).to(GPU)
        torch.manual_seed(number)
        losses.append(taken(images, (images > 0.5).float())["loss"].detach())
    return losses, [value.clone() for value in model.state_dict().values()], taken


@needs_gpu
@pytest.mark.parametrize("shapes", [[4] * 12, [4, 4, 6, 4, 4, 6, 4, 6, 4, 6, 4, 6]])
def test_a_replayed_training_has_the_bits_of_a_plain_one(shapes: list[int]) -> None:
    with steady(GPU):
        losses, weights, _ = trained(lambda step: step, shapes)
        found, state, step = trained(lambda step: Replayed(step, GPU), shapes)
    assert step.plain is None
    # A second shape is met while nothing is recorded, once as usual.
    assert step.replays == len(shapes) - (PLAIN if len(set(shapes)) == 1 else PLAIN + 1)
    assert torch.equal(torch.stack(found), torch.stack(losses))
    assert all(torch.equal(a, b) for a, b in zip(state, weights, strict=True))
    assert len({float(loss) for loss in found}) == len(shapes)


@needs_gpu
def test_what_is_given_outlives_the_next_replay() -> None:
    step = Replayed(lambda values: {"loss": values.sum()}, GPU)
    found = [step(torch.full((3,), float(n), device=GPU))["loss"] for n in range(8)]
    assert step.replays == 8 - PLAIN
    assert torch.stack(found).tolist() == [3.0 * n for n in range(8)]


@needs_gpu
def test_each_phase_is_recorded_by_itself() -> None:
    factor = [1.0]
    step = Replayed(lambda values: {"loss": values.sum() * factor[0]}, GPU)
    found = []
    for n in range(12):
        factor[0] = float(n % 2 + 1)
        found.append(float(step(torch.ones(3, device=GPU), phase=n % 2)["loss"]))
    assert found == [3.0, 6.0] * 6
    assert step.replays > 4
    before = step.replays
    assert float(step(torch.ones(3, device=GPU), phase=None)["loss"]) == 6.0
    assert step.replays == before


def test_what_waits_before_the_last_plain_call_alone_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As what copies its constants in the first step and keeps them; told without a GPU."""
    for name in ("Stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, lambda device: SimpleNamespace(wait_stream=lambda other: None))
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, **how: nullcontext())
    monkeypatch.setattr(
        torch.cuda, "CUDAGraph", lambda: SimpleNamespace(pool=lambda: None, replay=lambda: None)
    )
    for waiting, replays in (({1}, 2), ({1, 2}, 2), ({PLAIN}, 0), (set(), 2)):
        calls = iter(range(1, 99))

        @contextmanager
        def waits(calls: Iterator[int] = calls, waiting: set[int] = waiting) -> Iterator[list[str]]:
            yield ["load.py:137"] if next(calls) in waiting else []

        monkeypatch.setattr("g2d_bench.encoders.replay.waits", waits)
        step = Replayed(lambda values: {"loss": values.sum()}, GPU)
        for _ in range(PLAIN + 2):
            step(torch.ones(2))
        assert step.replays == replays
        assert bool(step.plain) == (replays == 0)


def asks(values: Tensor) -> dict[str, Tensor]:
    """Wait for the device where sums are read."""
    return {"loss": values * float(values.sum())}


def halts(values: Tensor) -> dict[str, Tensor]:
    """Wait for the device in a way that only the recording finds."""
    torch.cuda.synchronize()
    return {"loss": nn.functional.dropout(values, 0.5).sum()}


@pytest.fixture
def quiet_gpu() -> Iterator[None]:
    """Leave the device as it was."""
    yield
    torch.cuda.synchronize()


@needs_gpu
@pytest.mark.parametrize("body", [asks, halts])
def test_a_step_that_waits_stays_plain(body: Any, quiet_gpu: None) -> None:
    step = Replayed(body, GPU)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in range(PLAIN + 3):
            step(torch.tensor([float(n)], device=GPU))
    assert step.plain
    assert step.replays == 0
    # Random numbers can still be drawn, and follow the seed.
    torch.manual_seed(3)
    first = torch.rand(4, device=GPU)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(4, device=GPU), first)
    # Others can still be recorded.
    other = Replayed(lambda values: {"loss": values.sum()}, GPU)
    assert [float(other(torch.ones(2, device=GPU))["loss"]) for _ in range(6)] == [2.0] * 6
    assert other.plain is None


def test_what_waits_is_heard_and_the_rest_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[Any] = []
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    said = (
        "called a synchronizing CUDA operation (at x)",
        "planted",
        "Synchronization debug mode is a prototype",
    )
    found: list[str] = []

    def ask() -> None:
        with waits() as places:
            for text in said:
                warnings.warn(text, stacklevel=1)
        found.extend(places)

    with pytest.warns(UserWarning, match="planted") as passed:
        ask()
    assert [place.split(":")[0] for place in found] == [Path(__file__).name]
    assert len(passed) == 1
    assert modes == ["warn", 0]


@needs_gpu
def test_warnings_of_other_things_are_passed_on(quiet_gpu: None) -> None:
    def step(values: Tensor) -> dict[str, Tensor]:
        warnings.warn("planted", stacklevel=1)
        return {"loss": values.sum()}

    with pytest.warns(UserWarning, match="planted"):
        Replayed(step, GPU)(torch.ones(2, device=GPU))
