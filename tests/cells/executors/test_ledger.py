"""Which jobs are out, for the run after the one that sent them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.executors.ledger import Ledger
from g2d_bench.cells.settings import Settings
from g2d_bench.errors import InputError
from g2d_bench.paths import cache_dir
from g2d_bench.records.cell import Cell

CELLS = [Cell("covid-cxr-seg", 1.0, "clean", seed, "random") for seed in range(3)]
FOLDER = Path("/results/.submitit")


@pytest.fixture
def bench(tiny_root: Path, tmp_path: Path, own_cache: Path) -> Bench:
    return Bench(Settings(data_root=tiny_root, results=tmp_path / "runs"))


def kept(bench: Bench) -> Ledger:
    """Read the list again, as the next run does."""
    return Ledger("slurm", FOLDER, bench)


def test_a_job_is_found_until_it_is_through(bench: Bench) -> None:
    unit, other = (CELLS[0], CELLS[1]), (CELLS[2],)
    ledger = kept(bench)
    ledger.sent("7_0", unit)
    ledger.sent("7_1", other)
    ledger.sent("8_0", unit)
    assert kept(bench).earlier(unit) == ["8_0", "7_0"]
    assert kept(bench).earlier(unit[:1]) == []
    assert Ledger("local", FOLDER, bench).earlier(unit) == []
    assert Ledger("slurm", FOLDER / "x", bench).earlier(unit) == []
    ledger.through("8_0")
    ledger.through("9_9")
    assert kept(bench).earlier(unit) == ["7_0"]
    ledger.through("7_0")
    ledger.through("7_1")
    assert not list((cache_dir() / "jobs").iterdir()), "the list goes with its last job"


def test_a_job_of_other_weights_or_options_is_none_of_ours(bench: Bench) -> None:
    kept(bench).sent("7_0", (CELLS[0],))
    forced = Bench(bench.settings, replace(bench.options, force=True))
    assert kept(forced).earlier((CELLS[0],)) == []
    other = Bench(bench.settings)
    resolved = other.resolve(CELLS[0])
    other._resolved[CELLS[0]] = replace(resolved, key="other")
    assert kept(other).earlier((CELLS[0],)) == []
    assert kept(bench).earlier((CELLS[0],)) == ["7_0"]


def test_a_damaged_list_says_what_can_be_read(bench: Bench) -> None:
    kept(bench).sent("7_0", (CELLS[0],))
    (path,) = (cache_dir() / "jobs").iterdir()
    path.write_bytes(b'{"job": 1}\n[]\nnull\n{"job": "x", "uni\n' + path.read_bytes() + b'{"jo')
    assert kept(bench).earlier((CELLS[0],)) == ["7_0"]
    path.write_bytes(b"\xff" + path.read_bytes())
    assert kept(bench).earlier((CELLS[0],)) == []


def test_a_cache_that_cannot_be_written_is_one_line(bench: Bench) -> None:
    cache_dir().mkdir(parents=True, exist_ok=True)
    (cache_dir() / "jobs").write_text("")
    with pytest.raises(InputError, match="a file is where a folder should be"):
        kept(bench).sent("7_0", (CELLS[0],))
