"""Does a record agree with itself and with the predictions beside it?"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise

from g2d_bench.cards.kind import KINDS, known_kind, untrained
from g2d_bench.cards.task import PUBLISHED
from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.records.notes import differing
from g2d_bench.records.recompute import EDITED, Facts, differences
from g2d_bench.records.record import NOT_APPLICABLE, WHY_UNDEFINED, Record, unbroken
from g2d_bench.records.signature import is_of_this_code, parse_signature


def contradictions(record: Record) -> Iterator[str]:
    """Compare what a record says twice, and ask of each number whether it can be one.

    Yields:
        A line per contradiction: the field and what is wrong with it.
    """
    parts = parse_signature(record.signature)
    if parts is None:
        yield f"signature: {record.signature[:120]!r} is none of this suite"
    else:
        cell, data = record.cell, record.data
        for field, stated, signed in (
            ("cell.task", cell.task, parts.task),
            ("data.kind", data.kind, parts.data_kind),
            ("data.dataset", data.dataset, parts.dataset),
            ("data.hash", data.hash[:8], parts.data_hash),
            ("data.split_hash", data.split_hash[:8], parts.split_hash),
            ("cell.protocol", cell.protocol, parts.protocol),
        ):
            if stated != signed:
                yield f"{field}: {stated!r} does not agree with the signature ({signed!r})"
    if record.kind not in KINDS:
        yield f"kind: {record.kind!r} is no kind of task ({', '.join(KINDS)})"
    if untrained(record.kind) and record.cell.fraction != 1:
        yield f"cell.fraction: {record.cell.fraction:g}, but {record.kind} trains nothing"
    if untrained(record.kind) and record.cell.shots:
        yield f"cell.shots: {record.cell.shots}, but {record.kind} trains nothing"
    weights = record.encoder.weights
    if weights.startswith("init:") and weights.rpartition(":")[2] != str(record.cell.seed):
        yield f"encoder.weights: {weights!r} are not those of seed {record.cell.seed}"
    yield from _impossible("metrics", record.metrics)
    for name, values in record.references.items():
        yield from _impossible(f"references.{name}", values)
    yield from _trivial_predictors(record)
    if is_of_this_code(record.signature):
        yield from _notes(record)
        yield from _command(record)


def unsealed(record: Record) -> Iterator[str]:
    """Say so where a record was changed after it was written; one without digest has no seal to break."""
    if not unbroken(record):
        yield "digest: the record was changed after it was written"


def _impossible(field: str, values: Mapping[str, float | None]) -> Iterator[str]:
    for name, value in values.items():
        try:
            low, high = metric_spec(name).bounds
        except InputError:
            continue
        if value is not None and not low - EDITED <= value <= high + EDITED:
            yield f"{field}.{name}: {value:g} lies outside {low:g} to {high:g}"


def _trivial_predictors(record: Record) -> Iterator[str]:
    """Look for predictors and numbers that were taken away; what older code kept is not known."""
    if not is_of_this_code(record.signature) or record.kind not in KINDS:
        return
    if NOT_APPLICABLE in record.notes:
        known = [name for name, value in record.metrics.items() if value is not None]
        if known:
            yield f"metrics.{known[0]}: has a value, but notes.{NOT_APPLICABLE} says that there is none"
        return
    wanted, there = KINDS[record.kind].trivial, set(record.references)
    if there != wanted:
        yield f"references: are {_words(there)}, a {record.kind} task has {_words(wanted)}"
    for name in sorted(there & wanted):
        lacking, more = set(record.metrics) ^ set(record.references[name]), set(record.references[name])
        if lacking:
            one = min(lacking)
            yield f"references.{name}.{one}: {'is no metric of the record' if one in more else 'is missing'}"


def _notes(record: Record) -> Iterator[str]:
    """Compare notes with each other and with the rest of the record."""
    notes = record.notes
    undefined = {name for name, value in record.metrics.items() if value is None}
    reasons = notes.get(WHY_UNDEFINED)
    if reasons is not None and (not isinstance(reasons, dict) or set(reasons) != undefined):
        named = _words(reasons) if isinstance(reasons, dict) else repr(reasons)[:100]
        yield f"notes.{WHY_UNDEFINED}: speaks of {named}; without a value are {_words(undefined)}"
    if NOT_APPLICABLE in notes and (record.predictions is not None or record.references):
        kept = "predictions" if record.predictions is not None else "references"
        yield f"notes.{NOT_APPLICABLE}: says that there are no numbers, but the record has {kept}"
    steps, chosen = notes.get("steps"), notes.get("chosen_step")
    if isinstance(steps, int) and isinstance(chosen, int) and not 0 <= chosen <= steps:
        yield f"notes.chosen_step: says {chosen}, but there were {steps} steps"
    if isinstance(scores := notes.get("validation"), dict):
        values = {str(name).partition(" ")[0]: value for name, value in scores.items()}
        known = {n: v for n, v in values.items() if isinstance(v, int | float)}
        yield from _impossible("notes.validation", known)


def _command(record: Record) -> Iterator[str]:
    """Ask whether the command measures this cell, and says why a leak was overridden if one was."""
    if not record.command.startswith("g2d-bench "):
        return  # A call from Python, which names the model as only its user can.
    try:
        words = shlex.split(record.command)
    except ValueError:
        yield "command: cannot be read: a quotation mark has no partner"
        return
    cell = record.cell
    wanted = dict(zip(cell.options[::2], cell.options[1::2], strict=True))
    for option, value in pairwise(words):
        # Older records name all cells that were asked for together.
        if option in wanted and value not in (wanted[option], "all") and not set(value) & set(",-%"):
            if option == "--fraction" and _number(value) == cell.fraction:
                continue
            yield f"command: measures {option} {value[:100]}, the record is of {wanted[option]}"
    leaks = record.data.leaks
    reason = words[words.index("--allow-leaks") + 1 :][:1] if "--allow-leaks" in words else []
    if reason and reason[0] != leaks:
        yield f"data.leaks: says {leaks[:100]!r}, the command allows leaks for {reason[0][:100]!r}"
    elif leaks and not reason and not leaks.startswith(PUBLISHED):
        yield f"data.leaks: says {leaks[:100]!r}, but the command allows no leaks"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _words(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def against_predictions(record: Record, facts: Facts) -> tuple[list[str], list[str]]:
    """Hold a record against what its predictions tell.

    Returns:
        A line per contradiction, and what could not be decided, in words.
    """
    problems = [f"predictions: {fault}" for fault in facts.faults]
    undecided: list[str] = []
    moved = differences(record.metrics, {n: v for n, v in facts.metrics.items() if n in record.metrics})
    errors = {name: facts.errors[name] for name in record.metrics if name in facts.errors}
    if is_of_this_code(record.signature):
        problems += [
            f"metrics.{metric}: says {stated:.6g}, the predictions give {again:.6g}, "
            f"edited by {stated - again:+.6g}"
            for metric, stated, again in moved
        ]
        problems += [f"metrics.{name}: {reason}" for name, reason in errors.items()]
    elif moved or errors:
        undecided.append("metrics measured by other code, which does not compute them alike")
    problems += _counted(record, facts)
    for name, values in facts.references.items():
        # Numbers that are missing are missed elsewhere.
        stated_values = record.references.get(name, {})
        there = {metric: value for metric, value in values.items() if metric in stated_values}
        for metric, stated, again in differences(stated_values, there):
            line = f"references.{name}.{metric}: says {stated:.6g}, the predictions give {again:.6g}"
            if is_of_this_code(record.signature):
                problems.append(line)
    if is_of_this_code(record.signature):
        problems += differing(record.notes, facts.notes, "the predictions")
    return problems, undecided


def _counted(record: Record, facts: Facts) -> list[str]:
    """Compare numbers of images with those in the predictions."""
    images, positive = record.data.images["test"], record.data.positive["test"]
    lines = []
    pairs: list[tuple[str, int, int, bool]] = []
    kind = known_kind(record.kind)
    if kind is not None and kind.samples == "positives":
        # Only images that show the finding are asked for it; of several findings, only those with boxes.
        several = any(PER_LABEL in name for name in record.metrics)
        pairs = [("data.positive.test", positive, facts.images, not several)]
    elif kind is not None:
        # Of pairs, an image may have none.
        pairs = [("data.images.test", images, facts.images, kind.samples == "images")]
        # A mask may be too small for a pixel of the grid, and a label may come without a box.
        if kind.positives:
            pairs.append(("data.positive.test", positive, facts.positive, kind.positives == "equal"))
    for field, stated, there, equal in pairs:
        if stated != there if equal else stated < there:
            lines.append(f"{field}: says {stated}, the predictions hold {there}")
    return lines
