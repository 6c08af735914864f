"""What may stand in an array that a record keeps.

Metrics are computed from these arrays: a number out of range there would be an index that does not exist, or
a table as large as the number.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_SAMPLES = 100_000
"""Test samples of one cell, four times as many as the largest test set has; draws of a bootstrap take 8 kB
for each."""
MOST_LABELS = 256
MOST_QUERIES = 4096
"""Texts or images that ask for images of a class."""
MOST_BOXES = 1 << 20
MOST_TRUE_BOXES = 1 << 17
MOST_VALUES = 1 << 22
"""Entries of an array of samples by labels, which metrics hold several times in double precision."""
PIXELS = 1 << 28
"""Pixels of an image, in counts of them."""


@dataclass(frozen=True)
class Rule:
    """What an array may hold.

    Attributes:
        kinds: of numpy's types, a letter each.
        axes: name of each axis; axes of one name are equally long in all arrays. A number is a length.
        low: smallest value.
        high: largest value, or the axis that the values number.
        nan: whether a value may be undefined.
    """

    kinds: str
    axes: tuple[str | int, ...]
    low: float = 0.0
    high: float | str = PIXELS
    nan: bool = False


def count(*axes: str | int) -> Rule:
    """Return the rule of counts; what hangs on a threshold that could not be chosen is undefined."""
    return Rule("biuf", axes, nan=True)


REAL = Rule("f", ("N",), -1e30, 1e30, nan=True)
"""Any number of a sample, or none."""
