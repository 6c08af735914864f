"""A filled checklist as Markdown or LaTeX, for a paper's appendix."""

from __future__ import annotations

from collections.abc import Sequence

from g2d_bench.plain import visible
from g2d_bench.report.checklist import AUTHORS, Answer
from g2d_bench.report.formats import latex, md
from g2d_bench.report.model import GENERATED

STYLES = ("md", "latex")
HEADS = ("topic", "CLAIM", "TRIPOD+AI", "in this study")
INTRO = "Filled by g2d-bench from the records; what records cannot know is left to the authors."


def render(answers: Sequence[Answer], style: str, *, generated: bool) -> str:
    """Write a checklist.

    Args:
        answers: of :func:`g2d_bench.report.checklist.fill`.
        style: one of :data:`STYLES`.
        generated: whether any number rests on generated data.
    """
    return (_markdown if style == "md" else _latex)(answers, generated)


def _markdown(answers: Sequence[Answer], generated: bool) -> str:
    lines = ["# Reporting checklist (CLAIM 2024, TRIPOD+AI)", "", INTRO, ""]
    lines += [f"> **{md.escape(GENERATED)}**", ""] if generated else []
    lines += [f"| {' | '.join(HEADS)} |", "|---|---|---|---|"]
    for one in answers:
        said = "<br>".join(_italic(md.escape(visible(line)), line, "*", "*") for line in one.lines)
        lines.append(f"| {one.item.topic} | {one.item.claim or '–'} | {one.item.tripod or '–'} | {said} |")
    return "\n".join(lines)


def _latex(answers: Sequence[Answer], generated: bool) -> str:
    lines = [
        r"% \usepackage[T1]{fontenc} \usepackage{textcomp,booktabs,longtable}",
        r"\begingroup\footnotesize",
        rf"{latex.escape(INTRO)}\par",
    ]
    lines += [rf"\textbf{{{latex.escape(GENERATED)}}}\par"] if generated else []
    lines += [
        r"\begin{longtable}{p{0.2\linewidth}p{0.07\linewidth}p{0.1\linewidth}p{0.53\linewidth}}",
        r"\toprule",
        " & ".join(map(latex.escape, HEADS)) + r" \\",
        r"\midrule\endhead",
    ]
    for one in answers:
        said = r"\newline ".join(
            _italic(latex.escape(visible(line)), line, r"\emph{", "}") for line in one.lines
        )
        cells = (one.item.topic, one.item.claim, one.item.tripod)
        lines.append(" & ".join([*map(latex.escape, cells), said]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{longtable}", r"\endgroup"])


def _italic(shown: str, line: str, before: str, after: str) -> str:
    """Set what is left to the authors apart."""
    return f"{before}{shown}{after}" if line.startswith(AUTHORS) else shown
