"""What a protocol card may say of each kind of task.

A key with a default is one that cards need not give; by its default nothing of a ``clean`` protocol changes.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from g2d_bench.cards.base import Card
from g2d_bench.cards.task import UNTRAINED, Kind, TaskCard, require_metric
from g2d_bench.hashing import digest_json, set_fields

VAL_LOSS = "val_loss"
"""What ``select`` says where the training step with the lowest loss on validation is taken."""


class Case(Card):
    """Other values for a task, a scale of encoder, or up to a share of the labels."""

    task: str = ""
    """Empty: all tasks of the kind."""
    scale: Literal["phantom", "published"] | None = None
    """None: encoders of both scales."""
    max_fraction: float = Field(default=1.0, gt=0, le=1)
    learning_rate: float | None = Field(default=None, gt=0)
    batch_size: int | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.learning_rate is None and self.batch_size is None:
            raise ValueError("give learning_rate, batch_size or both")
        return self


class Training(Card):
    """How weights are trained step by step, and which step is taken."""

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
    settle_steps: int = Field(default=0, ge=0)
    """Steps before which training does not stop and validations without a better score do not count: a
    decoder that predicts nothing yet says nothing of whether it will learn."""
    drop_last: bool = False
    """Whether an epoch, and the validation loss, leave out the last batch where it is not full."""
    case: tuple[Case, ...] = ()

    @model_validator(mode="after")
    def _schedule(self) -> Self:
        if self.min_steps > self.max_steps:
            raise ValueError(f"min_steps = {self.min_steps} is above max_steps = {self.max_steps}")
        keys = [(case.task, case.scale, case.max_fraction) for case in self.case]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"two cases for {key[0] or 'all tasks'!r} up to {key[2]:g}")
        return self

    def of(self, task: str, fraction: float, scale: str) -> Self:
        """Return the rule for a task, fraction and scale: of the cases that hold, that for fewest labels."""
        fitting = [
            case
            for case in self.case
            if case.task in ("", task) and case.scale in (None, scale) and fraction <= case.max_fraction
        ]
        if not fitting:
            return self
        case = min(fitting, key=lambda case: case.max_fraction)
        values = {"learning_rate": case.learning_rate, "batch_size": case.batch_size}
        return self.model_copy(update={key: value for key, value in values.items() if value is not None})

    def schedule(self, images: int) -> tuple[int, int]:
        """Return the number of optimiser steps, and that of steps between validations.

        Args:
            images: of the training set.
        """
        epoch = -(-images // self.batch_size)
        if self.drop_last:
            epoch = max(1, images // self.batch_size)
        steps = min(max(self.epochs * epoch, self.min_steps), self.max_steps)
        return steps, max(self.validate_every, epoch)


class SegmentationRule(Training):
    """How a decoder is trained and read in a segmentation task."""

    tuning: Literal["frozen", "finetune"]
    decoder_widths: dict[Literal["phantom", "published"], tuple[int, ...]]
    """Per scale of encoder: widths of the decoder's stages, coarse to fine."""
    loss: Literal["bce_dice", "focal_dice"]
    augmentation: Literal["none", "scale_rotate"] = "none"
    select: str
    """Metric by which the checkpoint is chosen on validation, or ``val_loss``."""
    threshold: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.augmentation != "none" and (self.tuning, self.batchnorm) == ("frozen", "frozen"):
            # Their features are computed once.
            raise ValueError("augmentation needs an encoder that is not frozen in every respect")
        if self.drop_last and self.select != VAL_LOSS:
            raise ValueError(f"drop_last goes with select = {VAL_LOSS!r}")
        return self


