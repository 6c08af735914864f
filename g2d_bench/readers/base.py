"""What every data set reader gives: samples, images, masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError

PHANTOM_MARKER = "PHANTOM.json"
"""File at the root of generated data; its presence makes every number from there a generated one."""


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box in pixels of the image (see :attr:`Sample.frame`): left, top, width, height."""

    label: str
    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True, slots=True)
class Phrase:
    """A text span and the boxes that it describes."""

    text: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with everything the data set says of it.

    Attributes:
        id: unique within the data set, and public (the file name or SOP instance of the release).
        patient: the unit of splitting and of the bootstrap.
        path: the image file.
        labels: label name to 1 (present), 0 (absent), -1 (uncertain) or NaN (not mentioned).
        split: the split that the release itself assigns, or "".
        annotation: what the mask is made from (RLE strings or mask files), reader-specific.
        boxes: in pixels of ``frame``.
        phrases: phrase annotations.
        report: the report text, or "".
        meta: sex, age, view, device, ... as strings.
        frame: (width, height) in pixels of the picture on which the boxes were drawn, where the release
            states or fixes it; None where they are in pixels of the image file. The samples of a manifest,
            which knows the size of every file, all have None.
    """

    id: str
    patient: str
    path: Path
    labels: Mapping[str, float] = field(default_factory=dict)
    split: str = ""
    annotation: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    report: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
    frame: tuple[float, float] | None = None


class Dataset(ABC):
    """A data set in its raw public layout below ``root``.

    One subclass per data set; it parses tables and files and knows nothing of splits, sizes or tasks.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    films_open: ClassVar[str] = ""
    """What must be said along when a single film is shown to anybody, where the licence allows that."""
    access: ClassVar[str]
    """How to get the data, one sentence with the address."""
    folders: ClassVar[tuple[str, ...]]
    """Folder names under which the release is looked for below a data root; the first is preferred."""
    tables: ClassVar[tuple[tuple[str, ...], ...]] = ()
    """Tables by which a release is known: of each group, one name or pattern must be there."""
    descend: ClassVar[bool] = True
    """Whether the root is the folder that holds the tables; else the reader looks for them itself."""
    patient_field: ClassVar[str] = "patient"
    """Where the patient id of an image stands, in the words of the release."""
    labels: ClassVar[tuple[str, ...]]
    side: ClassVar[int | None] = None
    """Width and height of all films on which a release has drawn, where it is one."""
    takes_films_of: ClassVar[tuple[str, ...]] = ()
    """Data sets whose films it took, wholly or in part: who saw those has seen films of this one."""
    checksums: ClassVar[Mapping[str, str]] = {}
    """SHA-256 of the public tables, unpacked, by file name; of those that were seen."""

    people: ClassVar[str] = ""
    """Whose patient numbers these are, where data sets share them: with the same word in two of them, one
    number is one patient."""
    likeness: bool = True
    """Whether two films that are alike are one film."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.remarks: list[str] = []
        """What :meth:`samples` left aside or took otherwise than it stands there, a line each."""

    def remark(self, count: int, text: str) -> None:
        """Note that ``count`` things were left aside, once; nothing where there are none."""
        line = f"{count:,} {text}"
        if count and line not in self.remarks:
            self.remarks.append(line)

    @property
    def drawn_on(self) -> tuple[float, float] | None:
        """The frame of a release that draws on films of one fixed size; None for generated data."""
        return None if self.kind == "phantom" or self.side is None else (self.side, self.side)

    @property
    def kind(self) -> str:
        """``phantom`` for generated data, ``real`` otherwise.

        Raises:
            InputError: the folder cannot be read.
        """
        try:
            return "phantom" if (self.root / PHANTOM_MARKER).is_file() else "real"
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", file=self.root) from error

    @property
    def neighbourhood(self) -> list[Path]:
        """The two folders above the root, also of the place that it links to."""
        places = [self.root.parent, self.root.parent.parent]
        real = self.root.resolve()
        return list(dict.fromkeys([*places, real.parent, real.parent.parent]))

    @property
    def image_root(self) -> Path:
        """The folder below which the images lie."""
        return self.root

    @abstractmethod
    def samples(self) -> list[Sample]:
        """Parse the tables into samples, sorted by id.

        Raises:
            InputError: a table or file is missing or malformed; the text names file, row and column.
        """

    def table_samples(self) -> list[Sample]:
        """Make samples of the tables alone, in table order: no image is looked for, no path is proven.

        Raises:
            InputError: a table is missing or malformed.
        """
        raise InputError(f"the tables of {self.name} alone make no samples", file=self.root)

    def beside(self) -> list[Path]:
        """Return the files outside of the root that samples come from: if one changes, all is read anew."""
        return []

    def read_image(self, sample: Sample) -> NDArray[np.uint8]:
        """Decode one image.

        Returns:
            Grey values, shape [H, W], at native size.

        Raises:
            InputError: the file is missing, truncated or not an image.
        """
        from g2d_bench.readers.images import read_image

        return read_image(sample.path)

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        """Decode the mask of one label.

        Args:
            sample: one of :meth:`samples`.
            shape: (H, W) of the decoded image.
            label: which of the data set's labels.

        Returns:
            Shape [H, W]; all False where the finding is absent.

        Raises:
            InputError: the mask does not fit the image, or the data set has no masks.
        """
        raise InputError(f"data set {self.name} has no masks")
