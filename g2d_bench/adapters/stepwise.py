"""What a protocol says of a classifier that is trained step by step."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from g2d_bench.cards.protocol import VAL_LOSS, Training


class ClassificationTraining(Training):
    """How a classifier, with all weights of an encoder or without, is trained step by step."""

    select: Literal["main", "val_loss"] = "main"
    """The task's main metric on validation, or the loss."""
    crop: bool = False
    """Whether the longest side is brought to 8/7 of the input's, as the published 256 to 224, and a square
    of the input's size is cut out: at random in training, from the centre otherwise."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.drop_last and self.select != VAL_LOSS:
            raise ValueError(f"drop_last goes with select = {VAL_LOSS!r}")
        return self
