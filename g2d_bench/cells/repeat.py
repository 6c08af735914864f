"""The command, or the call from Python, that measures one cell again."""

from __future__ import annotations

import shlex

from g2d_bench.cells.settings import Settings
from g2d_bench.plain import visible
from g2d_bench.records.cell import Cell


def command_of(cell: Cell, settings: Settings, allow_leaks: str = "") -> str:
    """Return the command of one cell, whatever was asked for when it was measured.

    Args:
        cell: the cell.
        settings: folders of cards, data and weights are named as they were given, by option, environment or
            config file.
        allow_leaks: the reason with which a leak was overridden.
    """
    words = ["g2d-bench", "run", *cell.options]
    words += ["--phantom"] if settings.data_root is None else ["--data-root", str(settings.data_root)]
    for option, folders in (
        ("--tasks-dir", settings.task_dirs),
        ("--encoders-dir", settings.encoder_dirs),
        ("--protocols-dir", settings.protocol_dirs),
    ):
        words += [word for folder in folders for word in (option, str(folder))]
    checkpoint = settings.checkpoint(cell.card)
    if checkpoint is not None:
        words += ["--checkpoint", f"{cell.card}={checkpoint}"]
    if allow_leaks:
        words += ["--allow-leaks", allow_leaks]
    return visible(shlex.join(words))


def call_of(cell: Cell, arguments: str) -> str:
    """Return the call from Python that measures a cell of a model in memory again.

    Args:
        cell: the cell.
        arguments: those that describe the model.
    """
    drawn = f"shots=[{cell.shots}]" if cell.shots else f"fractions=[{cell.fraction!r}]"
    return visible(
        f"gb.evaluate(model, {cell.task!r}, {arguments}, {drawn}, seeds=[{cell.seed}], "
        f"protocol={cell.protocol!r})"
    )
