"""Notes of a record that follow from elsewhere: from its predictions, from the cards, from the images.

What follows is a mapping. A name may go deeper (``images.test``), or mean one clause of a note that joins
several by "; " (``predicts_nothing; best``: the clause that begins with "best"). None means that a record
says nothing of the kind.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from g2d_bench.records.record import SHARED, SPLIT_DEFECTS

PREDICTS_NOTHING = "predicts_nothing"
"""Note of a record that stayed at the empty prediction, in clauses."""
SHORT = "fewer_than_shots"
"""Note of a record of which classes have fewer training images than shots, and how many there are."""
CLAUSE = "; "
WARNINGS = (PREDICTS_NOTHING, SPLIT_DEFECTS, SHORT, SHARED)
"""Notes that a reader must see: one that is missing is a fault, others may be missing in older records."""
NEAR = 1e-9
"""How far numbers may lie apart: a threshold may be kept in fewer digits."""


def differing(notes: Mapping[str, Any], derived: Mapping[str, Any], source: str) -> Iterator[str]:
    """Compare what a record notes with what follows.

    Args:
        notes: of the record.
        derived: what follows, as the module says.
        source: of what it follows, for the lines.

    Yields:
        A line per note that says something else: the field and what is wrong with it.
    """
    for name, wanted in derived.items():
        said = _stated(notes, name)
        top = name.partition(CLAUSE)[0].partition(".")[0]
        field = f"notes.{name.partition(CLAUSE)[0]}"
        if said is None and wanted is not None:
            if top in WARNINGS:
                yield f"{field}: is missing, {source} say {_short(wanted)}"
        elif not _same(said, wanted):
            told = "nothing of the kind" if wanted is None else _short(wanted)
            yield f"{field}: says {_short(said)}, {source} say {told}"


def _stated(notes: Mapping[str, Any], name: str) -> Any:
    """Return what a record says under a name, None for nothing."""
    note, _, start = name.partition(CLAUSE)
    found: Any = notes
    for part in note.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if start and found is not None:
        clauses = [clause for clause in str(found).split(CLAUSE) if clause.startswith(start)]
        return CLAUSE.join(clauses) or None
    return found


def _same(said: Any, wanted: Any) -> bool:
    if isinstance(said, Mapping) and isinstance(wanted, Mapping):
        return said.keys() == wanted.keys() and all(_same(said[name], wanted[name]) for name in said)
    if isinstance(said, list | tuple) and isinstance(wanted, list | tuple):
        return len(said) == len(wanted) and all(map(_same, said, wanted))
    if isinstance(said, float) and isinstance(wanted, float):
        return math.isclose(said, wanted, rel_tol=NEAR, abs_tol=NEAR)
    return bool(type(said) is type(wanted) and said == wanted)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
