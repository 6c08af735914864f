"""Segmentation where images stay on a device: the losses of a processor, masks as bits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from g2d_bench.adapters.base import Job
from g2d_bench.adapters.mm.runner import import_quietly
from g2d_bench.adapters.mm.steps import learn
from g2d_bench.devices import accelerator

CPU = torch.device("cpu")
# So, and not by name: whatever is imported with them finds the operators that mmdet needs.
segmentation: Any = import_quietly("g2d_bench.adapters.segmentation")
seg_steps: Any = import_quietly("g2d_bench.adapters.mm.segmentation_steps")
training: Any = import_quietly("g2d_bench.adapters.mm.train")


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
    monkeypatch.setattr(training, "stays", lambda *_: True)
    found = []
    for device in ("cpu", ""):
        monkeypatch.setenv("G2D_BENCH_DEVICE", device)
        losses.clear()
        outcome = segmentation.run(job_of(**rule))
        found.append((list(losses), outcome))
    (first, one), (second, other) = found
    assert len(first) == len(second) == one.notes["steps"]
    # 1e-6 of noise on the first weights moves the tenth loss by up to 7e-4.
    assert second[:10] == pytest.approx(first[:10], rel=5e-3)
    assert first[-1] < first[0]
    np.testing.assert_array_equal(one.predictions["true"], other.predictions["true"])


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
