"""Task cards: what is measured, on which data, with which labels and metrics."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from g2d_bench.cards.base import Card
from g2d_bench.cards.kind import KINDS, Kind
from g2d_bench.cards.prompts import PromptSet, load_prompts
from g2d_bench.cards.wording import VERSION
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.hashing import digest_json, set_fields
from g2d_bench.metrics.registry import metric_names, metric_spec
from g2d_bench.paths import shipped

Certain = Literal[0, 1, "ignore"]
"""Absent, present, or left out of training and of the metrics."""
PUBLISHED = "published split, kept as it is: "
"""How a record begins to say what the parts of a published split share."""


def require_metric(name: str) -> None:
    """Refuse a metric that nobody has defined.

    Raises:
        ValueError: there is none of that name; the nearest ones are named.
    """
    allowed = metric_names()
    if name not in allowed:
        raise ValueError(f"unknown metric {name!r}; {did_you_mean(name, allowed)}")


def require_fit(name: str, kind: Kind, lacks: Collection[str] = ()) -> None:
    """Refuse a metric that records of a kind do not allow to compute.

    Args:
        name: of the metric.
        kind: of the task.
        lacks: arrays that records of the kind may keep, and these do not.

    Raises:
        ValueError: there is no metric of that name, or it reads what is not there; the nearest one that does
            not is named.
    """
    require_metric(name)
    if why := _unfit(name, kind, lacks):
        fitting = [other for other in metric_names() if not _unfit(other, kind, lacks)]
        raise ValueError(f"metric {name!r} {why}; {did_you_mean(name, fitting)}")


def _unfit(name: str, kind: Kind, lacks: Collection[str]) -> str:
    """Say why a metric cannot be computed from records of a kind; empty where it can."""
    # Of a kind that declares no arrays nobody can tell.
    if not kind.arrays:
        return ""
    spec = metric_spec(name)
    if missing := [array for array in spec.reads if array not in kind.arrays or array in lacks]:
        return f"reads {', '.join(missing)}, which records of such a {kind.name} task do not keep"
    scores = kind.arrays.get("scores")
    if spec.of_probabilities and (scores is None or scores.high != 1):
        return f"is of probabilities, which kind {kind.name!r} does not give"
    return ""


class SplitRule(Card):
    """How the images of a data set are divided into train, validation and test."""

    by: Literal["patient"] = "patient"
    ratios: tuple[float, float, float] | None = None
    """Train, validation and test share of the patients."""
    official: bool = False
    """Use the split that the release assigns."""
    val_share: float | None = Field(default=None, gt=0, lt=1)
    """Share of the official training images that validates, where the release assigns no validation part; or
    of what `per_label` leaves."""
    ids: Path | None = None
    """Id list that holds for real data: a path from the card's folder, or a shipped one."""
    function: str = ""
    """A published split with its defects, by its name in `g2d_bench.data.legacy_splits`."""
    balance: bool = False
    """Train on as many images without a finding as with one; before the fraction is drawn."""
    per_label: int | None = Field(default=None, gt=0)
    """Test on as many images that show one of the labels alone, one per patient; the other patients train and
    validate."""
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
        chosen = [self.ratios is not None, self.official, bool(self.function), self.per_label is not None]
        if sum(chosen) != 1:
            raise ValueError("give exactly one of ratios, official = true, function, per_label")
        if self.function and self.ids is not None:
            raise ValueError("a published split is made by its function; leave ids out")
        if self.val_share is not None and not (self.official or self.per_label):
            raise ValueError("val_share goes with official = true or per_label")
        if self.per_label is not None and self.val_share is None:
            raise ValueError("per_label needs val_share, the share of the other patients that validates")
        if self.balance and not self.function:
            raise ValueError("balance goes with function: only published splits are rebalanced")
        if self.ratios is not None and (min(self.ratios) <= 0 or abs(sum(self.ratios) - 1) > 1e-6):
            raise ValueError("ratios must be three positive shares that add up to 1")
        return self


class Elsewhere(Card):
    """Another data set, on which a task is tested: what it trains on is the card's own."""

    dataset: str
    labels: dict[str, str | tuple[str, ...]] = Field(min_length=1)
    """A label of the task to the label of this data set that means it, or to several, of which any does."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only images of which this data set says so."""
    uncertain: dict[str, Certain] = Field(default_factory=dict)
    """As on a task, in the words of this data set."""
    unmentioned: Certain = "ignore"
    split: SplitRule | None = None
    """Test on the test part of this rule; without one, on all images."""
    training: Literal["", "phantom"] = ""
    """Whether to train on the generated twin of the task's data set, whatever data are configured."""

    @property
    def their_labels(self) -> dict[str, tuple[str, ...]]:
        """Each label of the task with its counterparts."""
        return {ours: (names,) if isinstance(names, str) else names for ours, names in self.labels.items()}

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, value: str) -> str:
        require_dataset(value)
        return value

    @model_validator(mode="after")
    def _of_its_data_set(self) -> Elsewhere:
        if self.split is not None and self.split.function:
            raise ValueError("split.function: a published split belongs to its own data set")
        if any(not names for names in self.their_labels.values()):
            raise ValueError("labels: a label without a counterpart")
        theirs = [name for names in self.their_labels.values() for name in names]
        for label in self.uncertain:
            if label != "default" and label not in theirs:
                raise ValueError(f"uncertain names {label!r}; {did_you_mean(label, theirs)}")
        return self


