"""Pages show what the committed records say, in their tables and in the words around them."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from math import comb, sqrt
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
from click.testing import CliRunner

from g2d_bench.cells.settings import Settings
from g2d_bench.cli.main import main
from g2d_bench.cli.records import main_metrics, row_order
from g2d_bench.metrics.retrieval import Places
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import select
from g2d_bench.report.formats.embed import BEGIN, embedded
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import GENERATED
from g2d_bench.report.table import summary

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
COMMITTED = ROOT / "results" / "phantom"
COMMANDS = {
    page: shlex.split(line)
    for line, page in re.findall(
        r"g2d-bench (table .*--into docs/(\S+))", (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    )
}
"""Page to the command of `make results` that makes its table."""

pytestmark = pytest.mark.skipif(not COMMITTED.is_dir(), reason="`make reference` makes the records")


def cells(text: str) -> list[list[str]]:
    """Return the table's cells without bold type, which takes bootstrap draws."""
    grid = [line for line in text.replace("**", "").splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in grid]


def without_draws(there: list[list[str]], made: list[list[str]]) -> list[list[str]]:
    """Drop ± where it was made without: with one seed it takes draws."""
    return [
        [one if "±" in other else re.sub(r" ± [0-9.]+", "", one) for one, other in zip(a, b, strict=True)]
        for a, b in zip(there, made, strict=True)
    ]


def test_page_is_in_step_with_the_records() -> None:
    found = select(COMMITTED)
    main = main_metrics(found, Settings())
    made = render(summary(found, row_order(found), main=main, evidence=Evidence(0)), "md")
    there = embedded(DOCS / "results.md")
    shown, expected = cells(there), cells(made)
    assert [line[1] for line in shown] == [line[1] for line in expected], "run `make results`"
    assert without_draws(shown, expected) == expected, "run `make results`"
    assert len(shown) > 20
    assert re.sub(r"[\\]", "", there).count(GENERATED) == made.count("protocol")
    for signature in {found.record.signature for found in found}:
        assert signature in re.sub(r"[\\]", "", there)
    assert (DOCS / "img" / "curves-siim-seg.png").is_file()


def test_every_table_of_records_is_made() -> None:
    marked = {page for page in DOCS.glob("*.md") if BEGIN in page.read_text("utf-8").splitlines()}
    assert {page.name for page in marked if embedded(page)} == set(COMMANDS)


@pytest.mark.parametrize("page", sorted(COMMANDS.keys() - {"results.md"}))
def test_a_table_is_in_step_with_the_records(page: str, own_cache: Path, tmp_path: Path) -> None:
    copy = tmp_path / page
    copy.write_bytes((DOCS / page).read_bytes())
    other = {"results/phantom": str(COMMITTED), f"docs/{page}": str(copy)}
    result = CliRunner().invoke(main, [other.get(word, word) for word in COMMANDS[page]])
    assert result.exit_code == 0, result.output
    assert copy.read_text("utf-8") == (DOCS / page).read_text("utf-8"), "run `make results`"


def prose(page: str) -> str:
    """Return a page without breaks of lines."""
    return " ".join((DOCS / page).read_text("utf-8").split())


Numbers = dict[str, dict[str, list[float]]]


def numbers(page: str, task: str) -> Numbers:
    """Return row and column of a page's table to the numbers there: value, deviation, interval."""
    text = re.sub(r"[\\*]", "", embedded(DOCS / page))
    [grid] = re.findall(rf"^{task} ·.*?\n\n(\|.*?)\n\n", text, re.M | re.S)
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in grid.splitlines()]
    return {
        name: {column: [float(one) for one in re.findall(r"[\d.]+", cell)] for column, cell in shown}
        for name, *cells in rows
        if (shown := list(zip(head[1:], cells, strict=True)))
    }


def column(rows: Numbers, name: str) -> dict[str, float]:
    """Return the values of a column, those of trivial predictors and missing ones left out."""
    return {row: cells[name][0] for row, cells in rows.items() if len(cells[name]) > 1}


def widths(rows: Numbers, name: str) -> list[float]:
    return [cells[name][-1] - cells[name][-2] for cells in rows.values() if len(cells[name]) > 1]


def test_what_is_said_of_conventions() -> None:
    dense, asked = (numbers("conventions.md", task) for task in ("siim-seg", "siim-zeroshot"))
    dice, auroc = column(dense, "dice_positive"), column(asked, "auroc")
    assert max(column(dense, "dice_legacy").values()) < dense["all-empty"]["dice_legacy"][0]
    assert dense["all-empty"]["dice_legacy"][0] == pytest.approx(75, abs=5), "three of four images"
    both = {
        name: {
            row: (column(asked, f"{name}_validation")[row], column(asked, f"{name}_legacy")[row])
            for row in auroc
        }
        for name in ("f1", "accuracy")
    }
    f1, accuracy = (
        {row: tested - chosen for row, (chosen, tested) in both[name].items()} for name in ("f1", "accuracy")
    )
    assert max(f1, key=lambda row: f1[row]) == max(auroc, key=lambda row: auroc[row])
    one, other = both["accuracy"]["g2d"], both["accuracy"]["convirt"]
    assert one[0] > other[0]
    assert one[1] < other[1]
    text = prose("conventions.md")
    for words in (
        f"differ by up to {max(dice.values()) - min(dice.values()):.0f} points",
        f"only gains by it, {min(f1.values()):.0f} to {max(f1.values()):.0f} points here",
        f"may gain or lose (−{-min(accuracy.values()):.0f} to +{max(accuracy.values()):.0f} points)",
        f"{min(widths(dense, 'dice_positive')):.0f} to {max(widths(dense, 'dice_positive')):.0f} points in",
        f"{min(widths(asked, 'auroc')):.0f} to {max(widths(asked, 'auroc')):.0f} in `auroc`",
    ):
        assert words in text


