"""Image-report pairs for pre-training: pixels and sentences, and nothing else.

Labels, boxes and masks that a data set may also have are left behind in :func:`read_pairs`: a :class:`Pair`
has no place for them, so no objective can see one.
"""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.pretraining import NO_SETS
from g2d_bench.errors import InputError
from g2d_bench.paths import cache_dir
from g2d_bench.pretrain.decode import decode
from g2d_bench.progress import tell_once
from g2d_bench.readers.folders import walk
from g2d_bench.readers.reports import Report, impression_and_findings, read_report
from g2d_bench.terminal import present

PARTS = ("train", "val", "held")
"""Training pairs; validation pairs, for tuning; held-out pairs, for the retrieval of the model card."""

VAL_SHARE, HELD_SHARE = 0.05, 0.10
FRONTAL = ("PA", "AP")
MIN_HELD = 200

_IMAGES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp")
_NO_TEXT = "report without text"
_OFFICIAL = {"train": "train", "validate": "val", "valid": "val", "test": "held"}


@dataclass(frozen=True, slots=True)
class Pair:
    """One image and what its report says.

    Attributes:
        id: unique in the data.
        patient: the unit of splitting.
        path: the image file.
        sentences: of impression and findings, cleaned; at least one.
        impression: how many of them, at the start, are the impression's.
        split: ``train``, ``validate`` or ``test`` where the release assigns one, else "".
    """

    id: str
    patient: str
    path: Path
    sentences: tuple[str, ...]
    impression: int = 0
    split: str = ""


@dataclass(frozen=True, slots=True)
class Read:
    """What :func:`read_pairs` found.

    Attributes:
        source: name for logs and model cards.
        kind: ``phantom`` or ``real``.
        pairs: sorted by id.
        skipped: reason to number of images left out.
        own: whether it is a folder of one's own, whatever its name.
    """

    source: str
    kind: str
    pairs: tuple[Pair, ...]
    skipped: Mapping[str, int] = field(default_factory=dict)
    own: bool = False


def read_pairs(
    data: str, *, data_root: Path | None = None, count: int | None = None, strict: bool | None = None
) -> Read:
    """Find the pairs of a data set or of a folder.

    Args:
        data: ``phantom`` (the generated MIMIC-CXR), the name of a data set with reports (``mimic-cxr``,
            ``covid-cxr``), or a folder: images with a ``.txt`` of the same stem beside them, or a table
            ``pairs.csv`` with the columns ``image`` (path, from the folder), ``report`` (its text) and, if
            known, ``patient``. A folder that has the name of a data set is given as ``./NAME``.
        data_root: where named data sets lie.
        count: how many phantom images to generate.
        strict: an image without report text, a report without image or an image that is no frontal view
            raises instead of being skipped and counted. By default, folders are strict and data sets, where
            such rows are usual, are not.

    Raises:
        InputError: unknown data; strict and something is missing; no pair is left.
    """
    from g2d_bench.readers.registry import dataset_names

    names = [name for name in dataset_names() if name not in NO_SETS]
    if data == "phantom":
        read = _phantom(count, strict=bool(strict))
    elif data in names:
        if data_root is None:
            folder = f"; a folder of your own is called ./{data}" if Path(data).is_dir() else ""
            raise InputError(f"data set {data} needs a data root (--data-root){folder}", field="--data")
        read = _dataset(data, data_root, strict=bool(strict))
    elif Path(data).is_dir():
        read = _folder(Path(data), strict=strict is not False)
    else:
        raise InputError(f"{data!r} is neither a folder nor a data set ({', '.join(names)})", field="--data")
    if not read.pairs:
        reasons = ", ".join(f"{number} {reason}" for reason, number in read.skipped.items()) or "no image"
        raise InputError(f"no image-report pair found ({reasons})", file=read.source)
    return read


