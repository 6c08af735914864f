r"""A table as LaTeX: booktabs, every name escaped; wide ones need `graphicx`, very wide ones `rotating`."""

from __future__ import annotations

import re
from itertools import groupby

from g2d_bench.report.formats.base import Format
from g2d_bench.report.formats.names import name_of
from g2d_bench.report.look import parts
from g2d_bench.report.model import GENERATED, Table, Value

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "–": "--",
    "—": "---",
    "→": r"$\to$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "×": r"$\times$",
    "…": r"\dots{}",
    "†": r"\textdagger{}",
    "§": r"\S{}",
    "¶": r"\P{}",
}
WIDE = 4
"""Columns from which a table is scaled to the width of the text."""
SIDEWAYS = 8
"""Columns from which a table lies on its side: across a page its numbers could not be read."""
PREAMBLE = r"""% \usepackage[T1]{fontenc} \usepackage{textcomp,booktabs,graphicx,rotating}"""


def escape(text: str) -> str:
    """Make any text show as itself; a letter that a plain LaTeX cannot set becomes ``?``."""
    return "".join(_ESCAPES.get(letter) or _printable(letter) for letter in " ".join(text.split()))


def _printable(letter: str) -> str:
    """ASCII and the letters of Latin-1 can be set with T1 fonts."""
    if " " <= letter <= "~" or (letter.isalpha() and ord(letter) < 0x100):
        return letter
    return "?"


def render(table: Table) -> str:
    """Write one table environment."""
    wide = len(table.columns) >= WIDE and not table.narrow
    environment = "sidewaystable" if len(table.columns) >= SIDEWAYS and not table.narrow else "table"
    body: list[str] = []
    for part in parts(table):
        columns = "l" + "r" * len(part.columns)
        body += [r"\par\smallskip"] if body else []
        body += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *_heads(part), *_rows(part), r"\bottomrule"]
        body.append(r"\end{tabular}")
    if wide:
        body = [r"\resizebox{\linewidth}{!}{%", *body[:-1], body[-1] + "}"]
    if table.narrow:
        body = [r"\footnotesize\setlength{\tabcolsep}{3pt}", *body]
    return "\n".join(
        [
            PREAMBLE,
            *(f"% signature {_comment(signature)}" for signature in table.signatures),
            rf"\begin{{{environment}}}",
            r"\centering",
            rf"\caption{{{_caption(table)}}}",
            *body,
            *_notes(table),
            rf"\end{{{environment}}}",
        ]
    )


def _caption(table: Table) -> str:
    said = [escape(table.title) + "."]
    if table.generated:
        said.append(rf"\textbf{{{escape(GENERATED)}}}")
    said += [rf"\textbf{{{escape(warning)}.}}" for warning in table.warnings]
    said += [] if table.narrow else _facts(table)
    return " ".join(said)


def _facts(table: Table) -> list[str]:
    said = [escape(fact[0].upper() + fact[1:]) + "." for fact in table.facts]
    return [*said, f"Bold: {escape(table.best)}."] if table.tested else said


def _heads(table: Table) -> list[str]:
    """Set heading levels; neighbours with the same coarse heading share it over a rule."""
    depth = max((len(column.heads) for column in table.columns), default=1)
    heads = [("",) * (depth - len(column.heads)) + column.heads for column in table.columns]
    lines = []
    for level in range(depth - 1):
        # Equal headings below different coarser ones are different groups.
        groups = [(key[-1], len(list(part))) for key, part in groupby(head[: level + 1] for head in heads)]
        cells, rules, at = [""], [], 2
        for name, width in groups:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}")
            if name:
                rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
            at += width
        lines += [" & ".join(cells) + r" \\", "".join(rules)]
    last = " & ".join([escape(table.stub), *(escape(head[-1]) for head in heads)])
    return [*(line for line in lines if line), last + r" \\"]


def _rows(table: Table) -> list[str]:
    lines: list[str] = []
    before: tuple[str, str] | None = None
    for row in table.rows:
        if (row.panel, row.sort) != before:
            lines.append(r"\midrule")
            if row.panel and (before is None or before[0] != row.panel):
                lines.append(
                    rf"\multicolumn{{{len(table.columns) + 1}}}{{l}}{{\emph{{{escape(row.panel)}}}}} \\"
                )
        before = (row.panel, row.sort)
        name = escape(name_of(row))
        name = name if row.sort == "measured" else rf"\emph{{{name}}}"
        # A line's end and a rule above take a bracket or a star for an argument of theirs.
        name = f"{{}}{name}" if name.startswith(("[", "*")) else name
        lines.append(" & ".join([name, *map(_cell, row.values)]) + r" \\")
    return lines


def _cell(value: Value) -> str:
    centre = escape(value.centre)
    text = rf"\textbf{{{centre}}}" if value.best else centre
    text += rf"\textsuperscript{{{escape(value.seen)}}}" if value.seen else ""
    text += rf" $\pm$ {value.behind}" if value.behind else ""
    text += rf"\textsuperscript{{{escape(value.marks)}}}" if value.marks else ""
    text += f" ({escape(value.of)})" if value.of else ""
    if not value.below:
        return text
    small = "".join(rf"\\[-2pt]{{\scriptsize {_small(line)}}}" for line in value.below)
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{text}{small}\end{{tabular}}"


def _small(text: str) -> str:
    """Set an interval as it is, and a p value as papers do."""
    return re.sub(r"^p([=<])", r"$p\1$", text)


def _notes(table: Table) -> list[str]:
    notes = [*(_facts(table) if table.narrow else []), *map(escape, table.notes)]
    if not notes:
        return []
    return [
        r"\par\smallskip",
        rf"\begin{{minipage}}{{\linewidth}}\{'scriptsize' if table.narrow else 'footnotesize'}",
        *(note + r"\par" for note in notes),
        r"\end{minipage}",
    ]


def _comment(text: str) -> str:
    """A comment ends with its line."""
    return " ".join(text.split())


FORMAT = Format.of_one(render)
