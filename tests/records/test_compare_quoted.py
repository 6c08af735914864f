"""Records against quoted numbers."""

from __future__ import annotations

from statistics import fmean, stdev
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.compare import Tolerance
from g2d_bench.records.compare_quoted import compare_reported
from g2d_bench.records.quoted import Quoted, load_reported
from g2d_bench.records.selection import Found, select

SEEDS = Tolerance("seeds")


def quoted(**changes: str) -> Quoted:
    fields = {
        **{"paper": "P, 2024", "table": "Table 1", "task": "siim-seg", "published": "x", "label": ""},
        **{"metric": "Dice", "convention": "dice_positive", "fraction": "0.01", "encoder": "g2d.r50"},
        **{"method": "G2D", "value": "60.0", "spread": "", "unit": "percent", "protocol": "frozen encoder"},
        **{"comparable": "yes", "remark": "", "flag": "", "source": "s"},
    }
    return Quoted(**(fields | changes))


@pytest.fixture
def real(folder: Any) -> list[Found]:
    for seed in range(3):
        folder.add("g2d.r50", 0.6 + 0.01 * seed, seed=seed, data_kind="real")
    return select(folder.root)


def test_quoted_numbers_meet_means_over_seeds(real: list[Found]) -> None:
    (line,) = compare_reported(real, [quoted()], SEEDS, "runs")
    values = [100 * (found.record.metrics["dice_positive"] or 0) for found in real]
    assert 100 * (line.after or 0) == pytest.approx(fmean(values))
    assert 100 * line.tolerance == pytest.approx(2 * stdev(values) + 0.05)
    assert line.where == "siim-seg · g2d.r50 · 1 % · clean · P, 2024, Table 1"
    (line,) = compare_reported(real, [quoted(value="10")], SEEDS, "runs")
    assert line.state == "moved"
    assert "mean over 3 seeds; quoted: frozen encoder" in str(line)


def test_a_printed_spread_widens_the_tolerance(real: list[Found]) -> None:
    (line,) = compare_reported(real, [quoted(spread="4.0")], SEEDS, "runs")
    assert 100 * line.tolerance == pytest.approx(8.05)


@pytest.mark.parametrize(
    "changes",
    [
        {"comparable": "no"},
        {"encoder": ""},
        {"encoder": "mgca.r50"},
        {"fraction": "0.1"},
        {"task": "rsna-seg"},
        {"convention": "dice_pooled"},
        {"protocol": "fine-tuned; split of KAD"},
        {"method": "G2D (encoder-decoder)"},
        {"label": "Edema"},
    ],
)
def test_what_was_not_measured_alike_is_not_compared(real: list[Found], changes: dict[str, str]) -> None:
    with pytest.raises(InputError, match="none of the 3 records on real data"):
        compare_reported(real, [quoted(**changes)], SEEDS, "runs")


def test_generated_data_never_meet_quoted_numbers(folder: Any) -> None:
    folder.add("g2d.r50")
    with pytest.raises(InputError, match="all 1 records were measured on GENERATED DATA"):
        compare_reported(select(folder.root), load_reported(), SEEDS, "runs")


def test_zero_shot_meets_any_fraction_and_tuning(real: list[Found]) -> None:
    assert compare_reported(real, [quoted(fraction="zero", protocol="zero-shot")], SEEDS, "runs")
