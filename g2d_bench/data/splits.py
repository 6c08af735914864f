"""Which images train, validate and test: by patient, stratified, drawn from names, never from a generator.

A patient's place is decided by a hash of its name and a salt. So it depends neither on the order in which
samples are read nor on any random state, and anybody can compute it again.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.files import write_atomically
from g2d_bench.readers.base import Sample

PARTS = ("train", "val", "test")
"""The parts of a split, in this order everywhere."""

RATIOS = (0.7, 0.15, 0.15)
"""Shares of train, validation and test images in a split made here."""

_FRACTION = re.compile(r"(\d+\.?\d*(?:e-?\d{1,3})?|\.\d+)\s*(%?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Split:
    """Image ids per part, each sorted.

    Raises:
        InputError: a part is empty.
    """

    name: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in PARTS:
            if not getattr(self, part):
                raise InputError(f"the {part} part of split {self.name!r} is empty")
            object.__setattr__(self, part, tuple(sorted(getattr(self, part))))

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Part name to its ids."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def hash(self) -> str:
        """SHA-256 over the sorted lines ``id,part``; the name of the split does not count."""
        return hashlib.sha256(split_csv(self.parts).encode()).hexdigest()


def make_split(
    samples: Iterable[Sample],
    *,
    ratios: tuple[float, float, float] = RATIOS,
    salt: str,
    strata: Collection[str] = (),
    name: str = "clean",
) -> Split:
    """Split by patient, stratified, ordered by ``sha256("salt:patient")``.

    Each stratum is laid out as a line of images, patient after patient; the part of a patient is the one in
    which its middle lies. So each part of each stratum misses its share by at most one patient's images.

    Args:
        samples: what to split, in any order.
        ratios: shares of train, validation and test images; they sum to 1.
        salt: names the split; another salt draws another one.
        strata: labels by whose rarest positive one a patient is stratified.
        name: the name of the result.

    Raises:
        InputError: a part would be empty, or the ratios do not sum to 1.
    """
    if min(ratios) <= 0 or abs(sum(ratios) - 1) > 1e-9:
        raise InputError(f"ratios {ratios} must be positive and sum to 1")
    samples = list(samples)
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for groups in _strata(samples, strata, smallest=round(1 / min(ratios))):
        total, before = sum(map(len, groups.values())), 0
        for patient in sorted(groups, key=_order(salt)):
            middle = (before + len(groups[patient]) / 2) / total
            part = PARTS[(middle >= ratios[0]) + (middle >= ratios[0] + ratios[1])]
            parts[part] += groups[patient]
            before += len(groups[patient])
    return Split(name, *(tuple(parts[part]) for part in PARTS))


def hold_out(
    samples: Iterable[Sample], *, share: float, salt: str, strata: Collection[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Cut one part off, as :func:`make_split` cuts three: by patient, stratified, ordered by hash.

    Args:
        samples: what to cut, in any order.
        share: of the images, in (0, 1).
        salt: names the cut.
        strata: labels by whose rarest positive one a patient is stratified.

    Returns:
        Sorted ids of what stays and of what is cut off.
    """
    parts: tuple[list[str], list[str]] = ([], [])
    for groups in _strata(list(samples), strata, smallest=round(1 / min(share, 1 - share))):
        total, before = sum(map(len, groups.values())), 0
        for patient in sorted(groups, key=_order(salt)):
            parts[(before + len(groups[patient]) / 2) / total < share].extend(groups[patient])
            before += len(groups[patient])
    return tuple(sorted(parts[0])), tuple(sorted(parts[1]))


