"""Sentences of papers held against numbers."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from marked import fill

from g2d_bench.errors import InputError
from g2d_bench.metrics.resample import holm, paired_p
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.quoted import load_reported
from g2d_bench.records.selection import select
from g2d_bench.report.claims import Claim, measured, quoted, summary
from g2d_bench.report.model import Column, Value
from g2d_bench.report.sampled import Sampled
from g2d_bench.report.site.board import sampled_columns


def column(task: str, fraction: float, kind: str = "segmentation", **numbers: float) -> Sampled:
    """Make a column with narrow draws."""
    made = Column(task, fraction, "dice_positive", "clean", (task,))
    names = {name.replace("_decoder", "+decoder"): number for name, number in numbers.items()}
    draws = {
        name: value + np.random.default_rng(zlib.crc32(name.encode())).normal(0, 1, 2000)
        for name, value in names.items()
    }
    return Sampled(made, kind, "phantom", "siim", {n: Value(made, v) for n, v in names.items()}, draws)


def test_a_claim_holds_fails_or_stays_open_task_by_task() -> None:
    columns = [
        *(column("wins", 0.01, g2d=60), column("wins", 1.0, g2d=80, mgca=50, convirt=40)),
        *(column("loses", 0.01, g2d=45), column("loses", 1.0, g2d=80, mgca=60, convirt=40)),
        *(column("open", 0.01, g2d=50), column("open", 1.0, g2d=80, mgca=50.2, convirt=40)),
        *(column("lacking", 0.1, g2d=50), column("lacking", 1.0, g2d=80, mgca=50)),
        column("zero", 1.0, kind="zero-shot", g2d=1, mgca=2),
    ]
    found = {one.task: one for one in measured(Claim("g2d", 0.01), columns)}
    assert {task: one.outcome for task, one in found.items()} == {
        "wins": "holds",
        "loses": "fails",
        "open": "open",
        "lacking": "untold",
    }
    assert found["wins"].words == "better than mgca (+10.0), convirt (+20.0) with certainty"
    assert found["loses"].words == (
        "better than convirt (+5.0) with certainty; worse than mgca (-15.0) with certainty"
    )
    assert "not told from mgca (-0.2)" in found["open"].words
    assert found["lacking"].words == "nothing was measured with 1 % of the labels"
    assert all(one.where == "protocol clean, generated data" for one in found.values())
    assert summary(list(found.values())) == (
        "of 4 verdicts: holds in 1, does not hold in 1, not decided in 1, cannot be asked in 1"
    )


def test_a_claim_bears_the_marks_of_its_encoders_and_data(folder: Any) -> None:
    found = fill(folder, {"pre-training", "leak"})
    columns = sampled_columns(found, ["whole", "toy"], {("siim-seg", "clean"): "dice_positive"}, Evidence())
    [one] = measured(Claim("whole", 0.01), columns)
    assert "toy¶ (-" in one.words
    assert (one.shown, one.sight, one.leaks) == ("whole", "", ("known twins",))
    assert one.remark == (
        "¶ pre-training saw images and labels of this data set: toy; LEAK ALLOWED: known twins"
    )
    [own] = measured(Claim("toy", 0.01), columns)
    assert (own.shown, own.sight, own.rivals[0].shown) == ("toy¶", "labels", "whole")


def test_p_is_corrected_for_all_comparisons_of_the_claim() -> None:
    columns = [
        column(task, fraction, "segmentation", **numbers)
        for task in ("a", "b", "c")
        for fraction, numbers in ((0.01, {"g2d": 50.0}), (1.0, {"mgca": 47.0, "convirt": 50.5}))
    ]
    found = [rival for one in measured(Claim("g2d", 0.01), columns) for rival in one.rivals]
    raw = [
        paired_p(few.draws["g2d"], many.draws[name])
        for few, many in zip(columns[::2], columns[1::2], strict=True)
        for name in ("mgca", "convirt")
    ]
    assert [rival.p for rival in found] == holm(raw)
    assert all(rival.low < rival.gap < rival.high for rival in found)


def test_the_encoder_is_asked_alone_and_with_its_decoder_and_is_no_rival_of_itself() -> None:
    columns = [
        column("a", 0.01, g2d=50, g2d_decoder=60),
        column("a", 1.0, g2d=80, g2d_decoder=85, mgca=55),
        column("b", 0.01, g2d=50),
        column("b", 1.0, mgca=45),
    ]
    found = {(one.encoder, one.task): one for one in measured(Claim("g2d", 0.01), columns)}
    assert set(found) == {("g2d", "a"), ("g2d", "b"), ("g2d+decoder", "a")}
    assert [rival.name for rival in found["g2d+decoder", "a"].rivals] == ["mgca"]
    assert (found["g2d", "a"].outcome, found["g2d+decoder", "a"].outcome) == ("fails", "holds")
    assert [one.encoder for one in measured(Claim("g2d+decoder", 0.01), columns)] == ["g2d+decoder"]


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        (Claim("g2dd", 0.01), "--encoder: no record of encoder g2dd; did you mean 'g2d'?"),
        (Claim("g2d", 0.01, ("mcga",)), "--against: no record of encoder mcga; did you mean 'mgca'?"),
    ],
)
def test_unknown_names_are_refused(claim: Claim, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", r"\?")):
        measured(claim, [column("a", 0.01, g2d=50), column("a", 1.0, mgca=45)])


def test_printed_numbers_are_compared_within_one_table() -> None:
    cells = load_reported()
    found = quoted(Claim("g2d", 0.01), cells)
    assert found
    for verdict in found:
        paper, _, table = verdict.where.rpartition(", ")
        mine = [c for c in cells if (c.paper, c.table) == (paper, table) and c.usable]
        printed = {round(100 * c.number, 6) for c in mine if c.fraction == "1.0" and c.unit == "percent"}
        assert {round(rival.mean, 6) for rival in verdict.rivals} <= printed
        assert all(math.isnan(rival.p) for rival in verdict.rivals)
        best = max(rival.mean for rival in verdict.rivals)
        assert verdict.outcome == ("holds" if verdict.mean > best else "fails")
    forms = {one.encoder for one in found if one.task == "siim-seg"}
    assert {"G2D (encoder)", "G2D (encoder-decoder)"} <= forms
    only = quoted(Claim("g2d+decoder", 0.01), cells)
    assert {one.encoder for one in only} == {"G2D (encoder-decoder)"}


def test_rivals_may_be_chosen() -> None:
    found = quoted(Claim("g2d", 0.01, ("mgca",)), load_reported())
    assert {rival.name for one in found for rival in one.rivals} == {"MGCA"}
    assert (
        Claim("g2d", 0.01, ("mgca",)).sentence == "g2d with 1 % of the labels is better than mgca with 100 %"
    )


def test_shares_of_the_labels_of_two_signatures_are_not_compared() -> None:
    few, many = column("wins", 0.01, g2d=60), column("wins", 1.0, g2d=80, mgca=50)
    few.filled.signatures.append("wins@1.0#aaaa|phantom:siim#bbbbbbbb|split:clean#cccccccc|clean@1.0#dddd|n1")
    (found,) = measured(Claim("g2d", 0.01), [few, many])
    assert found.outcome == "untold"
    assert found.words == "1 % and 100 % of the labels have different signatures"
    many.filled.signatures.extend(few.filled.signatures)
    assert measured(Claim("g2d", 0.01), [few, many])[0].outcome == "holds"


def test_what_cannot_be_tested_is_not_told() -> None:
    """Neither a claimant nor a rival whose draws are often undefined is taken for an equal."""
    few, many = column("a", 0.01, g2d=90), column("a", 1.0, g2d=80, mgca=10, convirt=20)
    many.draws["mgca"][:40] = math.nan
    (one,) = measured(Claim("g2d", 0.01), [few, many])
    assert one.words == "better than convirt (+70.0) with certainty"
    assert one.remark == "not compared: mgca (no test is possible)"
    (alone,) = measured(Claim("g2d", 0.01, ("mgca",)), [few, many])
    assert (alone.outcome, alone.words) == ("untold", "there is nobody to compare with")
    (lacking,) = measured(Claim("g2d", 0.01), [replace(few, draws={}), many])
    assert (lacking.outcome, lacking.words) == ("untold", "g2d: no test is possible")


@pytest.mark.parametrize(("protocol", "metric"), [("legacy", "dice_positive"), ("clean", "dice_legacy")])
def test_what_repeats_published_work_is_not_asked(folder: Any, protocol: str, metric: str) -> None:
    folder.add("g2d", 0.9, protocol=protocol)
    folder.add("mgca", 0.1, protocol=protocol, fraction=1.0)
    columns = sampled_columns(select(folder.root), [], {("siim-seg", protocol): metric}, Evidence())
    (one,) = measured(Claim("g2d", 0.01), columns)
    assert (one.outcome, one.rivals) == ("untold", ())
    assert one.words == "nothing is ranked under a published protocol or by a published convention"
