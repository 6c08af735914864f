"""A planted drift is found, a repeat passes, and nothing is compared that must not be."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean, stdev
from typing import Any
from xml.etree import ElementTree

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell
from g2d_bench.records.compare import Line, Tolerance, compare, render
from g2d_bench.records.selection import Found, by_cell, select

SEEDS = Tolerance("seeds")


def lines(reference: Any, measured: Any, tolerance: Tolerance = SEEDS) -> list[Line]:
    return compare(by_cell(select(reference.root)), by_cell(select(measured.root)), tolerance)


def test_a_repeat_passes(folder: Any, other: Any) -> None:
    for one in (folder, other):
        one.grid({"random": 0.4, "g2d": 0.6}, (0.01, 0.1))
    made = lines(folder, other)
    assert {line.state for line in made} == {"same"}
    assert render(made) == "48 numbers compared, none moved"


def test_a_drift_of_two_points_is_found_and_explained(folder: Any, other: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, step=0.002)
    other.grid({"random": 0.4, "g2d": 0.6}, step=0.002)
    old = folder.add("mgca", 0.5)
    other.add(
        "mgca",
        0.48,
        versions={"g2d-bench": "0.2.0", "torch": "2.15.0"},
        commit="fedcba987654",
        weights="1" * 64,
    )
    bad = [line for line in lines(folder, other) if line.state != "same"]
    assert {line.metric for line in bad} >= {"dice_positive"}
    line = next(line for line in bad if line.metric == "dice_positive")
    assert line.before == old.record.metrics["dice_positive"]
    assert line.moved_by == pytest.approx(-2.0, abs=0.3)
    assert "siim-seg · mgca · 1 % · seed 0 · clean: dice_positive" in str(line)
    assert "since commit 0123456789ab -> fedcba987654, weights ffffffff -> 11111111" in str(line)
    assert "g2d-bench 0.1.0 -> 0.2.0" in str(line)


def test_tolerance_from_seeds_is_twice_the_pooled_deviation(folder: Any, other: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6})
    other.grid({"random": 0.4, "g2d": 0.6})
    found = select(folder.root)
    squares = []
    for encoder in ("random", "g2d"):
        values = [f.record.metrics["dice_positive"] for f in found if f.record.cell.encoder == encoder]
        squares.append(stdev([value for value in values if value is not None]) ** 2)
    made = [line for line in lines(folder, other) if line.metric == "dice_positive"]
    assert [line.tolerance for line in made] == pytest.approx([2 * math.sqrt(fmean(squares))] * 6)


def test_more_deviations_on_demand(folder: Any, other: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6})
    other.grid({"random": 0.4, "g2d": 0.6})
    two, four = (lines(folder, other, Tolerance.parse(text)) for text in ("seeds", "4sd"))
    assert [line.tolerance for line in four] == pytest.approx(
        [max(0.001, 2 * line.tolerance) for line in two]
    )
    assert min(line.tolerance for line in two) > 0.001


def test_a_collapse_is_no_scatter_of_seeds(folder: Any, other: Any) -> None:
    """Seeds that differ by as much as the number is large allow for anything but the trivial predictor."""
    for seed, quality in enumerate((0.01, 0.4, 0.8)):
        folder.add("g2d", quality, seed=seed)
    cell = other.add("g2d", 0.1, seed=1).cell

    def of_main(measured: Any) -> Line:
        made = compare(by_cell(select(folder.root)), measured, SEEDS, [cell])
        return next(line for line in made if line.metric == "dice_positive")

    measured = by_cell(select(other.root))
    assert of_main(measured).state == "same"
    (found,) = measured.values()
    nothing = {**found.record.metrics, "dice_positive": 0.0}
    fallen = {cell: Found(found.record.model_copy(update={"metrics": nothing}), found.path)}
    assert of_main(fallen).state == "moved"
    assert "no better than all-empty" in str(of_main(fallen))


def test_one_seed_leaves_the_floor(folder: Any, other: Any) -> None:
    folder.add("g2d", 0.6)
    other.add("g2d", 0.6)
    assert {line.tolerance for line in lines(folder, other)} == {0.001}


@pytest.mark.parametrize(("text", "moved"), [("2.5", False), ("1.0", True), ("5%", False), ("1%", True)])
def test_absolute_and_relative_tolerance(folder: Any, other: Any, text: str, moved: bool) -> None:
    folder.add("g2d", 0.6, noise=3)
    other.add("g2d", 0.58, noise=3)
    made = next(
        line for line in lines(folder, other, Tolerance.parse(text)) if line.metric == "dice_positive"
    )
    assert (made.state == "moved") is moved


@pytest.mark.parametrize("text", ["", "abc", "-1", "1e3", "1%%", "nan", "inf", "seed", "sd", "4 sds", "٣"])
def test_a_tolerance_that_is_no_number(text: str) -> None:
    with pytest.raises(InputError, match="--tolerance"):
        Tolerance.parse(text)


def test_an_undefined_number_agrees_with_nothing_else(folder: Any, other: Any) -> None:
    record = folder.add("g2d").record
    undefined = record.model_copy(update={"metrics": record.metrics | {"dice_positive": None}})
    cell = Found(record).cell
    for old, new, state in (
        (record, undefined, "moved"),
        (undefined, record, "moved"),
        (undefined, undefined, "same"),
    ):
        made = compare({cell: Found(old)}, {cell: Found(new)}, SEEDS)
        assert next(line for line in made if line.metric == "dice_positive").state == state
    assert "n/a" in str(
        next(line for line in compare({cell: Found(record)}, {cell: Found(undefined)}, SEEDS))
    )


def test_missing_cells_are_one_line_each(folder: Any, other: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, seeds=1)
    other.add("random", 0.39)
    made = lines(folder, other)
    assert [line.where for line in made if line.state == "missing"] == [
        "siim-seg · g2d · 1 % · seed 0 · clean"
    ]
    assert "4 numbers compared: " in render(made)
    assert "1 cell not measured" in render(made)
    lost = {Cell("siim-seg", 0.01, "clean", 0, "g2d"): "no memory"}
    told = compare(by_cell(select(folder.root)), by_cell(select(other.root)), SEEDS, failed=lost)
    assert "4 numbers compared: " in render(told)
    assert "1 cell failed" in render(told)
    said = "::error title=cell failed::siim-seg · g2d · 1 %25 · seed 0 · clean: failed: no memory"
    assert said in render(told, "github").splitlines()


def test_other_signatures_are_said_and_not_compared(folder: Any, other: Any) -> None:
    folder.add("g2d")
    other.add("g2d", version="1.1")
    (line,) = lines(folder, other)
    assert line.state == "signature"
    assert "not comparable, signatures differ: siim-seg@1.0#aaaa -> siim-seg@1.1#aaaa" in str(line)
    assert "(the task: its card has changed)" in str(line)
    assert render([line]).endswith("0 numbers compared: 1 cell with another signature")


OTHERWISE = {
    "the task": (("siim-seg@1.0#aaaa", "siim-seg@1.0#bbbb"), "card has changed"),
    "generated data": (
        ("phantom:siim#11111111", "phantom:siim#22222222"),
        "another version of the generator",
    ),
    "real data": (("real:siim#11111111", "real:siim#22222222"), "another release"),
    "generated and real data": (("phantom:siim#11111111", "real:siim#22222222"), "real ones on the other"),
    "the split": (("split:clean#11111111", "split:clean#22222222"), "divided in another way"),
    "the protocol": (("clean@1.0#aaaa", "clean@1.1#aaaa"), "setting has changed"),
    "the numbers": (("n1", "n2"), "see the changelog"),
}


@pytest.mark.parametrize("name", OTHERWISE)
def test_one_line_says_which_part_differs_and_why(folder: Any, other: Any, name: str) -> None:
    (old, new), why = OTHERWISE[name]
    parts = ["siim-seg@1.0#aaaa", "phantom:siim#11111111", "split:clean#11111111", "clean@1.0#aaaa", "n1"]
    place = ["the task", "data", "the split", "the protocol", "the numbers"].index(
        "data" if name.endswith("data") else name
    )
    records: list[dict[Cell, Found]] = []
    for store, part in ((folder, old), (other, new)):
        found = [store.add(encoder).record for encoder in ("g2d", "mgca")]
        signature = "|".join([*parts[:place], part, *parts[place + 1 :]])
        records.append({Found(r).cell: Found(r.model_copy(update={"signature": signature})) for r in found})
    made = compare(records[0], records[1], SEEDS)
    assert {line.state for line in made} == {"signature"}
    first, last = render(made).splitlines()
    assert f"{old} -> {new} (" in first
    assert why in first
    assert "and 1 more: not comparable" in first
    assert last == "0 numbers compared: 2 cells with another signature"


def test_github_annotations_are_escaped(folder: Any, other: Any) -> None:
    folder.add("g2d", 0.6)
    other.add("g2d", 0.5)
    text = render(lines(folder, other), "github")
    first = text.splitlines()[0]
    assert first.startswith("::error title=number moved::siim-seg · g2d · 1 %25 · seed 0")
    assert text.splitlines()[-1].startswith("4 numbers compared: ")


def test_junit_is_xml_whatever_the_names(folder: Any, other: Any) -> None:
    name = 'a_b & <script> \x01 "q"'
    folder.add(name, 0.6)
    other.add(name, 0.5)
    suite = ElementTree.fromstring(render(lines(folder, other), "junit"))
    assert suite.get("tests") == "4"
    assert int(suite.get("failures", "0")) == len(suite.findall("testcase/failure"))
    assert int(suite.get("failures", "0")) >= 1
    assert "a_b & <script>" in str(suite[0].get("classname"))


def test_an_edited_copy_of_a_record_is_a_second_record(folder: Any, edit: Callable[..., None]) -> None:
    path = folder.add("g2d").path
    copy = path.with_name("copy.json")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="two records for one cell"):
        by_cell(select(folder.root))
