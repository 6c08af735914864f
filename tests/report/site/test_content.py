"""What a page says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from g2d_bench.report.model import GENERATED
from g2d_bench.report.site.content import anchor_of


def test_data_for_programs_is_what_the_page_says(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6})
    made("--title", "ours")
    data = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    (section,) = data["sections"]
    assert data["title"] == "ours"
    assert (section["task"], section["fraction"], section["main"]) == ("siim-seg", 0.01, "dice_positive")
    assert section["data"] == GENERATED
    assert [row["name"] for row in section["rows"]] == ["g2d", "random", "all-empty"]
    assert [entry["seed"] for entry in section["records"]["g2d"]] == [0, 1, 2]


def test_cells_without_a_number_say_why(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    folder.grid({"g2d": 0.6})
    folder.add("late", seed=1)
    found = folder.add("random", task="rsna-zeroshot", fraction=1.0, kind="zero-shot")
    none = found.record.model_copy(
        update={"metrics": dict.fromkeys(found.record.metrics), "notes": {"n/a": "no text encoder"}}
    )
    found.path.with_suffix(".npz").unlink()
    folder.store.save(found.path, none.model_copy(update={"predictions": None, "references": {}}), {})
    made()
    text = (tmp_path / "site" / "index.html").read_text()
    assert 'title="undefined"' not in text
    cells = re.findall(r"<td[^>]*>(?:n/a|–)", text)
    assert cells
    assert all("title=" in cell for cell in cells)
    told = {re.search('title="([^"]*)"', cell)[1] for cell in cells}  # type: ignore[index]
    assert told >= {"no text encoder", "lacks seed 0, 2", "not measured"}


def test_an_anchor_is_one_word() -> None:
    assert anchor_of("my task/é", 0.015, "clean", "real") == "my-task-é-0.015-clean-real"
