"""Records against the cards."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.checks_cards import CardCheck
from g2d_bench.cells.verify import Checked, verify
from g2d_bench.paths import PACKAGE
from g2d_bench.records.identity import key_of
from g2d_bench.records.record import read_predictions, read_record, sealed, to_json
from g2d_bench.records.signature import NUMBERS

Change = Callable[[dict[str, Any]], None]


def forge(path: Path, how: Change) -> None:
    """Edit a record and seal it again, as one who knows how would."""
    raw = json.loads(path.read_text())
    how(raw)
    path.write_text(json.dumps(raw))
    path.write_bytes(to_json(sealed(read_record(path))))


def said(path: Path, checked: Checked) -> list[str]:
    """Return what was found wrong with one record, without its place; nothing else may be wrong."""
    prefix = f"{path}: "
    assert all(problem.startswith(prefix) for problem in checked.problems), checked.problems
    return [problem.removeprefix(prefix) for problem in checked.problems]


@pytest.fixture
def carded(folder: Any) -> Path:
    """A record whose signature names the shipped cards."""
    cards = Catalogue.open()
    task, protocol, encoder = cards.tasks["siim-seg"], cards.protocols["clean"], cards.encoders["random"]
    identity = {
        "cell": {"task": "siim-seg", "fraction": 0.01, "protocol": "clean", "seed": 0, "encoder": "random"},
        "task": task.digest("clean"),
        "protocol": protocol.digest("segmentation"),
        "encoder": encoder.digest,
        "weights": "init:resnet18:84738222:0",
        "data": "b" * 64,
        "numbers": NUMBERS,
    }
    found = folder.add("random", metrics_names=task.metrics)
    record = found.record.model_copy(
        update={
            "key": key_of(identity),
            "signature": f"siim-seg@{task.version}#{task.digest('clean')[:4]}|phantom:siim#bbbbbbbb"
            f"|split:clean#cccccccc|clean@{protocol.version}#{protocol.digest('segmentation')[:4]}|n{NUMBERS}",
            "encoder": found.record.encoder.model_copy(
                update={"card_hash": encoder.digest, "weights": identity["weights"]}
            ),
        }
    )
    predictions = read_predictions(found.path, found.record)
    found.path.unlink()
    found.path.with_suffix(".npz").unlink()
    path: Path = folder.store.path(found.cell, kind="phantom", version=task.version, key=record.key)
    folder.store.save(path, record, predictions)
    return path


def test_a_record_of_these_cards_passes(carded: Path, folder: Any) -> None:
    checked = verify(folder.root)
    assert checked.problems == ()
    assert checked.undecided == (
        "1 x ids, patients, truth, leaks and what training images tell: the generated siim is not here",
    )


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (lambda raw: raw["encoder"].update(weights="init:resnet18:84738222:2"), "encoder.weights: "),
        (lambda raw: raw["encoder"].update(weights="f" * 64), "encoder.weights: says 'ffff"),
        (
            lambda raw: raw["encoder"].update(card_hash="f" * 64),
            "key: is not that of the record's cell, cards",
        ),
        (lambda raw: raw["data"].update(hash="bbbbbbbb" + "c" * 56), "key: is not that of the record's cell"),
        (lambda raw: raw["metrics"].pop("dice_legacy"), "metrics.dice_legacy: is missing"),
        (lambda raw: raw["metrics"].update(dice_pooled=0.5), "metrics.dice_pooled: "),
        (lambda raw: raw.update(kind="grounding"), "kind: says 'grounding', the card of siim-seg says"),
        (lambda raw: raw["encoder"].update(scale="published"), "encoder.scale: says 'published', the card"),
        (lambda raw: raw["encoder"].update(form="scorer"), "encoder.form: says 'scorer', the card says ''"),
        (
            lambda raw: raw["notes"].update(split_defects=["none"]),
            "notes.split_defects: says ['none'], the cards say nothing of the kind",
        ),
        (lambda raw: raw["notes"].update(precision="bf16"), "notes.precision: says 'bf16', the cards say"),
        (lambda raw: raw["notes"].update(encoder_frozen=False), "notes.encoder_frozen: says False, the ca"),
        (lambda raw: raw["notes"].update(trained_on={"task": "x"}), "notes.trained_on: says {'task': 'x'}"),
        (lambda raw: raw["notes"].update(scorer={"name": "x"}), "notes.scorer: says {'name': 'x'}, the c"),
    ],
)
def test_against_the_cards(carded: Path, folder: Any, how: Change, problem: str) -> None:
    forge(carded, how)
    assert any(line.startswith(problem) for line in said(carded, verify(folder.root)))


@pytest.mark.parametrize(("field", "value"), [("title", "SOTA"), ("pretraining", ["chexpert"])])
def test_prose_of_a_card_that_differs_is_said(carded: Path, folder: Any, field: str, value: Any) -> None:
    """It moves no number, and the card may have been amended since."""
    forge(carded, lambda raw: raw["encoder"].update({field: value}))
    checked = verify(folder.root)
    assert checked.problems == ()
    assert any(
        f"encoder.{field}: another one than on the card of random" in line for line in checked.undecided
    )


def test_cards_that_changed_since_are_said(carded: Path, folder: Any) -> None:
    forge(carded, lambda raw: raw.update(signature=raw["signature"].replace("siim-seg@1.0", "siim-seg@0.9")))
    target = carded.parents[1].with_name("siim-seg@0.9") / carded.parent.name
    target.mkdir(parents=True)
    for path in (carded, carded.with_suffix(".npz")):
        path.rename(target / path.name)
    checked = verify(folder.root)
    assert checked.problems == ()
    reason = "1 x kind, labels, metrics and key: the card of task siim-seg is another one here"
    assert reason in checked.undecided


def test_a_key_that_hangs_on_texts_is_not_decided_without_them() -> None:
    [path] = (PACKAGE.parent / "results/phantom/g2d/rsna-zeroshot@1.0/clean").glob("*.json")
    record, check = read_record(path), CardCheck(Catalogue.open())
    assert check(record, None) == ([], [])
    gone = record.model_copy(update={"cell": replace(record.cell, encoder="gone")})
    assert check(gone, None)[1] == ["key: the card of gone is not at hand, or is another one here"]
    card = Catalogue.open().encoders["g2d"]
    assert card.text is not None
    text = card.text.model_copy(update={"source": "hf-hub:a/b"})
    elsewhere = card.model_copy(update={"name": "elsewhere", "text": text})
    part = record.encoder.model_copy(update={"card_hash": elsewhere.digest})
    named = record.model_copy(update={"cell": replace(record.cell, encoder="elsewhere"), "encoder": part})
    check = CardCheck(Catalogue.open().with_encoder(elsewhere))
    assert check(named, None)[1] == [
        "key: the files of the text encoder of elsewhere are not kept in a record"
    ]
