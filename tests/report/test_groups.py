"""Scores per group of patients."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import measure
from g2d_bench.metrics.resample import interval, patient_weights
from g2d_bench.records.selection import Found, select
from g2d_bench.report.groups import group_tables
from g2d_bench.report.model import Table

Arrays = dict[str, NDArray[Any]]
COUNT = 400
MAIN = {("rsna-cls", "clean"): "auroc"}


def arrays_of(shortcut: float, seed: int = 0) -> Arrays:
    """Films whose score follows the truth a little and the view as much as ``shortcut``; the ill lie (AP)."""
    rng = np.random.default_rng(7)
    truth = (rng.random(COUNT) < 0.5).astype(float)
    bedside = rng.random(COUNT) < np.where(truth == 1, 0.85, 0.15)
    own = np.random.default_rng([8, seed])
    score = 0.2 * truth + shortcut * bedside + own.normal(0, 0.3, COUNT)
    return {
        "id": np.array([f"{n:03}" for n in range(COUNT)]),
        "patient": np.array([f"{n // 2:03}" for n in range(COUNT)]),
        "scores": (1 / (1 + np.exp(-score)))[:, None],
        "targets": truth[:, None],
        "label": np.array(["Pneumonia"]),
        "group_view": np.where(bedside, "AP", "PA"),
        "group_sex": np.array(["M", "F", "", "F"] * (COUNT // 4)),
        "group_age": np.array(["10"] * 5 + ["50"] * (COUNT - 5)),
    }


def add(folder: Any, encoder: str, arrays: Arrays, seed: int = 0) -> Path:
    found = folder.add(encoder, task="rsna-cls", fraction=1.0, seed=seed)
    metrics = measure(arrays, ("auroc", "brier"))
    update = {"kind": "classification", "metrics": metrics, "references": {}}
    folder.store.save(found.path, found.record.model_copy(update=update), arrays)
    return Path(found.path)


def table(folder: Any, by: str, **more: Any) -> Table:
    (made,), left = group_tables(select(folder.root), by, ("random", "g2d"), main=MAIN, **more)
    assert not left
    return made


def cells(made: Table, encoder: str) -> dict[str, Any]:
    row = next(row for row in made.rows if row.name == encoder)
    return {column.heads[0]: value for column, value in zip(made.columns, row.values, strict=True)}


def subset(arrays: Arrays, mask: NDArray[np.bool_]) -> Arrays:
    return {name: array if name == "label" else array[mask] for name, array in arrays.items()}


def test_each_group_has_the_metric_of_its_own_images(folder: Any) -> None:
    arrays = arrays_of(0.0)
    add(folder, "g2d", arrays)
    made = table(folder, "view")
    ap = arrays["group_view"] == "AP"
    assert [column.heads for column in made.columns] == [
        ("all", f"n {COUNT}"),
        ("view AP", f"n {ap.sum()}"),
        ("view PA", f"n {(~ap).sum()}"),
        ("worst", "group"),
        ("gap", "best - worst"),
    ]
    found = cells(made, "g2d")
    for name, mask in (("all", ap | ~ap), ("view AP", ap), ("view PA", ~ap)):
        assert found[name].mean == pytest.approx(100 * measure(subset(arrays, mask), ("auroc",))["auroc"])
        assert found[name].low < found[name].mean < found[name].high
    low, high = sorted((found["view AP"].mean, found["view PA"].mean))
    assert found["worst"].mean == low
    assert found["worst"].of in ("AP", "PA")
    assert found["gap"].mean == pytest.approx(high - low)


def test_the_gap_is_drawn_in_pairs(folder: Any) -> None:
    """Its interval is that of the difference on the same drawn patients, computed here draw by draw."""
    arrays = arrays_of(0.0)
    add(folder, "g2d", arrays)
    found = cells(table(folder, "view", metrics=("brier",), count=200), "g2d")
    weights = patient_weights(COUNT // 2, 200)[:, np.arange(COUNT) // 2].astype(float)
    error = (arrays["scores"] - arrays["targets"])[:, 0] ** 2
    ap = arrays["group_view"] == "AP"
    means = [(weights[:, part] * error[part]).sum(1) / weights[:, part].sum(1) for part in (ap, ~ap)]
    sign = 1 if error[ap].mean() > error[~ap].mean() else -1
    low, high = interval(sign * (means[0] - means[1]))
    assert (found["gap"].low, found["gap"].high) == pytest.approx((100 * low, 100 * high), abs=1e-4)
    assert found["gap"].mean > 0
    assert found["worst"].mean == max(found["view AP"].mean, found["view PA"].mean)


def test_a_planted_shortcut_shows(folder: Any) -> None:
    """A model that reads the view beats an honest one on all films, and is no better within either view."""
    add(folder, "g2d", arrays_of(1.0))
    add(folder, "random", arrays_of(0.0))
    made = table(folder, "view")
    cheat, honest = cells(made, "g2d"), cells(made, "random")
    assert cheat["all"].low > honest["all"].high
    for name in ("view AP", "view PA"):
        assert cheat[name].mean == pytest.approx(honest[name].mean, abs=0.1)
        assert cheat[name].high < cheat["all"].low


def test_seeds_are_averaged_and_unknown_groups_counted(folder: Any) -> None:
    for seed in range(3):
        add(folder, "g2d", arrays_of(0.0, seed), seed)
    made = table(folder, "sex")
    found = cells(made, "g2d")
    parts = [measure(arrays_of(0.0, seed), ("auroc",))["auroc"] for seed in range(3)]
    assert found["all"].mean == pytest.approx(100 * np.mean(parts))
    assert found["all"].spread == pytest.approx(100 * np.std(parts, ddof=1))
    assert f"test set: {COUNT} images, of which {COUNT // 4} do not tell the sex" in made.facts
    assert {"sex F", "sex M"} <= found.keys()


def test_a_small_group_is_shown_and_judges_nobody(folder: Any) -> None:
    add(folder, "g2d", arrays_of(0.0))
    made = table(folder, "age")
    found = cells(made, "g2d")
    assert [name for name in found if name.startswith("age")] == ["age under 20", "age 40 to 59"]
    assert found["gap"].missing == "undefined"
    assert "n/a: g2d: gap: fewer than two groups of 20 images have a value with an interval" in made.notes


def test_records_without_groups_ask_their_data(folder: Any) -> None:
    arrays = arrays_of(0.0)
    groups = {name: arrays.pop(name) for name in [*arrays] if name.startswith("group_")}
    add(folder, "g2d", arrays)
    with pytest.raises(
        InputError, match="--by: rsna-cls: neither its predictions nor data at hand tell the v"
    ):
        table(folder, "view")
    asked: list[Found] = []

    def elsewhere(found: Found) -> Arrays:
        asked.append(found)
        return groups

    assert cells(table(folder, "view", elsewhere=elsewhere), "g2d")["view AP"].missing == ""
    assert len(asked) == 1


def test_what_cannot_be_divided_is_said(folder: Any) -> None:
    add(folder, "g2d", arrays_of(0.0))
    folder.add("g2d", task="siim-seg")
    made, left = group_tables(select(folder.root), "sex", main=MAIN)
    assert len(made) == 1
    assert left == ["siim-seg: neither its predictions nor data at hand tell the sex of its test images"]
    with pytest.raises(InputError, match="unknown 'height'"):
        group_tables([], "height")
    with pytest.raises(InputError, match="dice_positive does not follow from its predictions"):
        group_tables(select(folder.root), "sex", metrics=("dice_positive",))
    folder.add("random", task="rsna-cls", fraction=1.0, version="1.1")
    with pytest.raises(InputError, match="different signatures"):
        group_tables(select(folder.root), "sex", main=MAIN)


def test_the_command(folder: Any, cli: Callable[..., Any]) -> None:
    arrays = arrays_of(0.0)
    segmented = folder.add("g2d", task="siim-seg")
    from g2d_bench.records.record import read_predictions

    kept = read_predictions(segmented.path, segmented.record)
    views = np.array(["AP", "PA"] * (len(kept["id"]) // 2))
    folder.store.save(segmented.path, segmented.record, {**kept, "group_view": views})
    del arrays
    for style in ("text", "md", "latex", "csv", "json"):
        result = cli("table", "--by", "view", "--format", style)
        assert result.exit_code == 0, result.output
        assert "view AP" in result.stdout
        assert "AP - PA" in result.stdout or "PA - AP" in result.stdout
    assert "stands alone" in cli("table", "--by", "view", "--summary").stderr


def test_a_row_that_lacks_seeds_has_no_mean(folder: Any) -> None:
    for seed in range(3):
        add(folder, "random", arrays_of(0.0), seed=seed)
    add(folder, "g2d", arrays_of(0.0))
    made = table(folder, "view")
    assert {value.missing for value in cells(made, "g2d").values()} == {"seed missing"}
    assert "n/a: g2d: lacks seed 1, 2" in made.notes
    assert not any(value.missing for value in cells(made, "random").values())


def test_groups_of_unlike_sizes_are_not_compared_by_calibration(folder: Any) -> None:
    arrays = arrays_of(0.0)
    add(folder, "g2d", arrays)
    found = cells(table(folder, "view", metrics=("ece",)), "g2d")
    assert found["gap"].missing == found["worst"].missing == "undefined"
    assert "larger the fewer images" in found["gap"].reason
    assert found["view AP"].missing == ""
    assert math.isnan(found["view AP"].low)


def test_a_group_of_few_patients_has_a_value_and_no_interval(folder: Any) -> None:
    arrays = arrays_of(0.0)
    views = np.array(arrays["group_view"])
    first = np.flatnonzero(views == "AP")
    patients = np.array(arrays["patient"]).astype("U20")
    patients[first] = [f"few{n % 9}" for n in range(len(first))]
    add(folder, "g2d", {**arrays, "patient": patients})
    found = cells(table(folder, "view"), "g2d")
    assert not math.isnan(found["view AP"].mean)
    assert math.isnan(found["view AP"].low)
    assert not math.isnan(found["view PA"].low)
    assert found["gap"].missing == "undefined"


def test_what_gives_no_numbers_says_why(folder: Any) -> None:
    found = folder.add("g2d", task="rsna-cls", fraction=1.0)
    notes = {**found.record.notes, "n/a": "gives no feature maps"}
    record = found.record.model_copy(update={"notes": notes, "predictions": None, "kind": "classification"})
    folder.store.save(found.path, record, None)
    with pytest.raises(InputError, match="rsna-cls: gives no feature maps"):
        group_tables(select(folder.root), "view", main=MAIN)


def test_an_encoder_that_cannot_be_divided_keeps_its_row(folder: Any) -> None:
    add(folder, "g2d", arrays_of(0.0))
    arrays = arrays_of(0.0)
    add(folder, "mgca", {name: array for name, array in arrays.items() if not name.startswith("group_")})
    found = folder.add("random", task="rsna-cls", fraction=1.0)
    told = found.record.model_copy(update={"notes": {"n/a": "gives no vectors"}, "predictions": None})
    folder.store.save(found.path, told.model_copy(update={"kind": "classification"}), None)
    made = table(folder, "view")
    assert [row.name for row in made.rows] == ["random", "g2d", "mgca"]
    why = "neither its predictions nor data at hand tell the view of its test images"
    for name, reason in (("random", "gives no vectors"), ("mgca", why)):
        assert {value.reason for value in cells(made, name).values()} == {reason}
        assert {value.centre for value in cells(made, name).values()} == {"n/a"}
        assert f"n/a: {name}: {reason}" in made.notes
    assert not any(value.missing for value in cells(made, "g2d").values())


def test_an_image_that_is_asked_for_twice_is_one(folder: Any) -> None:
    """Twelve films with two phrases each are too few to be called worst or best."""
    arrays = arrays_of(0.0)
    few = np.where(np.arange(COUNT) < 24, "AP", "PA")
    ids = np.array([f"{n // 2:03}" for n in range(COUNT)])
    add(folder, "g2d", {**arrays, "id": ids, "group_view": few})
    made = table(folder, "view")
    heads = [column.heads for column in made.columns[:3]]
    assert heads == [("all", "n 200"), ("view AP", "n 12"), ("view PA", "n 188")]
    assert "test set: 200 images, of which 0 do not tell the view" in made.facts
    assert cells(made, "g2d")["gap"].missing == "undefined"