class PairData:
    """Decoded pairs, split by patient.

    Attributes:
        source: where they come from.
        kind: ``phantom`` or ``real``.
        own: whether they are a folder of one's own.
        size: side of the stored images, pixels.
        ids: of each pair.
        patients: of each pair.
        sentences: cleaned sentences of each report, those of the impression first.
        impressions: how many of them are the impression's, for each report.
        images: grey values [N, size, size], uint8, memory-mapped read-only.
        parts: part name (:data:`PARTS`) to ascending indices.
        skipped: reason to number of images left out.
        hash: sha256 over ids, patients, parts, pixels and sentences.
    """

    def __init__(self, read: Read, size: int, *, cache: Path | None = None, strict: bool = True) -> None:
        """Decode the images into the cache, unless they are there already.

        Args:
            read: of :func:`read_pairs`.
            size: side of the stored square, pixels.
            cache: folder for the decoded images; the user's cache by default.
            strict: an unreadable image raises; else it is skipped and counted.

        Raises:
            InputError: an unreadable image, naming it; the cache cannot be written.
        """
        self.source, self.kind, self.own, self.size = read.source, read.kind, read.own, size
        self.images, bad = decode(
            [pair.path for pair in read.pairs], size, cache or cache_dir() / "pairs", strict
        )
        good = [pair for index, pair in enumerate(read.pairs) if index not in bad]
        self.ids = [pair.id for pair in good]
        self.patients = [pair.patient for pair in good]
        self.sentences = [pair.sentences for pair in good]
        self.impressions = [pair.impression for pair in good]
        self.skipped = dict(read.skipped) | ({"unreadable image": len(bad)} if bad else {})
        part = _parts(good)
        self.parts = {name: np.flatnonzero(part == name) for name in PARTS}
        digest = hashlib.sha256(np.ascontiguousarray(self.images).data)
        digest.update(
            repr((self.ids, self.patients, part.tolist(), self.sentences, self.impressions)).encode()
        )
        self.hash = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, name: str) -> NDArray[np.intp]:
        """Return the indices of one part.

        Raises:
            InputError: the part is empty.
        """
        if not len(self.parts[name]):
            raise InputError(f"no {name} pair among {len(self)} of {self.source}; more patients are needed")
        return self.parts[name]

    def text(self, index: int, part: str) -> tuple[str, ...]:
        """Return the sentences of a report, or (``impression``) those of its impression if it has one."""
        count = self.impressions[index] if part == "impression" else 0
        return self.sentences[index][: count or None]

    def reports(self, name: str) -> int:
        """Count the different reports of one part."""
        return len({self.sentences[index] for index in self.parts[name]})

    def distinct(self, name: str, count: int) -> NDArray[np.intp]:
        """Return up to ``count`` pairs of a part with different reports, in an order fixed by their ids.

        Two identical reports cannot be told apart, so retrieval among them would measure luck.
        """
        seen: set[tuple[str, ...]] = set()
        chosen: list[int] = []
        for index in sorted(self.part(name), key=lambda index: _share(self.ids[index], "order")):
            if self.sentences[index] not in seen and len(chosen) < count:
                seen.add(self.sentences[index])
                chosen.append(int(index))
        return np.array(chosen)


