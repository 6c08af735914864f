"""What a pre-training run changes at each step: parameters and the state of their optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from g2d_bench.encoders.replay import Replayed
from g2d_bench.pretrain.distributed import World, parallel
from g2d_bench.pretrain.objective import Objective
from g2d_bench.pretrain.presets import Recipe

Part = tuple[Tensor, dict[str, Tensor], tuple[str, ...]]
"""Grey images [B, 1, S, S], tokens and the ids of some pairs."""


class Learner:
    """Takes the steps of a run; on a GPU by replaying them, where the objective allows it.

    Args:
        model: from a part to losses by name, the total under ``loss``; on its device.
        objective: its objective.
        recipe: optimiser and precision.
        here: this process.

    Attributes:
        replayed: the step that is recorded on a GPU.
    """

    def __init__(self, model: nn.Module, objective: Objective, recipe: Recipe, here: World) -> None:
        self._model, self._objective, self._here, self._clip = model, objective, here, recipe.clip or math.inf
        self._gpu = here.device.type == "cuda"
        self._wrapped = parallel(model, here)
        # A recorded step reads the rate where it lies.
        self._rate: Any = torch.tensor(recipe.lr, device=here.device) if self._gpu else recipe.lr
        kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
        self._optimiser = kind(_groups(model, recipe), lr=self._rate, betas=recipe.betas, **self._kernels)
        self._amp = _autocast(recipe, here)
        self._scaler = torch.amp.GradScaler(here.device.type, enabled=self._amp is torch.float16)
        self._names: tuple[str, ...] = ()
        self.replayed = Replayed(self._alone, here.device)

    @property
    def _kernels(self) -> dict[str, Any]:
        # One kernel for all parameters; elsewhere torch's own choice, which has made the shipped weights.
        return {"fused": True if self._gpu else None, "capturable": self._gpu}

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` needs; any device can go on with it."""
        optimiser = self._optimiser.state_dict()
        for group in optimiser["param_groups"]:
            group["lr"] = float(group["lr"])
        return {"optimiser": optimiser, "scaler": self._scaler.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self._optimiser.load_state_dict(state["optimiser"])
        self._scaler.load_state_dict(state["scaler"])
        for group in self._optimiser.param_groups:
            group.update(self._kernels, lr=self._rate)

    def step(
        self, parts: Sequence[Part], rate: float, check: Callable[[Tensor], None] | None = None
    ) -> dict[str, Tensor]:
        """Learn from the parts of one batch.

        Args:
            parts: whose gradients are averaged.
            rate: of the step.
            check: called with the total before anything changes, where the host reads every loss.

        Returns:
            The losses, averaged over parts and processes, and ``grad_norm`` before it was clipped.
        """
        if self._gpu:
            self._rate.fill_(rate)
        else:
            for group in self._optimiser.param_groups:
                group["lr"] = rate
        alone = len(parts) == 1 and self._here.size == 1 and not self._scaler.is_enabled() and check is None
        if not alone or (phase := self._objective.phase()) is None:
            return self._learn(parts, check)
        ((grey, tokens, _),) = parts
        self._names = tuple(tokens)
        return self.replayed(grey, *tokens.values(), phase=(phase, self._names))

    def _alone(self, grey: Tensor, *tokens: Tensor) -> dict[str, Tensor]:
        return self._learn([(grey, dict(zip(self._names, tokens, strict=True)), ())], None)

    def _learn(self, parts: Sequence[Part], check: Callable[[Tensor], None] | None) -> dict[str, Tensor]:
        sums: dict[str, Any] = {}
        for grey, tokens, ids in parts:
            with torch.autocast(self._here.device.type, self._amp, enabled=self._amp is not None):
                losses = self._wrapped(grey, tokens, ids)
            self._scaler.scale(losses["loss"] / len(parts)).backward()
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + self._here.mean(loss) / len(parts)
        if check is not None:
            check(sums["loss"])
        self._scaler.unscale_(self._optimiser)
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._clip)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        self._optimiser.zero_grad()
        return {**sums, "grad_norm": norm}


def _groups(model: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Split the parameters: vectors (biases, normalisation) are not decayed."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _autocast(recipe: Recipe, here: World) -> torch.dtype | None:
    if not recipe.amp or here.device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
