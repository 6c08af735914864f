"""What the choices, the search and the links of the first page show and hide."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marked import fill

from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import select

MARKS = set("§¶")
VOID = ("br", "input", "link", "meta", "hr", "img", "line", "circle", "path")

LOOK = """
document.head.append(Object.assign(document.createElement("style"),
  { textContent: "section { content-visibility: visible !important }" }));
const all = (selector, part = document) => [...part.querySelectorAll(selector)];
const visible = (part) => part.checkVisibility({ visibilityProperty: true });
const seen = (selector, part) => all(selector, part).filter(visible);
const choose = (name, value) => {
  const control = document.querySelector(`#filters [name=${name}]`);
  if (control.type === "checkbox") control.checked = value;
  else control.value = value;
  control.dispatchEvent(new Event("input", { bubbles: true }));
};
const marked = () => {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let text; (text = texts.nextNode());)
    if (/[§¶]/.test(text.data) && visible(text.parentElement)) found.push(text.parentElement.outerHTML);
  return found;
};
const view = () => ({
  tables: seen("section.task").map((one) => one.id),
  groups: seen("article.group h3").map((one) => one.textContent),
  lines: seen(".overview tbody tr:not(.panel) th").map((one) => one.textContent),
  columns: seen(".overview thead th").map((one) => one.textContent),
  further: seen(".further h3").map((one) => one.textContent.split(" · ").slice(0, 3).join(" · ")),
});
"""


class Marked(HTMLParser):
    """Collects the texts with a mark that stand in nothing that the choice hides."""

    def __init__(self) -> None:
        super().__init__()
        self.above: list[tuple[str, dict[str, str | None]]] = []
        self.found: list[str] = []
        self.count = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.above.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.above.pop()

    def handle_data(self, data: str) -> None:
        if not MARKS & set(data) or self.above[-1][0] in ("script", "style"):
            return
        self.count += 1
        facts = [one for _, one in self.above]
        classes = {word for one in facts for word in (one.get("class") or "").split()}
        if not any(one.get("data-saw") for one in facts) and not classes & {"seen", "answer"}:
            self.found.append(data)


def grouped(folder: Any) -> None:
    """Let all records say from which view their images are."""
    for one in select(folder.root):
        assert one.path is not None
        arrays = read_predictions(one.path, one.record)
        views = np.array(["AP", "PA"] * (len(arrays["id"]) // 2))
        folder.store.save(one.path, one.record, {**arrays, "group_view": views})


@pytest.fixture
def seen(folder: Any, made: Callable[..., Any], tmp_path: Path) -> Path:
    """The page of two encoders, of which ``toy`` saw the images and labels, with groups of patients."""
    fill(folder, {"pre-training"})
    grouped(folder)
    made()
    return tmp_path / "site" / "index.html"


def test_every_mark_stands_in_what_the_choice_hides(seen: Path) -> None:
    read = Marked()
    read.feed(seen.read_text())
    assert read.count > 10
    assert read.found == []


def test_what_an_encoder_saw_is_hidden_everywhere(seen: Path, asked: Callable[..., Any]) -> None:
    script = """
    const texts = () => [marked(), seen(".answer").length, seen(".among").length, seen(".further").length,
      seen("article.group tbody tr").map((row) => row.dataset.encoder)];
    const made = [texts()];
    choose("clean", true);
    made.push(texts());
    choose("clean", false);
    choose("saw", "not seen");
    made.push(texts());
    choose("saw", "labels");
    made.push(texts());
    return made;
    """
    before, clean, unseen, labels = asked(seen, LOOK + script)
    assert len(before[0]) > 10
    assert before[1:] == [2, 0, 2, ["toy", "whole", "toy", "whole"]]
    # Who is best was found with the encoder that is left out, and is not found anew.
    assert clean == unseen == [[], 0, 2, 2, ["whole", "whole"]]
    assert len(labels[0]) > 10
    assert labels[1:] == [0, 2, 2, ["toy", "toy"]]


@pytest.fixture
def amounts(folder: Any, made: Callable[..., Any], tmp_path: Path) -> Path:
    """The page of one task with a share of the labels and with shots, and of one without training."""
    for encoder in ("g2d", "random"):
        folder.add(encoder, 0.5, fraction=1.0)
        folder.add(encoder, 0.4, fraction=1.0, shots=4)
    grouped(folder)
    for encoder in ("g2d", "random"):
        found = folder.add(encoder, task="siim-zeroshot", fraction=1.0, kind="zero-shot")
        found.path.with_suffix(".npz").unlink()
        none: dict[str, Any] = {"metrics": dict.fromkeys(found.record.metrics), "predictions": None}
        none |= {"references": {}, "notes": {"n/a": "no text encoder"}}
        folder.store.save(found.path, found.record.model_copy(update=none), {})
    made()
    return tmp_path / "site" / "index.html"


def test_one_word_says_with_how_many_labels(amounts: Path, asked: Callable[..., Any]) -> None:
    script = """
    const wanted = ["100 %", "4 shots", "no labels"];
    const offered = all("#filters [name=fraction] option").map((one) => one.value);
    return [offered, wanted.map((share) => { choose("fraction", share); return view(); })];
    """
    offered, views = asked(amounts, LOOK + script)
    assert offered == ["", "100 %", "4 shots", "no labels"]
    expected = [
        ("siim-seg-1-", "segmentation · 100 %", "siim-seg, dice_positive · 100 %"),
        ("siim-seg-4shots-", "segmentation · 4 shots", "siim-seg, dice_positive · 4 shots"),
        ("siim-zeroshot-1-", "zero-shot classification (no training) · no labels", "siim-zeroshot, "),
    ]
    assert [len(shown["further"]) for shown in views] == [1, 1, 0]
    for shown, (table, group, line) in zip(views, expected, strict=True):
        (there,), (answer,), (summed,) = shown["tables"], shown["groups"], shown["lines"]
        assert there.startswith(table)
        assert answer == group
        assert summed.startswith(line)
        assert all(one.split(" · ")[2].startswith(group.split(" · ")[1]) for one in shown["further"])


def test_the_search_finds_metrics_kinds_and_encoders_everywhere(
    amounts: Path, asked: Callable[..., Any]
) -> None:
    script = """
    const search = (words) => { choose("encoder", words); return view(); };
    const made = ["iou_positive", "SEGM", "random", "nobody"].map(search);
    location.hash = "#siim-seg-1-clean-generated";
    await new Promise((done) => setTimeout(done, 100));
    return [...made, view(), document.querySelector("#filters [name=encoder]").value];
    """
    metric, kind, name, nothing, place, left = asked(amounts, LOOK + script)
    assert [one.split("-clean")[0] for one in metric["tables"]] == [
        "siim-seg-1",
        "siim-seg-4shots",
        "siim-zeroshot-1",
    ]
    assert {one.split("-1-")[0].split("-4")[0] for one in kind["tables"]} == {"siim-seg"}
    assert all(one.startswith("siim-seg") for one in (*kind["lines"], *kind["further"]))
    assert {one.split(" ")[0] for one in kind["groups"]} == {"segmentation"}
    assert name["columns"] == ["task", "random", "trivial"]
    assert len(name["lines"]) == 3
    assert all(found == [] for found in nothing.values())
    # A link into the page leads to what it names, whatever was chosen before.
    assert "siim-seg-1-clean-generated" in place["tables"]
    assert left == ""


def test_a_view_can_be_copied_without_a_clipboard(amounts: Path, asked: Callable[..., Any]) -> None:
    script = """
    Object.defineProperty(navigator, "clipboard", { value: undefined });
    choose("fraction", "4 shots");
    document.getElementById("link").click();
    await new Promise((done) => setTimeout(done, 50));
    const field = document.activeElement;
    return [field.value === location.href, field.selectionEnd - field.selectionStart === location.href.length,
      location.hash];
    """
    assert asked(amounts, LOOK + script) == [True, True, "#fraction=4+shots"]


def test_words_are_sorted_from_a_and_numbers_from_the_largest(
    folder: Any, made: Callable[..., Any], asked: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"b": 0.5, "3d-net": 0.6, "a": 0.7}, seeds=1)
    made()
    script = """
    const [head, number] = all("section.task thead th");
    const sorted = (one) => {
      one.querySelector("button").click();
      const rows = all("section.task tr.measured");
      return [one.getAttribute("aria-sort"), ...rows.map((row) => row.dataset.encoder)];
    };
    return [sorted(head), sorted(head), sorted(number), sorted(number)];
    """
    assert asked(tmp_path / "site" / "index.html", LOOK + script) == [
        ["ascending", "3d-net", "a", "b"],
        ["descending", "b", "a", "3d-net"],
        ["descending", "a", "3d-net", "b"],
        ["ascending", "b", "3d-net", "a"],
    ]


def test_names_of_encoders_are_no_names_of_the_script(
    folder: Any, made: Callable[..., Any], asked: Callable[..., Any], tmp_path: Path
) -> None:
    folder.grid({"constructor": 0.5, "evil\u202egnp": 0.6, "g2d": 0.7}, seeds=1)
    folder.add("g2d", 0.5, fraction=0.1)
    folder.add("evil\u202egnp", 0.5, fraction=0.1)
    made()
    page = tmp_path / "site" / "compare.html"
    data = json.loads(page.read_text().split('id="pairs">')[1].split("</script>")[0])
    columns = data["worlds"][0]["columns"]
    order = data["encoders"]
    assert columns[1]["values"][order.index("constructor")] is None
    read = "return all('#forest tbody tr').map((row) => [...row.cells].map((cell) => cell.textContent));"
    rows = asked(page, LOOK + read, state="#first=evil%5Cu202egnp&second=")
    numbers = {row[2]: (float(row[3]), float(row[4]), float(row[5])) for row in rows if row[1] == "1 %"}
    assert set(numbers) == {"constructor", "g2d"}
    for first, second, difference in numbers.values():
        assert difference == pytest.approx(first - second, abs=0.11)


def test_paper_is_light_and_cuts_nothing_off(amounts: Path) -> None:
    style = (amounts.parent / "site.css").read_text()
    screen, _, printed = style.partition("@media print")
    blocks = [part for part in screen.split("@media") if "--paper: #14171c" in part]
    assert len(blocks) == 2
    assert all(part.lstrip().startswith("screen") for part in blocks)
    assert ".wide { overflow: visible; }" in printed
    assert ".filters:not(#legend)" in printed
