"""Tables as data."""

from __future__ import annotations

from g2d_bench.report.model import Column, Value


def test_plain_numbers_have_three_digits() -> None:
    assert str(Value(Column("t", 1.0, "cnr", "clean", ("cnr",)), 1.0271, 0.05)) == "1.027 ± 0.050"
