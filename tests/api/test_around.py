"""What is around an evaluation is left as it was; the tests of ``evaluate`` see to the rest."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import nn

from g2d_bench.api.around import ALONE, as_found


def test_a_scripted_module_is_put_back(vector: nn.Module) -> None:
    scripted: Any = torch.jit.script(vector)
    before = [value.clone() for value in scripted.state_dict().values()]
    with as_found([scripted]):
        scripted.eval().double()
        for one in scripted.parameters():
            one.requires_grad_(False)
    assert all(part.training for part in scripted.modules())
    assert all(one.requires_grad for one in scripted.parameters())
    after = list(scripted.state_dict().values())
    assert all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_buffers_that_were_made_meanwhile_stay(vector: nn.Module) -> None:
    found = vector.get_buffer("body.1.running_mean")
    with as_found([vector]):
        vector.register_buffer("late", torch.ones(1))
        vector.get_submodule("body.1").register_buffer("running_mean", torch.ones(8))
    assert vector.get_buffer("body.1.running_mean") is found
    assert "late" in dict(vector.named_buffers())


def test_one_thread_at_a_time_and_that_one_again() -> None:
    got: list[bool] = []
    with ALONE, ALONE:
        beside = threading.Thread(target=lambda: got.append(ALONE.acquire(blocking=False)))
        beside.start()
        beside.join()
    assert got == [False]
