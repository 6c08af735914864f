"""The leaderboard as a folder of files that any web server, or none, can show."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from g2d_bench import __version__
from g2d_bench.cards.kind import untrained
from g2d_bench.plain import in_json, visible
from g2d_bench.provenance import now
from g2d_bench.records.cell import percent
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.quoted import FLAGS, Quoted
from g2d_bench.records.selection import Found
from g2d_bench.report.claims import WORDS as VERDICTS
from g2d_bench.report.claims import summary
from g2d_bench.report.contamination import WORDS
from g2d_bench.report.formats.csv import to_csv
from g2d_bench.report.formats.names import name_of
from g2d_bench.report.formats.turn import turn
from g2d_bench.report.marks import leak_lines, protocol_lines, sight_lines
from g2d_bench.report.model import GENERATED, INTERVAL, SEEN, Table, Value
from g2d_bench.report.origin import WORDS as WORDS_OF_SCALE
from g2d_bench.report.origin import Origin
from g2d_bench.report.ranks import Group
from g2d_bench.report.reasons import listed, share_of
from g2d_bench.report.site import charts
from g2d_bench.report.site.about import about_encoder, about_task, word_of
from g2d_bench.report.site.about_record import about_record
from g2d_bench.report.site.board import Board, slug
from g2d_bench.report.site.content import Section, address, anchor_of, copy_of, page_of
from g2d_bench.report.site.cost import cost_charts, costs
from g2d_bench.report.site.folder import CSV, DATA, PAGE, SCRIPT, STYLE, replace_folder
from g2d_bench.report.site.further import further_tables
from g2d_bench.report.site.numbers import as_data, paired_json
from g2d_bench.report.site.pictures import Gallery

HERE = Path(__file__).parent
"""Folder of templates, style and script."""
WIDTH = 72
"""Pixels that a whisker may take."""


@dataclass(frozen=True)
class Whisker:
    """A value's interval drawn on the range of its column, in pixels from the left."""

    low: float
    mean: float
    high: float


