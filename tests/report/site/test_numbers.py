"""What programs read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from marked import fill


def test_ranks_claims_and_differences_are_in_the_data(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.7}, (0.01, 1.0))
    made()
    data = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    group = next(one for one in data["ranks"] if one["fraction"] == 0.01)
    assert [(place["encoder"], place["rank"]) for place in group["places"]] == [("g2d", 1), ("random", 2)]
    assert group["answer"] == "g2d is best, with certainty."
    claim = next(one for one in data["claims"] if one["sentence"].startswith("g2d"))
    assert [(one["task"], one["outcome"]) for one in claim["measured"]] == [("siim-seg", "holds")]
    assert claim["quoted"], "the paper's own numbers stand beside"
    assert [one["encoder"] for one in data["costs"]] == ["random", "g2d"]
    assert data["costs"][1]["parameters"] == pytest.approx(1.29, abs=0.01)
    gap = next(one for one in data["differences"] if one["fraction"] == 0.01)
    table = {row["name"]: row["values"][0]["mean"] for row in data["sections"][0]["rows"]}
    assert (gap["first"], gap["second"]) == ("random", "g2d")
    assert gap["first_minus_second"] == pytest.approx(table["random"] - table["g2d"])
    assert gap["low"] < gap["first_minus_second"] < gap["high"] < 0
    lines = (tmp_path / "site" / "leaderboard.csv").read_text().splitlines()
    assert len(lines) == 1 + sum(len(row["values"]) for s in data["sections"] for row in s["rows"])


def test_the_page_of_pairs_has_each_pair_once(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    folder.grid({"random": 0.3, "mgca": 0.5, "g2d": 0.7})
    made()
    text = (tmp_path / "site" / "compare.html").read_text()
    data = json.loads(text.split('id="pairs">')[1].split("</script>")[0])
    assert data["encoders"] == ["random", "mgca", "g2d"]
    (world,) = data["worlds"]
    assert set(world["pairs"]) == {"0,1", "0,2", "1,2"}
    for _, mean, low, high, adjusted in (pair[0] for pair in world["pairs"].values()):
        assert low < mean < high < 0
        assert 0 < adjusted < 0.05


def test_ranks_claims_and_differences_bear_the_marks(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    fill(folder, {"scale", "pre-training", "leak"})
    made()
    data = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    assert data["encoders"] == {
        "toy": {"scale": "phantom", "pretraining": ["siim:labels"]},
        "whole": {"scale": "published", "pretraining": []},
    }
    leak, saw = "LEAK ALLOWED: known twins", "¶ pre-training saw images and labels of this data set: toy"
    for group in data["ranks"]:
        places = {place["encoder"]: place["pretraining_saw"] for place in group["places"]}
        assert places == {"toy": "labels", "whole": ""}
        assert group["caveats"] == [saw, leak]
        assert group["answer"] == "toy¶ is best, with certainty."
    by_encoder = {one["encoder"]: one for asked in data["claims"] for one in asked["measured"]}
    assert {name: one["pretraining_saw"] for name, one in by_encoder.items()} == {
        "toy": "labels",
        "whole": "",
    }
    assert all(one["leaks"] == ["known twins"] for one in by_encoder.values())
    assert by_encoder["whole"]["rivals"][0]["pretraining_saw"] == "labels"
    for one in data["differences"]:
        assert (one["first"], one["first_pretraining_saw"]) == ("toy", "labels")
        assert one["second_pretraining_saw"] == ""
        assert one["caveats"] == [saw, leak]


def test_the_page_of_pairs_draws_the_marks(
    folder: Any, made: Callable[..., Any], asked: Callable[..., Any], tmp_path: Path
) -> None:
    fill(folder, {"pre-training", "leak"})
    made()
    page = tmp_path / "site" / "compare.html"
    data = json.loads(page.read_text().split('id="pairs">')[1].split("</script>")[0])
    for column in data["worlds"][0]["columns"]:
        assert column["marks"] == ["¶", ""]
        assert column["warnings"] == ["LEAK ALLOWED: known twins"]
    script = "return [...document.querySelectorAll('#forest tbody tr')].map((row) => row.innerText);"
    for row in asked(page, script, state="#first=whole&second=toy"):
        assert row.count("¶") == 1
        assert "LEAK ALLOWED: known twins" in row
