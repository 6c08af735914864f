"""What must be said of a number stands in every output that holds one, whatever its format."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from marked import fill
from matplotlib.text import Text

from g2d_bench.api.results import Results
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.explain import explain_record
from g2d_bench.cli.claim import _json, _lines
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found
from g2d_bench.report import checklist, claims
from g2d_bench.report.checklist_text import STYLES
from g2d_bench.report.checklist_text import render as render_checklist
from g2d_bench.report.curves import curves, draw, remarks
from g2d_bench.report.exports import EXPORTS
from g2d_bench.report.exports.base import Request, numbers
from g2d_bench.report.formats import FORMATS
from g2d_bench.report.formats.render import render
from g2d_bench.report.groups import group_tables
from g2d_bench.report.look import Look
from g2d_bench.report.marks import LEAK, caveats, leak_lines, short, sight_lines
from g2d_bench.report.origin import origins, sentence
from g2d_bench.report.site.board import Board, sampled_columns
from g2d_bench.report.site.content import sections
from g2d_bench.report.site.page import Pages
from g2d_bench.report.table import blocks, summary
from g2d_bench.report.trackers import TRACKERS
from g2d_bench.report.trackers.base import Setup, told_of
from g2d_bench.report.trackers.pages import pages_of

MARKS = {
    "generated": r"GENERATED|\bdata\W+(generated|phantom)\b",
    "scale": r"phantom-scale|\bscale\W+phantom\b",
    "pre-training": r"¶|\\P\{\}|\bpretraining_saw\W+labels\b|has seen images and labels",
    "leak": r"known twins",
    "defects": r"in two parts|repeats a published one with its defects",
}
"""What must be said, and how it may be: in words, as a mark, or in a column of its own."""
NO_NUMBERS = {
    "croissant": "the committed splits, on which nothing was measured",
    "schema": "the layout of a record",
}
"""Exports that hold no number, and what they are of."""
MAIN = {("siim-seg", "clean"): "dice_positive"}


@dataclass(frozen=True)
class World:
    """Records, of which all that can be said has to be, or nothing, and a folder to write into."""

    found: Sequence[Found]
    folder: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def order(self) -> list[str]:
        return list(dict.fromkeys(one.cell.encoder for one in self.found))


def tables(world: World, style: str) -> str:
    return _read(style, render(blocks(world.found, world.order, metrics={}), style))


def overview(world: World, style: str) -> str:
    return _read(style, render(summary(world.found, world.order, main=MAIN), style))


def narrow(world: World, style: str) -> str:
    made = blocks(world.found, world.order, metrics={})
    look = Look(narrow=True, titles=True, intervals=False)
    return render(made, style, None if FORMATS[style].for_programs else look)


def grouped(world: World, style: str) -> str:
    def sexes(found: Found) -> dict[str, Any]:
        assert found.path is not None
        ids = read_predictions(found.path, found.record)["id"]
        return {"id": ids, "group_sex": np.array(["M", "F"] * (len(ids) // 2))}

    made, _ = group_tables(world.found, "sex", world.order, main=MAIN, elsewhere=sexes, count=20)
    return _read(style, render(made, style))


def _read(style: str, text: str) -> str:
    """Put each value of a CSV file beside the name of its column."""
    return json.dumps(list(csv.DictReader(io.StringIO(text))), ensure_ascii=False) if style == "csv" else text


def export(world: World, name: str) -> str:
    request = Request(world.found, MAIN, {}, dataset="me/bench", intervals=False)
    if name == "parquet":
        pandas = pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")
        frame = pandas.read_parquet(io.BytesIO(EXPORTS[name].write(request)["records.parquet"]))
        return json.dumps(frame.astype(str).to_dict("records"), ensure_ascii=False)
    files = EXPORTS[name].write(request).values()
    return "\n".join(_read(name, data.decode()) for data in files)


def tracker(world: World, name: str) -> str:
    """Note all that a tracker hands to its library."""
    spy = MagicMock()
    for module in ("mlflow", "wandb", "trackio", "tensorboard", "torch.utils.tensorboard"):
        world.monkeypatch.setitem(__import__("sys").modules, module, spy)
    made = TRACKERS[name](Setup("chest", world.folder))
    made.cell(replace(told_of(world.found[-1].record), record="(left out: it says everything)"))
    return str(spy.mock_calls)


def tracker_pages(world: World, name: str) -> str:
    del name
    made = pages_of(world.found, blocks(world.found, metrics={}), {})
    return made.tables + json.dumps(made.rows.astype(str).to_dict("records"), ensure_ascii=False)


def figure(world: World, name: str) -> str:
    """Read a figure; the words of a narrow one stand in the terminal, for the caption."""
    panels = [curves(world.found, "dice_positive", world.order)]
    drawn = draw(panels, Look(narrow=name == "narrow"))
    texts = [part.get_text() for part in drawn.findobj(Text)]
    return " ".join(" ".join([*texts, *(remarks(panels) if name == "narrow" else [])]).split())


def claim(world: World, name: str) -> str:
    asked = claims.Claim("toy", 0.01)
    verdicts = claims.measured(asked, sampled_columns(world.found, world.order, MAIN, Evidence()))
    assert all(not verdict.reason or "published" in verdict.reason for verdict in verdicts)
    told = sentence(origins(world.found))
    if name == "json":
        return _json(asked, verdicts, None, told)
    return "\n".join(_lines(verdicts, None, told))


def check_list(world: World, name: str) -> str:
    made = list(numbers(Request(world.found, MAIN, intervals=False)))
    answers = checklist.fill(checklist.Study(world.found, made, Catalogue.open()))
    generated = any(one.record.data.kind == "phantom" for one in world.found)
    return render_checklist(answers, name, generated=generated)


def explained(world: World, name: str) -> str:
    del name
    one = world.found[-1]
    return "\n".join(explain_record(one.record, str(one.path), Catalogue.open())).split("Its fields:")[0]


def python(world: World, name: str) -> str:
    results = Results(world.found)
    if name == "html":
        return results._repr_html_().split("<table")[0]
    return json.dumps(results.frame(intervals=False).astype(str).to_dict("records"), ensure_ascii=False)


def site(world: World, name: str) -> str:
    """Read a file of the leaderboard; of pages only what stands before their own script's numbers."""
    evidence = Evidence()
    roots = [world.folder / "runs"]
    made = blocks(world.found, world.order, metrics={}, evidence=evidence)
    board = Board(
        title="x",
        sections=sections(made, world.found, roots, MAIN),
        overview=summary(world.found, world.order, main=MAIN, evidence=evidence),
        columns=sampled_columns(world.found, world.order, MAIN, evidence),
        found=world.found,
        both=[],
        roots=roots,
        catalogue=Catalogue.open(),
        order=world.order,
        words=lambda _: [],
    )
    files = Pages(board, evidence).files()
    content = next(data for path, data in files.items() if re.search(name, path))
    assert isinstance(content, bytes)
    text = re.sub(r"<script>.*?</script>|<style>.*?</style>", "", content.decode(), flags=re.S)
    return _read("csv" if name.endswith("csv$") else "", text)


