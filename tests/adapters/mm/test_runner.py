"""When training ends early: not before it has settled, then after validations without gain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from g2d_bench.adapters.mm.runner import _early_stop


def stops_at(scores: list[float], *, patience: int, settle: int, direction: str = "greater") -> int | None:
    """Return the step of the validation (every 10 steps) at which training ends."""
    hook: Any = _early_stop("score", direction, patience, settle)
    loop = SimpleNamespace(stop_training=False)
    logger = SimpleNamespace(info=lambda text: None, warning=lambda text: None)
    for place, score in enumerate(scores, start=1):
        runner = SimpleNamespace(iter=10 * place, train_loop=loop, logger=logger)
        hook.after_val_epoch(runner, {"score": score})
        if loop.stop_training:
            return 10 * place
    return None


@pytest.mark.parametrize(
    ("settle", "end"),
    [
        (0, 30),  # 20 and 30 brought nothing
        (20, 30),
        (30, 40),  # only 30 and 40 count
        (40, None),  # the gain at 40 comes first, and only one validation follows without another
    ],
)
def test_patience_counts_from_where_training_has_settled(settle: int, end: int | None) -> None:
    assert stops_at([0.2, 0.1, 0.1, 0.1 if settle < 40 else 0.5, 0.4], patience=2, settle=settle) == end


def test_the_best_score_of_before_still_has_to_be_beaten() -> None:
    assert stops_at([0.5, 0.1, 0.2, 0.3, 0.4], patience=2, settle=30) == 40
    assert stops_at([0.1, 0.5, 0.6, 0.7, 0.8], patience=2, settle=30) is None


def test_losses_fall() -> None:
    assert stops_at([3.0, 2.0, 2.5, 2.5], patience=2, settle=0, direction="less") == 40
