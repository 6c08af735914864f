"""A cell."""

from __future__ import annotations

from g2d_bench.records.cell import percent


def test_percent_is_as_the_field_writes_it() -> None:
    assert [percent(f) for f in (0.01, 0.1, 1.0, 0.005)] == ["1 %", "10 %", "100 %", "0.5 %"]
