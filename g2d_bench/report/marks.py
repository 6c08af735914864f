"""What must be said of numbers wherever they stand: in tables, figures, exports, trackers and pages.

That they rest on generated data, that an encoder is not the published model of its name, that its
pre-training saw the data set, that a leak was allowed, that a published split is kept with its defects.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from g2d_bench.cards.pretraining import Sight
from g2d_bench.records.record import SPLIT_DEFECTS
from g2d_bench.records.selection import Found
from g2d_bench.report.contamination import WORDS, legend_line, row_sight, seen_by
from g2d_bench.report.model import GENERATED, SEEN, Value
from g2d_bench.report.origin import explained, origin, origins

LEAK = "LEAK ALLOWED"
DEFECTS = "PUBLISHED SPLIT WITH DEFECTS"


def leaks_of(found: Iterable[Found]) -> tuple[str, ...]:
    """Return the reasons for which leaks were allowed, and what the parts of published splits share."""
    return tuple(sorted({one.record.data.leaks for one in found} - {""}))


def defects_of(found: Iterable[Found]) -> tuple[str, ...]:
    """Return what is wrong with the published splits of some records, in their order."""
    return tuple(dict.fromkeys(text for one in found for text in one.record.notes.get(SPLIT_DEFECTS, ())))


def leak_lines(found: Sequence[Found]) -> list[str]:
    """Say which leaks were allowed, and of several tasks in which."""
    several = len({one.cell.task for one in found}) > 1
    lines = []
    for reason in leaks_of(found):
        tasks = ", ".join(sorted({one.cell.task for one in found if one.record.data.leaks == reason}))
        lines.append(f"{LEAK}{f' in {tasks}' if several else ''}: {reason}")
    return lines


def protocol_lines(found: Iterable[Found]) -> list[str]:
    """Say which protocols repeat a published one with its defects."""
    published = {one.cell.protocol for one in found if SPLIT_DEFECTS in one.record.notes}
    return [
        f"protocol {name} repeats a published one with its defects (g2d-bench show {name}); compare with "
        "quoted numbers only"
        for name in sorted(published)
    ]


def defect_lines(found: Sequence[Found]) -> list[str]:
    """Say what is wrong with published splits, task by task."""
    lines = (f"{one.cell.task}: {text}" for one in found for text in defects_of([one]))
    return list(dict.fromkeys(lines))


def sight_lines(found: Sequence[Found]) -> list[str]:
    """Say which encoders saw in pre-training what tests them, and of several data sets which."""
    several = len({one.record.tested_on for one in found}) > 1
    seen: dict[Sight, dict[str, dict[str, None]]] = {"images": {}, "labels": {}}
    for one in found:
        if saw := seen_by(one):
            seen[saw].setdefault(one.cell.encoder, {})[one.record.tested_on] = None
    return [
        legend_line(saw, [f"{name} ({', '.join(sets)})" if several else name for name, sets in who.items()])
        for saw, who in seen.items()
        if who
    ]


def caveats(found: Sequence[Found], *, scale: bool = True) -> list[str]:
    """Return all sentences without which the numbers of some records would be misread.

    Args:
        found: the records behind the numbers.
        scale: say what small and unknown encoders are, and that data were generated; False where that is said
            otherwise.
    """
    lines = []
    if scale:
        lines += [GENERATED] if any(one.record.data.kind == "phantom" for one in found) else []
        lines += explained(one.tag for one in origins(found).values())
    return [
        *lines,
        *sight_lines(found),
        *leak_lines(found),
        *protocol_lines(found),
        *defect_lines(found),
    ]


def short(found: Sequence[Found]) -> list[str]:
    """Return the same in a few words, for names; of an encoder's records of one task.

    That data were generated is left to the name itself.
    """
    saw = row_sight(found)
    return [
        *sorted({origin(one).tag for one in found} - {""}),
        *([f"{SEEN[saw]} {WORDS[saw]}"] if saw else []),
        *([LEAK] if leaks_of(found) else []),
        *([DEFECTS] if defects_of(found) else []),
    ]


def behind(name: str, words: Sequence[str]) -> str:
    """Write words of :func:`short` behind a name, in brackets."""
    return f"{name} [{', '.join(words)}]" if words else name


def marked(values: Iterable[Value], found: Sequence[Found]) -> tuple[Value, ...]:
    """Return the values of a row with what must be said of the records behind them."""
    saw, leaks, defects = row_sight(found), leaks_of(found), defects_of(found)
    return tuple(replace(value, sight=saw, leaks=leaks, defects=defects) for value in values)
