"""What kind of encoder a row stands for, and that nobody takes a small one for the published model."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.encoders.weights import file_hash
from g2d_bench.paths import PACKAGE
from g2d_bench.records.quoted import load_reported
from g2d_bench.records.record import EncoderPart
from g2d_bench.records.selection import Found, select
from g2d_bench.records.signature import is_of_this_code
from g2d_bench.report.formats import FORMATS
from g2d_bench.report.formats.render import render
from g2d_bench.report.model import Table
from g2d_bench.report.origin import (
    EXPLAINED,
    Origin,
    explained,
    origin,
    origins,
    sentence,
    several_weights,
    tags,
)
from g2d_bench.report.quoted_rows import Beside
from g2d_bench.report.table import blocks, paper_table

SMALL = EncoderPart(card_hash="e" * 64, weights="a" * 64, scale="phantom", pretraining=("phantom",))
FULL = EncoderPart(card_hash="e" * 64, weights="b" * 64, scale="published", pretraining=("mimic-cxr",))
NONE = EncoderPart(card_hash="e" * 64, weights="init:resnet18:0:0", scale="phantom", pretraining=())
METRICS = {"siim-seg": ("dice_positive",)}


def test_a_record_says_what_its_encoder_was(folder: Any) -> None:
    found = folder.add("mine")
    assert origin(found) == Origin()
    stated = Found(found.record.model_copy(update={"encoder": FULL}))
    assert origin(stated) == Origin("published", ("mimic-cxr",))
    assert origin(stated).words == "full-scale, pre-trained on mimic-cxr"
    assert Origin("phantom", ()).words == "phantom-scale, not pre-trained"
    assert Origin().words == "scale unknown, pre-training data unknown"


def test_older_records_are_told_by_the_shipped_card_that_they_hashed(folder: Any) -> None:
    card = Catalogue.open().encoders["mgca.r50"]
    old = EncoderPart(card_hash=card.digest, weights="c" * 64)
    found = folder.add("mgca.r50")
    assert origin(Found(found.record.model_copy(update={"encoder": old}))) == Origin(
        "published", ("mimic-cxr",)
    )
    # The name alone proves nothing, nor does the card under another name.
    assert origin(found) == Origin()
    other = folder.add("mine")
    assert origin(Found(other.record.model_copy(update={"encoder": old}))) == Origin()


def test_the_packages_own_weights_are_known_under_any_card(folder: Any) -> None:
    weights = PACKAGE / "weights" / "g2d.safetensors"
    if not weights.is_file():
        pytest.skip("no shipped weights here; `make weights` makes them")
    claimed = FULL.model_copy(update={"weights": file_hash(weights)})
    found = folder.add("mine")
    assert origin(Found(found.record.model_copy(update={"encoder": claimed}))) == Origin(
        "phantom", ("phantom",)
    )


def test_records_that_disagree_say_nothing(folder: Any) -> None:
    found = [
        Found(folder.add("mine", seed=seed).record.model_copy(update={"encoder": part}))
        for seed, part in enumerate((SMALL, FULL))
    ]
    assert origins(found) == {"mine": Origin()}
    assert origins(found[:1]) == {"mine": Origin("phantom", ("phantom",))}


def test_committed_records_are_all_known() -> None:
    committed = PACKAGE.parent / "results" / "phantom"
    if not committed.is_dir():
        pytest.skip("no reference records here; `make reference` makes them")
    known = origins([one for one in select(committed) if is_of_this_code(one.record.signature)])
    assert known.pop("random") == Origin("phantom", ())
    assert set(known.values()) == {Origin("phantom", ("phantom",))}


def test_a_name_is_tagged_where_it_could_be_taken_for_a_published_model() -> None:
    small, full, unknown = Origin("phantom", ()), Origin("published", ()), Origin()
    assert tags({"a": small, "b": small}, generated=True) == {"a": "", "b": ""}
    assert tags({"a": small, "b": small}, generated=False) == {"a": "phantom-scale", "b": "phantom-scale"}
    assert tags({"a": small}, generated=True, quoted=True) == {"a": "phantom-scale"}
    assert tags({"a": small, "b": full}, generated=True) == {"a": "phantom-scale", "b": ""}
    assert tags({"a": unknown, "b": full}, generated=False) == {"a": "scale unknown", "b": ""}
    assert set(EXPLAINED) == {"phantom-scale", "scale unknown", "self-reported embeddings", "scorer"}
    assert sentence({"a": small, "b": full, "c": small}) == (
        "scale and pre-training: a, c (phantom-scale, not pre-trained); b (full-scale, not pre-trained)"
    )


def test_what_is_no_encoder_of_ours_is_tagged_in_any_company() -> None:
    given, scorer = Origin("published", (), "embeddings"), Origin("phantom", (), "scorer")
    assert tags({"a": given, "b": given}, generated=True) == dict.fromkeys("ab", "self-reported embeddings")
    assert tags({"a": scorer}, generated=False) == {"a": "scorer, phantom-scale"}
    assert explained(["scorer, phantom-scale", "", "scorer"]) == [
        EXPLAINED["phantom-scale"],
        EXPLAINED["scorer"],
    ]
    assert given.words == "self-reported embeddings, full-scale, not pre-trained"


def real_table(folder: Any) -> Table:
    parts = {"random": NONE, "g2d": SMALL, "mgca.r50": FULL}
    for encoder, part in parts.items():
        found = folder.add(encoder, 0.5, data_kind="real")
        folder.store.save(found.path, found.record.model_copy(update={"encoder": part}), {})
    (table,) = blocks(select(folder.root), ["random"], metrics=METRICS)
    return table


@pytest.mark.parametrize("style", FORMATS)
def test_every_format_says_scale_and_pretraining(folder: Any, style: str) -> None:
    text = render([real_table(folder)], style)
    plain = text.replace("\\", "")
    if style == "csv":
        lines = {line["encoder"]: line for line in csv.DictReader(io.StringIO(text))}
        told = {name: (line["scale"], line["pretraining"]) for name, line in lines.items()}
        assert told == {
            "random": ("phantom", "none"),
            "g2d": ("phantom", "phantom"),
            "mgca.r50": ("published", "mimic-cxr"),
            "all-empty": ("", ""),
        }
        return
    assert EXPLAINED["phantom-scale"] in plain
    assert "mgca.r50 (full-scale, pre-trained on mimic-cxr)" in plain
    if style == "json":
        rows = json.loads(text)[0]["rows"]
        said: dict[str, Any] = {r["name"]: (r["scale"], r["pretraining"], r["marked"]) for r in rows}
        assert said["g2d"] == ("phantom", ["phantom"], "phantom-scale")
        assert said["mgca.r50"] == ("published", ["mimic-cxr"], "")
        assert said["random"] == ("phantom", [], "phantom-scale")
        assert said["all-empty"] == (None, None, "")
    else:
        row = next(line for line in plain.splitlines() if line.lstrip("| ").startswith("g2d "))
        assert row.lstrip("| ").startswith("g2d [phantom-scale]")
        assert "mgca.r50 [" not in plain


def printed(table: Table) -> set[str]:
    rows = [row for row in table.rows if row.sort == "quoted"]
    return {value.marks for row in rows for value in row.values if not value.missing}


def test_quoted_numbers_stand_unmarked_only_beside_the_published_protocol_on_real_data(folder: Any) -> None:
    quoted = [one for one in load_reported() if one.comparable == "yes" and one.task == "chexpert-cls"]
    assert quoted

    def made(kind: str, protocol: str, part: EncoderPart) -> Table:
        found = folder.add("mgca.r50", task="chexpert-cls", data_kind=kind, protocol=protocol)
        record = found.record.model_copy(
            update={"encoder": part, "metrics": {"auroc": 0.8}, "predictions": None, "references": {}}
        )
        (table,) = blocks([Found(record)], metrics={}, quoted=quoted)
        return table

    comparable = made("real", "legacy", FULL)
    assert printed(comparable) == {""}
    assert comparable.warnings == ()
    assert [row.tag for row in comparable.rows if row.sort == "measured"] == [""]

    clean = made("real", "clean", FULL)
    assert printed(clean) == {"†"}
    assert "protocol clean is not the published one" in clean.warnings[0]
    assert any("follow published protocols" in note for note in clean.notes)

    both = Beside(False, ("clean", "legacy"), ())
    assert both.another.endswith("the others here follow clean and legacy"), "one published one is not enough"
    assert Beside(False, ("legacy", "legacy-finetune"), ()).another == ""

    tuned = made("real", "legacy-finetune", FULL)
    assert printed(tuned) == {"†"}
    assert any("linear on a frozen encoder, not protocol legacy-finetune" in note for note in tuned.notes)

    generated = made("phantom", "legacy", FULL)
    assert printed(generated) == {"†"}
    assert "measured on real data by others" in generated.warnings[0]

    small = made("real", "legacy", SMALL)
    assert printed(small) == {""}
    assert small.warnings[0] == EXPLAINED["phantom-scale"]
    assert small.warnings[1] == (
        "rows marked [quoted] must not be compared with mgca.r50: not of published scale"
    )
    assert [row.tag for row in small.rows if row.sort == "measured"] == ["phantom-scale"]


def test_a_printed_table_alone_warns_of_nothing() -> None:
    table = paper_table("g2d-table4", [], quoted=load_reported())
    assert table.warnings == ()


def test_a_mean_over_different_weights_is_named(folder: Any) -> None:
    for seed, weights in enumerate("aab"):
        folder.add("mine", seed=seed, weights=weights * 64)
    for seed in range(3):
        folder.add("random", seed=seed, weights=f"init:resnet18:0:{seed}")
    found = select(folder.root)
    assert several_weights(found) == [
        "mine stands for 2 different weights: aaaaaaaa (siim-seg seed 0, siim-seg seed 1); "
        "bbbbbbbb (siim-seg seed 2)"
    ]
    (table,) = blocks(found, metrics=METRICS)
    assert several_weights(found)[0] in table.notes


def test_a_record_of_the_run_says_it(folder: Any) -> None:
    """Optional in the schema: records of before can be read."""
    path: Path = folder.add("g2d").path
    raw = json.loads(path.read_text())
    for name in ("title", "scale", "pretraining"):
        raw["encoder"].pop(name)
    path.write_text(json.dumps(raw))
    (found,) = select(folder.root)
    assert found.record.encoder.scale is None
    assert found.record.encoder.pretraining is None
