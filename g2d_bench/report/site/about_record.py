"""What the page of one record says."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from g2d_bench.cards.kind import untrained
from g2d_bench.metrics.resample import Values, interval
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import NOT_APPLICABLE, Record, changes
from g2d_bench.records.selection import Found
from g2d_bench.report.site.about import Context, convention, number
from g2d_bench.report.site.board import Board
from g2d_bench.report.site.content import address, copy_of, page_of

RUN = "g2d-bench run "
FEW = 40
"""Metrics of single labels that a page lists."""


def about_record(
    board: Board,
    found: Found,
    main: str,
    siblings: Mapping[int, Found],
    draws: Values | None,
) -> Context:
    """Gather what the page of a record says.

    Args:
        board: everything.
        found: the record.
        main: its main metric.
        siblings: records of the same cell but for the seed.
        draws: of the main metric, over patients; None where there are none.
    """
    record = found.record
    cell = record.cell
    copy = copy_of(found, board.roots)
    return {
        "heading": _heading(cell, trained=not untrained(record.kind)),
        "cell": cell,
        "found": found,
        "up": "../" * (len(PurePosixPath(copy).parts) - 1),
        "lacking": record.notes.get(NOT_APPLICABLE, ""),
        "main": main,
        "metrics": _metrics(record, main, draws),
        "trivial": list(record.references),
        "siblings": [
            (seed, address(page_of(copy_of(one, board.roots))))
            for seed, one in siblings.items()
            if one is not found
        ],
        "commands": _commands(record),
        "took": _took(record),
        "machine": ", ".join(f"{name} {value}" for name, value in record.hardware.items()),
        "json_name": PurePosixPath(copy).name,
        "signature": record.signature,
        "words": board.words(record.signature),
        "history": _history(board.history.get(cell, ()), record, main),
        "created": record.created,
        "origin": _origin(record),
        "kinds": {record.data.kind},
    }


def _heading(cell: Cell, *, trained: bool) -> str:
    drawn = [cell.amount, f"seed {cell.seed}"] if trained else []
    return " · ".join([cell.task, cell.encoder, *drawn, cell.protocol])


def _metrics(record: Record, main: str, draws: Values | None) -> list[dict[str, Any]]:
    names = sorted(record.metrics, key=lambda name: (name != main, "/" in name))
    rows = []
    for name in names[:FEW]:
        limits = ""
        if name == main and draws is not None:
            low, high = interval(draws)
            limits = "" if math.isnan(low) else f"[{number(name, low)}, {number(name, high)}]"
        rows.append(
            {
                "name": name,
                "main": name == main,
                "value": number(name, record.metrics[name]),
                "limits": limits,
                "trivial": [
                    number(name, values[name]) if name in values else "–"
                    for values in record.references.values()
                ],
                "told": convention(name),
            }
        )
    return rows


def _commands(record: Record) -> list[tuple[str, str]]:
    """Return the commands that measure this very cell again, and hold the new number against this one."""
    cell = record.cell
    words = ["--task", cell.task, "--encoder", cell.encoder]
    words += ["--shots", str(cell.shots)] if cell.shots else ["--fraction", repr(cell.fraction)]
    words += ["--seed", str(cell.seed), "--protocol", cell.protocol]
    data = "--phantom" if record.data.kind == "phantom" else "--data-root FOLDER"
    own = record.command.startswith((RUN, "gb.evaluate("))
    again = record.command if own else f"{RUN}{shlex.join(words)} {data}"
    told = "Measure this very cell again:"
    if record.data.kind == "real":
        told += " (with the folder of your copy of the data)"
    commands = [(told, again)]
    if not own:
        commands.append(("It was measured, with others, by:", record.command))
    hold = f"g2d-bench compare --to RESULTS {shlex.join(words)} --run"
    return [*commands, ("Hold the new number against this one (RESULTS: the folder with this record):", hold)]


def _took(record: Record) -> str:
    parts = [f"{name} {seconds:.3g} s" for name, seconds in record.seconds.items()]
    return f"{sum(record.seconds.values()):.3g} s ({', '.join(parts)}; at most {record.peak_memory_mb} MB)"


def _history(earlier: Sequence[Record], last: Record, main: str) -> list[tuple[str, str, str, str]]:
    """Return the records of a cell, the latest first, each with what changed until the next."""
    if not earlier:
        return []
    line = [last, *earlier]
    return [
        (
            one.created,
            number(main, one.metrics.get(main)),
            one.commit or "unknown",
            _changed(one, line[n - 1]) if n else "the number of this page",
        )
        for n, one in enumerate(line)
    ]


def _changed(old: Record, new: Record) -> str:
    parts = [changes(old, new)]
    if old.signature != new.signature:
        parts.insert(0, f"signature was {old.signature}")
    return "; ".join(part for part in parts if part) or "nothing that is recorded"


def _origin(record: Record) -> list[tuple[str, str]]:
    facts = [
        ("measured", record.created),
        ("commit of the suite", record.commit or "unknown"),
        ("versions", ", ".join(f"{name} {version}" for name, version in record.versions.items())),
        ("key", record.key),
        ("data", f"{record.data.dataset} ({record.data.kind}), content {record.data.hash}"),
        ("split", record.data.split_hash),
        ("images", _counts(record.data.images, record.data.positive)),
        ("encoder's weights", record.encoder.weights),
        ("encoder's card", record.encoder.card_hash),
        ("predictions", record.predictions.sha256 if record.predictions else "not kept"),
        ("digest of the record", record.digest or "none, as in older versions"),
    ]
    if record.data.leaks:
        facts.append(("leaks", record.data.leaks))
    for name, value in record.notes.items():
        if name != NOT_APPLICABLE:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            facts.append((f"note: {name}", text if len(text) <= 500 else text[:500] + " …"))
    return facts


def _counts(images: Mapping[str, int], positive: Mapping[str, int]) -> str:
    return ", ".join(f"{part} {images[part]} ({positive[part]} positive)" for part in images)
