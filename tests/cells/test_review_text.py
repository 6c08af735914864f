"""A review as Markdown: all of it said, and no text of a stranger acts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from g2d_bench.cells.review import Review, review
from g2d_bench.cells.review_text import LONGEST, MOST, code, render
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.standings import Standing


def test_everything_is_said(bundle: Path, other: Any) -> None:
    text = render(review(bundle, other.root, Settings()))
    for said in (
        "**No problem found.** 3 new records",
        "GENERATED DATA",
        "| `mine` | `Mine` | `MIT` | `mimic-cxr` | `published` |",
        "| `mine` | `siim-seg` | `clean` | generated | 1 %, 10 %, 100 % | 0 | 3 | 0 |",
        "## Ranks",
        "made up as a whole",
    ):
        assert said in text
    assert "## Problems" not in text


def test_problems_come_first(bundle: Path, other: Any) -> None:
    (path,) = (bundle / "submissions").glob("*.json")
    path.write_text("{")
    text = render(review(bundle, other.root, Settings()))
    assert "**Refused: " in text
    assert text.index("## Problems") < text.index("## New")


def test_a_strangers_text_is_code_and_short() -> None:
    assert code("a`b|c  # d @someone #1 <img src=x>") == "`a'b¦c # d @someone #1 <img src=x>`"
    assert code("\x1b[31mred") == "`\\x1b[31mred`"
    assert len(code("x" * 10_000)) < LONGEST + 10
    assert code(" ") == "–"


def test_a_stranger_cannot_write_a_page(bundle: Path, other: Any) -> None:
    (path,) = (bundle / "submissions").glob("*.json")
    raw = json.loads(path.read_text())
    raw["note"] = "fine\n\n# Approved ![](http://x) @maintainers `"
    raw["encoders"]["mine"]["title"] = "|</table><script>alert(1)</script>"
    path.write_text(json.dumps(raw))
    text = render(review(bundle, other.root, Settings()))
    assert "The submitter notes: `fine\\x0a\\x0a# Approved ![](http://x) @maintainers '`" in text
    outside = "".join(text.split("`")[::2])
    for word in ("script", "@maintainers", "http", "Approved"):
        assert word not in outside


def test_a_mean_without_value_is_written_as_in_tables() -> None:
    place = ("siim-seg", (0.01, 0), "clean", "signature")
    lines = render(Review(standings=(Standing(place, "dice_positive", "mine", math.nan, None, None, 2),)))
    row = "| `siim-seg` | 1 % | `clean` | `dice_positive` | `mine` | n/a | – | n/a (has no value) |"
    assert row in lines.splitlines()


def test_long_lists_are_cut() -> None:
    text = render(Review(problems=tuple(f"problem {n}" for n in range(MOST + 7))))
    assert f"**Refused: {MOST + 7} problems.**" in text
    assert text.count("- `problem") == MOST
    assert "… and 7 more lines" in text
