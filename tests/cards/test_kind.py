"""A kind is declared once: what cards, plan, records and tables know of it comes from there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import MISSING, fields, replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Literal

import pytest

from g2d_bench.cards.base import Card
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.io import load_card
from g2d_bench.cards.kind import KINDS, Kind, OneOf, untrained
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.errors import InputError
from g2d_bench.records.signature import is_of_this_code
from g2d_bench.records.store import Store

ROOT = Path(__file__).resolve().parents[2]
KNOWN = json.loads(Path(__file__).with_name("digests.json").read_text())
"""Digests of the shipped cards from before kinds were declared in one module each; records hold them."""


def test_shipped_kinds() -> None:
    assert KINDS.names == [
        *("classification", "detection", "grounding", "phrase", "retrieval", "segmentation", "zero-shot")
    ]
    for name in KINDS:
        assert KINDS[name].name == name
        # What trains is told how by a protocol; what trains nothing needs none.
        assert (KINDS[name].rule is not None) == KINDS[name].trained
    places = [KINDS[name].place for name in KINDS]
    assert sorted(places) == list(range(7))
    assert {name for name in KINDS if untrained(name)} == {"zero-shot", "grounding", "phrase", "retrieval"}
    assert not untrained("divination")


def test_digests_are_those_of_the_records() -> None:
    catalogue = Catalogue.open()
    for name, digests in KNOWN["protocols"].items():
        assert {kind: catalogue.protocols[name].digest(kind) for kind in digests} == digests
    for name, digests in KNOWN["tasks"].items():
        assert {split: catalogue.tasks[name].digest(split) for split in digests} == digests
    assert {name: catalogue.encoders[name].digest for name in KNOWN["encoders"]} == KNOWN["encoders"]


def test_keys_of_committed_records() -> None:
    bench = Bench(Settings())
    everything = sorted(Store(ROOT / "results" / "phantom"), key=lambda one: str(one[0]))
    found = [one for one in everything if is_of_this_code(one[1].signature)][::5]
    assert len(found) >= 20
    for path, record in found:
        assert bench.key(record.cell, record.data.hash) == record.key, path


def test_what_compact_records_keep_is_what_records_hold() -> None:
    for name in KINDS:
        assert set(KINDS[name].kept) <= KINDS[name].arrays.keys()
    assert {name for name in KINDS if KINDS[name].kept} == {"classification", "zero-shot", "retrieval"}


def test_the_page_names_every_field_of_a_kind() -> None:
    page = (ROOT / "docs" / "add-a-kind.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|([^|]*)\|", page, re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(field.name for field in fields(Kind))
    needed = {field.name for field in fields(Kind) if field.default is field.default_factory is MISSING}
    assert {name for name, default in rows if not default.strip()} == needed


class Near(Card):
    """A rule of a made-up kind."""

    by: Literal["near", "nearest"] = "near"
    count: int


class Far(Card):
    """Another rule of the same kind."""

    by: Literal["far"]
    share: float


@pytest.fixture
def two_rules(monkeypatch: pytest.MonkeyPatch) -> str:
    """A kind of somebody's own that may be done by either of two rules."""
    kind = replace(KINDS["segmentation"], name="divination", rule=OneOf("by", (Near, Far)))
    point = EntryPoint("divination", "oracle.kind", KINDS.group)
    monkeypatch.setitem(KINDS.__dict__, "_foreign", {"divination": point})
    monkeypatch.setitem(KINDS._found, "divination", kind)
    return (ROOT / "tasks" / "protocols" / "clean.toml").read_text() + "\n[divination]\n"


@pytest.mark.parametrize(
    ("table", "read"),
    [
        ("count = 3", Near(count=3)),
        ('by = "nearest"\ncount = 3', Near(by="nearest", count=3)),
        ('by = "far"\nshare = 0.5', Far(by="far", share=0.5)),
    ],
)
def test_a_kind_may_have_two_rules(table: str, read: Card, two_rules: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(two_rules + table)
    protocol = load_card(path, Protocol)
    assert protocol.table("divination") == read
    again = Protocol.model_validate(dict(protocol))
    assert again.digest("divination") == protocol.digest("divination")


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ('by = "fra"\ncount = 3', "divination.by: 'fra' is not allowed; did you mean 'far'?"),
        ('by = "far"\nshaer = 0.5', "divination.shaer: unknown key; did you mean 'share'?"),
        ('by = "far"\ncount = 3', "divination.count: unknown key"),
        ('by = ["far"]\ncount = 3', "divination.by: ['far'] is not allowed"),
    ],
)
def test_a_wrong_table_of_two_rules_costs_one_line(
    table: str, line: str, two_rules: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(two_rules + table)
    with pytest.raises(InputError) as caught:
        load_card(path, Protocol)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_looking_kinds_up_imports_nothing_slow() -> None:
    code = (
        "import sys; from g2d_bench.cards.kind import KINDS; [KINDS[name] for name in KINDS];"
        "slow = {'torch', 'mmengine', 'mmseg', 'mmdet', 'sklearn', 'timm'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("[segmentation]", "[segmentatoin]"), "segmentatoin: unknown key; did you mean 'segmentation'?"),
        (
            ("threshold = 0.5", "treshold = 0.5"),
            "segmentation.treshold: unknown key; did you mean 'threshold'?",
        ),
        (
            ('loss = "bce_dice"', 'loss = "dice"'),
            "segmentation.loss: 'dice' is not allowed; did you mean 'bce_dice'?",
        ),
        (("threshold = 0.5", "threshold = 7"), "segmentation.threshold: "),
        (('split = "clean"', 'split = "clean"\nmain = { seg = "dice_positive" }'), "unknown kind 'seg'"),
    ],
)
def test_a_wrong_table_costs_one_line(change: tuple[str, str], line: str, tmp_path: Path) -> None:
    text = (ROOT / "tasks" / "protocols" / "clean.toml").read_text()
    assert change[0] in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(*change, 1))
    with pytest.raises(InputError) as caught:
        load_card(path, Protocol)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_kind_names_the_nearest(tmp_path: Path) -> None:
    text = (ROOT / "tasks" / "siim-seg.toml").read_text()
    (tmp_path / "mine-seg.toml").write_text(text.replace('kind = "segmentation"', 'kind = "segmentaton"'))
    with pytest.raises(InputError, match=r"unknown kind 'segmentaton'; did you mean 'segmentation'\?"):
        Catalogue.open((tmp_path,)).tasks["mine-seg"]
