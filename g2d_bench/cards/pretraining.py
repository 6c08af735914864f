"""What an encoder saw before it was measured, and whether a task tests it on that.

An entry of a card's ``pretraining`` is the name of a data set, ``rsna``, whose images were seen (alone, or
with reports), or ``rsna:labels`` where its labels were, too. ``phantom`` stands for the generated reports
that pre-training uses, ``phantom/rsna`` for another generated set.

A mark says that the data set was seen, not that these very test images were: cards name sets, and few
releases say which part of one they took. Generated sets are drawn apart from each other and from every real
one of the same name, so a real set is never seen on generated data, nor a generated one on real data.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Annotated, Literal, NamedTuple

from g2d_bench.cards.wording import formed

Sight = Literal["", "images", "labels"]
"""What was seen of a data set; empty for nothing."""
SIGHTS: tuple[Sight, ...] = ("", "images", "labels")
"""From the least to the most."""
Entry = Annotated[
    str,
    formed(r"[A-Za-z0-9][\w.+/ -]*(:labels)?", "the name of a data set, such as rsna, or rsna:labels"),
]
GENERATED = "phantom"
"""Entry of the generated reports and images that pre-training uses; they are the generated ``mimic-cxr``."""
PRETRAINED = "mimic-cxr"


NO_SETS = ("folder",)
"""Readers of whatever somebody has."""
VAGUE = frozenset({"", "cxr", "ms"})
"""Parts of names that tell no set from another."""
ALSO = {"chestxray14": "cxr14", "chestxray8": "cxr14", "nih": "cxr14"}
"""What data sets are called elsewhere, without signs, to their names here."""


class Seen(NamedTuple):
    """One entry.

    Attributes:
        dataset: its name.
        labels: whether labels were seen, too.
        generated: whether it is the generated set of that name.
    """

    dataset: str
    labels: bool
    generated: bool


def parse(entry: str) -> Seen:
    """Read one entry of a card or record; whether its name has capitals does not matter.

    Example:
        >>> parse("chexpert:labels")
        Seen(dataset='chexpert', labels=True, generated=False)
        >>> parse("phantom")
        Seen(dataset='mimic-cxr', labels=False, generated=True)
    """
    name, _, what = entry.partition(":")
    name = name.lower()
    if name == GENERATED:
        return Seen(PRETRAINED, what == "labels", True)
    own = name.removeprefix(f"{GENERATED}/")
    return Seen(own, what == "labels", own != name)


def hints(entries: Iterable[str]) -> list[str]:
    """Ask about entries that are near to the name of a data set and are none: nothing is marked by them.

    Example:
        >>> hints(["mimic", "padchest", "RSNA"])
        ["pretraining: no data set is called 'mimic', so that it marks nothing; did you mean 'mimic-cxr'?"]
    """
    from g2d_bench.readers.registry import READERS

    found = []
    for entry in entries:
        name, labels, generated = parse(entry)
        near = "" if name in READERS else _near(name, [one for one in READERS.names if one not in NO_SETS])
        if near:
            wanted = f"{GENERATED}/" * generated + near + ":labels" * labels
            found.append(
                f"pretraining: no data set is called {entry!r}, so that it marks nothing; "
                f"did you mean {wanted!r}?"
            )
    return found


def _near(name: str, known: Sequence[str]) -> str:
    """Return the data set that a name is likely to mean: by its words, by another name, by its letters."""
    from difflib import get_close_matches

    words = [word for word in re.split(r"[^a-z0-9]+", name) if word not in VAGUE]
    plain = re.sub(r"[^a-z0-9]", "", name)
    telling = {one: [word for word in one.split("-") if word not in VAGUE] for one in known}
    for one, own in telling.items():
        if plain == one.replace("-", "") or (
            own and words and (set(own) <= set(words) or set(words) <= set(own))
        ):
            return one
    for other, one in ALSO.items():
        if other in words or plain.startswith(other):
            return one
    spelled = {"-".join(own): one for one, own in telling.items() if own}
    found = get_close_matches("-".join(words), list(spelled), n=1, cutoff=0.75)
    return spelled[found[0]] if found else ""


def in_words(entries: Iterable[str]) -> str:
    """Join entries for a sentence.

    Example:
        >>> in_words(["mimic-cxr", "cxr14:labels"])
        'mimic-cxr + cxr14 with labels'
    """
    return " + ".join(entry.replace(":labels", " with labels") for entry in entries)


def sight(pretraining: Sequence[str] | None, dataset: str, kind: str) -> Sight:
    """Say what an encoder saw of a data set on which it is tested.

    Labels count for the very set alone; of one that shares its films (RSNA's are films of ChestX-ray14, read
    anew) the images count.

    Args:
        pretraining: entries of its card or record; None where they are not known.
        dataset: on which it is tested.
        kind: ``phantom`` or ``real``.
    """
    found: Sight = ""
    for one in map(parse, pretraining or ()):
        if one.generated is not (kind == "phantom"):
            continue
        if one.dataset == dataset:
            found = most((found, "labels" if one.labels else "images"))
        elif not one.generated and (dataset in sources(one.dataset) or one.dataset in sources(dataset)):
            found = most((found, "images"))
    return found


def most(sights: Iterable[Sight]) -> Sight:
    """Return the most that was seen."""
    return max(sights, key=SIGHTS.index, default="")


@cache
def sources(dataset: str) -> frozenset[str]:
    """Name the data sets whose films a real data set takes, those of theirs included."""
    # Cards are listed without numpy, which readers import.
    from g2d_bench.readers.registry import READERS

    found: set[str] = set()
    todo = [dataset]
    while todo:
        name = todo.pop()
        for source in READERS[name].takes_films_of if name in READERS else ():
            if source not in found:
                found.add(source)
                todo.append(source)
    return frozenset(found)
