"""A pass of two pairs before a run's first step: what would fail then, or after the last step, fails now."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from g2d_bench.errors import InputError, first_line
from g2d_bench.pretrain.batches import Batches

FAULTS = (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, AssertionError, RuntimeError)
"""What modules raise over options that do not fit each other."""


def rehearse(model: nn.Module, batches: Batches) -> None:
    """See that a model takes two blank films with reports, in training and in evaluation mode.

    Parameters, batch statistics and random states are afterwards what they were.

    Args:
        model: from a part to losses by name, the total under ``loss``; on its device, left in training mode.
        batches: of the run; of its training pairs the reports of the first two are read.

    Raises:
        InputError: it does not, or gives no total.
    """
    here, recipe = batches.here, batches.recipe
    chosen = batches.data.parts["train"][:2]
    grey = torch.zeros((len(chosen), 1, recipe.size, recipe.size), device=here.device)
    kept = {name: value.clone() for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    with torch.random.fork_rng(devices=[here.device] if here.device.type == "cuda" else []):
        for training in (True, False):
            model.train(training)
            try:
                with torch.set_grad_enabled(training):
                    tokens = batches.sent(batches.tokens(chosen, "rehearsal"))
                    losses = model(grey, tokens, tuple(batches.data.ids[index] for index in chosen))
            except FAULTS as error:
                mode = "training" if training else "evaluation"
                raise InputError(
                    f"a pass of two films in {mode} mode fails: {type(error).__name__}: {first_line(error)}",
                    field=f"--set model, heads, constants of {recipe.method}",
                ) from error
            if "loss" not in losses:
                raise InputError("gives no total under 'loss'", field=f"losses of {recipe.method}")
    model.train()
    model.load_state_dict(kept, strict=False)
