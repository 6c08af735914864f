"""A table as plain text for the terminal."""

from __future__ import annotations

from g2d_bench.report.model import BEST, GENERATED, Row, Table


def render(table: Table) -> str:
    """Lay out one table; trivial predictors stand below a rule, quoted rows below another."""
    depth = max((len(column.heads) for column in table.columns), default=1)
    heads = [
        [
            "encoder" if level == depth - 1 else "",
            *(_head(column.heads, level, depth) for column in table.columns),
        ]
        for level in range(depth)
    ]
    body = [[name_of(row), *(str(value) for value in row.values)] for row in table.rows]
    widths = [max(len(line[n]) for line in [*heads, *body]) for n in range(len(heads[0]))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

    def line(cells: list[str]) -> str:
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "  ".join([cells[0].ljust(widths[0]), *rest]).rstrip()

    lines = [
        table.title,
        *([GENERATED] if table.generated else []),
        *table.facts,
        *([f"* {BEST}"] if table.tested else []),
        "",
        *(line(head) for head in heads),
    ]
    before: tuple[str, str] | None = None
    for row, cells in zip(table.rows, body, strict=True):
        here = (row.panel, row.sort)
        if here != before:
            lines += [
                rule,
                *([row.panel] if row.panel and (before is None or before[0] != row.panel) else []),
            ]
        before = here
        lines.append(line(cells))
    lines += ["", *table.notes, *(f"signature {signature}" for signature in table.signatures)]
    return "\n".join(lines).rstrip()


def name_of(row: Row) -> str:
    """Return a row's name, quoted rows marked as such."""
    return f"{row.name} [quoted]" if row.sort == "quoted" else row.name


def _head(heads: tuple[str, ...], level: int, depth: int) -> str:
    """Headings of fewer levels stand at the bottom."""
    n = level - (depth - len(heads))
    return heads[n] if n >= 0 else ""
