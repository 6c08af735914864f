"""The leaderboard page: complete, honest about generated data, whole or not there."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from g2d_bench.records.record import read_record
from g2d_bench.report.model import GENERATED
from g2d_bench.report.site.page import WIDTH

ROOT = Path(__file__).resolve().parents[3]
ICON = '<link rel="icon" href="data:,">'
"""Without it a browser asks a server for /favicon.ico."""


def test_every_number_stands_there_best_first_with_its_records(
    folder: Any, made: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6, "mgca": 0.5}, (0.01, 0.1))
    page = made()
    assert page.depth == []
    for fraction in ("0.01", "0.1"):
        table = page.rows(f"siim-seg-{fraction}-clean-generated")
        assert list(table) == ["encoder", "g2d", "mgca", "random", "all-empty"]
        assert table["encoder"][0] == "dice_positive ★"
        assert [row[-1] for row in table.values()] == ["records (by seed)", "0 1 2", "0 1 2", "0 1 2", ""]
    lines = json.loads(cli("table", "--results", folder.root, "--format", "json").stdout)
    shown = {name: row[0] for name, row in page.rows("siim-seg-0.1-clean-generated").items()}
    ten = next(table for table in lines if "10 %" in table["title"])
    for row in ten["rows"]:
        value = row["values"][0]
        assert shown[row["name"]].startswith(f"{value['mean']:.1f}")
    overview = page.rows("overview")
    assert overview["siim-seg, dice_positive · 10 %"][2] == shown["g2d"]

    # Each link leads to the page of a record, which lies beside the record's copy, or into the page.
    targets = [unquote(link) for link in page.links if link.startswith("records/")]
    assert len(targets) == len(set(targets)) == 18
    for target in targets:
        assert (tmp_path / "site" / target).is_file()
        name = f"{target.removesuffix('.html')}.json"
        copy = tmp_path / "site" / name
        assert copy.read_bytes() == (folder.root / name.removeprefix("records/")).read_bytes()
        assert read_record(copy).cell.task == "siim-seg"
    inside = {link[1:] for link in page.links if link.startswith("#")}
    assert inside - {"main"} == set(page.sections) - {"overview"}


def test_intervals_are_drawn_to_scale(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
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


def test_generated_data_says_so_at_every_table_and_real_data_does_not(
    folder: Any, made: Callable[..., Any]
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


def test_names_and_titles_are_text(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    name = "<script>alert('&')</script>"
    folder.grid({"g2d": 0.6}, command=f"g2d-bench run --data-root '\"><b>{name}'")
    folder.add("odd name+x", 0.4)
    page = made("--title", name)
    text = (tmp_path / "site" / "index.html").read_text()
    assert name not in text
    assert name in page.texts
    assert text.count("<script>") == 1
    assert (tmp_path / "site" / unquote(next(link for link in page.links if "odd" in link))).is_file()
    assert not any(" " in link for link in page.links)


def test_no_number_where_a_seed_is_missing(folder: Any, made: Callable[..., Any]) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6})
    folder.add("mgca", 0.9, seed=0)
    table = made().rows("siim-seg-0.01-clean-generated")
    assert list(table) == ["encoder", "g2d", "random", "mgca", "all-empty"]
    assert table["mgca"][0] == "n/a"


def test_nothing_is_fetched_from_elsewhere(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    folder.add("g2d")
    made()
    text = (tmp_path / "site" / "index.html").read_text()
    assert not re.search(r"https?://|@import|url\(|<link|src=", text.replace(ICON, ""))


def test_no_browser_asks_for_an_icon(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    folder.add("g2d")
    made()
    for page in (tmp_path / "site").rglob("*.html"):
        assert page.read_text().count(ICON) == 1, page


def test_every_link_of_every_page_leads_somewhere(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6}, (0.01, 1.0))
    folder.add("odd name+x", 0.4)
    made()
    site = tmp_path / "site"
    pages = sorted(site.rglob("*.html"))
    names = {page.relative_to(site).parts[0] for page in pages}
    assert names >= {
        "index.html",
        "curves.html",
        "compare.html",
        "claims.html",
        "encoders",
        "tasks",
        "records",
    }
    for page in pages:
        text = page.read_text().replace(ICON, "")
        assert not re.search(r"https?://[^\s\"<]*[\"'][^>]*>|@import|url\(", text.replace("</a>", ""))
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            path, _, anchor = html.unescape(link).partition("#")
            target = page if not path else (page.parent / unquote(path)).resolve()
            assert target.is_file(), f"{page}: {link}"
            if anchor and "=" not in anchor:
                assert f'id="{anchor}"' in target.read_text(), f"{page}: {link}"


def test_every_page_says_what_its_data_and_encoders_are(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "g2d": 0.6})
    folder.grid({"mgca": 0.6}, data_kind="real")
    made()
    site = tmp_path / "site"
    for page in site.rglob("*.html"):
        text = page.read_text()
        if "/mgca" in str(page.relative_to(site)) or page.name == "mgca.html":
            assert GENERATED not in text
            assert "REAL DATA" in text
        elif page.name != "quoted.html":
            assert GENERATED in text, page
        if page.name == "quoted.html":
            assert "QUOTED, NOT MEASURED" in text
        else:
            assert "SCALE UNKNOWN" in text or "TOY ENCODERS" in text, page


def test_names_of_strangers_are_text_on_every_page(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    name = "<script>alert('&')<"
    folder.grid({"g2d": 0.6, name: 0.4}, (0.01, 1.0), command=f"'\"><b>{name}")
    made("--title", name)
    for page in (tmp_path / "site").rglob("*.html"):
        text = page.read_text()
        assert "<script>alert" not in text, page
        assert "<b><script" not in text, page
    data = (tmp_path / "site" / "compare.html").read_text()
    block = re.search(r'<script type="application/json" id="pairs">(.*?)</script>', data, re.S)
    assert block is not None
    assert name in json.loads(block[1])["encoders"]


def test_a_large_board_is_one_small_first_page(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    names = {f"encoder-{n}": 0.3 + 0.03 * n for n in range(8)}
    folder.grid(names, (0.01, 1.0), seeds=2)
    made()
    size = (tmp_path / "site" / "index.html").stat().st_size
    records = len(list((tmp_path / "site" / "records").rglob("*.json")))
    assert records == 32
    # Six hundred records of such a kind stay below two megabytes.
    assert size / records * 600 < 2 << 20


@pytest.fixture
def site(folder: Any, made: Callable[..., Any], tmp_path: Path) -> Path:
    """A site with two tasks, two fractions and three encoders."""
    folder.grid({"random": 0.3, "mgca": 0.5, "g2d": 0.7}, (0.01, 1.0), seeds=2)
    folder.grid({"random": 0.3, "mgca": 0.6, "g2d": 0.5}, (0.01,), seeds=2, task="rsna-seg")
    made()
    return tmp_path / "site"


SHOWN = """
const all = (selector) => [...document.querySelectorAll(selector)];
const shown = (selector) => all(selector).filter((part) => part.offsetParent !== null);
const choose = (name, value) => {
  const control = document.querySelector(`[name=${name}]`);
  control.value = value;
  control.dispatchEvent(new Event("input", { bubbles: true }));
};
"""


def test_filters_are_kept_in_the_address_and_come_back_from_it(site: Path, asked: Callable[..., Any]) -> None:
    index = site / "index.html"
    view = (
        SHOWN
        + """
    const look = () => [
      shown("section.task").map((part) => part.id),
      shown("article.group h3").map((head) => head.textContent),
      shown("section.task tr.measured").map((row) => row.dataset.encoder), location.hash];
    """
    )
    before = asked(index, view + "return look();")
    assert len(before[0]) == 3
    after = asked(index, view + 'choose("task", "siim-seg"); choose("fraction", "1 %"); return look();')
    assert after[0] == ["siim-seg-0.01-clean-generated"]
    assert after[1] == ["segmentation · 1 %"]
    assert after[3].startswith("#")
    assert asked(index, view + "return look();", state=after[3]) == after
    found = asked(index, view + 'choose("encoder", "mgc"); return look();')
    assert set(found[2]) == {"mgca"}
    assert asked(index, view + "return look();", state="#fraction=nonsense&x=1")[0] == before[0]


def test_a_table_sorts_by_any_heading_and_the_address_remembers(
    site: Path, asked: Callable[..., Any]
) -> None:
    index = site / "index.html"
    names = (
        'const names = () => [...document.querySelectorAll("#rsna-seg-0\\\\.01-clean-generated tr.measured")]'
        ".map((row) => row.dataset.encoder);"
    )
    click = """
    const heads = document.querySelectorAll("#rsna-seg-0\\\\.01-clean-generated thead button");
    heads[1].click();
    heads[1].click();
    """
    assert asked(index, names + "return names();") == ["mgca", "g2d", "random"]
    turned = asked(index, names + click + "return [names(), location.hash];")
    assert turned[0] == ["random", "g2d", "mgca"]
    assert asked(index, names + "return names();", state=turned[1]) == turned[0]


def test_two_encoders_are_compared_both_ways(site: Path, asked: Callable[..., Any]) -> None:
    read = """
    const lines = [...document.querySelectorAll("#forest tbody tr")];
    const rows = lines.map((row) => [...row.cells].map((cell) => cell.textContent.trim()));
    return [document.getElementById("verdict").textContent, rows];
    """
    page = site / "compare.html"
    verdict, rows = asked(page, read, state="#first=g2d&second=mgca&world=0")
    assert "On GENERATED data, of 3 comparisons g2d is better in 2, mgca in 1" in verdict
    assert [(row[0].split()[0], row[1], row[-1]) for row in rows] == [
        ("rsna-seg", "1 %", "mgca"),
        ("siim-seg", "1 %", "g2d"),
        ("siim-seg", "100 %", "g2d"),
    ]
    _, turned = asked(page, read, state="#first=mgca&second=g2d&world=0")
    assert [-float(row[4]) for row in turned] == [float(row[4]) for row in rows]
    assert [row[-1] for row in turned] == [row[-1] for row in rows]
    _, all_others = asked(page, read, state="#first=g2d")
    assert {row[2] for row in all_others} == {"mgca", "random"}


def test_an_encoder_can_be_taken_from_the_charts(site: Path, asked: Callable[..., Any]) -> None:
    page = site / "curves.html"
    drawn = """
    const groups = [...document.querySelectorAll(".chart g[data-encoder]")];
    return groups.filter((group) => group.style.display !== "none").map((group) => group.dataset.encoder);
    """
    assert set(asked(page, drawn)) == {"random", "mgca", "g2d"}
    toggle = 'document.querySelector("#legend input[value=random]").click(); const hash = location.hash;'
    assert "random" not in asked(page, toggle + drawn)
    assert set(asked(page, drawn, state="#show=g2d")) == {"g2d"}
    tip = """
    const mark = document.querySelector(".chart g[data-encoder=g2d] .mark");
    mark.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
    const faint = document.querySelectorAll(".chart g.faint").length > 0;
    return [document.getElementById("tip").textContent, faint];
    """
    told, others_faint = asked(page, tip)
    assert told.startswith("g2d, 1 %: ")
    assert others_faint


def test_no_page_is_wider_than_a_phone(
    folder: Any, made: Callable[..., Any], asked: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "x" * 100: 0.5}, (0.01, 1.0), seeds=1)
    made()
    site = tmp_path / "site"
    pages = [site / name for name in ("index.html", "claims.html", "curves.html")]
    pages += [*(site / "encoders").glob("x*.html"), site / "tasks" / "siim-seg.html"]
    pages.append(next((site / "records").rglob("x*/**/*.html")))
    for page in pages:
        # A browser without a window is never narrower than 500 pixels; a frame is.
        wide = asked(
            page,
            """
            if (window.top !== window) return null;
            const frame = document.createElement("iframe");
            frame.style.width = "380px";
            frame.srcdoc = document.documentElement.outerHTML.replace(/<script[^]*?<\\/script>/g, "")
              .replace("<head>", `<head><base href="${location.href.split("#")[0]}">`);
            document.body.append(frame);
            await new Promise((done) => { frame.onload = done; });
            return frame.contentDocument.documentElement.scrollWidth;
            """,
        )
        assert wide <= 380, page


def test_encoders_of_charts_are_named_without_scripts(site: Path) -> None:
    text = (site / "curves.html").read_text()
    (legend,) = re.findall(r'<form[^>]* id="legend"[^>]*>.*?</form>', text, re.S)
    assert "hidden" not in legend.partition(">")[0]
    # Boxes that nobody listens to are not shown.
    assert legend.count("<input") == legend.count(" hidden>") == 3
    assert all(name in legend for name in ("random", "mgca", "g2d"))
    assert "No curve" not in text


@pytest.mark.parametrize("shots", [0, 4])
def test_pages_say_why_a_small_store_has_no_curves_and_no_claims(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path, shots: int
) -> None:
    folder.add("mgca", fraction=1.0, shots=shots)
    made()
    curves, claims = (words(tmp_path / "site" / name) for name in ("curves.html", "claims.html"))
    assert "No curve can be drawn: that takes numbers of one task with two shares" in curves
    assert "No chart of cost can be drawn" in curves
    assert "Main metric against" not in curves
    assert "No claim can be asked: that takes numbers with two shares of the labels" in claims
    assert "one share" not in claims
    assert "--encoder" not in claims


def test_a_claim_is_repeated_of_an_encoder_that_is_there(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.grid({"random": 0.3, "our net": 0.7}, (0.1, 1.0))
    made()
    said = words(tmp_path / "site" / "claims.html")
    words_of = "g2d-bench claim label-efficiency --encoder 'our net' --at 10% --against all --at-peers 100%"
    assert words_of in said


def test_one_encoder_has_nobody_to_be_compared_with(
    folder: Any, made: Callable[..., Any], asked: Callable[..., Any], tmp_path: Path
) -> None:
    folder.add("g2d")
    made()
    verdict = 'return document.getElementById("verdict").textContent;'
    said = asked(tmp_path / "site" / "compare.html", verdict)
    assert said == "There is no other encoder to compare it with."


@pytest.mark.slow
def test_axe_finds_nothing(site: Path, asked: Callable[..., Any]) -> None:
    axe = Path(os.environ.get("G2D_BENCH_AXE", ROOT / "node_modules" / "axe-core" / "axe.min.js"))
    if not axe.is_file():
        pytest.skip(f"no axe-core at {axe} (npm install axe-core, or set G2D_BENCH_AXE)")
    pages = [
        site / name for name in ("index.html", "curves.html", "compare.html", "claims.html", "quoted.html")
    ]
    pages += [site / "encoders" / "g2d.html", site / "tasks" / "siim-seg.html"]
    pages.append(next((site / "records").rglob("*.html")))
    script = """
    const style = document.createElement("style");
    style.textContent = "section { content-visibility: visible !important }";
    document.head.append(style);
    const found = await axe.run(document, { resultTypes: ["violations"] });
    return found.violations.map((one) => [one.id, one.nodes.length, one.nodes[0].html]);
    """
    for page in pages:
        for dark in (False, True):
            found = asked(page, script, extra=f'<script src="{axe.as_uri()}"></script>', dark=dark)
            assert found == [], (page.name, dark)
