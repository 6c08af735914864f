"""What arrays must be for metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from forging import packed, replace_predictions

from g2d_bench.cells.verify import verify
from g2d_bench.records.record import read_predictions

"""320 MiB of zeros in 320 kB."""


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("true", -1, "true: -1 lies outside 0 to"),
        ("predicted", 1 << 40, "predicted: 1099511627776 lies outside 0 to"),
        ("intersection", 1 << 20, "intersection: is larger than what was predicted or is true"),
        ("batch", 10**15, "batch: 1000000000000000 lies outside 0 to 59"),
    ],
)
def test_numbers_that_metrics_would_stumble_over(folder: Any, name: str, value: int, said: str) -> None:
    found = folder.add("g2d")
    arrays = read_predictions(found.path, found.record)
    arrays["batch"] = np.zeros(len(arrays["id"]), np.int64)
    arrays[name] = arrays[name].astype(np.int64)
    arrays[name][3] = value
    replace_predictions(found.path, packed(**arrays))
    assert any(said in problem for problem in verify(folder.root).problems)
