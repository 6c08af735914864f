"""Notes against cards and images, where no run of a kind in test_checks_split.py shows it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.checks_notes import check_notes
from g2d_bench.records.signature import NUMBERS

CARDS = Catalogue.open()


def said(notes: dict[str, Any], task: str, protocol: str, data: Any = None, metrics: Any = ()) -> list[str]:
    """Check the notes of a record of the shipped cards."""
    record: Any = SimpleNamespace(notes=notes, signature=f"x|n{NUMBERS}", metrics=dict(metrics))
    encoder = CARDS.encoders["convirt"]
    return list(check_notes(record, CARDS.tasks[task], CARDS.protocols[protocol], encoder, data))


def test_prompts_of_the_card() -> None:
    task = CARDS.tasks["rsna-zeroshot"]
    assert task.prompts is not None
    label = task.labels[0]
    right = {
        "set": task.prompts.name,
        "hash": task.prompts.digest(task.labels),
        "of": {label: task.prompts.of(label, "convirt")[1]},
    }
    assert said({"prompts": right}, "rsna-zeroshot", "clean") == []
    for name, value in (("set", "mine"), ("hash", "0" * 64), ("of", {label: "gloria"})):
        (line,) = said({"prompts": {**right, name: value}}, "rsna-zeroshot", "clean")
        assert line.startswith(f"notes.prompts.{name}: says ")


@pytest.mark.parametrize(
    ("notes", "line"),
    [
        ({"penalty": 3.0, "penalty_at_edge": False}, "notes.penalty: says 3.0, the cards say "),
        ({"penalty": 1e-4, "penalty_at_edge": True}, "notes.penalty_at_edge: says True, the cards say False"),
        ({"threshold": 0.123, "threshold_at_edge": False}, "notes.threshold: says 0.123, the cards say "),
    ],
)
def test_what_is_chosen_is_of_the_grid(notes: dict[str, Any], line: str) -> None:
    task, protocol = ("siim-seg", "clean-linear") if "threshold" in notes else ("rsna-cls", "clean")
    (found,) = said(notes, task, protocol)
    assert found.startswith(line)


def test_defects_of_a_published_split_must_be_there() -> None:
    name, protocol = next(
        (task, protocol)
        for task in CARDS.tasks.names
        for protocol in CARDS.protocols.names
        if (rule := CARDS.tasks[task].split.get(CARDS.protocols[protocol].split)) is not None and rule.defects
    )
    defects = list(CARDS.tasks[name].split[CARDS.protocols[protocol].split].defects)
    assert said({"split_defects": defects}, name, protocol) == []
    (line,) = said({}, name, protocol)
    assert line.startswith("notes.split_defects: is missing, the cards say [")


def test_shots_and_reasons_follow_from_the_images() -> None:
    data: Any = SimpleNamespace(
        short={"Edema": 2}, task=CARDS.tasks["rsna-cls"], why_undefined=lambda name: f"no {name}"
    )
    metrics = {"auroc": None, "auprc": 0.5}
    right = {"fewer_than_shots": {"Edema": 2}, "undefined": {"auroc": "no auroc"}}
    assert said(right, "rsna-cls", "clean", data, metrics) == []
    assert said({"undefined": {"auroc": "bad luck"}}, "rsna-cls", "clean", data, metrics) == [
        "notes.fewer_than_shots: is missing, the images say {'Edema': 2}",
        "notes.undefined: says {'auroc': 'bad luck'}, the images say {'auroc': 'no auroc'}",
    ]
