"""What a protocol card may say of each kind of task."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Card(BaseModel):
    """Base of all cards: nothing unknown, nothing changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SegmentationRule(Card):
    """How a decoder is trained and read in a segmentation task."""

    tuning: Literal["frozen", "finetune"]
    batchnorm: Literal["frozen", "train"]
    """Whether the encoder's BatchNorm statistics may move."""
    decoder_widths: dict[Literal["phantom", "published"], tuple[int, ...]]
    """Per scale of encoder: widths of the decoder's stages, coarse to fine."""
    loss: Literal["bce_dice"]
    optimiser: Literal["adamw"]
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(gt=0)
    epochs: int = Field(gt=0)
    min_steps: int = Field(gt=0)
    max_steps: int = Field(gt=0)
    validate_every: int = Field(gt=0)
    """Steps between two validations, or one epoch where that is longer."""
    patience: int = Field(gt=0)
    """Validations without a better score before training stops."""
    select: str
    threshold: float = Field(gt=0, lt=1)


class DetectionRule(Card):
    """How a detection head is trained and read in a detection task."""

    tuning: Literal["frozen", "finetune"]
    batchnorm: Literal["frozen", "train"]
    """Whether the encoder's BatchNorm statistics may move."""
    head: Literal["yolov3"]
    head_widths: dict[Literal["phantom", "published"], tuple[int, int, int]]
    """Per scale of encoder: channels that the neck gives at its three levels, coarse to fine."""
    optimiser: Literal["adamw"]
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(gt=0)
    epochs: int = Field(gt=0)
    min_steps: int = Field(gt=0)
    max_steps: int = Field(gt=0)
    validate_every: int = Field(gt=0)
    """Steps between two validations, or one epoch where that is longer."""
    patience: int = Field(gt=0)
    """Validations without a better score before training stops."""
    select: str
    """Metric by which the checkpoint is chosen on validation; ``main`` for the task's main one."""
    score_threshold: float = Field(ge=0, lt=1)
    """Objectness and class probability below which no box is kept; low, or it cuts the curve."""
    nms_iou: float = Field(gt=0, lt=1)
    """Overlap above which the weaker of two boxes of one label is dropped."""
    max_boxes: int = Field(gt=0)
    """Boxes kept per image."""


class ClassificationTraining(Card):
    """How all weights of an encoder are trained for a classification task."""

    batchnorm: Literal["frozen", "train"]
    """Whether the encoder's BatchNorm statistics may move."""
    optimiser: Literal["adamw"]
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    batch_size: int = Field(gt=0)
    epochs: int = Field(gt=0)
    min_steps: int = Field(gt=0)
    max_steps: int = Field(gt=0)
    validate_every: int = Field(gt=0)
    """Steps between two validations, or one epoch where that is longer."""
    patience: int = Field(gt=0)
    """Validations without a better score before training stops."""


class ClassificationRule(Card):
    """How a classifier is fitted in a classification task.

    Whatever has to be chosen (penalty, training step) is chosen on validation by the task's main metric.
    """

    tuning: Literal["frozen", "finetune"]
    """Linear heads on frozen features, or all weights updated."""
    penalties: tuple[float, ...] = ()
    """Grid of squared-norm penalties of the linear head, for frozen features."""
    training: ClassificationTraining | None = None
    """For ``finetune``."""

    @model_validator(mode="after")
    def _what_it_needs(self) -> ClassificationRule:
        frozen = self.tuning == "frozen"
        if frozen != bool(self.penalties) or frozen != (self.training is None):
            raise ValueError(f"tuning = {self.tuning!r} takes {'penalties' if frozen else 'training'} alone")
        if any(penalty <= 0 for penalty in self.penalties):
            raise ValueError("penalties must be positive")
        if list(self.penalties) != sorted(set(self.penalties)):
            raise ValueError("penalties must ascend")
        return self
