"""Tables in Markdown."""

from __future__ import annotations

from g2d_bench.report.formats import md
from g2d_bench.report.model import Column, Row, Table, Value

NASTY = "a_b & $c$ {d} <script> \\x | #1 ~ ^ % \"q\" 'r' `s` * [t] € ß"


def nasty_table() -> Table:
    column = Column("t", 0.01, "dice_positive", "p", (NASTY, "dice_positive"))
    rows = (
        Row(NASTY, (Value(column, 61.24, 1.0, "seeds", 58.0, 64.0, (0, 1), best=True, marks="a"),)),
        Row(NASTY, (Value(column, 12.0, marks="†"),), "quoted"),
        Row("all-empty", (Value(column, missing="not measured"),), "reference"),
    )
    return Table(NASTY, (column,), rows, True, (NASTY,), (NASTY,), (NASTY,))


def test_markdown_columns_stay_columns_whatever_the_name() -> None:
    text = md.render(nasty_table())
    grid = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\\\", "").replace("\\|", "").count("|") for line in grid} == {3}
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "\\$c\\$" in text
    assert "**61.2** ± 1.0" in text


def test_many_notes_are_folded_and_still_there() -> None:
    column = Column("t", 1.0, "dice_positive", "clean", ("dice_positive",))
    few, many = (
        md.render(Table("t", (column,), (), True, ("fact",), tuple(f"note {n}" for n in range(count))))
        for count in (md.FOLD, md.FOLD + 1)
    )
    assert "<details>" not in few
    assert many.index("- fact") < many.index("<details>") < many.index("- note 0") < many.index("</details>")
    assert many.count("- note") == md.FOLD + 1
