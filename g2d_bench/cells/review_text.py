"""A review as Markdown, for a comment below a pull request. Nothing in it acts."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

from g2d_bench.cells.review import Review
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import Rank
from g2d_bench.plain import counted, visible
from g2d_bench.records.cell import amount
from g2d_bench.records.compare import Line
from g2d_bench.records.selection import Found

LONGEST = 300
"""Characters of one text of a stranger."""
MOST = 40
"""Lines of a list; a comment has limits."""


def code(text: str) -> str:
    """Show a stranger's text as it is: no mark-up, link, mention or table border, and not too long."""
    plain = " ".join(visible(text).split()).replace("`", "'").replace("|", "¦")
    plain = plain if len(plain) <= LONGEST else f"{plain[:LONGEST]} …"
    return f"`{plain}`" if plain else "–"


def render(found: Review) -> str:
    """Write a review."""
    lines = ["# Review of a submission", "", _verdict(found), ""]
    if any(one.record.data.kind == "phantom" for one in (*found.new, *found.again)):
        lines += [
            "> **GENERATED DATA (phantom)** is among it: no number on it is one of a published method.",
            "",
        ]
    for title, texts in (
        ("Problems", [f"- {code(text)}" for text in found.problems]),
        ("Encoders", list(_encoders(found))),
        ("New", list(_new(found.new))),
        ("Measured again", list(_again(found))),
        ("Ranks", list(_ranks(found))),
        ("Not comparable with what is there", [f"- {code(text)}" for text in found.unlike]),
        ("Cells that rows lack", [f"- {code(text)}" for text in found.missing]),
        ("Removed", [f"- {code(text)}" for text in found.removed]),
        ("What could not be checked here", [f"- {code(text)}" for text in found.undecided]),
    ):
        if texts:
            lines += [f"## {title}", "", *_short(texts), ""]
    lines += [
        "Checks find what was changed or mixed up. They cannot find a record that was made up as a whole, "
        "predictions included: for that, measure a cell again "
        "(`g2d-bench compare --to BUNDLE/records --task TASK --encoder ENCODER --run`).",
    ]
    return "\n".join(lines)


def _verdict(found: Review) -> str:
    count = len(found.problems)
    if count:
        return f"**Refused: {counted(count, 'problem')}.**"
    parts = [f"{len(found.new)} new records", f"{len(found.again)} measured again"]
    parts += [f"{_changed(found)} of their numbers changed"] if found.again else []
    parts += [f"{found.kept} as they were"] if found.kept else []
    parts += [f"{len(found.removed)} removed"] if found.removed else []
    return (
        f"**No problem found.** {', '.join(parts)}; {found.metrics} numbers computed again from predictions."
    )


def _short(lines: Sequence[str]) -> list[str]:
    if len(lines) <= MOST:
        return list(lines)
    return [*lines[:MOST], "", f"… and {len(lines) - MOST} more lines"]


def _encoders(found: Review) -> Iterator[str]:
    if found.encoders:
        yield "| encoder | title | licence of the weights | pre-trained on | scale | weights |"
        yield "|---|---|---|---|---|---|"
    for name, claim in sorted(found.encoders.items()):
        seen = " + ".join(claim.pretraining) or "nothing"
        weights = ", ".join(sorted({digest[:13] for digest in claim.weights})[:3])
        cells = (name, claim.title, claim.licence, seen, claim.scale, weights)
        yield f"| {' | '.join(map(code, cells))} |"
    for text in found.notes:
        yield ""
        yield f"The submitter notes: {code(text)}"
    for text in found.partial:
        yield ""
        yield f"Rows are not complete; the submitter says why: {code(text)}"


def _new(records: Sequence[Found]) -> Iterator[str]:
    groups: dict[tuple[str, str, str, str], list[Found]] = defaultdict(list)
    for one in records:
        cell = one.cell
        groups[cell.encoder, cell.task, cell.protocol, one.record.data.kind].append(one)
    if groups:
        yield "| encoder | task | protocol | data | labels | seeds | records | without predictions |"
        yield "|---|---|---|---|---|---|---:|---:|"
    for (encoder, task, protocol, kind), some in sorted(groups.items()):
        shares = ", ".join(amount(*drawn) for drawn in sorted({one.cell.drawn for one in some}))
        seeds = ", ".join(map(str, sorted({one.cell.seed for one in some})))
        bare = sum(one.record.predictions is None for one in some)
        data = "generated" if kind == "phantom" else "real"
        cells = (*map(code, (encoder, task, protocol)), data, shares, seeds, str(len(some)), str(bare))
        yield f"| {' | '.join(cells)} |"


def _again(found: Review) -> Iterator[str]:
    if found.again:
        still = len({str(one.cell) for one in found.again})
        yield f"{still} cells are there already; {_changed(found) or 'none'} of their numbers changed."
        yield ""
    yield from (f"- {code(_change(line))}" for line in found.moved)
    yield from (f"- {code(text)}" for text in found.predictions)


def _changed(found: Review) -> int:
    return sum(line.state == "moved" for line in found.moved)


def _change(line: Line) -> str:
    """Write by how much a number differs from the one that is there; no change is too small to be said."""
    if line.state != "moved":
        return str(line)
    before, after = (
        "n/a" if number is None else f"{line.scale * number:.2f}" for number in (line.before, line.after)
    )
    text, by = f"{line.where}: {line.metric}: {before} -> {after}", line.moved_by
    if math.isfinite(by):
        shown = f"{by:+.2f}" if abs(by) >= 0.005 else f"{by:+.1e}"
        text += f" ({shown} points)" if line.scale == 100 else f" ({shown})"
    return f"{text} {line.since}".rstrip()


def _ranks(found: Review) -> Iterator[str]:
    if found.standings:
        yield "By the main metric; in brackets, the ranks in 95 % of bootstrap draws of the test patients."
        yield ""
        yield "| task | labels | protocol | metric | encoder | value | rank before | rank after |"
        yield "|---|---|---|---|---|---:|---|---|"
    for one in found.standings:
        task, drawn, protocol, _ = one.place
        digits = 1 if metric_spec(one.metric).share else 3
        valued = math.isfinite(one.value)
        lacking = "lacks seeds or an interval" if valued else "has no value"
        after = f"{_rank(one.after)} of {one.of}" if one.after is not None else f"n/a ({lacking})"
        cells = (
            *(code(task), amount(*drawn), code(protocol), code(one.metric), code(one.encoder)),
            *(f"{one.value:.{digits}f}" if valued else "n/a", _rank(one.before), after),
        )
        yield f"| {' | '.join(cells)} |"


def _rank(rank: Rank | None) -> str:
    return "–" if rank is None else f"{rank.rank} [{rank.low}, {rank.high}]"
