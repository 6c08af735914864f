"""A table as plain text for the terminal."""

from __future__ import annotations

from g2d_bench.plan import percent
from g2d_bench.report.table import GENERATED, Block


def render(block: Block) -> str:
    """Lay out one block; columns are metrics, numbers are percent."""
    header = ["encoder", *block.metrics]
    body = [[row.name, *(str(value) for value in row.values)] for row in block.rows]
    first_reference = next((n for n, row in enumerate(block.rows) if row.reference), len(body))
    widths = [max(len(line[n]) for line in [header, *body]) for n in range(len(header))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))

    def line(cells: list[str]) -> str:
        first = cells[0].ljust(widths[0])
        return "  ".join(
            [first, *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))]
        )

    seeds = f"{len(block.seeds)} seed" + ("s" if len(block.seeds) > 1 else "")
    lines = [
        f"{block.task} · {percent(block.fraction)} of the training labels ({block.train} images) · protocol {block.protocol}",
        *([GENERATED] if block.generated else []),
        f"test set: {block.test} images, {block.positive} positive · {seeds} · values in % · ± is {block.spread}",
        *(f"LEAK ALLOWED: {reason}" for reason in block.leaks),
        "",
        line(header),
        rule,
        *(line(cells) for cells in body[:first_reference]),
        *([rule] if first_reference < len(body) else []),
        *(line(cells) for cells in body[first_reference:]),
        "",
        *(f"signature {signature}" for signature in block.signatures),
    ]
    return "\n".join(lines)
