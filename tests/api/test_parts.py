"""Modules take part wherever a model keeps them, and stay as they were."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from g2d_bench.api.parts import as_module, owners, watched


class Holder:
    """Keeps a module where only its call shows it."""

    def __init__(self, net: nn.Module) -> None:
        self.parts = [{"net": net}]

    def __call__(self, x: Tensor) -> Tensor:
        found: Tensor = self.parts[0]["net"](x)
        return found


def test_what_is_called_is_seen_and_runs_in_evaluation_mode(vector: nn.Module) -> None:
    before = {name: value.clone() for name, value in vector.state_dict().items()}
    with watched([]) as called:
        Holder(vector)(torch.rand(2, 3, 64, 64))
        assert not any(part.training for part in vector.modules())
    assert called == [vector]
    assert all(part.training for part in vector.modules())
    assert all(torch.equal(before[name], value) for name, value in vector.state_dict().items())


def test_what_is_known_keeps_its_mode(vector: nn.Module) -> None:
    outer = nn.Sequential(vector)
    vector.eval()
    with watched(vector.modules()) as called:
        outer(torch.rand(2, 3, 64, 64))
        vector.train()
    assert called == [outer]
    assert all(part.training for part in vector.modules())


def test_other_threads_are_not_watched(vector: nn.Module) -> None:
    with watched([]) as called:
        beside = threading.Thread(target=vector, args=(torch.rand(2, 3, 64, 64),))
        beside.start()
        beside.join()
    assert called == []
    assert int(vector.state_dict()["body.1.num_batches_tracked"]) == 1


def near(net: nn.Module) -> dict[str, Any]:
    def closed(x: Tensor) -> Any:
        return net.body(x)  # type: ignore[operator]

    return {
        "object": Holder(net),
        "closure": closed,
        "partial": partial(closed),
        "method": Holder(net).__call__,
    }


@pytest.mark.parametrize("way", ["object", "closure", "partial", "method"])
def test_a_module_whose_parts_alone_are_called_is_found(way: str, vector: nn.Module) -> None:
    other = nn.Linear(1, 1)
    body = vector.get_submodule("body")
    assert owners(near(vector)[way], [body, other]) == [vector, other]


def test_a_bound_method_shows_its_module(vector: nn.Module) -> None:
    assert vector in list(as_module(vector.forward).modules())


@pytest.mark.parametrize("shown", [True, False])
def test_a_compiled_module_is_not_compiled_anew(shown: bool, vector: nn.Module) -> None:
    seen: list[nn.Module] = []

    def compiler(graph: Any, _: Any) -> Any:
        seen.append(graph)
        return graph.forward

    compiled: Any = torch.compile(vector.eval(), backend=compiler)
    images = torch.rand(2, 3, 64, 64)
    compiled(images)
    tail = nn.Identity()
    with watched(compiled.modules() if shown else []) as called:
        tail(compiled(images))
    assert called == ([] if shown else [compiled, tail])
    assert len(seen) == 1
    assert not torch.nn.modules.module._global_forward_pre_hooks
