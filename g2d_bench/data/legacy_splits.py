"""The published splits, with the defects that they have; for comparison with quoted numbers only.

Each function repeats one released pre-processing: which rows, in which order, go through scikit-learn's
`train_test_split` with `random_state=0`. On the real tables the published sizes come out exactly. On another
number of images (generated data, a part of a release) absolute sizes are scaled.

Sources: GLoRIA (marshuang80/gloria, Apache-2.0) and MGCA (HKU-MedAI/MGCA), read, not copied; G2D, Table 6.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast
from weakref import WeakKeyDictionary

import numpy as np

from g2d_bench.data.splits import PARTS
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.readers.base import Dataset

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LegacySplit:
    """Sample ids of the three parts; by a published defect one id may stand in several parts.

    Attributes:
        train: ids of the training images.
        valid: ids of the validation images.
        test: ids of the test images.
        rows: where table rows are split instead of images, the image id of every row of train, valid, test.
    """

    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...] = ()

    def overlaps(self) -> dict[str, int]:
        """Count the ids that two parts share: ``train&valid``, ``train&test``, ``valid&test``."""
        train, valid, test = set(self.train), set(self.valid), set(self.test)
        return {
            "train&valid": len(train & valid),
            "train&test": len(train & test),
            "valid&test": len(valid & test),
        }


def _halve(items: Sequence[T], test_size: float) -> tuple[list[T], list[T]]:
    """One call of scikit-learn's splitter, as all published code makes it."""
    from sklearn.model_selection import train_test_split

    first, second = train_test_split(list(items), test_size=test_size, random_state=0)
    return first, second


def _scaled(count: int, published: int, total: int) -> int:
    """Return a published absolute size, in proportion where the data set has another number of images."""
    return published if total == count else max(1, round(published * count / total))


def _unique(ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))


def rsna_det(patients: Sequence[str]) -> LegacySplit:
    """MGCA's split for RSNA detection and segmentation: 16,010 / 5,337 / 5,337.

    The two held-out parts are cut from the patients sorted by id (a group-by sorts): first 10,674 of them,
    then one half as test. 1,328 of the test images are train images of :func:`rsna_cls`.
    """
    held = _scaled(len(patients), 2 * 5337, 26684)
    train, rest = _halve(sorted(patients), held)
    test, valid = _halve(rest, 0.5)
    return LegacySplit(tuple(train), tuple(valid), tuple(test))


def rsna_cls(patients: Sequence[str]) -> LegacySplit:
    """GLoRIA's and MGCA's split for RSNA classification: 18,678 / 4,003 / 4,003."""
    train, rest = _halve(sorted(patients), 0.3)
    test, valid = _halve(rest, 0.5)
    return LegacySplit(tuple(train), tuple(valid), tuple(test))


def covidx(train_list: Sequence[str], test_list: Sequence[str]) -> LegacySplit:
    """MGCA's split of COVIDx: 24,104 / 6,026 of the train list in its order, 400 of the test list.

    Images are drawn, not patients: half of the validation images belong to patients of train.
    """
    train, valid = _halve(train_list, 0.2)
    return LegacySplit(tuple(train), tuple(valid), tuple(test_list))


def siim_rows(rows: Sequence[str]) -> LegacySplit:
    """GLoRIA's and MGCA's split of SIIM: 8,578 / 1,910 / 1,903 images.

    The rows of the run-length table are split, and an image with several mask parts has several rows: 154
    images are in train and test, and 183 of the 476 positive test images lack a part of their mask.

    Args:
        rows: the image id of every row, in the order of the table.
    """
    parts = [tuple(rows[index] for index in part) for part in siim_row_parts(rows)]
    train, valid, test = (_unique(part) for part in parts)
    return LegacySplit(train, valid, test, tuple(parts))


