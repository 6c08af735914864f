"""What a page says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.report.model import GENERATED
from g2d_bench.report.site.content import anchor_of


class Page(HTMLParser):
    """Reads the tables below each section, the links and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: dict[str, list[list[str]]] = {}
        self.links: list[str] = []
        self.lines: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.depth: list[str] = []
        self._at = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self._at = given.get("id") or "overview"
            self.sections.setdefault(self._at, [])
        elif tag == "tr":
            self.sections[self._at].append([])
        elif tag in ("td", "th"):
            self.sections[self._at][-1].append("")
        elif tag == "a":
            self.links.append(given["href"] or "")
        elif tag == "line":
            self.lines.append(given)
        if tag not in ("meta", "line", "circle", "input"):
            self.depth.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in ("line", "circle"):
            return
        assert self.depth.pop() == tag, "tags close in order"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if {"td", "th"} & set(self.depth) and "svg" not in self.depth and self.sections.get(self._at):
            row = self.sections[self._at][-1]
            row[-1] = " ".join(f"{row[-1]} {data}".split())


def rows(page: Page, section: str) -> dict[str, list[str]]:
    return {row[0]: row[1:] for row in page.sections[section]}


@pytest.fixture
def made(folder: Any, cli: Callable[..., Any], tmp_path: Path) -> Callable[..., Page]:
    def make(*options: str) -> Page:
        result = cli("leaderboard", "--results", folder.root, "--out", "site", *options)
        assert result.exit_code == 0, result.output
        return Page((tmp_path / "site" / "index.html").read_text())

    return make


def test_data_for_programs_is_what_the_page_says(
    folder: Any, made: Callable[..., Page], tmp_path: Path
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


def test_cells_without_a_number_say_why(folder: Any, made: Callable[..., Page], tmp_path: Path) -> None:
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
