"""The leaderboard as a folder of files that any web server, or none, can show."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from g2d_bench import __version__
from g2d_bench.plain import in_json, visible
from g2d_bench.provenance import now
from g2d_bench.records.cell import percent
from g2d_bench.records.selection import Found
from g2d_bench.report.contamination import WORDS
from g2d_bench.report.formats.flat import as_dict
from g2d_bench.report.formats.text import name_of
from g2d_bench.report.formats.turn import turn
from g2d_bench.report.model import GENERATED, INTERVAL, Table, Value
from g2d_bench.report.site.content import Section, anchor_of, copy_of
from g2d_bench.report.site.folder import DATA, PAGE, replace_folder

HERE = Path(__file__).parent
"""Folder of template, style and script."""
WIDTH = 72
"""Pixels that a whisker may take."""


@dataclass(frozen=True)
class Whisker:
    """A value's interval drawn on the range of its column, in pixels from the left."""

    low: float
    mean: float
    high: float


def render(title: str, made: Sequence[Section], overview: Sequence[Table], made_at: str) -> str:
    """Write the page: one file, no script or style from elsewhere; it can be read without scripts, too.

    Args:
        title: heading.
        made: sections in the order of the page.
        overview: tables of :func:`g2d_bench.report.table.summary`.
        made_at: date and time.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    style, script = ((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "page.js"))
    facets = {
        name: sorted({getattr(section, name) for section in made})
        for name in ("data", "protocol", "kind", "task")
    }
    facets["fraction"] = list(dict.fromkeys(section.fraction for section in sorted(made, key=_fraction)))
    return environment.get_template("page.html").render(
        title=title,
        version=__version__,
        made_at=made_at,
        generated=GENERATED if any(section.data == "generated" for section in made) else "",
        sections=made,
        facets=facets,
        overview=[(table, turn(table)) for table in overview],
        style=style,
        script=script,
        kinds={section.task: section.kind for section in made},
        percent=percent,
        interval=INTERVAL,
        width=WIDTH,
        whiskers=_whiskers,
        saw=WORDS,
        contaminated=any(v.seen for section in made for row in section.table.rows for v in row.values),
        name_of=name_of,
        anchor=_anchor,
        number=_number,
    )


def write(
    out: Path,
    title: str,
    made: Sequence[Section],
    overview: Sequence[Table],
    found: Sequence[Found],
    roots: Sequence[Path],
) -> None:
    """Write the folder of the leaderboard, whole or not at all.

    Args:
        out: the folder; an earlier leaderboard there is replaced, anything else in it stays.
        title: heading of the page.
        made: its sections.
        overview: its first tables.
        found: the records behind them, which are copied.
        roots: folders below which these lie.

    Raises:
        InputError: see :func:`g2d_bench.report.site.folder.replace_folder`.
    """
    made_at = now()
    page = render(title, made, overview, made_at)
    data = json.dumps(_as_data(title, made, made_at), indent=1, ensure_ascii=False, allow_nan=False)
    files: dict[str, bytes | Path] = {PAGE: page.encode(), DATA: f"{in_json(data)}\n".encode()}
    for one in found:
        assert one.path is not None
        files[copy_of(one, roots)] = one.path
    replace_folder(out, files)


def _harmless(value: Any) -> Any:
    """Stands between every text and the page; what the template itself calls safe stays."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _as_data(title: str, made: Sequence[Section], made_at: str) -> dict[str, Any]:
    return {
        "title": title,
        "version": __version__,
        "made": made_at,
        "sections": [
            {
                "task": section.task,
                "kind": section.kind,
                "protocol": section.protocol,
                "fraction": section.table.columns[0].fraction,
                "main": section.main,
                **as_dict(section.table),
                "records": {
                    encoder: [{"seed": link.seed, "file": link.href} for link in links]
                    for encoder, links in section.links.items()
                },
            }
            for section in made
        ],
    }


def _whiskers(section: Section) -> dict[tuple[str, str], Whisker]:
    """Return row name and metric to the drawing of its interval; each column has a scale of its own."""
    drawn: dict[tuple[str, str], Whisker] = {}
    for n, column in enumerate(section.table.columns):
        values = [(row.name, row.values[n]) for row in section.table.rows if row.values[n].limits]
        if not values:
            continue
        low, high = min(value.low for _, value in values), max(value.high for _, value in values)
        scale = (WIDTH - 6) / ((high - low) or 1.0)
        for name, value in values:
            places = ((number - low) * scale + 3 for number in (value.low, value.mean, value.high))
            drawn[name, column.metric] = Whisker(*(round(place, 1) for place in places))
    return drawn


def _anchor(table: Table, line: int) -> str:
    """Name the section that a line of a turned overview sums up."""
    column = table.columns[line]
    data = "generated" if table.generated else "real"
    return anchor_of(column.task, column.fraction, column.protocol, data)


def _number(value: Value) -> str:
    """Return what a column is sorted by, "" where there is no number."""
    return "" if math.isnan(value.mean) else repr(value.mean)


def _fraction(section: Section) -> float:
    return section.table.columns[0].fraction