def siim_row_parts(rows: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    """Return the row numbers (from 0) behind :func:`siim_rows`: train, valid, test."""
    train, rest = _halve(range(len(rows)), 0.3)
    test, valid = _halve(rest, 0.5)
    return train, valid, test


def siim_row_masks(rows: Sequence[tuple[str, str]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the incomplete masks of :func:`siim_rows`: an image in a part has the rows of that part alone.

    Args:
        rows: image id and run-length text of every row, in the order of the table.

    Returns:
        Part to image to run-length texts, for the images of which the part lacks some.
    """
    whole = Counter(image for image, _ in rows)
    parts: dict[str, dict[str, tuple[str, ...]]] = {}
    for part, numbers in zip(PARTS, siim_row_parts([image for image, _ in rows]), strict=True):
        found: dict[str, list[str]] = defaultdict(list)
        for number in sorted(numbers):
            found[rows[number][0]].append(rows[number][1])
        parts[part] = {image: tuple(texts) for image, texts in found.items() if len(texts) < whole[image]}
    return parts


def siim_images(images: Sequence[str]) -> LegacySplit:
    """An image-level split of the sizes in G2D, Table 6, 8,433 / 1,807 / 1,807; the lists are unpublished."""
    train, rest = _halve(sorted(images), _scaled(len(images), 2 * 1807, 12047))
    test, valid = _halve(rest, 0.5)
    return LegacySplit(tuple(train), tuple(valid), tuple(test))


def object_cxr(train_list: Sequence[str], dev_list: Sequence[str]) -> LegacySplit:
    """MGCA's split of Object-CXR: 7,200 / 800 of ``train.csv`` in its order; 1,000 of ``dev.csv`` as test.

    G2D's Table 6 says 6,400 / 1,600 / 1,000, which the code that it names does not make.
    """
    train, valid = _halve(train_list, 0.1)
    return LegacySplit(tuple(train), tuple(valid), tuple(dev_list))


def cxr14_official(train_val_list: Sequence[str], test_list: Sequence[str]) -> LegacySplit:
    """The official test list of ChestX-ray14, a tenth of the rest for validation: 77,872 / 8,652 / 25,596.

    The sizes are KAD's and G2D's; which tenth was never published. It is one of images: patients are shared.
    """
    train, valid = _halve(train_val_list, _scaled(len(train_val_list), 8652, 86524))
    return LegacySplit(tuple(train), tuple(valid), tuple(test_list))


def chexpert_positions(
    ids: Sequence[str], held_out: Sequence[bool], valid_count: int, test: Sequence[str], seed: int = 0
) -> LegacySplit:
    """GLoRIA's and MGCA's split of CheXpert, with its positional drop.

    Rows of the retrieval set (5x200) are taken out while the others keep their old row labels. Then positions
    are drawn for validation, but rows with those *labels* are dropped from train. So about 98 % of the
    validation rows stay in train, and as many others are in neither part.

    Args:
        ids: all rows of ``train.csv`` in its order.
        held_out: which rows belong to the retrieval set.
        valid_count: 5,000 in the published code.
        test: the official validation images, which serve as test.
        seed: of the draw; no list was published, so the very rows cannot be had.
    """
    kept = [label for label, held in enumerate(held_out) if not held]
    drawn = np.random.RandomState(seed).choice(len(kept), size=valid_count, replace=False)
    dropped = set(drawn.tolist())
    train = tuple(ids[label] for label in kept if label not in dropped)
    return LegacySplit(train, tuple(ids[kept[position]] for position in drawn), tuple(test))


def chexpert_5x200(labels: Sequence[Sequence[float]], frontal: Sequence[bool], seed: int = 0) -> list[bool]:
    """Draw the retrieval set: 200 frontal rows per competition class with that label alone.

    Args:
        labels: per row the 14 values; not mentioned (NaN) counts as 0.
        frontal: per row.
        seed: MGCA fixes 0, GLoRIA none.

    Returns:
        Per row whether it is drawn. Where fewer than 200 rows qualify, a tenth of them is drawn.
    """
    from g2d_bench.readers.chexpert import COMPETITION, LABELS

    values = np.nan_to_num(np.asarray(labels, dtype=np.float64), nan=0.0)
    chosen = np.zeros(len(values), dtype=bool)
    for label in COMPETITION:
        wanted = np.zeros(len(LABELS))
        wanted[LABELS.index(label)] = 1.0
        pool = np.flatnonzero((values == wanted).all(axis=1) & np.asarray(frontal, dtype=bool))
        count = 200 if len(pool) >= 200 else len(pool) // 10
        chosen[pool[np.random.RandomState(seed).choice(len(pool), size=count, replace=False)]] = True
    return chosen.tolist()


PUBLISHED_SEED = 42
"""What MGCA seeds with."""


def sample_fraction(train: Sequence[str], fraction: float) -> tuple[str, ...]:
    """Draw the published label fraction for classification: by image, unstratified, seed 42 (MGCA).

    What pandas' ``DataFrame.sample(frac=…, random_state=42)`` draws. The published draws for segmentation and
    detection come from the global random state and cannot be recovered.
    """
    return _choose(train, max(1, round(fraction * len(train))), PUBLISHED_SEED)


def choose_fraction(train: Sequence[str], fraction: float, seed: int) -> tuple[str, ...]:
    """Draw a fraction as the published code does for segmentation and detection, with a seed of its own.

    By image and unstratified; the sizes are the published ones (rounded down), the very images cannot be had.
    """
    return _choose(train, max(1, int(round(fraction * len(train), 6))), seed)


def balanced(train: Sequence[str], positive: Sequence[bool]) -> tuple[str, ...]:
    """Keep all images with the finding and as many without (MGCA's SIIM: 4,004 of 8,578 images).

    The order is kept. Which negatives were taken hung on the global random state; here it is a draw with the
    published seed.
    """
    negative = [name for name, found in zip(train, positive, strict=True) if not found]
    kept = set(_choose(negative, min(len(negative), sum(positive)), PUBLISHED_SEED))
    return tuple(name for name, found in zip(train, positive, strict=True) if found or name in kept)


def _choose(names: Sequence[str], count: int, seed: int) -> tuple[str, ...]:
    drawn = np.random.RandomState(seed).choice(len(names), size=count, replace=False)
    return tuple(names[position] for position in drawn)


# --- by name, on a data set -------------------------------------------------------------------------------


def _rsna(split: Callable[[Sequence[str]], LegacySplit]) -> Callable[[Dataset], LegacySplit]:
    def apply(dataset: Dataset) -> LegacySplit:
        from g2d_bench.readers.rsna import Rsna

        return split([sample.id for sample in cast(Rsna, dataset).table_samples()])

    return apply


def _siim(split: Callable[[Sequence[str]], LegacySplit]) -> Callable[[Dataset], LegacySplit]:
    def apply(dataset: Dataset) -> LegacySplit:
        from g2d_bench.readers.siim import Siim
        from g2d_bench.readers.tables import read_table

        rows = [row["ImageId"] for row in read_table(cast(Siim, dataset).table, ("ImageId",))]
        return split(rows if split is siim_rows else _unique(rows))

    return apply


def _lists(split: Callable[[Sequence[str], Sequence[str]], LegacySplit]) -> Callable[[Dataset], LegacySplit]:
    def apply(dataset: Dataset) -> LegacySplit:
        from g2d_bench.readers.covidx import Covidx
        from g2d_bench.readers.cxr14 import Cxr14
        from g2d_bench.readers.object_cxr import ObjectCxr

        if isinstance(dataset, Cxr14):
            samples = dataset.table_samples(lists=True)
        else:
            samples = cast(Covidx | ObjectCxr, dataset).table_samples()
        return split(
            [sample.id for sample in samples if sample.split == "train"],
            [sample.id for sample in samples if sample.split == "test"],
        )

    return apply


def _all(dataset: Dataset) -> LegacySplit:
    """BioViL's test on all of MS-CXR: every image stands in every part, since none is kept for anything."""
    names = tuple(sample.id for sample in dataset.samples())
    return LegacySplit(names, names, names)


def _chexpert(dataset: Dataset) -> LegacySplit:
    from g2d_bench.readers.chexpert import LABELS, CheXpert

    samples = cast(CheXpert, dataset).table_samples()
    train = [sample for sample in samples if sample.split == "train"]
    held_out = chexpert_5x200(
        [[sample.labels[label] for label in LABELS] for sample in train],
        [sample.meta["view"] == "frontal" for sample in train],
    )
    test = [s.id for s in samples if s.split == "valid" and s.meta["view"] == "frontal"]
    drawn = chexpert_positions(
        [sample.id for sample in train], held_out, _scaled(len(train), 5000, 223414), test
    )
    frontal = {sample.id for sample in train if sample.meta["view"] == "frontal"}
    return LegacySplit(
        tuple(i for i in drawn.train if i in frontal),
        tuple(i for i in drawn.valid if i in frontal),
        drawn.test,
    )


_FUNCTIONS: dict[str, tuple[str, Callable[[Dataset], LegacySplit]]] = {
    "rsna_det": ("rsna", _rsna(rsna_det)),
    "rsna_cls": ("rsna", _rsna(rsna_cls)),
    "siim_rows": ("siim", _siim(siim_rows)),
    "siim_images": ("siim", _siim(siim_images)),
    "covidx": ("covidx", _lists(covidx)),
    "object_cxr": ("object-cxr", _lists(object_cxr)),
    "cxr14_official": ("cxr14", _lists(cxr14_official)),
    "chexpert_positions": ("chexpert", _chexpert),
    "ms_cxr_all": ("ms-cxr", _all),
}

NAMES = tuple(_FUNCTIONS)
"""What a card may name as ``function`` of its legacy split."""

_made: WeakKeyDictionary[Dataset, dict[str, LegacySplit]] = WeakKeyDictionary()
"""What was made for the data sets that are open; several tasks share a split."""


def legacy_split(function: str, dataset: Dataset) -> LegacySplit:
    """Make a published split of a data set, whose tables are read for it once.

    Args:
        function: one of :data:`NAMES`.
        dataset: the reader of the data set that the split was published for.

    Raises:
        InputError: unknown name, wrong data set, or tables that cannot be read.
    """
    if function not in _FUNCTIONS:
        raise InputError(f"unknown legacy split {function!r}, {did_you_mean(function, NAMES)}")
    name, apply = _FUNCTIONS[function]
    if dataset.name != name:
        raise InputError(f"legacy split {function!r} is one of {name}, not of {dataset.name}")
    made = _made.setdefault(dataset, {})
    if function not in made:
        made[function] = apply(dataset)
    return made[function]


def partial_masks(function: str, dataset: Dataset) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return what a published split leaves of the masks: part to image to annotation, where it lacks some.

    Args:
        function: one of :data:`NAMES`.
        dataset: its data set.
    """
    if function != "siim_rows":
        return {}
    from g2d_bench.readers.siim import Siim
    from g2d_bench.readers.tables import read_table

    rows = read_table(cast(Siim, dataset).table, ("ImageId", "EncodedPixels"))
    return siim_row_masks([(row.text("ImageId"), row.text("EncodedPixels")) for row in rows])
