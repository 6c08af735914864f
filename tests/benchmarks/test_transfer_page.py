"""The page of the yardstick, from numbers that are made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn_chest import chest
from film_gap import Film, gap
from film_statistics import statistics
from PIL import Image
from transfer import PAGE, RECORD
from transfer_page import (
    ENCODERS,
    depths,
    differences,
    goals,
    orders,
    page,
    plot,
    readings,
    summary,
    where_it_is_lost,
)


def score(encoder: str, value: float, training: int = 0, **more: Any) -> dict[str, Any]:
    return {"encoder": encoder, "training": training, "fraction": 1.0, "value": value, **more}


def run(gain: float = 0.02, zero: float = 0.55, dice: float = 0.8, told: float = 0.99) -> dict[str, Any]:
    """What one state of the films has measured.

    Args:
        gain: of the methods over random in the linear probe.
        zero: their zero-shot AUROC.
        dice: of the lungs.
        told: AUROC between generated and real.
    """
    methods = ENCODERS[1:]
    linear = [
        score(name, 0.7 + (0 if name == "random" else gain), fraction=fraction)
        for name in ENCODERS
        for fraction in (0.1, 1.0)
    ]
    details: dict[str, Any] = {
        "interval": [zero - 0.05, zero + 0.05],
        "views": {"AP": 0.4, "PA": 0.6},
        "bedside": 0.75,
    }
    sides = {
        side: [Film(*chest(shift=shift), "", statistics(*chest(shift=shift))) for shift in range(start, 9)]
        for side, start in (("generated", 0), ("real", 4))
    }
    apart = [{"encoder": f"random {seed}", "saw": "film", "auroc": told, "sd": 0.01} for seed in (0, 1)]
    order = {"count": 9, "spearman": 0.5, "spearman_interval": [-0.2, 0.9], "kendall": None}
    return {
        "numbers": 1,
        "generator": "0123456789",
        "trainings": 1,
        "seeds": 2,
        "parts": {
            "a": {"linear": linear, "zero-shot": [score(name, zero, **details) for name in methods]},
            "b": {"head": [score(name, dice) for name in ENCODERS], "decoder": [score("g2d", dice)]},
            "c": {"covid-cxr": {**gap(sides["generated"], sides["real"]), "apart": apart}},
            "d": [{"kind": "zero-shot", "encoders": "all", **order, "kendall_interval": None}],
        },
    }


def test_one_table_with_all_states() -> None:
    lines = summary({"before": run(), "now": run(gain=0.1)})
    assert lines[0] == "| measure | films | random | convirt | gloria | mgca | g2d |"
    assert (
        "| pneumonia, linear head, 10 % of the labels | before | 70.0 | 72.0 | 72.0 | 72.0 | 72.0 |" in lines
    )
    assert "| pneumonia, linear head, 10 % of the labels | now | 70.0 | 80.0 | 80.0 | 80.0 | 80.0 |" in lines
    assert "| pneumonia, zero-shot | now | – | 55.0 | 55.0 | 55.0 | 55.0 |" in lines
    assert "| generated told from covid-cxr | now | 99.0 ± 0.0 | – | – | – | – |" in lines


@pytest.mark.parametrize(
    ("better", "reached"),
    [
        ({}, [False, False, False, False]),
        ({"zero": 0.72}, [True, False, False, False]),
        ({"gain": 0.07}, [False, True, False, False]),
        ({"dice": 0.91}, [False, False, True, False]),
        ({"told": 0.9}, [False, False, False, True]),
    ],
)
def test_goals(better: dict[str, float], reached: list[bool]) -> None:
    assert [yes for _, yes in goals(run(**better))] == reached


def test_parts_that_were_not_measured_are_passed_over() -> None:
    bare = {**run(), "parts": {}}
    assert goals(bare) == []
    assert "Not measured yet." in page({"now": bare})


def test_zero_shot_says_what_the_view_does() -> None:
    assert "| mgca 0 | now | 55.0 (50.0 to 60.0) | 40.0 / 60.0 | 75.0 |" in readings({"now": run()})


def test_orders_have_intervals_or_none() -> None:
    assert orders({"now": run()})[-1] == "| zero-shot | all | now | 9 | 0.50 (−0.20 to 0.90) | no order |"


def test_differences_begin_with_the_greatest() -> None:
    rows = differences({"before": run(), "now": run()}, "covid-cxr")[2:]
    told = [float(row.split("|")[-2]) for row in rows[:-1]]
    assert told == sorted(told, reverse=True)
    assert rows[-1].startswith("| grey histogram of all pixels")
    assert all(row.count("|") == rows[0].count("|") for row in rows)


def test_page_and_plot(tmp_path: Path) -> None:
    runs = {"before": run(), "now": run(zero=0.72)}
    text = page(runs)
    assert "| zero-shot at least 70 for three of the four methods and 60 for all | yes |" in text
    assert "### `covid-cxr`: 5 real films, 9 generated ones" in text
    plot(runs, "covid-cxr", tmp_path / "img" / "transfer.png")
    with Image.open(tmp_path / "img" / "transfer.png") as picture:
        assert picture.width > 600
    plot(runs, "nih1k", tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_committed_page_is_made_from_the_committed_record() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(json.loads(RECORD.read_text(encoding="utf-8")))


def test_what_is_read_without_a_lung() -> None:
    def one(encoder: str, stage: int, fraction: float, value: float, training: int = 0) -> dict[str, Any]:
        place = {"encoder": encoder, "stage": stage, "training": training, "seed": 0}
        return {**place, "fraction": fraction, "value": value}

    parts = [one("", 1, share, 0.7) for share in (0.1, 1.0)]
    parts += [one("random", 4, share, value, n) for share in (0.1, 1.0) for n, value in enumerate((0.6, 0.8))]
    made = run()
    made["parts"]["e"] = parts
    assert depths({"now": made})[2:] == [
        "| film at 8 x 8 pixels | now | 70.0 | 70.0 |",
        "| random, stage 5 | now | 70.0 ± 14.1 | 70.0 ± 14.1 |",
    ]
    assert "## What of it is read without a lung" in page({"now": made})
    assert "## What of it is read without a lung" not in page({"now": run()})


def test_films_of_equal_grey_have_a_row_where_they_were_compared() -> None:
    made = run()
    assert not any("equal grey" in line for line in summary({"now": made}))
    for one in made["parts"]["a"]["linear"]:
        one["equal_grey"] = None if one["fraction"] == 1.0 else 0.6
    rows = [line for line in summary({"now": made}) if "equal grey" in line]
    assert rows == [
        "| pneumonia, linear head, 10 % of the labels, films of equal grey | now |"
        + " 60.0 |" * len(ENCODERS)
    ]


def test_it_is_said_at_what_depth_something_is_lost() -> None:
    stages = {"random": (0.70, 0.72, 0.80), "mgca": (0.70, 0.80, 0.75), "g2d": (0.70, 0.78, 0.60)}
    parts = [
        {"encoder": name, "stage": place, "training": 0, "seed": 0, "fraction": 0.1, "value": value}
        for name, values in stages.items()
        for place, value in enumerate(values)
    ]
    made = run()
    assert where_it_is_lost(made) == ""
    made["parts"]["e"] = parts
    assert where_it_is_lost(made) == (
        "With 10 % of the labels the second stage of a pre-trained encoder differs from that of random ones "
        "by +6.0 to +8.0 points. From there to the last stage a pre-trained encoder changes by −18.0 to "
        "−5.0, a random one by +8.0."
    )
    made["parts"]["e"] = parts[:3]
    assert where_it_is_lost(made) == ""


def test_readme_says_how_generated_numbers_go_with_real_ones() -> None:
    """Its correlations, with their intervals and counts, are those of the record."""
    latest = list(json.loads(RECORD.read_text(encoding="utf-8")).values())[-1]
    rows = {(row["kind"], row["encoders"]): row for row in latest["parts"]["d"]}
    linear = "a linear head, 100 % of the labels"
    linear_scores = [one for one in latest["parts"]["a"]["linear"] if one["fraction"] == 1]
    text = " ".join((PAGE.parents[1] / "README.md").read_text(encoding="utf-8").replace("\n> ", " ").split())
    for row in (rows[linear, "all"], rows[linear, "trained"], rows["lungs, linear head", "trained"]):
        low, high = row["spearman_interval"]
        said = f"{row['spearman']:.2f} ({low:.2f} to {high:.2f})".replace("-", "−")
        assert said in text
    assert f"over {rows[linear, 'all']['count']} small encoders" in text
    assert f"over the {rows[linear, 'trained']['count']} trained ones" in text
    means = {
        name: np.mean([one["value"] for one in linear_scores if one["encoder"] == name]) for name in ENCODERS
    }
    assert max(means, key=lambda name: means[name]) == "random"
