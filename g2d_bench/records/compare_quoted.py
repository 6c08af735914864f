"""Measured numbers against quoted ones: real data only, and only where a paper measured the same."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from g2d_bench.errors import InputError
from g2d_bench.metrics.resample import mean_sd
from g2d_bench.plain import counted
from g2d_bench.records.cell import DECODER, percent
from g2d_bench.records.compare import Line, State, Tolerance, agree, limit_of
from g2d_bench.records.quoted import Quoted
from g2d_bench.records.selection import Found

HALF_DIGIT = 0.5
"""A printed number stands for all that round to it."""


def compare_reported(
    measured: Iterable[Found], quoted: Iterable[Quoted], tolerance: Tolerance, where: Path | str
) -> list[Line]:
    """Compare means over seeds with comparable quoted numbers.

    Args:
        measured: records; those on generated data are left out.
        quoted: cells of papers.
        tolerance: with ``seeds``: two standard deviations over our seeds, or the printed one if larger, plus
            half of the last printed digit.
        where: the results folder, for complaints.

    Returns:
        One line per quoted number that was also measured.

    Raises:
        InputError: all records are of generated data, or none has a comparable quoted number.
    """
    everything = list(measured)
    real = [found for found in everything if found.record.data.kind == "real"]
    if not real:
        raise InputError(
            f"all {len(everything)} records were measured on GENERATED DATA, which is never compared with "
            "quoted numbers; run on real data (--data-root) first",
            file=where,
        )
    columns: dict[tuple[str, str, float, str], list[Found]] = defaultdict(list)
    for found in real:
        cell = found.cell
        if cell.shots:
            continue  # Papers' shots are not drawn as ours.
        columns[cell.task, cell.encoder, cell.fraction, cell.protocol].append(found)
    lines: list[Line] = []
    for printed in quoted:
        if printed.comparable != "yes" or not printed.encoder:
            continue
        metric = printed.convention + (f"/{printed.label}" if printed.label else "")
        for (task, encoder, fraction, protocol), seeds in sorted(columns.items()):
            if (task, encoder) != (printed.task, _variant(printed)) or not same_tuning(printed, protocol):
                continue
            if printed.fraction not in ("zero", str(fraction)):
                continue
            values = [found.record.metrics[metric] for found in seeds if metric in found.record.metrics]
            if values:
                name = f"{task} · {encoder} · {percent(fraction)} · {protocol}"
                name += f" · {printed.paper}, {printed.table}"
                lines.append(_line(name, metric, printed, values, tolerance))
    if not lines:
        raise InputError(
            f"none of the {len(real)} records on real data has a comparable quoted number (same task, "
            "encoder, fraction, tuning and metric convention)",
            file=where,
        )
    return lines


def _line(
    name: str, metric: str, printed: Quoted, values: Sequence[float | None], tolerance: Tolerance
) -> Line:
    known = [value for value in values if value is not None]
    mean, spread = mean_sd(known) if len(known) == len(values) else (None, 0.0)
    spread, deviation = (0.0 if math.isnan(one) else one for one in (spread, printed.deviation))
    decimals = len(printed.value.partition(".")[2])
    digit = HALF_DIGIT * 10.0**-decimals / (100.0 if printed.unit == "percent" else 1.0)
    limit = limit_of(tolerance, metric, printed.number, max(spread, deviation), digit)
    state: State = "same" if agree(printed.number, mean, limit) else "moved"
    seeds = f"(mean over {counted(len(values), 'seed')}; quoted: {printed.protocol})"
    return Line(name, metric, state, printed.number, mean, limit, seeds)


def _variant(printed: Quoted) -> str:
    """Name the encoder as our cells do; a row with the pre-trained decoder says so in its name."""
    return printed.encoder + (DECODER if "encoder-decoder" in printed.method else "")


def same_tuning(printed: Quoted, protocol: str) -> bool:
    """Say whether the encoder was frozen on both sides, or tuned on both; zero-shot trains nothing."""
    if printed.fraction == "zero":
        return True
    return ("fine-tuned" in printed.protocol) == ("finetune" in protocol)
