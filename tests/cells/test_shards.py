"""Shares of a plan: whole units, all of them, about equally long, the same on every machine."""

from __future__ import annotations

import pytest

from g2d_bench.cells.shards import Shard, parse_shard, shared_out
from g2d_bench.cells.sharing import Unit
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell


def unit(encoder: str, seeds: int) -> Unit:
    return tuple(Cell("rsna-cls", 1.0, "clean", seed, encoder) for seed in range(seeds))


UNITS = [unit("a", 1), unit("b", 6), unit("c", 2), unit("d", 3), unit("e", 2), unit("f", 1)]


def test_a_shard_is_read() -> None:
    assert parse_shard("2/8", {}) == Shard(2, 8)
    assert str(Shard(2, 8)) == "2/8"


@pytest.mark.parametrize("text", ["0/8", "9/8", "2", "2/0", "-1/8", "2/8/9", "x/y", ""])
def test_a_wrong_shard_is_one_line(text: str) -> None:
    with pytest.raises(InputError, match="--shard"):
        parse_shard(text, {})


def slurm(task: int, count: int, first: int = 0, step: int = 1) -> dict[str, str]:
    names = {"ID": task, "COUNT": count, "MIN": first, "STEP": step}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in names.items()}


@pytest.mark.parametrize(
    ("said", "shard"),
    [
        (slurm(0, 8), Shard(1, 8)),
        (slurm(8, 8, first=1), Shard(8, 8)),
        (slurm(12, 8, step=2), Shard(7, 8)),
        ({"SKYPILOT_NODE_RANK": "3", "SKYPILOT_NUM_NODES": "4"}, Shard(4, 4)),
    ],
)
def test_a_scheduler_says_which(said: dict[str, str], shard: Shard) -> None:
    assert parse_shard("auto", said) == shard


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, "no scheduler"),
        (slurm(7, 2, first=3), "gaps"),
        ({"SLURM_ARRAY_TASK_ID": "3"}, "SLURM_ARRAY_TASK_COUNT is not set"),
        (slurm(0, 8) | {"SLURM_ARRAY_TASK_COUNT": "many"}, "'many', no number"),
    ],
)
def test_a_scheduler_that_says_too_little(said: dict[str, str], why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_shard("auto", said)


@pytest.mark.parametrize("count", [1, 2, 3, 20])
def test_every_unit_is_in_one_share_and_whole(count: int) -> None:
    shares = shared_out(UNITS, count, lambda _: 1.0)
    assert len(shares) == count
    assert sorted(one for share in shares for one in share) == sorted(UNITS)
    assert all(share == [one for one in UNITS if one in share] for share in shares), "order of the plan"


def test_shares_are_about_equally_long() -> None:
    seconds = {"a": 9.0, "b": 1.0, "c": 2.0, "d": 2.0, "e": 1.0, "f": 4.0}
    shares = shared_out(UNITS, 3, lambda cell: seconds[cell.encoder])
    loads = [sum(seconds[cell.encoder] for one in share for cell in one) for share in shares]
    assert sum(loads) == 31
    assert max(loads) <= 4 / 3 * 31 / 3


def test_what_was_never_timed_counts_as_the_mean() -> None:
    shares = shared_out(UNITS, 2, lambda cell: 10.0 if cell.encoder == "b" else None)
    assert max(sum(map(len, share)) for share in shares) == 8, "15 cells, none known to be longer"
    units = [unit("b", 1), unit("a", 1), unit("c", 1)]
    known = {"b": 1.0, "a": 3.0}
    assert shared_out(units, 2, lambda cell: known.get(cell.encoder))[0] == [units[1]]
