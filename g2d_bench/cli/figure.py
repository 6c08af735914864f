"""The command that draws figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from g2d_bench.cli.look import look_of, look_options
from g2d_bench.cli.options import PATH, filter_options, folders, hide_option, results_option, settings
from g2d_bench.cli.records import chosen, main_metrics, row_order


@click.group()
def figure() -> None:
    """Draw figures from a results folder."""


@figure.command("curves")
@filter_options
@hide_option
@click.option("--signature", default="", help="Only signatures that contain this text.")
@click.option("--metric", help="On the vertical axis.  [default: the main one of each task]")
@look_options
@click.option("--out", type=PATH, help="A .png, .svg or .pdf file.  [default: TASKS-METRIC.png]")
@results_option
def figure_curves(metric: str | None, out: Path | None, results: Sequence[Path], **given: Any) -> None:
    """Draw the score against the label fraction, one line per encoder, with intervals; one panel per task.

    Example: g2d-bench figure curves --task siim-seg --metric dice_positive --out siim.pdf
    """
    from g2d_bench.cells.verify import require_sound
    from g2d_bench.report.curves import check_suffix, curves, draw, remarks, write

    if out is not None:
        check_suffix(out)
    configured = settings({"results": results})
    found = chosen(folders(results) or [configured.results], given)
    require_sound(found, configured)
    main = {} if metric else main_metrics(found, configured)
    panels, names = [], []
    for task in given["tasks"] or sorted({one.cell.task for one in found}):
        mine = [one for one in found if one.cell.task == task]
        if mine:
            name = metric or main.get((task, mine[0].cell.protocol)) or next(iter(mine[0].record.metrics))
            panels.append(curves(mine, name, row_order(found)))
            names.append((task, name.replace("/", "-")))
    tasks, metrics = (dict.fromkeys(part) for part in zip(*names, strict=True))
    out = out or Path("-".join([*tasks, *metrics]) + ".png")
    for line in remarks(panels):
        click.echo(line, err=True)
    write(draw(panels, look_of(found, configured, given)), out)
    click.echo(f"wrote {out}")
