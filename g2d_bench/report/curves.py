"""Score against label fraction: one line per encoder, with intervals."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2d_bench.cards.kind import known_kind
from g2d_bench.cards.pretraining import Sight
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.files import write_out
from g2d_bench.metrics.resample import ALPHA
from g2d_bench.metrics.spec import PER_LABEL
from g2d_bench.plain import counted, visible, visible_parts
from g2d_bench.records.cell import DECODER, percent
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import Found
from g2d_bench.records.signature import mixed
from g2d_bench.report.contamination import legend_line
from g2d_bench.report.fill import Filled, fill
from g2d_bench.report.look import Look
from g2d_bench.report.marks import defect_lines, leak_lines, protocol_lines
from g2d_bench.report.model import GENERATED, Column
from g2d_bench.report.origin import Origin, explained, origins, sentence, several_weights, tagged, tags
from g2d_bench.report.titles import metric_title

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Told apart with any colour vision (Okabe and Ito, 2008); without the yellow, too pale for lines."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", (0, (1, 1)))
SUFFIXES = (".png", ".svg", ".pdf")
ACROSS = 3
"""Panels side by side."""
CHARACTERS = 15
"""Small letters that an inch holds."""
COLUMN = 3.4
"""Inches of a column of a paper."""
SMALL = 6.5
"""Points of the type in a figure for one."""
LINES = 8
"""Remarks that are written below a figure."""


def curves(
    records: Sequence[Found],
    metric: str,
    order: Sequence[str] = (),
    *,
    allow_mixed: bool = False,
) -> list[Filled]:
    """Compute the points of a figure.

    Args:
        records: of one task and protocol.
        metric: on the vertical axis.
        order: encoder names in the order of the legend.
        allow_mixed: see :func:`g2d_bench.report.fill.fill`.

    Returns:
        One filled column per fraction, ascending.

    Raises:
        InputError: several tasks, protocols or signatures, for a line joins what was measured alike; or no
            record has the metric; see also ``fill``.
    """
    for field in ("task", "protocol"):
        there = sorted({getattr(one.record.cell, field) for one in records})
        if len(there) > 1:
            raise InputError(
                f"one figure shows one {field}; choose of {', '.join(there)}", field=f"--{field}"
            )
    names = sorted({name for one in records for name in one.record.metrics})
    if metric.split(PER_LABEL)[0] not in names:
        raise InputError(
            f"no record has the metric {metric!r}; {did_you_mean(metric, names)}", field="--metric"
        )
    evidence = Evidence(more=(metric,) if PER_LABEL in metric else ())
    ranks = {name: n for n, name in enumerate(order)}
    filled = []
    # Images per class are no share of the labels: they have no place on this axis.
    records = [one for one in records if not one.record.cell.shots]
    if not records:
        raise InputError("all records are of shots, which are no share of the labels", field="--shots")
    signatures = sorted({one.record.signature for one in records})
    if len(signatures) > 1 and not allow_mixed:
        other = next(one.where for one in records if one.record.signature == signatures[1])
        raise InputError(mixed(signatures, "a line"), file=other)
    for fraction in sorted({one.record.cell.fraction for one in records}):
        mine = [one for one in records if one.record.cell.fraction == fraction]
        cell = mine[0].record.cell
        column = Column(cell.task, fraction, metric, cell.protocol, (percent(fraction),))
        one = fill(column, mine, evidence, allow_mixed=allow_mixed)
        one.values = {
            name: one.values[name] for name in sorted(one.values, key=lambda n: (ranks.get(n, len(ranks)), n))
        }
        filled.append(one)
    return filled


def draw(panels: Sequence[Sequence[Filled]], look: Look | None = None) -> Figure:
    """Draw one panel per task, each of :func:`curves`; an encoder looks the same in all of them.

    Bars are 95 % bootstrap intervals by patient over the test set. A cell that lacks a seed has no point;
    below the axes it is said which, and what the encoders are.

    Args:
        panels: one per task.
        look: with or without intervals, printed names, hollow points where an encoder is significantly worse
            than the best, and the width of a column of a paper.
    """
    import matplotlib as mpl

    # Names are shown as they are; a dollar sign in one is no formula.
    with mpl.rc_context({"text.parse_math": False, "text.usetex": False}):
        return _draw(visible_parts(panels), look or Look())


def _draw(panels: Sequence[Sequence[Filled]], look: Look) -> Figure:
    from matplotlib.figure import Figure

    columns = [column for points in panels for column in points]
    records = _records(panels)
    generated = _generated(records)
    known = _origins(panels)
    printed = {visible(name): visible(title) for name, title in look.encoders.items()} if look.titles else {}
    marks = tags(known, generated=generated)
    labels = {name: tagged(printed.get(name, name), tag) for name, tag in marks.items()}
    across = 1 if look.narrow else min(len(panels), ACROSS)
    down = math.ceil(len(panels) / across)
    small = SMALL if look.narrow else 8
    size = (COLUMN, 1.5 + 2.1 * down) if look.narrow else (2.8 + 4.8 * across, 0.6 + 3.8 * down)
    figure = Figure(figsize=size, layout="constrained")
    grid = list(figure.subplots(down, across, squeeze=False).flat)
    names = list(dict.fromkeys(name for column in columns for name in column.values))
    for axes, points in zip(grid, panels, strict=False):
        _panel(axes, points, names, labels, look, several=len(panels) > 1)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    handles: dict[str, Any] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    # Encoders in their order, trivial predictors last.
    shown = [labels[name] for name in names]
    sequence = [*(name for name in shown if name in handles), *(h for h in handles if h not in shown)]
    # Below a column of a paper there is room for two names, beside it for none.
    where: dict[str, Any] = {"loc": "outside right center"}
    if look.narrow:
        where = {"loc": "outside lower center", "ncols": 2, "columnspacing": 1.0, "handlelength": 1.6}
    figure.legend([handles[name] for name in sequence], sequence, frameon=False, fontsize=small, **where)
    leaks = leak_lines(records)
    below = [
        " · ".join(["share of the training labels", *_explained(look)]),
        *map(visible, _shortened([line for line in remarks(panels) if line not in leaks])),
    ]
    wide = round(CHARACTERS * figure.get_figwidth() * 8 / small)
    # What the encoders are is for the caption of a paper; the terminal says it.
    parts = [
        part
        for line in below[: 1 if look.narrow else None]
        for part in textwrap.wrap(line, wide, break_on_hyphens=False)
    ]
    if look.narrow:
        # The legend stands below; a label of the whole figure would lie upon it.
        grid[len(panels) - 1].set_xlabel("\n".join(parts), fontsize=small)
    else:
        figure.supxlabel("\n".join(parts), fontsize=small)
    above = [GENERATED.replace(": ", ":\n", 1) if across == 1 else GENERATED] if generated else []
    above = textwrap.wrap(" ".join(above), round(0.75 * wide)) if look.narrow else above
    for line in map(visible, leaks):
        above += textwrap.wrap(line, round(0.75 * wide))
    if above:
        figure.suptitle("\n".join(above), fontsize=small + 1, color="#B00000", fontweight="bold")
    return figure


def _records(panels: Sequence[Sequence[Filled]]) -> list[Found]:
    """Return the records of a figure, each once."""
    return list({id(one): one for points in panels for column in points for one in column.records}.values())


def _generated(records: Sequence[Found]) -> bool:
    return any(one.record.data.kind == "phantom" for one in records)


def _explained(look: Look) -> list[str]:
    """Say what bars and hollow points are, where there are any."""
    said = ["bars: 95 % bootstrap interval by patient over the test set"] if look.intervals else []
    return [*said, f"hollow: worse than the best (paired, Holm, p ≤ {ALPHA:g})"] if look.p else said


def remarks(panels: Sequence[Sequence[Filled]]) -> list[str]:
    """Say what the encoders of a figure are, and what is not drawn and why.

    Args:
        panels: see :func:`draw`.
    """
    columns = [column for points in panels for column in points]
    records = _records(panels)
    known = _origins(panels)
    shown = explained(tags(known, generated=_generated(records)).values())
    said = [*_seen(columns), *protocol_lines(records), *defect_lines(records)]
    lines = [sentence(known), *shown, *leak_lines(records), *said, *several_weights(records)]
    for points in panels:
        lines += _undrawn(points, list(known))
    return lines


def _seen(columns: Sequence[Filled]) -> list[str]:
    """Explain the marks of points whose encoder saw the data set in its pre-training."""
    bearers: dict[Sight, dict[str, None]] = {}
    for column in columns:
        for name, value in column.values.items():
            if value.seen:
                bearers.setdefault(value.sight, {})[name] = None
    return [legend_line(saw, names) for saw, names in sorted(bearers.items())]


def _undrawn(points: Sequence[Filled], names: Sequence[str]) -> list[str]:
    """Say which encoders have no point in one task, at which fractions and why."""
    task = next(iter(points[0].values.values())).column.task
    kind = known_kind(points[0].records[0].record.kind)
    if kind is None or not kind.decoder:
        # A pre-trained decoder has no business in other tasks.
        names = [name for name in names if not name.endswith(DECODER)]
    where: dict[tuple[str, str], list[str]] = {}
    for column in points:
        fraction = percent(next(iter(column.values.values())).column.fraction)
        for name in names:
            value = column.values.get(name)
            if value is None or value.missing:
                reason = value.reason if value is not None else "not measured"
                where.setdefault((name, reason), []).append(fraction)
    return [
        f"not drawn: {name} in {task} at {', '.join(fractions)} ({reason})"
        for (name, reason), fractions in where.items()
    ]


def _origins(panels: Sequence[Sequence[Filled]]) -> dict[str, Origin]:
    """Return the encoders of a figure in the order of its legend, with what they are."""
    columns = [column for points in panels for column in points]
    found = origins(one for column in columns for one in column.records)
    # Names of columns may be made visible already, those in records are as they are.
    known = {visible(name): origin for name, origin in found.items()}
    names = dict.fromkeys(name for column in columns for name in column.values)
    return {name: known[visible(name)] for name in names}


def _shortened(lines: Sequence[str]) -> list[str]:
    """Keep what fits below a figure; all of it stands in the terminal."""
    more = f"and {len(lines) - LINES + 1} more remarks, see the table"
    return list(lines) if len(lines) <= LINES else [*lines[: LINES - 1], more]


def _panel(
    axes: Any,
    points: Sequence[Filled],
    names: Sequence[str],
    labels: Mapping[str, str],
    look: Look,
    *,
    several: bool,
) -> None:
    """Draw one task; ``names`` are all encoders of the figure, ``labels`` what the legend calls them."""
    from matplotlib.ticker import FixedLocator, NullLocator

    first = next(iter(points[0].values.values())).column
    fractions = [100 * next(iter(column.values.values())).column.fraction for column in points]
    for n, name in enumerate(names):
        # A little apart, so that the bars of one fraction do not lie on each other.
        shift = 1.0 + 0.035 * (n - (len(names) - 1) / 2)
        shown = [
            (x * shift, column.values[name])
            for x, column in zip(fractions, points, strict=True)
            if name in column.values and not column.values[name].missing
        ]
        if not shown:
            continue
        values = [value for _, value in shown]
        below = [0.0 if math.isnan(v.low) else max(0.0, v.mean - v.low) for v in values]
        above = [0.0 if math.isnan(v.high) else max(0.0, v.high - v.mean) for v in values]
        axes.errorbar(
            [x for x, _ in shown],
            [value.mean for value in values],
            yerr=[below, above] if look.intervals else None,
            label=labels[name],
            color=COLOURS[n % len(COLOURS)],
            marker=MARKERS[n % len(MARKERS)],
            linestyle=DASHES[(n // len(COLOURS)) % len(DASHES)],
            capsize=2.5,
            elinewidth=0.9,
            linewidth=1.2 if look.narrow else 1.6,
            markersize=4 if look.narrow else 5,
            markerfacecolor="white" if not look.p and any(value.seen for value in values) else None,
        )
        for x, value in shown:
            if value.seen:
                axes.annotate(
                    value.seen, (x, value.mean), xytext=(4, 3), textcoords="offset points", fontsize=8
                )
        if look.p:
            hollow = [(x, value.mean) for x, value in shown if value.p <= ALPHA]
            axes.plot(
                [x for x, _ in hollow],
                [y for _, y in hollow],
                linestyle="none",
                marker=MARKERS[n % len(MARKERS)],
                markersize=4 if look.narrow else 5,
                markerfacecolor="white",
                markeredgecolor=COLOURS[n % len(COLOURS)],
                zorder=5,
            )
    low, high = axes.get_ylim()
    for name, value in points[-1].references.items():
        if value.missing:
            continue
        whose = f"{_task(first.task, look)}: " if several else ""
        label = f"{whose}{name}{'' if look.narrow else ' (no encoder)'}: {value.centre}"
        # A trivial predictor far away would press the lines together; the legend still tells its value.
        if low - (high - low) / 2 < value.mean < high + (high - low) / 2:
            axes.axhline(value.mean, color="0.45", linestyle=":", linewidth=1.2, label=label)
        else:
            axes.plot([], [], linestyle="none", label=f"{label}, off the axis")
    axes.set_xscale("log")
    if len(fractions) == 1:
        # Else the little shift between encoders would fill the axis.
        axes.set_xlim(fractions[0] / 2, fractions[0] * 2)
    axes.xaxis.set_major_locator(FixedLocator(fractions))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(fractions, [percent(x / 100) for x in fractions])
    arrow = "" if first.spec.higher_is_better else " (lower is better)"
    metric = metric_title(first) if look.titles else f"{first.metric}{' in %' if first.spec.share else ''}"
    small = SMALL if look.narrow else None
    axes.set_ylabel(f"{metric}{arrow}", fontsize=small)
    axes.tick_params(labelsize=small)
    axes.grid(visible=True, axis="y", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    seeds = sorted({seed for column in points for value in column.values.values() for seed in value.seeds})
    mean = f"mean over {counted(len(seeds), 'seed')}"
    axes.set_title(
        f"{_task(first.task, look)}, protocol {first.protocol}, {mean}", fontsize=small or 8, loc="left"
    )


def _task(name: str, look: Look) -> str:
    return visible(look.tasks.get(name, name)) if look.titles else name


def check_suffix(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Raises:
        InputError: the suffix is none of .png, .svg and .pdf, or the folder does not exist.
    """
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{path.suffix or 'no suffix'}; write one of {', '.join(SUFFIXES)}", file=path, field="--out"
        )
    if not path.parent.is_dir():
        raise InputError("no such folder", file=path.parent, field="--out")


def write(figure: Figure, path: Path) -> None:
    """Write a figure; the same points give the same file.

    Raises:
        InputError: see :func:`check_suffix`.
    """
    import io

    import matplotlib as mpl

    check_suffix(path)
    nothing: dict[str, Any] = {
        ".png": {"Software": None},
        ".svg": {"Date": None},
        ".pdf": {"CreationDate": None},
    }
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "g2d-bench", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=path.suffix[1:], dpi=160, metadata=nothing[path.suffix])
    write_out(path, buffer.getvalue())