def _share(word: str, purpose: str) -> float:
    """Map a word to [0, 1) by its hash."""
    digest = hashlib.sha256(f"g2d-bench:{purpose}:{word}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _parts(pairs: Sequence[Pair]) -> NDArray[np.str_]:
    """Assign parts: as the release does, where it names enough test patients, else by hash of the patient."""
    tested = {pair.patient for pair in pairs if pair.split == "test"}
    if len(tested) >= MIN_HELD and all(pair.split in _OFFICIAL for pair in pairs):
        return np.array([_OFFICIAL[pair.split] for pair in pairs])
    shares = [_share(pair.patient, "pretrain") for pair in pairs]
    return np.array(
        ["held" if s < HELD_SHARE else "val" if s < HELD_SHARE + VAL_SHARE else "train" for s in shares]
    )


def _phantom(count: int | None, *, strict: bool) -> Read:
    from g2d_bench import phantom

    root = cache_dir() / "phantom-pretrain"  # apart from the tasks' data, whose size may differ
    folder = phantom.ensure("mimic-cxr", root=root, count=count)
    return _dataset("mimic-cxr", root, strict=strict, folder=folder)


def _dataset(name: str, data_root: Path, *, strict: bool, folder: Path | None = None) -> Read:
    from g2d_bench.readers.registry import dataset_class, open_dataset

    dataset = dataset_class(name)(folder) if folder is not None else open_dataset(name, data_root)
    skipped: Counter[str] = Counter()
    pairs = []
    said: dict[str, _Said] = {}
    for sample in dataset.samples():
        if sample.report not in said:
            said[sample.report] = _said(sample.report)
        if sample.meta.get("view", "PA").split(" ")[0] not in FRONTAL:
            skipped["not frontal"] += 1  # a fact of the data, not a fault: never an error
        elif said[sample.report][0]:
            pairs.append(Pair(sample.id, sample.patient, sample.path, *said[sample.report], sample.split))
        elif strict:
            raise InputError(_NO_TEXT, file=sample.path)
        else:
            skipped[_NO_TEXT] += 1
    for remark in dataset.remarks:
        tell_once(f"{name}: {remark}")
    label = f"phantom {name}" if dataset.kind == "phantom" else name
    return Read(label, dataset.kind, tuple(sorted(pairs, key=lambda pair: pair.id)), dict(skipped))


def _folder(folder: Path, *, strict: bool) -> Read:
    skipped: Counter[str] = Counter()
    pairs = []
    guessed: list[Path] = []
    rows = _table(folder / "pairs.csv") if (folder / "pairs.csv").is_file() else _files(folder, guessed)
    for where, image, said, patient in rows:
        reason = ""
        if image is None or not image.is_file():
            reason = "report without image"
        elif said is None:
            reason = "image without report"
        elif not said[0]:
            reason = _NO_TEXT
        if reason and strict:
            raise InputError(reason, file=where)
        if reason or image is None or said is None:
            skipped[reason] += 1
            continue
        name = image.relative_to(folder).as_posix() if image.is_relative_to(folder) else str(image)
        pairs.append(Pair(name, patient or name, image, *said))
    if guessed:
        print(
            f"{folder}: {len(guessed)} reports are not UTF-8, the first is {guessed[0].name}; "
            "read as a Western European encoding",
            file=present(sys.stderr),
        )
    # One film may be spelled in several ways; a link to it is another name, not another spelling.
    spelled: dict[Path, list[str]] = {}
    for pair in pairs:
        spelled.setdefault(pair.path.parent.resolve() / pair.path.name, []).append(pair.id)
    for names in spelled.values():
        if len(names) > 1:
            other = f", once as {names[1]}" if names[1] != names[0] else ""
            raise InputError(
                f"image {names[0]} stands in {len(names)} rows{other}",
                file=folder / "pairs.csv",
                field="image",
            )
    ordered = tuple(sorted(pairs, key=lambda pair: pair.id))
    return Read(str(folder), "real", ordered, dict(skipped), own=True)


_Said = tuple[tuple[str, ...], int]
_Row = tuple[str | Path, Path | None, _Said | None, str]


def _said(report: str | Report) -> _Said:
    """Return the sentences of a report, and how many at the start are the impression's."""
    impression, findings = impression_and_findings(report)
    return (*impression, *findings), len(impression)


def _files(folder: Path, guessed: list[Path]) -> Iterator[_Row]:
    """Yield images and same-stem text files of a folder and the folders below it.

    Reports that are not UTF-8 are noted in ``guessed``: which older encoding they have cannot be known.
    """
    images: dict[Path, Path] = {}
    reports: dict[Path, Path] = {}
    for path in sorted(Path(place, name) for place, names in walk(folder) for name in names):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix.lower() in _IMAGES:
            if path.with_suffix("") in images:
                raise InputError(
                    f"two images for one report, beside {images[path.with_suffix('')]}", file=path
                )
            images[path.with_suffix("")] = path
        elif path.suffix.lower() == ".txt":
            reports[path.with_suffix("")] = path
    for stem in sorted({*images, *reports}):
        image, report = images.get(stem), reports.get(stem)
        if report is None:
            yield images[stem], image, None, ""
        else:
            read = read_report(report)
            try:
                report.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                guessed.append(report)
            yield report, image, _said(read), ""


def _table(path: Path) -> Iterator[_Row]:
    """Yield the rows of ``pairs.csv``."""
    from g2d_bench.readers.tables import read_table

    table = read_table(path, ("image", "report"))
    for row in table:
        patient = row["patient"] if "patient" in table.columns else ""
        yield f"{path}:{row.line}", path.parent / row.text("image"), _said(row["report"]), patient
