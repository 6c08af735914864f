"""The five formats: names as they are, generated data in plain words, LaTeX that a real TeX takes."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.records.quoted import load_reported
from g2d_bench.records.selection import select
from g2d_bench.report.formats import latex, markdown
from g2d_bench.report.formats.render import FORMATS, render
from g2d_bench.report.model import GENERATED, Column, Row, Table, Value
from g2d_bench.report.table import blocks, paper_table

NASTY = "a_b & $c$ {d} <script> \\x | #1 ~ ^ % \"q\" 'r' `s` * [t] € ß"


@pytest.fixture
def tables(folder: Any) -> list[Table]:
    folder.grid({"random": 0.4, "g2d": 0.6, "mgca": 0.597}, (0.01, 0.1))
    return blocks(select(folder.root), ["random"], metrics={})


def nasty_table() -> Table:
    column = Column("t", 0.01, "dice_positive", "p", (NASTY, "dice_positive"))
    rows = (
        Row(NASTY, (Value(column, 61.24, 1.0, "seeds", 58.0, 64.0, (0, 1), best=True, marks="a"),)),
        Row(NASTY, (Value(column, 12.0, marks="†"),), "quoted"),
        Row("all-empty", (Value(column, missing="not measured"),), "reference"),
    )
    return Table(NASTY, (column,), rows, True, (NASTY,), (NASTY,), (NASTY,))


@pytest.mark.parametrize("style", FORMATS)
def test_generated_data_are_named_in_every_format(tables: list[Table], style: str) -> None:
    text = render(tables, style)
    if style == "csv":
        assert all(r["data"] == "GENERATED DATA (phantom)" for r in csv.DictReader(io.StringIO(text)))
    else:
        assert text.count(GENERATED) >= len(tables)


def test_text_is_narrow_and_marks_the_best(tables: list[Table]) -> None:
    text = render(tables[:1])
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("encoder"))
    header, body = lines[start], lines[start + 2 :]
    assert len(header) <= 120
    assert body[0].startswith("random")
    best = next(line for line in body if line.startswith("g2d"))
    assert "*" in best
    assert "*" not in body[0].split("±")[0]
    assert lines[-1].startswith("signature ")


def test_wide_text_puts_intervals_below(folder: Any) -> None:
    folder.grid({"random": 0.4}, (0.01, 0.1, 1.0))
    text = render([paper_table("g2d-table1", select(folder.root))])
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("random"))
    assert "[" not in lines[start]
    assert lines[start + 1].lstrip().startswith("[")
    head = next(line for line in lines if "segmentation" in line and "---" in line)
    assert head.count("segmentation") == 1


def test_markdown_columns_stay_columns_whatever_the_name() -> None:
    text = markdown.render(nasty_table())
    grid = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\\\", "").replace("\\|", "").count("|") for line in grid} == {3}
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "\\$c\\$" in text
    assert "**61.2** ± 1.0" in text


def test_csv_round_trips_unrounded(tables: list[Table]) -> None:
    lines = list(csv.DictReader(io.StringIO(render(tables, "csv"))))
    values = [value for table in tables for row in table.rows for value in row.values]
    assert len(lines) == len(values)
    for line, value in zip(lines, values, strict=True):
        assert float(line["mean"]) == value.mean
        assert line["unit"] == "percent"
    assert {line["sort"] for line in lines} == {"measured", "reference"}
    nasty = list(csv.DictReader(io.StringIO(render([nasty_table()], "csv"))))
    assert nasty[0]["encoder"] == NASTY
    assert nasty[2]["mean"] == ""
    assert nasty[1]["data"] == "quoted from a paper (real data)"


def test_json_is_json_and_complete(tables: list[Table]) -> None:
    read = json.loads(render(tables, "json"))
    assert [table["title"] for table in read] == [table.title for table in tables]
    assert read[0]["generated"] is True
    first = read[0]["rows"][0]["values"][0]
    assert first["mean"] == tables[0].rows[0].values[0].mean
    assert first["seeds"] == [0, 1, 2]
    assert json.loads(render([nasty_table()], "json"))[0]["rows"][2]["values"][0]["mean"] is None


def test_no_tables_make_empty_files() -> None:
    assert render([], "csv") == "table"
    assert json.loads(render([], "json")) == []


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
