"""Task and protocol cards: what they may say, where they lie, how they are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from g2d_bench.cards_io import load_card
from g2d_bench.encoders.card import EncoderCard
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.hashing import digest_json, set_fields
from g2d_bench.metrics.spec import metric_names
from g2d_bench.paths import PACKAGE, shipped
from g2d_bench.prompts import PromptSet, load_prompts
from g2d_bench.rules import Card, ClassificationRule, DetectionRule, SegmentationRule

Kind = Literal["classification", "segmentation", "detection", "zero-shot", "grounding", "phrase"]
ASKED = ("zero-shot", "grounding")
"""Kinds whose tasks ask an encoder with prompts; phrases come with the data."""
UNTRAINED = ("zero-shot", "grounding", "phrase")
"""Kinds that train nothing: fraction and seed of a cell do not move their numbers."""
Certain = Literal[0, 1, "ignore"]
"""Absent, present, or left out of training and of the metrics."""


def _require_metric(name: str) -> None:
    allowed = metric_names()
    if name not in allowed:
        raise ValueError(f"unknown metric {name!r}; {did_you_mean(name, allowed)}")


class SplitRule(Card):
    """How the images of a data set are divided into train, validation and test."""

    by: Literal["patient"] = "patient"
    ratios: tuple[float, float, float] | None = None
    """Train, validation and test share of the patients."""
    official: bool = False
    """Use the split that the release assigns."""
    val_share: float | None = Field(default=None, gt=0, lt=1)
    """Share of the official training images that validates, where the release assigns no validation part."""
    ids: Path | None = None
    """Id list that holds for real data: a path from the card's folder, or a shipped one."""
    function: str = ""
    """A published split with its defects, by its name in `g2d_bench.data.legacy_splits`."""
    balance: bool = False
    """Train on as many images without a finding as with one; before the fraction is drawn."""
    defects: tuple[str, ...] = ()

    @field_validator("ids")
    @classmethod
    def _beside_the_card(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is None:
            return None
        # A copy of a shipped card may lie anywhere: what it names is then looked for among the shipped.
        own = Path((info.context or {}).get("folder", "")) / value
        for path in (own, shipped("tasks") / value):
            if path.is_file():
                return path
        raise ValueError(f"no such id list: {own}")

    @model_validator(mode="after")
    def _one_rule(self) -> SplitRule:
        chosen = [self.ratios is not None, self.official, bool(self.function)]
        if sum(chosen) != 1:
            raise ValueError("give exactly one of ratios, official = true, function")
        if self.function and self.ids is not None:
            raise ValueError("a published split is made by its function; leave ids out")
        if self.val_share is not None and not self.official:
            raise ValueError("val_share goes with official = true")
        if self.balance and not self.function:
            raise ValueError("balance goes with function: only published splits are rebalanced")
        if self.ratios is not None and (min(self.ratios) <= 0 or abs(sum(self.ratios) - 1) > 1e-6):
            raise ValueError("ratios must be three positive shares that add up to 1")
        return self


class TaskCard(Card):
    """What is measured: data set, kind, labels, metrics, version."""

    name: str
    version: str = Field(pattern=r"^\d+\.\d+$")
    title: str
    kind: Kind
    dataset: str
    labels: tuple[str, ...] = Field(min_length=1)
    exclusive: bool = False
    """Whether every image shows exactly one of the labels."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only images of which the data set says this, such as ``view = "frontal"``."""
    uncertain: dict[str, Certain] = Field(default_factory=dict)
    """What an uncertain label (-1) counts as, by label or for all others as ``default``."""
    unmentioned: Certain = "ignore"
    """What a label that is not mentioned (NaN) counts as."""
    metrics: tuple[str, ...] = Field(min_length=1)
    main: str
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    eval_size: int = Field(default=256, gt=0)
    """Side in pixels of the square on which masks are compared."""
    prompts: PromptSet | None = None
    """What zero-shot and grounding tasks ask with; a card names the file, see :mod:`g2d_bench.prompts`."""
    split: dict[str, SplitRule]
    papers: tuple[str, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    """What the complete public release holds; checked by `g2d-bench data verify`."""
    notes: tuple[str, ...] = ()

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, value: str) -> str:
        from g2d_bench.data.registry import dataset_names

        if value not in dataset_names():
            raise ValueError(f"unknown data set {value!r}; {did_you_mean(value, dataset_names())}")
        return value

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            _require_metric(name)
        return value

    @field_validator("prompts", mode="before")
    @classmethod
    def _read_prompts(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return load_prompts(value, (info.context or {}).get("folder"))
        except InputError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _consistent(self) -> TaskCard:
        if (self.prompts is None) == (self.kind in ASKED):
            raise ValueError(f"kind {self.kind!r} {'needs' if self.kind in ASKED else 'takes no'} prompts")
        for label in self.labels:
            if self.prompts is not None and label not in self.prompts.label:
                raise ValueError(f"prompts {self.prompts.name!r} have none for {label!r}")
        if self.main not in self.metrics:
            raise ValueError(f"main = {self.main!r} is not among metrics ({', '.join(self.metrics)})")
        for label in self.uncertain:
            if label != "default" and label not in self.labels:
                raise ValueError(f"uncertain names {label!r}; {did_you_mean(label, self.labels)}")
        if "clean" not in self.split:
            raise ValueError("split.clean is missing")
        if any(not 0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError("fractions must lie above 0 and at most at 1")
        return self

    def digest(self, split: str) -> str:
        """Hash of everything in the card that can move a number under one of its splits."""
        prose = {"title", "papers", "notes", "counts", "fractions"}
        content = set_fields(self, exclude=prose | {"split", "prompts"})
        rule = self.split.get(split)
        # The list stays out: a signature has the hash of the split itself.
        parts = [content, set_fields(rule, exclude={"defects", "ids"}) if rule else None]
        return digest_json([*parts, self.prompts.digest(self.labels)] if self.prompts else parts)


class Protocol(Card):
    """Everything between encoder and number."""

    name: str
    version: str = Field(pattern=r"^\d+\.\d+$")
    title: str
    split: str
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
            _require_metric(name)
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


C = TypeVar("C", TaskCard, Protocol, EncoderCard)


def _folders(what: str, extra: tuple[Path, ...]) -> Iterator[Path]:
    """Shipped cards first, then those of installed packages, then the user's own folders."""
    yield PACKAGE / "protocols" if what == "protocols" else shipped(_SHIPPED.get(what, what))
    for point in entry_points(group=f"g2d_bench.{what}"):
        yield Path(str(files(point.value)))
    for folder in extra:
        if not folder.is_dir():
            raise InputError("no such folder", file=folder, field=what)
        yield folder


_SHIPPED = {"encoders": "baselines"}


class Cards(Generic[C]):
    """All cards of one sort that a run can see; a card is read when it is asked for.

    Args:
        what: ``tasks``, ``encoders`` or ``protocols``.
        model: the card's model.
        extra: the user's own folders; a card there may not take a name that exists.
    """

    def __init__(self, what: str, model: type[C], extra: tuple[Path, ...] = ()) -> None:
        self._what = what
        self._model: type[C] = model
        self._paths: dict[str, Path] = {}
        self._loaded: dict[str, C] = {}
        for folder in _folders(what, extra):
            for path in sorted(folder.glob("*.toml")):
                taken = self._paths.setdefault(path.stem, path)
                if taken != path:
                    raise InputError(
                        f"the name {path.stem!r} is taken by {taken}; rename the file", file=path
                    )

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._paths)

    def __getitem__(self, name: str) -> C:
        """Read one card.

        Raises:
            InputError: no card has this name (the nearest one is named), or the card is wrong.
        """
        if name not in self._paths:
            raise InputError(f"unknown {self._what[:-1]} {name!r}; {did_you_mean(name, self.names)}")
        if name not in self._loaded:
            self._loaded[name] = load_card(self._paths[name], self._model)
        return self._loaded[name]

    def __iter__(self) -> Iterator[C]:
        """Read all cards, by name."""
        return (self[name] for name in self.names)


@dataclass(frozen=True)
class Catalogue:
    """The cards of one run."""

    tasks: Cards[TaskCard]
    encoders: Cards[EncoderCard]
    protocols: Cards[Protocol]

    @classmethod
    def open(
        cls,
        task_dirs: tuple[Path, ...] = (),
        encoder_dirs: tuple[Path, ...] = (),
        protocol_dirs: tuple[Path, ...] = (),
    ) -> Catalogue:
        """Find the shipped cards, those of installed packages and those in the user's folders."""
        return cls(
            Cards("tasks", TaskCard, task_dirs),
            Cards("encoders", EncoderCard, encoder_dirs),
            Cards("protocols", Protocol, protocol_dirs),
        )