@dataclass
class Pages:
    """Writes the pages of a board.

    Attributes:
        board: what they say.
        evidence: where draws of single records come from.
        gallery: pictures of cases.
        made_at: date and time.
    """

    board: Board
    evidence: Evidence
    gallery: Gallery = field(default_factory=Gallery)
    made_at: str = field(default_factory=now)

    def __post_init__(self) -> None:
        self._looks = charts.looks(self.board.order)
        self._costs = {cost.encoder: cost for cost in costs(self.board)}
        self._style, self._script = (
            (HERE / name).read_text(encoding="utf-8") for name in ("style.css", "page.js")
        )
        self._environment = self._opened()
        main = {(one.column.task, one.column.protocol): one.column.metric for one in self.board.columns}
        self._further = further_tables(self.board.found, self.board.both, self.board.order, main=main)
        self.gallery.know(self.board)

    def files(self) -> dict[str, bytes | Path]:
        """Return path in the folder to content: pages, numbers, copies of the records, pictures."""
        board = self.board
        made: dict[str, bytes | Path] = {
            STYLE: self._style.encode(),
            SCRIPT: self._script.encode(),
            CSV: (to_csv([section.table for section in board.sections]) + "\n").encode(),
        }
        for name in board.order:
            made[_encoder_page(name)] = self._page(
                "encoder.html", **about_encoder(board, name, self._costs[name])
            )
        for name in self._tasks:
            context = about_task(board, name, self._looks)
            examples, told = self.gallery.examples(board, name)
            made[_task_page(name)] = self._page("task.html", **context, examples=examples, examples_told=told)
        made |= self._records()
        made["curves.html"] = self.curves()
        made["claims.html"] = self._page(
            "claims.html",
            asked=board.asked,
            summary=summary,
            verdict_words=VERDICTS,
            kinds=board.kinds_of_data,
        )
        if board.quoted:
            made["quoted.html"] = self._page("quoted.html", papers=_by_paper(board.quoted), kinds=set())
        cases = self.gallery.differences(board)
        made["compare.html"] = self.compare(cases)
        made[PAGE] = self.index()
        files = sorted({*made, *self.gallery.files, DATA})
        data = as_data(board, self._further, list(self._costs.values()), self.made_at, files)
        # An entry per line: indented throughout, thousands of records take longer than all the pages.
        lines = [
            f"{json.dumps(name)}: {json.dumps(part, ensure_ascii=False, allow_nan=False)}"
            for name, part in data.items()
        ]
        whole = "{" + ",\n".join(lines) + "}\n"
        made[DATA] = in_json(whole).encode()
        for one in board.found:
            assert one.path is not None
            made[copy_of(one, board.roots)] = one.path
        return made | self.gallery.files

    def index(self) -> bytes:
        """Write the first page: one file, nothing from elsewhere; it can be read without scripts."""
        board = self.board
        sections = board.sections
        rows = [row for section in sections for row in section.table.rows if row.sort == "measured"]
        facets: dict[str, list[str]] = {
            name: sorted({getattr(section, name) for section in sections})
            for name in ("data", "protocol", "kind", "task")
        }
        facets["fraction"] = _shares(sections)
        facets["scale"] = sorted({board.scale(row.name) for row in rows})
        facets["licence"] = sorted({board.licence(row.name) for row in rows})
        facets["saw"] = sorted({_sight(row.values) or "not seen" for row in rows})
        facets["by"] = sorted(
            {"self-reported" if r.name in board.self_reported else "this board" for r in rows}
        )
        return self._page(
            "index.html",
            kinds=board.kinds_of_data,
            groups=board.groups,
            facets=facets,
            count=len(board.found),
            sections=sections,
            overview=[(table, turn(table)) for table in board.overview],
            contaminated=any(value.seen for row in rows for value in row.values),
            scale_of=board.scale,
            licence_of=board.licence,
            further=self._further,
        )

    def curves(self) -> bytes:
        """Write the page of charts."""
        board = self.board
        places: dict[tuple[str, str, str], list[Any]] = {}
        for one in board.columns:
            places.setdefault((one.kind, one.column.task, f"{one.column.protocol} {one.data}"), []).append(
                one
            )
        shares = [charts.of_shares(part) for _, part in sorted(places.items())]
        drawn = [charts.curve(part, self._looks) for part in shares if len(part) > 1]
        return self._page(
            "curves.html",
            kinds=board.kinds_of_data,
            order=board.order,
            charts=[chart for chart in drawn if chart.lines],
            costs=cost_charts(board, list(self._costs.values()), self._looks),
            cost_rows=list(self._costs.values()),
        )

    def compare(
        self, cases: Mapping[tuple[str, str], Mapping[tuple[str, str], list[dict[str, Any]]]]
    ) -> bytes:
        """Write the page of pairs."""
        board = self.board
        shares = {(g.columns[0].column.shots, g.fraction): g.share for g in board.groups if g.trained}
        without = dict.fromkeys(g.share for g in board.groups if not g.trained)
        return self._page(
            "compare.html",
            kinds=board.kinds_of_data,
            order=board.order,
            worlds=[{"protocol": protocol, "data": data} for protocol, data in board.worlds],
            facets={
                "kind": sorted({one.kind for one in board.columns}),
                "fraction": [*(shares[place] for place in sorted(shares)), *without],
            },
            pairs_json=Markup(paired_json(board, cases, _task_page)),
        )

    @property
    def _tasks(self) -> list[str]:
        return sorted({one.record.cell.task for one in self.board.found})

    def _records(self) -> dict[str, bytes]:
        board = self.board
        main = {id(f): one.column.metric for one in board.columns for f in one.filled.records}
        rows = {id(f): row for one in board.columns for row in one.records.values() for f in row.values()}
        made = {}
        for found in board.found:
            metric = main[id(found)]
            drawn = self.evidence.mean([found], metric) if self.evidence.draws else None
            context = about_record(board, found, metric, rows[id(found)], drawn.draws if drawn else None)
            pictures, told = self.gallery.cases(found, metric)
            made[page_of(copy_of(found, board.roots))] = self._page(
                "record.html", **context, pictures=pictures, pictures_told=told
            )
        return made

    def _page(self, template: str, *, kinds: set[str], **context: Any) -> bytes:
        """Render one page; every one says on what data its numbers rest, and which encoders are toys."""
        lines = [GENERATED] if "phantom" in kinds else []
        lines += ["REAL DATA: measured on the images of the data sets."] if kinds == {"real"} else []
        if kinds:
            found = self._behind(template, context)
            there = {one.cell.encoder for one in found}
            lines += _toys({name: one for name, one in self.board.origins.items() if name in there})
            lines += [*leak_lines(found), *sight_lines(found), *protocol_lines(found)]
        text = self._environment.get_template(template).render(banners=lines, data_kinds=kinds, **context)
        return text.lstrip().encode()

    def _behind(self, template: str, context: Mapping[str, Any]) -> list[Found]:
        """Return the records of which a page speaks."""
        if template == "record.html":
            return [context["found"]]
        field = {"encoder.html": "encoder", "task.html": "task"}.get(template, "")
        return [one for one in self.board.found if not field or getattr(one.cell, field) == context["name"]]

    def _opened(self) -> Environment:
        board = self.board
        environment = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_harmless,
        )
        pages = [
            (PAGE, "Overview"),
            ("curves.html", "Curves and cost"),
            ("compare.html", "Compare"),
            ("claims.html", "Claims"),
            *([("quoted.html", "Quoted numbers")] if board.quoted else []),
        ]
        quoted = environment.get_template("quoted_table.html")
        environment.globals.update(
            title=board.title,
            version=__version__,
            made_at=self.made_at,
            style=self._style,
            script=self._script,
            pages=pages,
            generated=GENERATED,
            looks=self._looks,
            outline=charts.outline,
            chart_width=charts.WIDTH,
            chart_height=charts.HEIGHT,
            chart_left=charts.LEFT,
            chart_right=charts.RIGHT,
            encoder_page=lambda name: address(_encoder_page(name)),
            task_page=lambda name: address(_task_page(name)),
            tag_of=lambda name: board.tags.get(name, ""),
            self_reported=board.self_reported,
            word_of={data: word_of(data) for data in ("phantom", "real")},
            kinds={section.task: section.kind for section in board.sections},
            percent=percent,
            share_of=share_of,
            of_seen=_of_seen,
            interval=INTERVAL,
            width=WIDTH,
            whiskers=_whiskers,
            saw=WORDS,
            marks=SEEN,
            name_of=name_of,
            anchor=_anchor,
            number=_number,
            visible=visible,
            shell=shlex.quote,
            shown=_shown,
            rank_at=lambda place, top: round(4 + 64 * (place - 1) / max(1, top - 1), 1),
            slug=slug,
            flags=FLAGS,
        )
        environment.globals["quoted_table"] = lambda rows: Markup(quoted.render(rows=rows))
        return environment


