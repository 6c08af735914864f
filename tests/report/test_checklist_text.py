"""A checklist in a paper's appendix."""

from __future__ import annotations

import re

from tex import faults

from g2d_bench.report.checklist import AUTHORS, Answer, Item
from g2d_bench.report.checklist_text import HEADS, render

ANSWERS = [
    Answer(Item("a topic", "1", "2a-b"), ("known_1", "50 % | more", f"{AUTHORS}: the rest")),
    Answer(Item("another", "", "3"), (AUTHORS,)),
]


def test_markdown() -> None:
    text = render(ANSWERS, "md", generated=True)
    assert "GENERATED DATA" in text
    row = next(line for line in text.splitlines() if line.startswith("| a topic"))
    assert row.endswith(r"| known\_1<br>50 % \| more<br>*for the authors: the rest* |")
    assert "| another | – | 3 | *for the authors* |" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", line)) == len(HEADS) + 1
    assert "GENERATED" not in render(ANSWERS, "md", generated=False)


def test_latex() -> None:
    text = render(ANSWERS, "latex", generated=True)
    cell = r"known\_1\newline 50 \% \textbar{} more\newline \emph{for the authors: the rest} \\"
    assert cell in text
    assert faults(text) == []
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1
    assert text.count(r"\begingroup") == text.count(r"\endgroup") == 1
