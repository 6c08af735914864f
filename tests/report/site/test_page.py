"""The leaderboard page: complete, honest about generated data, whole or not there."""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from g2d_bench.records.record import read_record
from g2d_bench.report.model import GENERATED
from g2d_bench.report.site.content import anchor_of
from g2d_bench.report.site.folder import _locked
from g2d_bench.report.site.page import WIDTH


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


def test_every_number_stands_there_best_first_with_its_records(
    folder: Any, made: Callable[..., Page], cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6, "mgca": 0.5}, (0.01, 0.1))
    page = made()
    assert page.depth == []
    for fraction in ("0.01", "0.1"):
        table = rows(page, f"siim-seg-{fraction}-clean-generated")
        assert list(table) == ["encoder", "g2d", "mgca", "random", "all-empty"]
        assert table["encoder"][0] == "dice_positive ★"
        assert [row[-1] for row in table.values()] == ["records (by seed)", "0 1 2", "0 1 2", "0 1 2", ""]
    lines = json.loads(cli("table", "--results", folder.root, "--format", "json").stdout)
    shown = {name: row[0] for name, row in rows(page, "siim-seg-0.1-clean-generated").items()}
    ten = next(table for table in lines if "10 %" in table["title"])
    for row in ten["rows"]:
        value = row["values"][0]
        assert shown[row["name"]].startswith(f"{value['mean']:.1f}")
    overview = rows(page, "overview")
    assert overview["siim-seg, dice_positive · 10 %"][2] == shown["g2d"]

    # Each link leads to a copy of the record, or into the page.
    targets = [unquote(link) for link in page.links if link.startswith("records/")]
    assert len(targets) == len(set(targets)) == 18
    for target in targets:
        copy = tmp_path / "site" / target
        assert copy.read_bytes() == (folder.root / target.removeprefix("records/")).read_bytes()
        assert read_record(copy).cell.task == "siim-seg"
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside == set(page.sections) - {"overview"}
    assert {link for link in page.links if link[0] not in "#r"} == {"leaderboard.json"}


def test_intervals_are_drawn_to_scale(folder: Any, made: Callable[..., Page], tmp_path: Path) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6})
    page = made()
    ends = [(float(line["x1"] or "nan"), float(line["x2"] or "nan")) for line in page.lines]
    assert ends
    assert all(0 < low <= high < WIDTH for low, high in ends)
    data = json.loads((tmp_path / "site" / "leaderboard.json").read_text())
    first = [row["values"][0] for row in data["sections"][0]["rows"] if row["sort"] == "measured"]
    low, high = min(v["low"] for v in first), max(v["high"] for v in first)
    columns = len(data["sections"][0]["rows"][0]["values"])
    for value, (left, right) in zip(first, ends[::columns], strict=True):
        assert left == pytest.approx(3 + (WIDTH - 6) * (value["low"] - low) / (high - low), abs=0.06)
        assert right == pytest.approx(3 + (WIDTH - 6) * (value["high"] - low) / (high - low), abs=0.06)


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


def test_generated_data_says_so_at_every_table_and_real_data_does_not(
    folder: Any, made: Callable[..., Page]
) -> None:
    folder.grid({"g2d": 0.6}, data_kind="real")
    page = made()
    assert GENERATED not in page.texts
    folder.grid({"g2d": 0.4, "mgca": 0.5})
    page = made()
    assert page.texts.count(GENERATED) == 2, "above the page and above its table"
    assert list(page.sections) == [
        *("overview", "siim-seg-0.01-clean-generated", "siim-seg-0.01-clean-real"),
    ]


def test_names_and_titles_are_text(folder: Any, made: Callable[..., Page], tmp_path: Path) -> None:
    name = "<script>alert('&')</script>"
    folder.grid({"g2d": 0.6}, command=f"g2d-bench run --encoder '\"><b>{name}'")
    folder.add("odd name+x", 0.4)
    page = made("--title", name)
    text = (tmp_path / "site" / "index.html").read_text()
    assert name not in text
    assert name in page.texts
    assert text.count("<script>") == 1
    assert (tmp_path / "site" / unquote(next(link for link in page.links if "odd" in link))).is_file()
    assert not any(" " in link for link in page.links)


def test_no_number_where_a_seed_is_missing(folder: Any, made: Callable[..., Page]) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6})
    folder.add("mgca", 0.9, seed=0)
    table = rows(made(), "siim-seg-0.01-clean-generated")
    assert list(table) == ["encoder", "g2d", "random", "mgca", "all-empty"]
    assert table["mgca"][0] == "n/a"


def test_nothing_is_fetched_from_elsewhere(folder: Any, made: Callable[..., Page], tmp_path: Path) -> None:
    folder.add("g2d")
    made()
    text = (tmp_path / "site" / "index.html").read_text()
    assert not re.search(r"https?://|@import|url\(|<link|src=", text)


