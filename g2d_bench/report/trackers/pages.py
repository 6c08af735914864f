"""Tables and a picture of a run, for trackers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from g2d_bench.records.cell import encoder_order
from g2d_bench.records.selection import Found
from g2d_bench.report.exports.base import Request
from g2d_bench.report.exports.rows import frame
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import Table
from g2d_bench.report.trackers.base import Pages


def pages_of(found: Sequence[Found], tables: Sequence[Table], main: Mapping[str, str]) -> Pages:
    """Make what is shown of a run as a whole.

    Args:
        found: its records.
        tables: their tables.
        main: the main metric per task.
    """
    rows = frame(Request(found, intervals=False))
    return Pages(render(list(tables), "md"), rows, _picture(found, main))


def _picture(found: Sequence[Found], main: Mapping[str, str]) -> NDArray[np.uint8] | None:
    """Draw a panel per task that has a main metric; None where there is none."""
    from PIL import Image

    from g2d_bench.report.curves import curves, draw

    order = sorted({one.cell.encoder for one in found}, key=encoder_order)
    panels = []
    for task in sorted({one.cell.task for one in found} & set(main)):
        mine = [one for one in found if one.cell.task == task]
        if any(one.record.metrics.get(main[task]) is not None for one in mine):
            panels.append(curves(mine, main[task], order))
    if not panels:
        return None
    buffer = io.BytesIO()
    draw(panels).savefig(buffer, format="png", dpi=100)
    return np.asarray(Image.open(buffer).convert("RGB"), np.uint8)
