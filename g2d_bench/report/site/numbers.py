"""The numbers of the pages for programs, and for the page that compares two encoders."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from g2d_bench import __version__
from g2d_bench.plain import in_json, visible
from g2d_bench.report.formats.flat import as_dict
from g2d_bench.report.marks import caveats, leak_lines
from g2d_bench.report.model import GENERATED, Column, Table
from g2d_bench.report.ranks import Group
from g2d_bench.report.sampled import Sampled
from g2d_bench.report.site.board import Board
from g2d_bench.report.site.content import address
from g2d_bench.report.site.cost import Cost

Cases = Mapping[tuple[str, str], Mapping[tuple[str, str], list[dict[str, Any]]]]
"""Protocol and kind of data to two encoders to the cases in which they differ most."""
DIGITS = 4
"""Decimals of differences; tables show one or three."""


def as_data(
    board: Board, further: Sequence[Table], costs: Sequence[Cost], made_at: str, files: Sequence[str]
) -> dict[str, Any]:
    """Return all that the pages say, for programs.

    Args:
        board: everything.
        further: tables by group of patients, and of scores inside and outside.
        costs: of the encoders.
        made_at: date and time.
        files: of the folder; by them a later page knows what it may replace.
    """
    return {
        "title": board.title,
        "version": __version__,
        "made": made_at,
        "files": list(files),
        "sections": [
            {
                "task": section.task,
                "kind": section.kind,
                "protocol": section.protocol,
                **_drawn(section.table.columns[0]),
                "main": section.main,
                **as_dict(section.table),
                "records": {
                    encoder: [{"seed": link.seed, "file": link.href} for link in links]
                    for encoder, links in section.links.items()
                },
            }
            for section in board.sections
        ],
        "further": [as_dict(table) for table in further],
        "costs": [asdict(one) for one in costs],
        "encoders": {
            name: {"scale": origin.scale, "pretraining": origin.pretraining}
            for name, origin in board.origins.items()
        },
        "ranks": [_ranks(group) for group in board.groups],
        "claims": [_claim(one) for one in board.asked],
        "differences": [
            {
                "protocol": protocol,
                "data": GENERATED if data == "phantom" else "real data",
                "first": first,
                "second": second,
                **_compared(board.worlds[protocol, data][one.place], first, second),
                "first_minus_second": one.mean,
                "low": one.low,
                "high": one.high,
                "p": one.p,
                "p_holm": one.adjusted,
            }
            for (protocol, data), pairs in board.pairs.items()
            for (first, second), found in pairs.items()
            for one in found
        ],
    }


def _compared(column: Sampled, first: str, second: str) -> dict[str, Any]:
    """Say of two encoders in what they are compared, and what must be said of their numbers."""
    return {
        "task": column.column.task,
        **_drawn(column.column),
        "metric": column.column.metric,
        "first_pretraining_saw": column.values[first].sight,
        "second_pretraining_saw": column.values[second].sight,
        "caveats": caveats(column.records_of((first, second)), scale=False),
    }


def _ranks(group: Group) -> dict[str, Any]:
    return {
        "group": group.name,
        "tasks": list(group.tasks),
        "protocol": group.protocol,
        "data": GENERATED if group.data == "phantom" else "real data",
        **(_drawn(group.columns[0].column) if group.trained else {"fraction": None}),
        "metric": group.metric or None,
        "answer": group.answer,
        "caveats": group.caveats,
        "places": [
            {
                "encoder": place.encoder,
                "rank": place.rank,
                "rank_low": place.low if group.tested else None,
                "rank_high": place.high if group.tested else None,
                "cluster": place.cluster,
                "mean": _known(place.mean),
                "mean_low": _known(place.mean_low),
                "mean_high": _known(place.mean_high),
                "mean_rank": place.mean_rank,
                "pretraining_saw": group.sight(place.encoder),
            }
            for place in group.places
        ],
        "missing": dict(group.missing),
    }


def _drawn(column: Column) -> dict[str, Any]:
    """Say how training images were drawn: a share of the labels, or images per class."""
    return {"fraction": None, "shots": column.shots} if column.shots else {"fraction": column.fraction}


def _claim(one: Any) -> dict[str, Any]:
    return {
        "sentence": one.claim.sentence,
        **{
            name: [verdict_data(verdict) for verdict in verdicts]
            for name, verdicts in (("measured", one.measured), ("quoted", one.quoted))
        },
    }


def verdict_data(verdict: Any) -> dict[str, Any]:
    """Return a verdict for programs; see :class:`g2d_bench.report.claims.Verdict`."""
    return {
        "encoder": verdict.encoder,
        "task": verdict.task,
        "metric": verdict.metric,
        "where": verdict.where,
        "number": _known(verdict.mean),
        "outcome": verdict.outcome,
        "words": verdict.words,
        "remark": verdict.remark,
        "pretraining_saw": verdict.sight,
        "leaks": list(verdict.leaks),
        "rivals": [
            {
                "name": rival.name,
                "number": _known(rival.mean),
                "gap": rival.gap,
                "low": _known(rival.low),
                "high": _known(rival.high),
                "p_holm": _known(rival.p),
                "pretraining_saw": rival.sight,
            }
            for rival in verdict.rivals
        ],
    }


def paired_json(board: Board, cases: Cases, task_page: Callable[[str], str]) -> str:
    """Write what the page that compares encoders draws, fit to stand in a page.

    Args:
        board: everything.
        cases: in which two encoders differ most.
        task_page: name of a task to its page.
    """
    place = {name: n for n, name in enumerate(board.order)}

    def key(pair: tuple[str, str]) -> str:
        return ",".join(map(str, sorted(place[name] for name in pair)))

    def turn(pair: tuple[str, str]) -> int:
        return 1 if place[pair[0]] < place[pair[1]] else -1

    worlds = []
    for (protocol, data), columns in board.worlds.items():
        worlds.append(
            {
                "protocol": protocol,
                "data": data,
                "columns": [
                    {
                        "task": one.column.task,
                        "kind": one.kind,
                        "labels": one.share,
                        "metric": one.column.metric,
                        "share": one.column.spec.share,
                        "href": address(task_page(one.column.task)),
                        "values": [
                            _rounded(one.values[name].mean) if name in one.values else None
                            for name in board.order
                        ],
                        "marks": [
                            one.values[name].seen if name in one.values else "" for name in board.order
                        ],
                        "warnings": [visible(line) for line in leak_lines(one.records_of(one.values))],
                    }
                    for one in columns
                ],
                "pairs": {
                    key(pair): [
                        [
                            one.place,
                            _rounded(turn(pair) * one.mean),
                            *sorted(round(turn(pair) * limit, DIGITS) for limit in (one.low, one.high)),
                            float(f"{one.adjusted:.6g}"),
                        ]
                        for one in found
                    ]
                    for pair, found in board.pairs[protocol, data].items()
                },
                "cases": {key(pair): found for pair, found in cases.get((protocol, data), {}).items()},
            }
        )
    text = json.dumps(
        {"encoders": [visible(name) for name in board.order], "worlds": worlds}, allow_nan=False
    )
    # Nothing in it may end the element that it stands in.
    return in_json(text).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _known(number: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(number) else number


def _rounded(number: float) -> float | None:
    return None if math.isnan(number) else round(number, DIGITS)
