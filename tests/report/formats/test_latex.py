"""Tables in LaTeX."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tex import faults

from g2d_bench.cli.report import PAPERS
from g2d_bench.records.quoted import load_reported
from g2d_bench.records.selection import select
from g2d_bench.report.formats import latex
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import Column, Row, Table, Value
from g2d_bench.report.table import blocks, paper_table

NASTY = "a_b & $c$ {d} <script> \\x | #1 ~ ^ % \"q\" 'r' `s` * [t] € ß"


def nasty_table() -> Table:
    column = Column("t", 0.01, "dice_positive", "p", (NASTY, "dice_positive"))
    rows = (
        Row(NASTY, (Value(column, 61.24, 1.0, "seeds", 58.0, 64.0, (0, 1), best=True, marks="a"),)),
        Row(NASTY, (Value(column, 12.0, marks="†"),), "quoted"),
        Row("all-empty", (Value(column, missing="not measured"),), "reference"),
    )
    return Table(NASTY, (column,), rows, True, (NASTY,), (NASTY,), (NASTY,))


def test_latex_escapes_and_groups(folder: Any) -> None:
    folder.grid({"random": 0.4}, (0.01,), seeds=1)
    text = latex.render(paper_table("g2d-table1", select(folder.root)))
    assert r"\multicolumn{6}{c}{segmentation}" in text
    assert r"\cmidrule(lr){2-7}\cmidrule(lr){8-13}" in text
    assert r"\resizebox{\linewidth}{!}{%" in text
    assert text.count("sidewaystable") == 2
    (small, *_) = blocks(select(folder.root), metrics={"siim-seg": ("dice_positive",)})
    assert r"\begin{table}" in latex.render(small)
    assert latex.escape("a_b & $c$ {d} <script> \\x") == (
        r"a\_b \& \$c\$ \{d\} \textless{}script\textgreater{} \textbackslash{}x"
    )
    assert latex.escape("line\nbreak €") == "line break ?"


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        (r"\begin{tabular}{lr}a & b & c \\\end{tabular}", "3 cells in a row of 2 columns"),
        (r"\begin{tabular}{lr}a \\\end{tabular}", "1 cells in a row of 2 columns"),
        (r"\begin{tabular}{lr}\multicolumn{3}{c}{a} \\\end{tabular}", "3 cells in a row of 2"),
        (r"\begin{table}\begin{tabular}{l}a\end{table}", r"\end{table} closes nothing"),
        (r"\begin{table}", r"\begin{table} is not closed"),
        (r"a_b", "_ is not escaped"),
        (r"a & b", "& outside of a table"),
        (r"50 % of {", ""),
        (r"\textbf{a", "1 braces are open"),
        (r"a}", "a brace too many"),
        (r"$\pm", "$ is open"),
        (r"\nonsense{a}", r"\nonsense is not known"),
        ("a → b", "a letter that T1 fonts have not"),
    ],
)
def test_the_reader_of_latex_finds_what_a_compiler_would(broken: str, fault: str) -> None:
    found = faults(broken)
    assert bool(found) == bool(fault)
    assert not fault or fault in found[0]


def test_every_table_can_be_set(folder: Any) -> None:
    folder.grid({"random": 0.4, "a_b & $c$ {d} <script> \\x": 0.6}, (0.01, 0.1, 1.0), seeds=2)
    found = select(folder.root)
    quoted = load_reported()
    papers = [paper_table(name, found, quoted=quoted) for name in PAPERS]
    whole = [*blocks(found, metrics={}), nasty_table(), *papers]
    for table in (*whole, *(replace(one, narrow=True) for one in whole)):
        text = latex.render(table)
        assert faults(text) == [], text
        body = text.split(r"\begin{tabular}")[1:]
        assert len(body) >= 1
    assert faults(render(whole, "latex")) == []


@pytest.mark.parametrize(
    ("name", "line"),
    [("[a] b", "{}[a] b & 61.2"), ("*a", "{}*a & 61.2"), ("a [b]*", "a [b]* & 61.2"), ("(a)", "(a) & 61.2")],
)
def test_no_name_is_an_argument_of_the_line_above(name: str, line: str) -> None:
    column = Column("t", 0.01, "dice_positive", "p", ("dice_positive",))
    rows = tuple(Row(name, (Value(column, 61.2),), panel=panel) for panel in ("", "", "x"))
    text = latex.render(Table("t", (column,), rows, generated=False))
    assert text.splitlines().count(rf"{line} \\") == 3


def compile_pdf(body: str, where: Path) -> Path:
    """Compile with whatever TeX there is; skip without one."""
    where.mkdir(exist_ok=True)
    source = where / "t.tex"
    source.write_text(
        r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs,graphicx,rotating}"
        rf"\begin{{document}}{body}\end{{document}}"
    )
    if shutil.which("pdflatex"):
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", source.name]
    elif shutil.which("tectonic"):
        command = ["tectonic", "--only-cached", source.name]
    else:
        pytest.skip("neither pdflatex nor tectonic is installed")
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return where / "t.pdf"


def test_latex_compiles(folder: Any, tmp_path: Path) -> None:
    folder.grid({"random": 0.4, "a_b & $c$ {d} <script> \\x": 0.6}, (0.01, 0.1, 1.0), seeds=2)
    found = select(folder.root)
    quoted = load_reported()
    made = [*blocks(found, metrics={}), nasty_table()]
    made += [paper_table(name, found, quoted=quoted) for name in ("g2d-table1", "g2d-table2b", "g2d-table3")]
    pdf = compile_pdf(render(made, "latex"), tmp_path / "tex")
    assert pdf.stat().st_size > 10_000
    if shutil.which("pdftotext"):
        text = subprocess.run(
            ["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True
        )
        assert "GENERATED DATA" in text.stdout
        assert "a_b & $c$ {d} <script>" in " ".join(text.stdout.split())
