"""Records as Parquet, as its own library reads them."""

from __future__ import annotations

import builtins
import io
import sys
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.selection import select
from g2d_bench.report.exports import EXPORTS
from g2d_bench.report.exports.base import Request
from g2d_bench.report.exports.rows import COLUMNS, rows


def test_arrow_reads_the_very_numbers(folder: Any) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    folder.grid({"g2d": 0.6}, seeds=2)
    request = Request(select(folder.root))
    (data,) = EXPORTS["parquet"].write(request).values()
    table = parquet.read_table(io.BytesIO(data))
    assert tuple(table.column_names) == COLUMNS
    assert table.column("value").to_pylist() == [row["value"] for row in rows(request)]
    assert str(table.schema.field("seed").type) == "int64"


def test_without_the_library_it_is_one_line(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.add("g2d")
    import_module = builtins.__import__

    def without(name: str, *more: Any, **keys: Any) -> Any:
        if name.partition(".")[0] == "pyarrow":
            raise ImportError(name)
        return import_module(name, *more, **keys)

    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"needs pyarrow: pip install 'g2d-bench\[parquet\]'"):
        EXPORTS["parquet"].write(Request(select(folder.root), intervals=False))
