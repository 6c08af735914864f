"""How long and how fast a head is trained, whichever loop does it."""

from __future__ import annotations

from dataclasses import dataclass

from g2d_bench.cards.protocol import Training


@dataclass(frozen=True)
class Plan:
    """How long and how fast is trained, and which step is taken.

    Attributes:
        steps: optimiser steps at most.
        every: steps between validations.
        patience: validations without gain before the loop stops.
        settle_steps: steps before which it does not stop and validations without gain do not count.
        learning_rate: of AdamW, constant.
        weight_decay: of AdamW.
        lower_is_better: the direction of the score.
    """

    steps: int
    every: int
    patience: int
    settle_steps: int
    learning_rate: float
    weight_decay: float
    lower_is_better: bool = False

    @classmethod
    def of(cls, rule: Training, images: int, *, lower_is_better: bool = False) -> Plan:
        """Return what a rule says for a training set of so many images."""
        steps, every = rule.schedule(images)
        return cls(
            steps,
            every,
            rule.patience,
            rule.settle_steps,
            rule.learning_rate,
            rule.weight_decay,
            lower_is_better,
        )
