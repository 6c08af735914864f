"""What an audit finds, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

RELEASE = "release"
"""Name of the split that a release on which no task trains assigns by itself."""


@dataclass(frozen=True)
class PartFacts:
    """One part of a split: images, those that show a label of the task, patients, images with boxes."""

    images: int
    positive: int
    patients: int
    boxed: int


@dataclass(frozen=True)
class SharedFacts:
    """What two parts of a split share.

    Attributes:
        parts: their names.
        ids: images in both.
        positive_ids: how many of these are positive.
        patients: patients in both.
        images: images of the second part whose patient is in the first.
        files: files in both, None where only tables were read.
        near_duplicates: pairs of films that look alike, None where no pixels were compared.
    """

    parts: tuple[str, str]
    ids: int
    positive_ids: int
    patients: int
    images: int
    files: int | None
    near_duplicates: int | None

    @property
    def leaks(self) -> bool:
        """Whether they share anything."""
        return bool(self.ids or self.patients or self.files or self.near_duplicates)


@dataclass
class SplitAudit:
    """One split of one data set, with all tasks that use it on the same labels.

    Attributes:
        dataset: name of the data set.
        tasks: names of the tasks.
        split: name of the split.
        rule: how the card divides.
        published: whether it repeats a published split with its defects.
        error: why it cannot be made here; then nothing else is known.
        hash: of the split.
        parts: facts by part.
        shared: facts by pair of parts.
        unused: images with the task's labels that are in no part.
        incomplete: part to (positive images that lack a part of their mask, positive images), where the
            rule divides the rows of the annotation table instead of images.
        all_empty: what predicting nothing scores by ``dice_legacy``: the share of negative test images;
            for segmentation.
        list_as_computed: whether the id list is what the rule computes; None without a list.
    """

    dataset: str
    tasks: list[str]
    split: str
    rule: str
    published: bool = False
    error: str = ""
    hash: str = ""
    parts: dict[str, PartFacts] = field(default_factory=dict)
    shared: list[SharedFacts] = field(default_factory=list)
    unused: int = 0
    incomplete: dict[str, tuple[int, int]] = field(default_factory=dict)
    all_empty: float | None = None
    list_as_computed: bool | None = None

    @property
    def title(self) -> str:
        """Name the split by its tasks."""
        return f"{', '.join(self.tasks) or self.dataset} ({self.split})"

    @property
    def fails(self) -> bool:
        """Whether a split that should be clean is not."""
        leaks = any(pair.leaks for pair in self.shared) or self.list_as_computed is False
        return leaks and not self.published


@dataclass(frozen=True)
class DatasetAudit:
    """What was read of a data set; ``seen_by`` is encoder to what its pre-training saw of it."""

    name: str
    kind: str
    root: str
    images_read: bool
    images: int
    patients: int
    boxes: int
    boxed: int
    seen_by: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Crossing:
    """Images that one split trains on and another one tests on."""

    train: str
    test: str
    images: int


@dataclass
class Audit:
    """The whole report."""

    datasets: list[DatasetAudit] = field(default_factory=list)
    splits: list[SplitAudit] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)
    """Data set that is not there or cannot be read, to why."""
    shared_images: dict[str, int] = field(default_factory=dict)
    """Pair of data sets to the number of images that both have."""
    crossings: list[Crossing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Audit) -> None:
        """Add what was found of other data sets."""
        self.datasets += other.datasets
        self.splits += other.splits
        self.unread |= other.unread

    @property
    def fails(self) -> bool:
        """Whether a split that should be clean is not."""
        return any(one.fails for one in self.splits)