def test_an_earlier_page_is_replaced_and_anything_else_left_alone(
    folder: Any, made: Callable[..., Page], cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder.add("g2d")
    folder.add("random")
    made()
    site = tmp_path / "site"
    # Whoever keeps something of theirs in the folder keeps it.
    (site / "records" / "old.json").write_text("{}")
    (site / "CNAME").write_text("scores.example")
    (site / ".draft-notes").mkdir()
    folder.add("mgca")
    assert "mgca" in rows(made("--encoder", "g2d,mgca"), "siim-seg-0.01-clean-generated")
    assert (site / "records" / "old.json").read_text() == "{}"
    assert (site / "CNAME").read_text() == "scores.example"
    assert (site / ".draft-notes").is_dir()
    copies = {path.relative_to(site).parts[2] for path in site.glob("records/phantom/**/*.json")}
    assert copies == {"g2d", "mgca"}, "what the page no longer shows is gone, its folders too"
    assert not (site / "records" / "phantom" / "random").exists()
    assert not list(tmp_path.glob(".site-*"))
    assert [path.name for path in site.glob(".*")] == [".draft-notes"]

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    result = cli("leaderboard", "--results", folder.root, "--out", "mine")
    assert result.exit_code == 2
    assert result.stderr.startswith("g2d-bench: mine: --out: holds something that is no leaderboard")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def everything(folder: Path) -> dict[str, bytes | str]:
    """Return all that lies below a folder; links by where they lead."""
    return {
        str(path.relative_to(folder)): (
            str(path.readlink()) if path.is_symlink() else "folder" if path.is_dir() else path.read_bytes()
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("link", "link: --out: is a link"),
        ("dangling", "dangling: --out: is a link"),
        ("file", "file: --out: is not a folder"),
        ("mine/thesis.tex/site", "cannot be written: "),
        (".", "the folder that you work in"),
        ("..", "the folder that you work in"),
        ("mine", "mine: --out: holds something that is no leaderboard"),
        ("theirs", "theirs: --out: holds something that is no leaderboard"),
        ("runs", "runs: --out: holds something that is no leaderboard"),
        ("x" * 300, "has a name of 300 bytes; 255 are possible"),
        ("blocked", "is in the way; it is left alone"),
    ],
)
def test_what_is_no_place_for_a_page_is_one_line_and_nothing_changes(
    folder: Any, made: Callable[..., Page], cli: Callable[..., Any], tmp_path: Path, out: str, message: str
) -> None:
    folder.add("g2d")
    made()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "leaderboard.json").write_text('{"chess": []}')
    (tmp_path / "link").symlink_to("site")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").write_text("mine")
    shutil.copytree(tmp_path / "site", tmp_path / "blocked")
    shutil.rmtree(tmp_path / "blocked" / "records" / "phantom")
    (tmp_path / "blocked" / "records" / "phantom").symlink_to(tmp_path / "mine")
    before = everything(tmp_path)
    result = cli("leaderboard", "--results", folder.root, "--out", out)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert everything(tmp_path) == before


def test_a_list_of_files_from_elsewhere_removes_nothing_outside(
    folder: Any, made: Callable[..., Page], tmp_path: Path
) -> None:
    folder.add("g2d")
    made()
    (tmp_path / "precious.json").write_text("x")
    (tmp_path / "site" / "notes.json").write_text("x")
    listed = tmp_path / "site" / "leaderboard.json"
    data = json.loads(listed.read_text())
    names = ("../precious.json", str(tmp_path / "precious.json"), "records/../notes.json", "notes.json")
    data["sections"][0]["records"]["evil"] = [{"seed": 0, "file": name} for name in names]
    listed.write_text(json.dumps(data))
    made()
    assert (tmp_path / "precious.json").exists()
    assert (tmp_path / "site" / "notes.json").exists()


def test_drafts_of_killed_runs_are_swept_and_those_at_work_are_not(
    folder: Any, made: Callable[..., Page], tmp_path: Path
) -> None:
    folder.add("g2d")
    made()
    site = tmp_path / "site"
    for draft in (tmp_path / ".site-abcdefgh", site / ".draft-abcdefgh"):
        (draft / "records").mkdir(parents=True)
        (draft / "index.html").write_text("half")
    mine = tmp_path / ".site-mynotes1"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    busy = tmp_path / ".site-00000000"
    busy.mkdir()
    with _locked(busy) as had:
        assert had
        made()
        assert busy.is_dir()
    assert mine.is_dir()
    assert sorted(path.name for path in tmp_path.glob(".site-*")) == [".site-00000000", ".site-mynotes1"]
    assert not list(site.glob(".draft-*"))
    made()
    assert not busy.exists()


def test_a_full_disk_leaves_the_earlier_page(
    folder: Any, made: Callable[..., Page], cli: Callable[..., Any], tmp_path: Path, monkeypatch: Any
) -> None:
    folder.add("g2d")
    made()
    before = everything(tmp_path / "site")
    folder.add("mgca")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("g2d_bench.report.site.folder.shutil.copyfile", full)
    result = cli("leaderboard", "--results", folder.root, "--out", "site")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "g2d-bench: site: --out: cannot be written: No space left on device\n"
    assert everything(tmp_path / "site") == before


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


def test_an_anchor_is_one_word() -> None:
    assert anchor_of("my task/é", 0.015, "clean", "real") == "my-task-é-0.015-clean-real"
