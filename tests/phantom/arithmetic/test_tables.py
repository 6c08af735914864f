"""Tables of functions."""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext

from g2d_bench.phantom.arithmetic import tables


def test_tables_are_rounded_once() -> None:
    assert tables.split(tables.pi(), 33, 33)[0] == math.floor(math.pi * 2**31) / 2**31
    assert float(tables.pi()) == math.pi
    assert float(tables.ln2()) == math.log(2)
    head, rest = tables.powers_of_two(64)
    with localcontext(Context(prec=50)):
        for j in (1, 17, 63):
            truth = Decimal(2) ** (Decimal(j) / 64)
            assert abs(Decimal(float(head[j])) + Decimal(float(rest[j])) - truth) < Decimal(2) ** -104