OUTPUTS: Mapping[str, tuple[Callable[[World, str], str], Sequence[str]]] = {
    "table": (tables, FORMATS.names),
    "summary": (overview, FORMATS.names),
    "narrow table": (narrow, [name for name in FORMATS.names if not FORMATS[name].for_programs]),
    "table by group": (grouped, FORMATS.names),
    "export": (export, [name for name in EXPORTS.names if name not in NO_NUMBERS]),
    "tracker": (tracker, TRACKERS.names),
    "tracker's pages": (tracker_pages, ["all"]),
    "figure": (figure, ["wide", "narrow"]),
    "claim": (claim, ["text", "json"]),
    "checklist": (check_list, STYLES),
    "explain": (explained, ["text"]),
    "python": (python, ["frame", "html"]),
    "leaderboard": (
        site,
        [
            *(r"^index\.html$", r"^curves\.html$", r"^compare\.html$", r"^claims\.html$"),
            *(r"^encoders/toy\.html$", r"^tasks/siim-seg\.html$", r"records/.*toy.*\.html$"),
            *(r"^leaderboard\.json$", r"^leaderboard\.csv$"),
        ],
    ),
}
"""All that shows numbers: what writes it, and in which formats. What is registered is found."""
ALL = [(kind, name) for kind, (_, names) in OUTPUTS.items() for name in names]


@pytest.fixture
def world(folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[set[str]], World]:
    return lambda marks: World(fill(folder, marks), tmp_path, monkeypatch)


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_output_says_what_must_be_said(
    kind: str, name: str, world: Callable[[set[str]], World]
) -> None:
    said = OUTPUTS[kind][0](world({*MARKS} - {"generated"}), name)
    assert {mark for mark, how in MARKS.items() if re.search(how, said)} == {*MARKS} - {"generated"}, said


@pytest.mark.parametrize(("kind", "name"), ALL)
def test_every_output_says_that_data_were_generated(
    kind: str, name: str, world: Callable[[set[str]], World]
) -> None:
    said = OUTPUTS[kind][0](world({"generated"}), name)
    assert {mark for mark, how in MARKS.items() if re.search(how, said)} == {"generated"}, said


def test_what_is_no_output_of_numbers_is_known() -> None:
    assert {name for name in EXPORTS.names if not EXPORTS[name].of_records} == {*NO_NUMBERS}


def test_sentences_name_the_tasks_and_data_sets_where_there_are_several(folder: Any) -> None:
    found = fill(folder, {"leak", "pre-training", "scale"})
    assert leak_lines(found) == [f"{LEAK}: known twins"]
    assert sight_lines(found) == ["¶ pre-training saw images and labels of this data set: toy"]
    other = folder.add("toy", task="rsna-cls", data_kind="real")
    data = other.record.data.model_copy(update={"dataset": "rsna"})
    part = found[-1].record.encoder
    elsewhere = Found(other.record.model_copy(update={"data": data, "encoder": part}))
    assert leak_lines([*found, elsewhere]) == [f"{LEAK} in siim-seg: known twins"]
    assert sight_lines([*found, elsewhere])[0].endswith("of this data set: toy (siim)")
    mine = [one for one in found if one.cell.encoder == "toy"]
    assert short(mine) == [
        "phantom-scale",
        "¶ pre-training saw images and labels of this data set",
        LEAK,
    ]
    assert short([one for one in found if one.cell.encoder == "whole"]) == [LEAK]
    assert caveats([elsewhere]) == [
        "[phantom-scale]: a small encoder of this suite, NOT the published model of that name"
    ]