def write(out: Path, board: Board, evidence: Evidence, gallery: Gallery | None = None) -> None:
    """Write the folder of the leaderboard, whole or not at all.

    Args:
        out: the folder; an earlier leaderboard there is replaced, anything else in it stays.
        board: what its pages say.
        evidence: where draws come from.
        gallery: pictures of cases, where there are to be some.

    Raises:
        InputError: see :func:`g2d_bench.report.site.folder.replace_folder`.
    """
    files = Pages(board, evidence, gallery or Gallery()).files()
    replace_folder(out, files)


def _harmless(value: Any) -> Any:
    """Stands between every text and the page; what the template itself calls safe stays."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _toys(known: Mapping[str, Origin]) -> list[str]:
    """Say which encoders are not the published models of their names, and of which nobody knows."""
    small = [name for name, one in known.items() if one.scale == "phantom"]
    unknown = [name for name, one in known.items() if one.scale == "unknown"]
    lines = []
    if small:
        lines.append(
            f"TOY ENCODERS ({WORDS_OF_SCALE['phantom']}): {listed(small)}: small encoders of this suite, NOT "
            "the published models of those names"
        )
    if unknown:
        lines.append(
            f"SCALE UNKNOWN: {listed(unknown)}: neither records nor cards say what these encoders are"
        )
    return lines


def _encoder_page(name: str) -> str:
    return f"encoders/{slug(name)}.html"


def _task_page(name: str) -> str:
    return f"tasks/{slug(name)}.html"


def _by_paper(quoted: Sequence[Quoted]) -> list[tuple[str, list[Quoted]]]:
    papers: dict[str, list[Quoted]] = {}
    for one in quoted:
        papers.setdefault(one.paper, []).append(one)
    return list(papers.items())


def _sight(values: Iterable[Value]) -> str:
    return next((value.sight for value in values if value.sight), "")


def _of_seen(line: str) -> bool:
    """Say whether a line is about numbers whose encoder saw the data set in its pre-training."""
    return any(mark and mark in line for mark in SEEN.values())


def _shares(sections: Iterable[Section]) -> list[str]:
    """Return the amounts of labels that sections have: shares, then shots, then none."""
    first = {one.fraction: (one.kind, one.table.columns[0]) for one in sections}
    places = {share: (untrained(kind), c.shots, c.fraction) for share, (kind, c) in first.items()}
    return sorted(places, key=places.__getitem__)


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
    return anchor_of(column.task, column.fraction, column.protocol, data, column.shots)


def _number(value: Value) -> str:
    """Return what a column is sorted by, "" where there is no number."""
    return "" if math.isnan(value.mean) else repr(value.mean)


def _shown(group: Group, number: float) -> str:
    """Write a mean over the tasks of a group as tables do."""
    return Value(group.columns[0].column, number).centre
