"""The command that writes a page."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--results", "nowhere"), "nowhere"),
        (("--task", "siim-sge"), "no record of task siim-sge"),
        (("--out", "file/site"), "file/site: --out: cannot be written"),
    ],
)
def test_bad_input_is_one_line(
    folder: Any, cli: Callable[..., Any], tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    folder.add("g2d")
    (tmp_path / "file").write_text("")
    result = cli("leaderboard", "--results", folder.root, *options)
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert not (tmp_path / "leaderboard").exists()


def test_mixed_signatures_are_refused_or_marked(
    folder: Any, made: Callable[..., Page], cli: Callable[..., Any]
) -> None:
    folder.add("g2d")
    folder.add("mgca", version="2.0")
    result = cli("leaderboard", "--results", folder.root)
    assert result.exit_code == 2
    assert "signature" in result.stderr
    table = rows(made("--allow-mixed"), "siim-seg-0.01-clean-generated")
    assert table["g2d"][0].endswith(")")
