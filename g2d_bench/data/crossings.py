"""Images that one task trains on and another one tests on, within a data set and between data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations

from g2d_bench.data.audit_facts import RELEASE, Crossing, SplitAudit
from g2d_bench.data.splits import Split

SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm")

SAME_FILMS = {
    ("cxr14", "rsna"): "RSNA's films were taken from ChestX-ray14",
    ("cxr14", "siim"): "SIIM-ACR's films were taken from ChestX-ray14",
    ("rsna", "siim"): "both took their films from ChestX-ray14",
    ("covidx", "cxr14"): "COVIDx has RSNA's films, which were taken from ChestX-ray14",
    ("chestxdet10", "cxr14"): "ChestX-Det10's films were taken from ChestX-ray14",
    ("chestxdet10", "nih1k"): "both took their films from ChestX-ray14",
    ("chestxdet10", "rsna"): "both took their films from ChestX-ray14",
    ("chestxdet10", "siim"): "both took their films from ChestX-ray14",
    ("covid-cxr", "covidx"): "COVIDx has films of the COVID-19 image data collection",
    ("nih1k", "rsna"): "both took their films from ChestX-ray14",
    ("nih1k", "siim"): "both took their films from ChestX-ray14",
}
"""Pairs of data sets with the same films under other ids, by their names in alphabetical order."""

_Made = tuple[SplitAudit, Split]


def crossings(
    made: Sequence[_Made], images: Mapping[str, frozenset[str]]
) -> tuple[dict[str, int], list[Crossing], list[str]]:
    """Compare splits of the same name with each other.

    Args:
        made: splits with their audits.
        images: all ids by data set.

    Returns:
        Images that two data sets share, by ``"a & b"``; images that one split trains on and another one tests
        on, where there are any; what ids cannot tell.
    """
    plain = {name: {image_key(i) for i in ids} for name, ids in images.items()}
    shared = {
        f"{one} & {other}": len(both)
        for one, other in combinations(sorted(plain), 2)
        if (both := plain[one] & plain[other])
    }
    notes = [
        f"{one} & {other}: {why}, under other ids: without the mapping of ids no overlap can be counted"
        for (one, other), why in SAME_FILMS.items()
        if one in images and other in images
    ]
    return shared, list(_pairs(made)), notes


def image_key(name: str) -> str:
    """Return an id without the ending of an image file, by which data sets name the same image alike."""
    stem, dot, suffix = name.rpartition(".")
    return stem if (dot + suffix).lower() in SUFFIXES else name


def _pairs(made: Sequence[_Made]) -> Iterator[Crossing]:
    keys = [{part: {image_key(i) for i in ids} for part, ids in split.parts.items()} for _, split in made]
    for first, second in permutations(range(len(made)), 2):
        one, other = made[first][0], made[second][0]
        # A cell has one protocol: clean and legacy never meet. What a release assigns meets every split.
        if one.hash == other.hash or (one.split != other.split and RELEASE not in (one.split, other.split)):
            continue
        both = keys[first]["train"] & keys[second]["test"]
        if both:
            yield Crossing(one.title, other.title, len(both))