def test_what_is_said_of_retrieval() -> None:
    rows = numbers("retrieval.md", "openi-retrieval")
    chance, common = rows["random-order"], rows["most-common"]
    there, back = column(rows, "i2t_median"), column(rows, "t2i_median")
    assert max(there.values()) < chance["i2t_median"][0]
    assert max(back.values()) < chance["t2i_median"][0]
    first = column(rows, "i2t_r10")
    assert chance["i2t_r10"][0] < min(first.values()) <= max(first.values()) < common["i2t_r10"][0]
    places = {
        name: (cells["t2i_r10"][-2] > chance["t2i_r10"][0]) - (cells["t2i_r10"][-1] < chance["t2i_r10"][0])
        for name, cells in rows.items()
        if len(cells["t2i_r10"]) > 1
    }
    assert places == {"mgca": 1, "gloria": 0, "convirt": -1, "g2d": -1}
    rest, told, sizes = {}, {}, np.zeros(0, int)
    for found in select(COMMITTED):
        if found.cell.task != "openi-retrieval" or found.record.predictions is None:
            continue
        assert found.path is not None
        with np.load(found.path.with_name(found.record.predictions.file)) as arrays:
            _, groups, sizes = np.unique(arrays["report"], return_inverse=True, return_counts=True)
            shared = groups == sizes.argmax()
            stands = {way: Places.read(way, arrays) for way in ("i2t", "t2i")}
            hits = {way: one.within(10) for way, one in stands.items()}
            assert set(np.concatenate([*hits.values()]).tolist()) == {0.0, 1.0}, "no tie decides"
            rest[found.cell.encoder] = 100 * hits["t2i"][~shared].mean()
            told[found.cell.encoder] = (
                int(hits["i2t"].sum()),
                int(hits["i2t"][shared].sum()),
                int(hits["t2i"][shared].sum()),
            )
            if found.cell.encoder == "mgca":
                assert set(stands["t2i"].above[shared]) == {3}
    images, most = int(sizes.sum()), int(sizes.max())
    luck = {size: 1 - comb(images - size, 10) / comb(images, 10) for size in set(sizes.tolist())}
    assert luck[most] == pytest.approx(0.5, abs=0.01), "every second time"
    assert {name: hits[2] for name, hits in told.items()} == {
        "convirt": 0,
        "gloria": 0,
        "mgca": most,
        "g2d": 0,
    }
    by_luck = 100 * sum(size * luck[size] for size in sizes.tolist() if size != most) / (images - most)
    text = prose("retrieval.md")
    for words in (
        f"stands at {min(there.values()):.0f} to {max(there.values()):.0f} of {len(sizes):,}, in random "
        f"order at {chance['i2t_median'][0]:.0f}",
        f"Of convirt's {told['convirt'][0]} hits, {told['convirt'][1]} are",
        f"{most} images share it",
        f"({100 * most / images:.1f} points)",
        f"gloria finds {rest['gloria']:.1f} %, convirt {rest['convirt']:.1f}, mgca {rest['mgca']:.1f}, "
        f"g2d {rest['g2d']:.1f} and the random order {by_luck:.1f}",
    ):
        assert words in text


def test_what_is_said_of_a_trained_cell() -> None:
    """`make regress` repeats it; its tolerance is pooled over the encoders of the column."""
    dice: dict[str, list[float]] = defaultdict(list)
    for found in select(COMMITTED):
        cell = found.cell
        if (cell.task, cell.protocol, cell.fraction) == ("rsna-seg", "clean", 0.1):
            dice[cell.encoder].append(100 * (found.record.metrics["dice_positive"] or 0))
            if (cell.encoder, cell.seed) == ("g2d", 0):
                assert f"(G2D on RSNA at 10 %, Dice {dice['g2d'][-1]:.1f})" in prose("ci-regression.md")
    allowed = 4 * sqrt(fmean(stdev(values) ** 2 for values in dice.values()))
    assert f"over seeds ({allowed:.1f} points)" in prose("ci-regression.md")


def test_signatures_that_are_shown_are_those_of_records() -> None:
    known = {found.record.signature for found in select(COMMITTED)}
    texts = [page.read_text("utf-8").replace("\\", "") for page in (*DOCS.glob("*.md"), ROOT / "README.md")]
    shown = {one for text in texts for one in re.findall(r"[\w-]+@[\d.]+#\w+\|phantom:[^\s\"`]+", text)}
    assert len(shown) > 20
    assert shown <= known
