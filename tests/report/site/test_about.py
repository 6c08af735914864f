"""Pages of encoders and tasks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.report.site.about import number


def test_an_encoder_says_where_it_stands(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "mgca": 0.5, "g2d": 0.7})
    made()
    said = words(tmp_path / "site" / "encoders" / "g2d.html")
    assert "Liu et al., NeurIPS 2024" in said
    assert "weights' licence Apache-2.0" in said
    assert "generated data protocol clean: Among the best of its column in 1 of 1 tested number." in said
    assert "Best with certainty: segmentation at 1 %." in said
    assert "random 1 0 0" in said
    assert "mgca 1 0 0" in said
    low = words(tmp_path / "site" / "encoders" / "random.html")
    assert "In no group of tasks is it among the best" in low
    assert "g2d 0 1 0" in low


def test_kinds_of_data_and_protocols_are_not_added_up(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.7}, (0.01, 1.0))
    folder.grid({"random": 0.7, "g2d": 0.3}, (0.01, 1.0), data_kind="real")
    made()
    said = words(tmp_path / "site" / "encoders" / "g2d.html")
    assert "generated data protocol clean: Among the best of its column in 2 of 2 tested numbers." in said
    assert "real data protocol clean: Among the best of its column in 0 of 2 tested numbers." in said
    assert "random 2 0 0 generated data clean random 0 2 0 real data clean" in said
    page = (tmp_path / "site" / "encoders" / "g2d.html").read_text()
    assert all(f"first=g2d&amp;second=random&amp;world={n}" in page for n in (0, 1))
    claims = words(tmp_path / "site" / "claims.html")
    for data in ("generated", "real"):
        assert f"Measured here, protocol clean, {data} data: of 1 verdict:" in claims


def test_an_encoder_alone_is_not_said_to_be_tested(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.add("g2d")
    made()
    said = words(tmp_path / "site" / "encoders" / "g2d.html")
    assert "None of its numbers was tested against another encoder's." in said
    assert "Among the best" not in said.split("All its numbers")[0]
    assert "no other encoder" in said


def test_an_encoder_without_card_is_told_from_its_records(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.add("somebodys", 0.6)
    made()
    said = words(tmp_path / "site" / "encoders" / "somebodys.html")
    assert "none here; what follows is from the records" in said
    assert "scale unknown" in said


def test_a_task_tells_its_split_its_trivial_predictor_and_what_papers_printed(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.7}, (0.01, 1.0))
    made()
    said = words(tmp_path / "site" / "tasks" / "siim-seg.html")
    assert "60 test images" in said
    assert "2 at 1 %, 200 at 100 %" in said
    assert "all-empty (trivial, sees no image) 0.0 0.0" in said
    assert "competition rules" in said
    assert "QUOTED, NOT MEASURED" in said
    assert "None of them may be compared with the numbers of this page" in said
    assert "G2D (encoder-decoder)" in said
    assert "every cell lies below the all-empty predictor" in said
    assert '<path class="curve"' in (tmp_path / "site" / "tasks" / "siim-seg.html").read_text()


def test_numbers_are_written_as_in_tables() -> None:
    assert number("dice_positive", 0.52345) == "52.3"
    assert number("cnr", 0.52345) == "0.523"
    assert number("dice_positive", None) == "n/a"
    assert number("dice_positive", float("nan")) == "n/a"
    assert number("of_somebody", 0.5) == "50.0"
