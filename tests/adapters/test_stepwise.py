"""What a protocol may say of a classifier that is trained step by step."""

from __future__ import annotations

from typing import Any

import pytest

from g2d_bench.adapters.stepwise import ClassificationTraining
from g2d_bench.cards.catalogue import Catalogue


def known() -> dict[str, Any]:
    training = Catalogue.open().protocols["clean-finetune"].table("classification").training
    return dict(training.model_dump(exclude_unset=True))


def test_a_full_last_batch_goes_with_the_loss_that_needs_it() -> None:
    with pytest.raises(ValueError, match="drop_last goes with select = 'val_loss'"):
        ClassificationTraining(**{**known(), "select": "main", "drop_last": True})
    assert ClassificationTraining(**{**known(), "select": "val_loss", "drop_last": True}).drop_last


def test_only_the_main_metric_or_the_loss_can_choose() -> None:
    with pytest.raises(ValueError, match="select"):
        ClassificationTraining(**{**known(), "select": "auroc"})
