"""What a signature and a record say, in words, and how to repeat them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from g2d_bench.cells.checks_cards import CardCheck
from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.plain import visible
from g2d_bench.records.record import NOT_APPLICABLE, Record
from g2d_bench.records.selection import Found
from g2d_bench.records.signature import NUMBERS, Parts, parse_signature
from g2d_bench.records.store import is_place
from g2d_bench.report.marks import caveats

if TYPE_CHECKING:
    from g2d_bench.cards.catalogue import Catalogue

Lines = Iterator[str]

FIELDS = {
    "schema_version": "layout of this file",
    "key": "digest of everything that moves the number: cell, cards, weights, data, NUMBERS; the same key "
    "means the same number",
    "signature": "what must be equal for two numbers to share a column; taken apart below",
    "kind": "kind of task",
    "cell": "task, encoder, share of the training labels, seed and protocol",
    "data": "data set, whether it is generated (phantom) or real, its content hash, that of the split, and "
    "the images and positive images of each part",
    "encoder": "hash of its card, digest of its weights, title, scale and what it was pre-trained on",
    "metrics": "the numbers; null where a metric is undefined, which the notes explain",
    "references": "the same metrics of trivial predictors on the very same test set",
    "predictions": "the file beside this one from which the metrics can be computed again, and its sha256",
    "notes": "facts about the run, such as the chosen step; 'n/a' says what the encoder lacks for the task",
    "versions": "of the suite and of the libraries that a number depends on",
    "commit": "of the suite's code",
    "hardware": "of the machine",
    "seconds": "that each phase took",
    "peak_memory_mb": "most memory that the process held, in megabytes",
    "command": "measures this very cell again",
    "created": "when",
    "digest": "sha256 over everything else in this file: a record that was changed no longer fits it",
}
"""What the fields of a record mean."""


def explain_signature(text: str, catalogue: Catalogue) -> Lines:
    """Yield lines that say what each part of a signature means and whether it is that of the cards here.

    Args:
        text: a signature, also that of one metric, with the metric's name behind it.
        catalogue: the cards.

    Raises:
        InputError: it is no signature.
    """
    metric = ""
    parts = parse_signature(text)
    if parts is None:
        text, _, metric = text.rpartition("|")
        parts = parse_signature(text)
    if parts is None:
        raise InputError(
            "is neither a record's file nor a signature, such as siim-seg@1.0#1a2b|phantom:siim#0a1b2c3d|"
            "split:clean#4d5e6f70|clean@1.0#8a9b|n2",
            field="SIGNATURE|RECORD.json",
        )
    yield from _rows(_parts(parts, catalogue))
    if metric:
        yield from _rows([(metric, f"the metric: {_convention(metric)}")])
    yield ""
    yield "Two numbers share a column only if all of this is equal. Encoder, share of labels and seed are no"
    yield "part of it."
    data = "--phantom" if parts.data_kind == "phantom" else "--data-root FOLDER"
    yield "To measure an encoder under it:"
    words = f"--task {shlex.quote(parts.task)} --protocol {shlex.quote(parts.protocol)} {data}"
    yield f"  g2d-bench run {words} --encoder NAME"


def signature_words(text: str, catalogue: Catalogue) -> list[tuple[str, str]]:
    """Return the parts of a signature, each with what it means; none of what is no signature."""
    parts = parse_signature(text)
    return [] if parts is None else _parts(parts, catalogue)


def _parts(parts: Parts, catalogue: Catalogue) -> list[tuple[str, str]]:
    check = CardCheck(catalogue)
    task = check.task(parts)
    kind = f" ({task.kind} on {task.dataset})" if task is not None else ""
    data = "generated radiographs in the layout of" if parts.data_kind == "phantom" else "the real data set"
    protocol = check.protocol(parts, task) if task is not None else None
    same = int(parts.numbers) == NUMBERS
    numbers = "as here" if same else f"here it is {NUMBERS}: the code gives other numbers"
    said = _here(protocol) if task is not None else "cannot be told without the card of the task"
    return [
        (
            f"{parts.task}@{parts.version}#{parts.task_hash}",
            f"task {parts.task}{kind}, version {parts.version}; the digest is of what on its card moves a "
            f"number: {_here(task)}",
        ),
        (
            f"{parts.data_kind}:{parts.dataset}#{parts.data_hash}",
            f"{data} {parts.dataset}; the digest is of the content: images, labels, boxes, masks, patients",
        ),
        (
            f"split:{parts.split}#{parts.split_hash}",
            f"the split {parts.split!r}; the digest is of its lists of training, validation and test images",
        ),
        (
            f"{parts.protocol}@{parts.protocol_version}#{parts.protocol_hash}",
            f"protocol {parts.protocol}, version {parts.protocol_version}; the digest is of what it says of "
            f"this kind of task: {said}",
        ),
        (f"n{parts.numbers}", f"version of the code's numbers, raised whenever one moves; {numbers}"),
    ]


def _convention(metric: str) -> str:
    try:
        return metric_spec(metric).description
    except InputError:
        return "no metric of this name is here"


def _here(card: object) -> str:
    return "the card here is the same" if card is not None else "there is no such card here, or another one"


def explain_record(record: Record, where: str, catalogue: Catalogue) -> Lines:
    """Yield lines that say what a record holds and how to repeat it.

    Args:
        record: the record.
        where: its file.
        catalogue: the cards.
    """
    cell, data = record.cell, record.data
    yield visible(f"{where}: {cell}")
    for line in caveats([Found(record)]):
        yield visible(line)
    if reason := record.notes.get(NOT_APPLICABLE):
        yield visible(f"No number: {reason}.")
    for name, value in record.metrics.items():
        number = "undefined" if value is None else f"{value:.4f}"
        yield visible(f"  {name} = {number}: {_convention(name)}")
    drawn = f"{cell.amount} per class" if cell.shots else f"{cell.amount} of the labels"
    what = "GENERATED images" if data.kind == "phantom" else "Real images"
    yield (
        f"{what} of {data.dataset}: {data.images['train']} to train on ({drawn}), "
        f"{data.images['val']} to choose on, {data.images['test']} to test on."
    )
    yield ""
    yield "Its signature:"
    yield from explain_signature(record.signature, catalogue)
    yield ""
    yield "Its fields:"
    yield from _rows([(name, FIELDS[name]) for name in type(record).model_fields])
    yield ""
    yield from _repeat(record, where)


def _repeat(record: Record, where: str) -> Lines:
    from g2d_bench.provenance import versions

    here = versions()
    others = [f"{name} {there}" for name, there in record.versions.items() if here.get(name) != there]
    yield "To repeat it:"
    if record.encoder.weights.startswith("memory:"):
        yield "  The encoder was a model in memory. Build it from its author's code, load the state with the"
        yield f"  digest {record.encoder.weights}, and call"
        yield f"  {record.command}"
        return
    if others:
        yield f"  Install what differs here: {', '.join(others)}."
    if record.commit:
        yield f"  The suite's code was at commit {record.commit}."
    yield f"  The weights have the digest {record.encoder.weights}."
    yield f"  {record.command}"
    yield "To hold the new number against this one, with a tolerance and the versions that changed:"
    words = shlex.join(record.cell.options)
    yield visible(f"  g2d-bench compare --to {shlex.quote(str(_folder(where)))} {words} --run")


def _folder(where: str) -> Path:
    """Return the results folder, or the part of it, in which a record lies."""
    path = Path(where).absolute()
    folder = path.parents[3] if is_place(path) else path.parent
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


def _rows(rows: list[tuple[str, str]]) -> Lines:
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        yield visible(f"  {name.ljust(width)}  {text}")
