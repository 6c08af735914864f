"""A cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cells.repeat import call_of, command_of
from g2d_bench.cells.settings import Settings
from g2d_bench.records.cell import Cell, amount, percent
from g2d_bench.records.identity import key_of
from g2d_bench.records.record import read_record, sealed, to_json

CELL = Cell(task="siim-seg", fraction=1.0, protocol="clean", seed=2, encoder="g2d")
FEW = Cell(task="siim-seg", fraction=1.0, protocol="clean", seed=2, encoder="g2d", shots=16)


def test_percent_is_as_the_field_writes_it() -> None:
    assert [percent(f) for f in (0.01, 0.1, 1.0, 0.005)] == ["1 %", "10 %", "100 %", "0.5 %"]
    assert [amount(0.1), amount(1.0, 1), amount(1.0, 16)] == ["10 %", "1 shot", "16 shots"]


def test_shots_are_another_cell_and_say_nothing_where_there_are_none(tmp_path: Path, folder: Any) -> None:
    """A cell of before there were shots keeps its key, its file and its seal."""
    assert CELL.as_dict() == {
        "task": "siim-seg", "fraction": 1.0, "protocol": "clean", "seed": 2, "encoder": "g2d",
    }  # fmt: skip
    assert FEW.as_dict() == CELL.as_dict() | {"shots": 16}
    assert key_of({"cell": CELL.as_dict()}) != key_of({"cell": FEW.as_dict()})
    assert (CELL.stem, FEW.stem) == ("1-s2", "16shots-s2")
    assert str(FEW) == "siim-seg · g2d · 16 shots · seed 2 · clean"
    found = folder.add("g2d")
    written = json.loads(to_json(found.record))
    assert "shots" not in written["cell"]
    assert sealed(read_record(found.path)).digest == found.record.digest
    few = folder.add("g2d", fraction=1.0, shots=4)
    assert read_record(few.path).cell.shots == 4


def test_shots_are_repeated_as_shots() -> None:
    assert "--shots 16 --seed 2" in command_of(FEW, Settings())
    assert "--fraction 1.0 --seed 2" in command_of(CELL, Settings())
    assert "shots=[16], seeds=[2]" in call_of(FEW, "spec=ImageSpec(224)")


def test_shots_of_a_share_are_no_cell() -> None:
    with pytest.raises(ValueError, match="fraction must be 1"):
        Cell(task="siim-seg", fraction=0.1, protocol="clean", seed=0, encoder="g2d", shots=1)
