"""To which groups of patients a test image belongs: sex, age, view, device; as records keep it.

The arrays lie among the predictions, one text per sample, so that a record can be looked at without its data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.hashing import digest_json

PREFIX = "group_"
"""How the arrays of groups are called: ``group_view``."""
ATTRIBUTES = ("sex", "age", "view", "device")
"""What images are grouped by."""
NAMES = tuple(PREFIX + name for name in ATTRIBUTES)
"""How all arrays of groups are called."""
AGES = ((20, "under 20"), (40, "20 to 39"), (60, "40 to 59"), (80, "60 to 79"), (121, "80 and over"))
"""Years below which an age belongs to a group: those of the literature on chest films (Seyyed-Kalantari et
al., Nature Medicine 2021). Tables hold ages up to 155, which nobody has."""
UNKNOWN = ""
_SEXES = {"m": "M", "male": "M", "f": "F", "female": "F"}
_YEARS = re.compile(r"(\d{1,3})(?:\.\d+)?Y?")

Texts = NDArray[np.str_]


def described(meta: Mapping[str, str]) -> dict[str, str]:
    """Read what a data set says of an image, in words that are the same for all data sets.

    Args:
        meta: of a sample.

    Returns:
        Attribute to value, :data:`UNKNOWN` where nothing usable is said; an age in whole years.

    Example:
        >>> described({"sex": "Female", "age": "058Y", "view": "frontal", "projection": "AP"})
        {'sex': 'F', 'age': '58', 'view': 'AP', 'device': ''}
    """
    years = _YEARS.fullmatch(meta.get("age", "").strip().upper())
    view = meta.get("projection", "").strip() or meta.get("view", "").strip()
    return {
        "sex": _SEXES.get(meta.get("sex", "").strip().lower(), UNKNOWN),
        "age": str(int(years[1])) if years and int(years[1]) < AGES[-1][0] else UNKNOWN,
        "view": view.upper() if len(view) <= 2 else view[:40],
        "device": " ".join(meta.get("device", "").split())[:60],
    }


def group_arrays(metas: Sequence[Mapping[str, str]]) -> dict[str, Texts]:
    """Make the arrays of a record; an attribute of which nothing is known has none.

    Args:
        metas: of the test samples, in the order of the predictions.
    """
    rows = [described(meta) for meta in metas]
    arrays = {PREFIX + name: np.array([row[name] for row in rows], np.str_) for name in ATTRIBUTES}
    return {name: array for name, array in arrays.items() if (array != UNKNOWN).any()}


def digest_groups(predictions: Mapping[str, NDArray[Any]]) -> str:
    """Name the groups that predictions keep, sample by sample; "" where they keep none."""
    kept = {name: predictions[name].tolist() for name in NAMES if name in predictions}
    return digest_json(kept) if kept else ""


def groups_of(predictions: Mapping[str, NDArray[Any]], attribute: str) -> Texts | None:
    """Return the group of each sample, ages put together; None where the predictions do not tell.

    Raises:
        InputError: nothing is grouped by that.
    """
    if attribute not in ATTRIBUTES:
        raise InputError(f"unknown {attribute!r}; {did_you_mean(attribute, ATTRIBUTES)}", field="--by")
    texts = predictions.get(PREFIX + attribute)
    if texts is None:
        return None
    if attribute != "age":
        return np.asarray(texts, np.str_)
    return np.array([_age_group(text) for text in texts.tolist()], np.str_)


def _age_group(text: str) -> str:
    if not text.isdecimal():
        return UNKNOWN
    return next((name for limit, name in AGES if int(text) < limit), UNKNOWN)


def in_order(attribute: str, names: Sequence[str]) -> list[str]:
    """Put groups in the order of a table."""
    ages = [name for _, name in AGES]
    return sorted(names, key=lambda name: (ages.index(name) if name in ages else -1, name))
