"""Draws made ahead by worker processes are those that a table would make, and hide nothing from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cells import ahead
from g2d_bench.errors import InputError
from g2d_bench.records import evidence, parts
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found, select
from g2d_bench.report.table import paper_metrics, paper_table


def drawn(found: Sequence[Found]) -> list[Any]:
    source = Evidence()
    return [source.mean([one], metric) for one in found for metric in one.record.metrics]


def add_grouped(folder: Any, encoder: str) -> None:
    """Add a record that tells sex and view of its test images."""
    one = folder.add(encoder)
    kept = read_predictions(one.path, one.record)
    half = len(kept["id"]) // 2
    groups = {"group_view": np.array(["AP", "PA"] * half), "group_sex": np.array(["M"] * half + ["F"] * half)}
    folder.store.save(one.path, one.record, {**kept, **groups})


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few records are enough, whatever the machine."""
    monkeypatch.setattr(ahead, "FEW", 1)
    monkeypatch.setattr(ahead, "cores", lambda: 2)


@pytest.mark.usefixtures("processes")
def test_the_table_finds_them(folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, seeds=2)
    found = select(folder.root)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "other"))
    expected = drawn(found)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    ahead.draw_ahead(ahead.undrawn(found))
    assert len(list((tmp_path / "cache" / "draws").iterdir())) == 4

    def never(*_: Any) -> None:
        pytest.fail("is in the cache")

    monkeypatch.setattr(evidence, "draw", never)
    for one, other in zip(drawn(found), expected, strict=True):
        np.testing.assert_array_equal(one.draws, other.draws)
        assert one.sample == other.sample
    # And there is nothing to do the next time.
    monkeypatch.setattr(ahead, "worker_pool", never)
    ahead.draw_ahead(ahead.undrawn(found))


@pytest.mark.usefixtures("processes")
def test_what_is_wrong_with_a_record_is_left_to_the_table(
    folder: Any, edit: Callable[..., None], tmp_path: Path
) -> None:
    for encoder in ("random", "mgca", "g2d"):
        path = folder.add(encoder).path
    edit(path, lambda raw: raw["metrics"].update(dice_positive=0.9))
    found = select(folder.root)
    ahead.draw_ahead(ahead.undrawn(found))
    assert len(list((tmp_path / "cache" / "draws").iterdir())) == 2
    with pytest.raises(InputError, match=r"metrics\.dice_positive"):
        drawn(found)


@pytest.mark.usefixtures("processes")
def test_groups_of_patients_are_drawn_ahead(
    folder: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both commands that show them find all draws, made by workers, and start none the next time."""
    for encoder in ("random", "mgca", "g2d"):
        add_grouped(folder, encoder)
    ours = [("table", "--by", "view"), ("leaderboard", "--no-pictures", "--out", "site")]
    asked: list[ahead.Lacking] = []
    draw_ahead = ahead.draw_ahead

    def watched(work: Sequence[ahead.Lacking]) -> None:
        asked.extend(work)
        draw_ahead(work)

    monkeypatch.setattr(ahead, "draw_ahead", watched)
    monkeypatch.setattr(parts, "general_replicates", lambda *_: pytest.fail("is in the cache"))
    result = cli(*ours[0])
    assert result.exit_code == 0, result.output
    assert [one.pairs for one in asked] == [(("view", "dice_positive"),)] * 3
    assert all(one.metrics == () for one in asked)
    asked.clear()
    result = cli(*ours[1])
    assert result.exit_code == 0, result.output
    assert [one.pairs for one in asked] == [(("sex", "dice_positive"),)] * 3
    assert all(one.metrics for one in asked)
    monkeypatch.setattr(ahead, "worker_pool", lambda *_: pytest.fail("all is drawn"))
    asked.clear()
    assert [cli(*command).exit_code for command in (ours[0], (*ours[1], "--out", "site2"))] == [0, 0]
    assert not asked


def test_few_records_start_no_process(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.grid({"random": 0.4}, seeds=3)

    def never(*_: Any) -> None:
        pytest.fail("too few")

    monkeypatch.setattr(ahead, "worker_pool", never)
    ahead.draw_ahead(ahead.undrawn(select(folder.root)))


def test_where_all_is_drawn_tables_are_made_once(folder: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, seeds=2)
    found, made = select(folder.root), list[bool]()

    def make(source: Evidence) -> list[Any]:
        made.append(source.draws)
        return [source.mean([one], metric) for one in found for metric in one.record.metrics]

    ahead.drawn_ahead(make, found)
    assert made == [False, True]
    ahead.drawn_ahead(make, found)
    assert made == [False, True, True]


@pytest.mark.usefixtures("processes")
def test_metrics_that_records_do_not_state_are_drawn_ahead(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, seeds=2)
    names = ["dice_pooled"]
    found = select(folder.root)
    assert not any(set(names) & set(one.record.metrics) for one in found)
    ahead.draw_ahead(ahead.undrawn(found, lambda _: names))
    monkeypatch.setattr(evidence, "draw", lambda *_: pytest.fail("is in the cache"))
    source = Evidence(more=names)
    assert all(source.mean([one], names[0]) is not None for one in found)


@pytest.mark.usefixtures("processes")
def test_a_papers_table_finds_what_it_shows_and_nothing_else_is_drawn(
    folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 0.1), seeds=1)
    folder.grid({"random": 0.4, "g2d": 0.6}, seeds=1, protocol="clean-finetune")
    found = select(folder.root)
    work = ahead.undrawn(found, lambda record: paper_metrics("g2d-table1", record))
    assert {one.metrics for one in work} == {("dice_positive",)}
    assert len(work) == 4
    ahead.draw_ahead(work)
    monkeypatch.setattr(evidence, "draw", lambda *_: pytest.fail("is in the cache"))
    table = paper_table("g2d-table1", found)
    assert all(row.values[0].limits for row in table.rows if row.sort == "measured")


@pytest.mark.parametrize(
    "command",
    [
        ("table",),
        ("table", "--summary"),
        ("table", "--paper", "g2d-table1"),
        ("leaderboard", "--out", "site"),
    ],
)
def test_nothing_is_drawn_for_what_is_refused(
    folder: Any, cli: Callable[..., Any], command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add("g2d")
    folder.add("random", version="1.1")

    def never(*_: Any) -> None:
        pytest.fail("refused first")

    monkeypatch.setattr(ahead, "draw_ahead", never)
    result = cli(*command)
    assert result.exit_code == 2
    assert "--allow-mixed" in result.stderr