def require_dataset(name: str) -> None:
    """Refuse a data set that nobody reads.

    Raises:
        ValueError: there is none of that name; the nearest ones are named.
    """
    from g2d_bench.readers.registry import dataset_names

    if name not in dataset_names():
        raise ValueError(f"unknown data set {name!r}; {did_you_mean(name, dataset_names())}")


class TaskCard(Card):
    """What is measured: data set, kind, labels, metrics, version."""

    name: str
    version: Annotated[str, VERSION]
    title: str
    kind: str
    dataset: str
    labels: tuple[str, ...] = Field(min_length=1)
    exclusive: bool = False
    """Whether every image shows exactly one of the labels."""
    where: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """Only images of which the data set says this: ``view = "frontal"``, or ``view = ["PA", "AP"]``."""
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
    """What zero-shot and grounding tasks ask with; a card names the file, see
    :mod:`g2d_bench.cards.prompts`."""
    split: dict[str, SplitRule]
    test: Elsewhere | None = None
    """Another data set on which the task is tested; see :mod:`g2d_bench.data.crossed`."""
    inside: str = ""
    """With ``test``: the task that trains alike and is tested on its own data set. Its score is the inside
    score, and its name draws fractions and shots, so that both train on the same images."""
    papers: tuple[str, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    """What the complete public release holds; checked by `g2d-bench data prepare`."""
    notes: tuple[str, ...] = ()

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        if value not in KINDS:
            raise ValueError(f"unknown kind {value!r}; {did_you_mean(value, KINDS.names)}")
        return value

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, value: str) -> str:
        require_dataset(value)
        return value

    @field_validator("labels")
    @classmethod
    def _as_many_as_the_kind_reads(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        kind = info.data.get("kind", "")
        if kind in KINDS and KINDS[kind].one_label and len(value) > 1:
            raise ValueError(f"kind {kind!r} takes one label, not {len(value)}; write a card for each")
        return value

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            require_metric(name)
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
        asked = KINDS[self.kind].prompts
        if asked is not None and (self.prompts is None) == asked:
            raise ValueError(f"kind {self.kind!r} {'needs' if asked else 'takes no'} prompts")
        for label in self.labels:
            if self.prompts is not None and label not in self.prompts.label:
                raise ValueError(f"prompts {self.prompts.name!r} have none for {label!r}")
        for name in self.metrics:
            require_fit(name, KINDS[self.kind], KINDS[self.kind].lacks(self))
        if self.main not in self.metrics:
            raise ValueError(f"main = {self.main!r} is not among metrics ({', '.join(self.metrics)})")
        for label in self.uncertain:
            if label != "default" and label not in self.labels:
                raise ValueError(f"uncertain names {label!r}; {did_you_mean(label, self.labels)}")
        self._tested_elsewhere()
        if "clean" not in self.split:
            raise ValueError("split.clean is missing")
        if any(not 0 < fraction <= 1 for fraction in self.fractions):
            raise ValueError("fractions must lie above 0 and at most at 1")
        return self

    def _tested_elsewhere(self) -> None:
        if self.test is None:
            if self.inside:
                raise ValueError("inside goes with [test]")
            return
        if not KINDS[self.kind].trained or self.prompts is not None:
            raise ValueError(f"test: kind {self.kind!r} trains nothing; write a task on that data set")
        if set(self.test.labels) != set(self.labels):
            missing = set(self.labels) ^ set(self.test.labels)
            raise ValueError(f"test.labels: every label, and no other one; see {', '.join(sorted(missing))}")
        if any(rule.function for rule in self.split.values()):
            raise ValueError("test: published splits (split.*.function) have test images of their own")

    @property
    def data_name(self) -> str:
        """The data set, or both: ``rsna-to-cxr14``, ``phantom-rsna-to-cxr14``."""
        if self.test is None:
            return self.dataset
        trained = f"{self.test.training}-{self.dataset}" if self.test.training else self.dataset
        return f"{trained}-to-{self.test.dataset}"

    @property
    def drawn_as(self) -> str:
        """The name by which fractions and shots are drawn."""
        return self.inside or self.name

    @property
    def masked(self) -> bool:
        """Whether masks of the images are read; grounding of several findings looks for boxes."""
        kind = KINDS[self.kind]
        return kind.masks and not (kind.prompts and len(self.labels) > 1)

    def digest(self, split: str) -> str:
        """Hash of everything in the card that can move a number under one of its splits."""
        prose = {"title", "papers", "notes", "counts", "fractions"}
        unsaid: dict[str, Any] = dict.fromkeys(prose | {"split", "prompts"}, True)
        content = set_fields(self, exclude=unsaid | {"test": {"split": {"defects", "ids"}}})
        rule = self.split.get(split)
        # The list stays out: a signature has the hash of the split itself.
        parts = [content, set_fields(rule, exclude={"defects", "ids"}) if rule else None]
        return digest_json([*parts, self.prompts.digest(self.labels)] if self.prompts else parts)
