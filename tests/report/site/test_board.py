"""What is gathered for the pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.records.evidence import Evidence
from g2d_bench.records.selection import read_folder
from g2d_bench.report.site.board import sampled_columns, slug


def test_file_names_are_plain_and_never_shared() -> None:
    names = ["g2d", "g2d+decoder", "a/b", "a b", "a\tb", "..", "é", "x" * 300, "<script>"]
    made = [slug(name) for name in names]
    assert len(set(made)) == len(names)
    assert made[:2] == ["g2d", "g2d+decoder"]
    for name in made:
        assert not set(name) & set("/\\<>\"' \t%#?&")
        assert 0 < len(name) < 100
        assert not name.startswith(".")


def test_columns_hold_the_main_metric_one_per_kind_of_data(folder: Any) -> None:
    folder.grid({"random": 0.3, "g2d": 0.7}, (0.01, 0.1))
    folder.grid({"g2d": 0.7}, data_kind="real")
    main = {("siim-seg", "clean"): "iou_positive"}
    made = sampled_columns(read_folder(folder.root), ["random", "g2d"], main, Evidence(0))
    places = [(one.column.fraction, one.data, one.column.metric, list(one.values)) for one in made]
    assert places == [
        (0.01, "phantom", "iou_positive", ["random", "g2d"]),
        (0.01, "real", "iou_positive", ["g2d"]),
        (0.1, "phantom", "iou_positive", ["random", "g2d"]),
    ]


def test_numbers_that_others_sent_in_are_marked(
    folder: Any, other: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3})
    other.grid({"mine": 0.7})
    made("--self-reported", str(other.root))
    index = (tmp_path / "site" / "index.html").read_text()
    assert "<option>self-reported</option>" in index
    (row,) = [part for part in index.split("<tr ") if 'data-encoder="mine"' in part and "data-by" in part]
    assert 'data-by="self-reported"' in row
    assert "self-reported</span>" in row
    assert "self-reported</span>" in (tmp_path / "site" / "encoders" / "mine.html").read_text()
    assert "self-reported</span>" not in (tmp_path / "site" / "encoders" / "random.html").read_text()
