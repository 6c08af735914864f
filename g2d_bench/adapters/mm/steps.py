"""Training a head by steps without a word to the host between two validations.

mmengine's loop reads the losses of every step, builds every batch sample by sample and copies it piece by
piece. A GPU waits for that most of the time. Here rows, losses and weights stay where they are computed.
Order of the images, optimiser, choice of the step and end of the training are those of
:func:`~g2d_bench.adapters.mm.runner.build_runner`, so that on a processor both give the same weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from g2d_bench.adapters.mm.plan import Plan
from g2d_bench.devices import Precision, half, sent
from g2d_bench.encoders.replay import Replayed
from g2d_bench.progress import Meter

AHEAD = 512
"""Batches at most whose row numbers are sent to the device together."""


class Choice:
    """Which validation was the best, and when enough have brought nothing."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sign = -1.0 if plan.lower_is_better else 1.0
        self.best, self.step = -math.inf, 0
        self._to_beat, self._waited = -math.inf, 0
        self.ended = False

    def take(self, step: int, score: float) -> bool:
        """Note the score of a step; return whether it is the best so far."""
        signed = self._sign * score
        if not math.isfinite(score):
            self.ended = True
        elif signed < self._to_beat:
            self._waited += 1
            self.ended = self._waited >= self._plan.patience
        else:
            self._to_beat, self._waited = signed, 0
        if step < self._plan.settle_steps:
            self._waited, self.ended = 0, False
        if signed > self.best:
            self.best, self.step = signed, step
            return True
        return False

    @property
    def score(self) -> float:
        """The best score, in its own direction."""
        return self._sign * self.best


def learn(
    model: nn.Module,
    batches: Iterator[Tensor],
    loss: Callable[[Tensor], Tensor],
    score: Callable[[], float],
    plan: Plan,
    *,
    device: torch.device,
    precision: Precision,
) -> tuple[int, Choice]:
    """Train the weights of a model that have a gradient, and leave it as it was at the best step.

    Args:
        model: on the device.
        batches: endless; numbers of the training images, [B] or with more columns.
        loss: from such a batch on the device to a scalar.
        score: of the model as it is, on validation; called in eval mode, without gradients.
        plan: the rest.
        device: where all of it is.
        precision: in which the model computes; weights and their optimiser stay in single precision.

    Returns:
        Steps that were taken, and which of them was chosen.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        parameters,
        lr=plan.learning_rate,
        weight_decay=plan.weight_decay,
        fused=True,
        capturable=device.type == "cuda",
    )

    def one(rows: Tensor) -> dict[str, Tensor]:
        optimiser.zero_grad(set_to_none=True)
        with half(device, precision):
            total = loss(rows)
        torch.autograd.backward(total)
        optimiser.step()
        return {"loss": total}

    learned = Replayed(one, device)
    choice, kept, step = Choice(plan), _state(model), 0
    meter = Meter("training", plan.steps, "steps")
    while step < plan.steps and not choice.ended:
        stop = min(plan.steps, (step // plan.every + 1) * plan.every)
        model.train()
        for rows in staged(batches, stop - step, device):
            learned(rows)
            meter.step()
        step = stop
        model.eval()
        with torch.inference_mode(), half(device, precision):
            found = score()
        if choice.take(step, found):
            kept = _state(model)
    meter.close()
    model.load_state_dict(kept)
    model.eval()
    return step, choice


def staged(batches: Iterator[Tensor], count: int, device: torch.device) -> Iterator[Tensor]:
    """Yield ``count`` batches of one shape on a device, many of them copied at once."""
    while count > 0:
        some = torch.stack(list(islice(batches, min(count, AHEAD))))
        yield from sent(some, device)
        count -= len(some)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
