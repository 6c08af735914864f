"""What a protocol card may say; what it says of a kind of task, the kind's own module declares.

A key with a default is one that cards need not give; by its default nothing of a ``clean`` protocol changes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails

from g2d_bench.cards.base import Card
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.task import TaskCard, require_fit
from g2d_bench.cards.wording import VERSION
from g2d_bench.errors import InputError, did_you_mean
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


class Protocol(Card):
    """Everything between encoder and number.

    Beside the fields below there is a table for each kind of task that the protocol says something about; the
    kind says what may stand in it. :meth:`table` reads one.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    version: Annotated[str, VERSION]
    title: str
    split: str
    precision: Literal["fp32", "fast"] = "fp32"
    """How features are computed and weights trained; see :data:`g2d_bench.devices.Precision`."""
    draw: Literal["nested", "published"] = "nested"
    """How a fraction is drawn: nested, stratified and by patient, or by image as the published code does."""
    main: dict[str, str] = Field(default_factory=dict)
    """Kind to the metric that stands for its tasks, where it is not the one on the task's card."""
    defects: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _tables(cls, value: Any, info: ValidationInfo) -> Any:
        """Read each table as its kind says."""
        if not isinstance(value, dict):
            return value
        read, wrong = dict(value), list[InitErrorDetails]()
        for name in value.keys() - cls.model_fields.keys():
            rule = KINDS[name].rule_of(value[name]) if name in KINDS else None
            if rule is None:
                wrong.append({"type": "extra_forbidden", "loc": (name,), "input": value[name]})
                continue
            try:
                read[name] = rule.model_validate(value[name], context=info.context)
            except ValidationError as error:
                wrong += [_below(name, found) for found in error.errors(include_url=False)]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return read

    @field_validator("main")
    @classmethod
    def _known_main(cls, value: dict[str, str]) -> dict[str, str]:
        for kind, name in value.items():
            if kind not in KINDS:
                raise ValueError(f"unknown kind {kind!r}; {did_you_mean(kind, KINDS.names)}")
            require_fit(name, KINDS[kind])
        return value

    @model_validator(mode="after")
    def _published_draw(self) -> Protocol:
        if self.draw == "published" and self.split == "clean":
            raise ValueError("draw = 'published' draws from a published split, not from 'clean'")
        return self

    @classmethod
    def tables_of(cls) -> dict[str, Any]:
        """Return the tables that a card may have, and the types of what may stand in them."""
        return {name: found for name in KINDS if (found := KINDS[name].rule_type) is not None}

    def says(self, kind: str) -> Any:
        """Return what the protocol says of a kind, as the kind's ``rule``; None if nothing."""
        return (self.model_extra or {}).get(kind)

    def table(self, kind: str) -> Any:
        """Return what the protocol says of a kind, as the kind's ``rule``.

        Raises:
            InputError: nothing.
        """
        found = self.says(kind)
        if found is None:
            reason = f"the protocol says nothing about {kind}"
            raise InputError(reason, file=f"{self.name}.toml", field=kind)
        return found

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
        if KINDS[task.kind].rule is not None and self.says(task.kind) is None:
            return f"protocol {self.name!r} says nothing about {task.kind}"
        return ""

    def digest(self, kind: str) -> str:
        """Hash of everything in the protocol that can move a number of one kind of task."""
        others = (self.model_extra or {}).keys() - {kind}
        content = set_fields(self, exclude={"title", "defects", "main"} | others)
        return digest_json([content, self.main.get(kind)])


def _below(table: str, found: ErrorDetails) -> InitErrorDetails:
    """Place what is wrong in a table into the card."""
    placed: InitErrorDetails = {
        "type": found["type"],
        "loc": (table, *found["loc"]),
        "input": found["input"],
    }
    if "ctx" in found:
        placed["ctx"] = found["ctx"]
    return placed
