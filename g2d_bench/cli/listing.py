"""What there is and what would be done, as rows for the terminal or JSON."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.outlook import Expected
from g2d_bench.cells.plan import Skipped
from g2d_bench.cli.labels import label_rows
from g2d_bench.data.cache import pixel_sizes
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.progress import clock
from g2d_bench.readers.base import Dataset
from g2d_bench.readers.registry import dataset_class, dataset_names
from g2d_bench.terminal import present

Row = dict[str, Any]


def listing(what: str, bench: Bench) -> list[Row]:
    """Return one row per task, encoder, data set, protocol or label."""
    catalogue = bench.catalogue
    if what == "tasks":
        return [
            {
                "task": card.name,
                "version": card.version,
                "kind": card.kind,
                "data set": card.data_name,
                "main metric": card.main,
                "title": card.title,
            }
            for card in catalogue.tasks
        ]
    if what == "encoders":
        return encoder_rows(bench)
    if what == "protocols":
        return [
            {"protocol": card.name, "version": card.version, "title": card.title}
            for card in catalogue.protocols
        ]
    if what == "labels":
        return label_rows(catalogue)
    return data_rows(bench)


def encoder_rows(bench: Bench) -> list[Row]:
    """Return one row per encoder, those that run here first; the last column says what the others lack."""
    from g2d_bench.encoders.wanting import wanting

    rows = []
    for card in bench.catalogue.encoders:
        usable, missing = (True, "")
        if card.name not in bench.models:
            usable, missing = wanting(card, bench.settings.checkpoint(card.name))
        rows.append(
            {
                "encoder": card.name,
                "scale": card.scale,
                "pre-trained on": "" if card.seen is None else " + ".join(card.seen) or "nothing",
                "usable": "yes" if usable else "no",
                "title": card.title,
                "what is missing, and where it is": missing,
            }
        )
    return sorted(rows, key=lambda row: row["usable"] == "no")


def data_rows(bench: Bench) -> list[Row]:
    """Return one row per data set: what is there and how to get it."""
    rows = []
    for name in dataset_names():
        found = dataset_class(name)
        rows.append(
            {
                "data set": name,
                "there": bench.source.state(name),
                "licence": found.licence,
                "title": found.title,
                "access": found.access,
            }
        )
    return rows


def status_rows(bench: Bench) -> list[Row]:
    """Return one row per data set: what is there, whether it is prepared, and where or how to get it."""
    rows = []
    for name in dataset_names():
        reader = dataset_class(name)
        there = bench.source.state(name)
        dataset = _lying(bench, name, there)
        manifest, remarks = _prepared(dataset)
        sizes = pixel_sizes(manifest) if manifest is not None else []
        rows.append(
            {
                "data set": name,
                "there": there,
                "images": len(manifest.samples) if manifest else None,
                "patients": len({sample.patient for sample in manifest.samples}) if manifest else None,
                "prepared": ", ".join(f"{size} px" for size in sizes) or ("tables" if manifest else "no"),
                "folder": str(dataset.root) if dataset is not None else "",
                "remarks": remarks,
                "licence": reader.licence,
                "access": reader.access,
            }
        )
    return rows


def _lying(bench: Bench, name: str, there: str) -> Dataset | None:
    """Return a data set of which a folder lies there, readable or not; nothing is generated."""
    if there == "no" and bench.source.root is None:
        return None
    try:
        return bench.source.open(name)
    except InputError:
        return None


def _prepared(dataset: Dataset | None) -> tuple[Manifest | None, list[str]]:
    """Return what is kept of a data set, and remarks; what cannot be read must not hide the other sets."""
    if dataset is None:
        return None, []
    try:
        manifest = Manifest.cached(dataset) if dataset.kind else None
    except InputError as error:
        return None, [str(error)]
    return manifest, list(manifest.remarks) if manifest else []


def describe(name: str, bench: Bench) -> Row:
    """Return everything that is known of a task, encoder, protocol or data set.

    Raises:
        InputError: nothing has this name.
    """
    catalogue = bench.catalogue
    for what, cards in (
        ("task", catalogue.tasks),
        ("encoder", catalogue.encoders),
        ("protocol", catalogue.protocols),
    ):
        if name in cards.names:
            return {what: name, **cards[name].model_dump(mode="json", exclude={"name"})}
    if name in dataset_names():
        found = dataset_class(name)
        return {
            "data set": name,
            "title": found.title,
            "licence": found.licence,
            "citation": found.citation,
            "access": found.access,
            "folders": list(found.folders),
            "labels": list(found.labels),
            "there": bench.source.state(name),
        }
    known = [*catalogue.tasks.names, *catalogue.encoders.names, *catalogue.protocols.names, *dataset_names()]
    raise InputError(f"nothing is called {name!r}; {did_you_mean(name, known)}")


def render_listing(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay rows out in columns, or one below the other on a terminal that is too narrow for that."""
    if not rows:
        return "(none)"
    rows = [{name: "" if value is None else value for name, value in row.items()} for row in rows]
    columns = [name for name in rows[0] if any(str(row[name]) for row in rows)]
    widths = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in columns}
    before = sum(widths[name] + 2 for name in columns[:-1])
    # What goes into a file or a pipe is searched line by line.
    room = shutil.get_terminal_size().columns - before if present(sys.stdout).isatty() else sys.maxsize
    if room < 30:
        return "\n\n".join(render_description(row) for row in rows)
    lines = ["  ".join(name.ljust(widths[name]) for name in columns).rstrip()]
    for row in rows:
        text = str(row[columns[-1]])
        first, *rest = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
        lines.append(
            "  ".join([*(str(row[name]).ljust(widths[name]) for name in columns[:-1]), first]).rstrip()
        )
        lines += [" " * before + part for part in rest]
    return "\n".join(lines)


