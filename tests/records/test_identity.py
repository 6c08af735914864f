"""A key is the digest of everything that moves a number, and of nothing else."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from g2d_bench.cards.kind import KINDS
from g2d_bench.hashing import digest_code
from g2d_bench.records import identity as module
from g2d_bench.records.cell import Cell
from g2d_bench.records.identity import code_of_others, identity, key_of
from g2d_bench.records.signature import NUMBERS

CELL = Cell(task="siim-seg", fraction=0.1, protocol="clean", seed=0, encoder="g2d")
GIVEN: dict[str, Any] = {
    **{"task": "t", "protocol": "p", "encoder": "e", "data": "d"},
    "taken": {"weights": "w", "text": "x"},
}


def of(cell: Cell = CELL, **changes: Any) -> str:
    return key_of(identity(cell, **(GIVEN | changes)))


@pytest.mark.parametrize(
    "change",
    [
        *({name: "other"} for name in ("task", "protocol", "encoder", "data")),
        *({"taken": {"weights": "w"} | more} for more in ({}, {"text": "y"}, {"scorer": "x"})),
        {"taken": {"weights": "v", "text": "x"}},
        {"numbers": NUMBERS + 1},
    ],
)
def test_each_part_moves_the_key(change: dict[str, Any]) -> None:
    assert of(**change) != of()


def test_the_cell_moves_the_key() -> None:
    others = [replace(CELL, seed=1), replace(CELL, fraction=0.2), replace(CELL, fraction=1.0, shots=4)]
    assert len({of(), *map(of, others)}) == 4
    assert of(replace(CELL)) == of(numbers=NUMBERS) == of()


def test_code_of_other_packages_moves_the_key_and_ours_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of_others("classification", ("auroc",)) == {}
    point = EntryPoint("theirs", f"{__name__}:KIND", KINDS.group)
    monkeypatch.setitem(KINDS.__dict__, "_foreign", {"theirs": point})
    monkeypatch.setattr(module, "foreign_code", lambda names: "metrics of theirs" if "half" in names else "")
    assert code_of_others("theirs", ("auroc",)) == {"kind": digest_code(__name__)}
    assert code_of_others("classification", ("half",)) == {"metrics": "metrics of theirs"}
    code = code_of_others("theirs", ("half",))
    assert of(taken=GIVEN["taken"] | code) != of()