def take_fraction(
    samples: Iterable[Sample],
    ids: Collection[str],
    fraction: float,
    seed: int,
    task: str,
    *,
    labels: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Draw a share of a split's images for one seed: nested, by patient, stratified.

    In each stratum (the patient's rarest positive label) the patients stand in the order of
    ``sha256("task:seed:patient")``, and the beginning is taken that comes nearest to the share of images, at
    least one patient. A smaller fraction is therefore part of every larger one.

    Args:
        samples: at least the samples of ``ids``, in any order.
        ids: the images from which to draw.
        fraction: in (0, 1]; 1 gives all.
        seed: draws another subset.
        task: salt, so that two tasks draw independently.
        labels: labels by which to stratify; None for all that the samples have.

    Returns:
        Sorted ids.

    Raises:
        InputError: the fraction is outside (0, 1], or ``ids`` is empty.
        KeyError: an id has no sample.
    """
    if not 0 < fraction <= 1:
        raise InputError(f"fraction {fraction:g} is outside (0, 1]")
    if not ids:
        raise InputError("the split is empty, nothing to draw from")
    known = {sample.id: sample for sample in samples}
    chosen = [known[name] for name in sorted(set(ids))]
    if labels is None:
        labels = sorted({label for sample in chosen for label in sample.labels})
    taken: list[str] = []
    for groups in _strata(chosen, labels):
        target = fraction * sum(map(len, groups.values()))
        count = 0
        for patient in sorted(groups, key=_order(f"{task}:{seed}")):
            # Past the middle of a patient's images, leaving it out comes nearer.
            if count and count + len(groups[patient]) / 2 > target:
                break
            taken += groups[patient]
            count += len(groups[patient])
    return tuple(sorted(taken))


def parse_fraction(text: str) -> float:
    """Read a fraction as a user writes it: ``0.01``, ``1%``, ``1 %``, ``1`` (all).

    Raises:
        InputError: not a number, 0, or above 1 (100 %).
    """
    match = _FRACTION.fullmatch(text.strip())
    if not match:
        raise InputError(f"{text!r} is not a fraction; write 0.01 or 1%", field="fraction")
    # Binary division would make another number of 0.7 % than is written 0.007, and so another cell.
    fraction = float(Decimal(match[1]) / 100) if match[2] else float(match[1])
    if not 0 < fraction <= 1:
        raise InputError(f"{text!r} is outside (0, 1]; write 0.01 or 1%, at most 1 or 100%", field="fraction")
    return fraction


def write_id_list(path: Path, split: Split) -> None:
    """Write a split as CSV ``id,split``, packed for ``.gz``; the same split gives the same bytes."""
    data = split_csv(split.parts).encode()
    if path.suffix == ".gz":
        data = gzip.compress(data, mtime=0)
    write_atomically(path, data)


def read_id_list(path: Path, name: str = "") -> Split:
    """Read what :func:`write_id_list` wrote.

    Args:
        path: ``.csv`` or ``.csv.gz``.
        name: name of the split; the file's name without endings when empty.

    Raises:
        InputError: the file is missing or malformed, an id stands twice, a part is unknown or empty.
    """
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", file=path) from error
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    seen: dict[str, int] = {}
    for row, cells in enumerate(csv.reader(io.StringIO(text)), start=1):
        where = f"{path}:{row}"
        if row == 1:
            if cells != ["id", "split"]:
                raise InputError(f"header is {','.join(cells)!r}, want 'id,split'", file=where)
            continue
        if len(cells) != 2 or not cells[0]:
            raise InputError("want two values, id and split", file=where)
        if cells[0] in seen:
            raise InputError(f"{cells[0]!r} stands already in row {seen[cells[0]]}", file=where, field="id")
        if cells[1] not in PARTS:
            raise InputError(
                f"unknown part {cells[1]!r}; {did_you_mean(cells[1], PARTS)}", file=where, field="split"
            )
        seen[cells[0]] = row
        parts[cells[1]].append(cells[0])
    for part, ids in parts.items():
        if not ids:
            raise InputError(f"the {part} part is empty", file=path, field="split")
    return Split(name or path.name.split(".")[0], *(tuple(parts[part]) for part in PARTS))


def listed_split(path: Path, samples: Collection[Sample], name: str) -> tuple[Split | None, int]:
    """Divide images by an id list.

    Args:
        path: the list, see :func:`read_id_list`.
        samples: the images of the release at hand.
        name: name of the split.

    Returns:
        The split of the images at hand, and how many of the list are not among them: releases shrink. None
        where no image is in the list: other data in the same layout.

    Raises:
        InputError: the list is malformed, or some images are not in it: whoever placed them would make up a
            split that nobody else has.
    """
    listed = read_id_list(path, name)
    part_of = {image: part for part, ids in listed.parts.items() for image in ids}
    known = {sample.id for sample in samples}
    strange = known - part_of.keys()
    if len(strange) == len(known):
        return None, len(part_of)
    if strange:
        raise InputError(
            f"{len(strange):,} of {len(known):,} images are not in the list (the first: {min(strange)}): "
            "this is another edition of the data; a card of your own can divide it by ratios",
            file=path,
        )
    split = Split(name, *(tuple(image for image in ids if image in known) for ids in listed.parts.values()))
    return split, len(part_of) - len(known)


def split_csv(parts: Mapping[str, Collection[str]]) -> str:
    """Return parts as CSV ``id,split``, sorted by id."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("id", "split"))
    writer.writerows(sorted((name, part) for part, ids in parts.items() for name in ids))
    return buffer.getvalue()


def _order(salt: str) -> Callable[[str], str]:
    return lambda patient: hashlib.sha256(f"{salt}:{patient}".encode()).hexdigest()


def _strata(
    samples: Sequence[Sample], labels: Collection[str], smallest: int = 1
) -> list[dict[str, list[str]]]:
    """Group by rarest positive label of the patient, then by patient; ids sorted.

    Strata of fewer patients than ``smallest`` are pooled: one by one, none of them would reach all parts.
    """
    patients: dict[str, list[str]] = defaultdict(list)
    positive: dict[str, set[str]] = defaultdict(set)
    for sample in sorted(samples, key=lambda sample: sample.id):
        patients[sample.patient].append(sample.id)
        positive[sample.patient].update(label for label in labels if sample.labels.get(label) == 1)
    counts = Counter(label for found in positive.values() for label in found)
    strata: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for patient, ids in patients.items():
        rarest = min(positive[patient], key=lambda label: (counts[label], label), default="")
        strata[rarest][patient] = ids
    pooled: dict[str, list[str]] = {}
    for rarest in [key for key, groups in strata.items() if len(groups) < smallest]:
        pooled |= strata.pop(rarest)
    return [strata[key] for key in sorted(strata)] + ([pooled] if pooled else [])