def render_description(card: Mapping[str, Any], indent: str = "") -> str:
    """Lay out a nested card as indented lines; empty values are left out."""
    lines: list[str] = []
    for key, value in card.items():
        if value in ("", None, [], {}):
            continue
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", render_description(value, indent + "  ")]
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            for item in value:
                lines += [f"{indent}{key}:", render_description(item, indent + "  ")]
        elif isinstance(value, list) and any(isinstance(item, str) and len(item) > 60 for item in value):
            lines += [f"{indent}{key}:", *(f"{indent}  - {item}" for item in value)]
        elif isinstance(value, list):
            lines.append(f"{indent}{key}: {', '.join(str(item) for item in value)}")
        else:
            lines.append(f"{indent}{key}: {value}")
    return "\n".join(lines)


def plan_lines(plan: Sequence[Expected], skipped: Sequence[Skipped]) -> Iterator[str]:
    """Yield a line per cell with its state, and a summary with the time of work that is left to expect."""
    for one in plan:
        about = "roughly" if one.scaled else "about"
        note = "to run" if one.seconds is None else f"{about} {clock(one.seconds)}"
        note = f"cannot be run: {one.wrong}" if one.wrong else note
        yield f"{one.cell}: {'finished' if one.finished else note}" + (
            "" if one.there else f" (after {one.data} is generated)"
        )
    for left in skipped:
        yield f"left out: {left.name}: {left.reason}"
    open_ = [one for one in plan if not one.finished and not one.wrong]
    wrong, done = sum(bool(one.wrong) for one in plan), sum(one.finished for one in plan)
    todo, unknown = len(open_), sum(one.seconds is None for one in open_)
    rough, expected = sum(one.scaled for one in open_), sum(one.seconds or 0.0 for one in open_)
    eta = f"about {clock(expected)} of one process" if todo > unknown else "time unknown"
    more = f" for {todo - unknown} of them, {unknown} never timed" if 0 < unknown < todo else ""
    out = f", {wrong} cannot be run" if wrong else ""
    yield f"{len(plan)} cells, {done} finished{out}, {todo} to run" + (f": {eta}{more}" if todo else "")
    if rough:
        yield (
            f"roughly: {rough} of them from other encoders' times, scaled by the encoders' size; an order of "
            "magnitude"
        )
