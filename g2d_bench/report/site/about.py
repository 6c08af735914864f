"""What the pages of encoders and tasks say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.task import TaskCard
from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.plain import counted
from g2d_bench.readers.registry import dataset_class, dataset_names
from g2d_bench.records.selection import Found
from g2d_bench.report.quoted_rows import Beside
from g2d_bench.report.ranks import Group, Place
from g2d_bench.report.reasons import listed
from g2d_bench.report.sampled import Sampled
from g2d_bench.report.site.board import Board
from g2d_bench.report.site.charts import Look, curve, of_shares
from g2d_bench.report.site.content import address, anchor_of, copy_of, page_of
from g2d_bench.report.site.cost import Cost

Context = dict[str, Any]
UNTESTED = "not tested"
"""What stands in the place of the best encoders of a column in which nothing could be tested."""


def word_of(data: str) -> str:
    """Call a kind of data as readers do."""
    return "real" if data == "real" else "generated"


def about_encoder(board: Board, name: str, cost: Cost) -> Context:
    """Gather what the page of an encoder says.

    Args:
        board: everything.
        name: the encoder.
        cost: what it costs.
    """
    mine = [one for one in board.found if one.record.cell.encoder == name]
    numbers = [_number(board, one, name) for one in board.columns if name in one.values]
    ranks = [(g, next((p for p in g.places if p.encoder == name), None)) for g in board.groups]
    ranks = [(g, p) for g, p in ranks if p is not None or name in g.missing]
    return {
        "name": name,
        "card": board.card(name),
        "facts": _facts_of_encoder(board, name, mine, cost),
        "strengths": _strengths(board, ranks, numbers),
        "ranks": ranks,
        "duels": _duels(board, name),
        "numbers": numbers,
        "kinds": {one.record.data.kind for one in mine},
    }


def _number(board: Board, one: Sampled, name: str) -> Context:
    column = one.column
    best = [who for who, value in one.values.items() if value.best]
    return {
        "task": column.task,
        "share": one.share,
        "metric": column.metric,
        "value": one.values[name],
        "best": listed(best) or UNTESTED,
        "data": one.data,
        "protocol": column.protocol,
        "anchor": anchor_of(column.task, column.fraction, column.protocol, word_of(one.data), column.shots),
        "records": [
            (seed, address(page_of(copy_of(found, board.roots))))
            for seed, found in one.records.get(name, {}).items()
        ],
    }


def _facts_of_encoder(board: Board, name: str, mine: list[Found], cost: Cost) -> list[tuple[str, str]]:
    card = board.card(name)
    origin = board.origins.get(name)
    weights = sorted({one.record.encoder.weights for one in mine})
    if card is None:
        said = [("card", "none here; what follows is from the records")]
    else:
        image = card.image
        text = card.text
        said = [
            ("paper", card.paper or "none: a control"),
            ("weights' licence", card.licence or "not stated"),
            ("pre-trained by", card.objective),
            ("image encoder", f"{image.model}, {image.size} x {image.size} pixels"),
            ("text encoder", f"{text.model} ({text.source})" if text else card.no_text or "none"),
            ("remarks", card.notes or "none"),
        ]
    more = [
        ("scale and pre-training", origin.words if origin is not None else "not known"),
        ("parameters", f"{cost.parameters:.3g} million" if cost.parameters else "not known"),
        ("work per film", f"{cost.gflops:.3g} GFLOPs" if cost.gflops else "not known"),
        ("a cell took", f"{cost.seconds:.3g} s (median)" if cost.seconds else "not known"),
        (
            "weights",
            ", ".join(w if len(w) < 20 else w[:16] for w in weights[:4]) + (" …" if len(weights) > 4 else ""),
        ),
        ("records", f"{len(mine)}, of {len({one.record.cell.task for one in mine})} tasks"),
    ]
    if name in board.self_reported:
        more.append(("self-reported", "numbers were sent in and not measured by the makers of this page"))
    return said + more


def _strengths(
    board: Board, ranks: Sequence[tuple[Group, Place | None]], numbers: Sequence[Context]
) -> list[tuple[str, str, str]]:
    """Say of each protocol and kind of data where an encoder is strong; different ones are not added up."""
    made = []
    for protocol, data in board.worlds:
        places = [(g, p) for g, p in ranks if (g.protocol, g.data) == (protocol, data)]
        mine = [one for one in numbers if (one["protocol"], one["data"]) == (protocol, data)]
        if mine:
            made.append((protocol, data, f"{_best_of(mine)} {_among_the_best(places)}".rstrip()))
    return made


def _best_of(numbers: Sequence[Context]) -> str:
    tested = [one for one in numbers if one["best"] != UNTESTED]
    if not tested:
        return "None of its numbers was tested against another encoder's."
    best = sum(one["value"].best for one in tested)
    return f"Among the best of its column in {best} of {counted(len(tested), 'tested number')}."


def _among_the_best(ranks: Sequence[tuple[Group, Place | None]]) -> str:
    tested = [(group, place) for group, place in ranks if place is not None and group.tested]
    first = [group for group, place in tested if place.cluster == 0]
    alone = [group.where for group in first if sum(one.cluster == 0 for one in group.places) == 1]
    parts = [f"Best with certainty: {listed(alone)}."] if alone else []
    if others := [group.where for group in first if group.where not in alone]:
        parts.append(f"Among the best, with others: {listed(others)}.")
    if tested and not first:
        parts.append("In no group of tasks is it among the best with certainty.")
    return " ".join(parts)


def _duels(board: Board, name: str) -> list[Context]:
    """Count how an encoder fares against each other one, in each protocol and kind of data apart."""
    made = []
    for world, ((protocol, data), pairs) in enumerate(board.pairs.items()):
        for other in board.order:
            for pair, turn in (((name, other), 1), ((other, name), -1)):
                if pair in pairs:
                    certain = [turn * one.mean > 0 for one in pairs[pair] if one.certain]
                    better, worse = certain.count(True), certain.count(False)
                    made.append(
                        {
                            "other": other,
                            "better": better,
                            "worse": worse,
                            "open": len(pairs[pair]) - len(certain),
                            "world": world,
                            "protocol": protocol,
                            "data": data,
                        }
                    )
    return made


def about_task(board: Board, name: str, looked: Mapping[str, Look]) -> Context:
    """Gather what the page of a task says.

    Args:
        board: everything.
        name: the task.
        looked: how encoders look in charts.
    """
    mine = [one for one in board.found if one.record.cell.task == name]
    card = board.task(name)
    worlds = []
    places: dict[tuple[str, str], list[Sampled]] = {}
    for one in board.columns:
        if one.column.task == name:
            places.setdefault((one.column.protocol, one.data), []).append(one)
    for (protocol, data), columns in places.items():
        worlds.append(_world(board, protocol, data, columns, looked))
    quoted = [one for one in board.quoted if one.task == name]
    beside = Beside.of(mine)
    another = beside.another if beside is not None else ""
    return {
        "name": name,
        "card": card,
        "facts": _facts_of_task(name, card, mine),
        "worlds": worlds,
        "quoted": quoted,
        "comparable_here": not another,
        "why_none": f"None of them may be compared with the numbers of this page: {another}."
        if another
        else "",
        "kinds": {one.record.data.kind for one in mine},
    }


def _world(
    board: Board, protocol: str, data: str, columns: list[Sampled], looked: Mapping[str, Look]
) -> Context:
    names = [name for name in board.order if any(name in one.values for one in columns)]
    trivial = list(dict.fromkeys(name for one in columns for name in one.filled.references))
    first = columns[0]
    record = next(iter(next(iter(first.records.values())).values())).record
    images, positive = record.data.images, record.data.positive
    train = ", ".join(
        f"{max(one.record.data.images['train'] for one in c.filled.records)} at {c.share}" for c in columns
    )
    split = (
        f"{images['test']} test images ({positive['test']} positive), {images['val']} to choose on "
        f"({positive['val']} positive), to train on: {train}"
    )
    spec = first.column.spec
    shares = of_shares(columns)
    drawn = len(shares) > 1 and any(not value.missing for one in shares for value in one.values.values())
    return {
        "protocol": protocol,
        "data": data,
        "split": split,
        "shares": [
            (
                one.share,
                anchor_of(one.column.task, one.column.fraction, protocol, word_of(data), one.column.shots),
            )
            for one in columns
        ],
        "rows": [(name, [one.values.get(name) for one in columns]) for name in names],
        "trivial": [(name, [one.filled.references.get(name) for one in columns]) for name in trivial],
        "chart": curve(shares, looked) if drawn else None,
        "metric": first.column.metric,
        "convention": spec.description or "a convention of somebody's own",
        "signature": "; ".join(first.filled.signatures),
    }


def _facts_of_task(name: str, card: TaskCard | None, mine: list[Found]) -> list[tuple[str, str]]:
    if card is None:
        return [("card", "none here; what follows is from the records")]
    facts = [
        ("kind", KINDS[card.kind].heading),
        ("data set", _dataset(card.dataset)),
        ("labels", ", ".join(card.labels)),
        ("main metric", f"{card.main}: {convention(card.main)}"),
        ("version", card.version),
    ]
    if card.counts:
        facts.append(("the public release", ", ".join(f"{n} {what}" for what, n in card.counts.items())))
    if card.papers:
        facts.append(("papers", "; ".join(card.papers)))
    facts += [("note", note) for note in card.notes]
    legacy = card.split.get("legacy")
    facts += [("published split", defect) for defect in (legacy.defects if legacy else ())]
    facts.append(("to measure on it", f"g2d-bench run --task {name} --encoder NAME"))
    return facts


def _dataset(name: str) -> str:
    if name not in dataset_names():
        return name
    reader = dataset_class(name)
    return f"{reader.title} ({name}); licence of the real one: {reader.licence}"


def convention(metric: str) -> str:
    """Describe a metric in a sentence; "" for one of somebody's own."""
    try:
        return metric_spec(metric).description
    except InputError:
        return ""


def number(metric: str, value: float | None) -> str:
    """Write a record's number as tables do."""
    if value is None or math.isnan(value):
        return "n/a"
    try:
        share = metric_spec(metric).share
    except InputError:
        share = True
    return f"{100 * value:.1f}" if share else f"{value:.3f}"