class DetectionRule(Training):
    """How a detection head is trained and read in a detection task."""

    tuning: Literal["frozen", "finetune"]
    head: Literal["yolov3"]
    head_widths: dict[Literal["phantom", "published"], tuple[int, int, int]]
    """Per scale of encoder: channels that the neck gives at its three levels, coarse to fine."""
    select: str
    """Metric by which the checkpoint is chosen on validation; ``main`` for the task's main one."""
    score_threshold: float = Field(ge=0, lt=1)
    """Objectness and class probability below which no box is kept; low, or it cuts the curve."""
    nms_iou: float = Field(gt=0, lt=1)
    """Overlap above which the weaker of two boxes of one label is dropped."""
    max_boxes: int = Field(gt=0)
    """Boxes kept per image."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.select == VAL_LOSS:
            raise ValueError("a detector is chosen by a metric, not by its loss")
        return self


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


class ClassificationRule(Card):
    """How a classifier is fitted in a classification task.

    Whatever has to be chosen (penalty, training step) is chosen on validation by the task's main metric, or
    as ``training`` says.
    """

    tuning: Literal["frozen", "finetune"]
    """Linear heads on frozen features, or all weights updated."""
    penalties: tuple[float, ...] = ()
    """Grid of squared-norm penalties of the linear head, for frozen features at their optimum."""
    training: ClassificationTraining | None = None
    """For ``finetune``, and for a linear head on frozen features that is trained step by step."""

    @model_validator(mode="after")
    def _what_it_needs(self) -> Self:
        frozen = self.tuning == "frozen"
        if frozen and bool(self.penalties) == (self.training is not None):
            raise ValueError("tuning = 'frozen' takes either penalties or training")
        if not frozen and (self.penalties or self.training is None):
            raise ValueError("tuning = 'finetune' takes training alone")
        if frozen and self.training is not None and self.training.batchnorm != "frozen":
            raise ValueError("tuning = 'frozen' takes batchnorm = 'frozen'")
        if any(penalty <= 0 for penalty in self.penalties):
            raise ValueError("penalties must be positive")
        if list(self.penalties) != sorted(set(self.penalties)):
            raise ValueError("penalties must ascend")
        return self


class Protocol(Card):
    """Everything between encoder and number."""

    name: str
    version: str = Field(pattern=r"^\d+\.\d+$")
    title: str
    split: str
    precision: Literal["fp32", "fast"] = "fp32"
    """How features are computed and weights trained; see :data:`g2d_bench.devices.Precision`."""
    draw: Literal["nested", "published"] = "nested"
    """How a fraction is drawn: nested, stratified and by patient, or by image as the published code does."""
    main: dict[Kind, str] = Field(default_factory=dict)
    """Kind to the metric that stands for its tasks, where it is not the one on the task's card."""
    defects: tuple[str, ...] = ()
    classification: ClassificationRule | None = None
    segmentation: SegmentationRule | None = None
    detection: DetectionRule | None = None

    @field_validator("main")
    @classmethod
    def _known_main(cls, value: dict[Kind, str]) -> dict[Kind, str]:
        for name in value.values():
            require_metric(name)
        return value

    @model_validator(mode="after")
    def _published_draw(self) -> Protocol:
        if self.draw == "published" and self.split == "clean":
            raise ValueError("draw = 'published' draws from a published split, not from 'clean'")
        return self

    def view(self, task: TaskCard) -> TaskCard:
        """Return a task as this protocol measures it: with its own main metric, which then stands first."""
        main = self.main.get(task.kind, task.main)
        if main == task.main:
            return task
        others = tuple(name for name in task.metrics if name != main)
        return task.model_copy(update={"main": main, "metrics": (main, *others)})

    def refusal(self, task: TaskCard) -> str:
        """Say in one line why a task cannot be run so; empty where it can."""
        if self.split not in task.split:
            if self.draw == "published":
                return "the task has no published protocol; run it with --protocol clean"
            return f"the task has no split {self.split!r} (it has {', '.join(task.split)})"
        if task.kind not in UNTRAINED and getattr(self, task.kind) is None:
            return f"protocol {self.name!r} says nothing about {task.kind}"
        return ""

    def digest(self, kind: Kind) -> str:
        """Hash of everything in the protocol that can move a number of one kind of task."""
        others = {"classification", "segmentation", "detection"} - {kind}
        content = set_fields(self, exclude={"title", "defects", "main"} | others)
        return digest_json([content, self.main.get(kind)])
