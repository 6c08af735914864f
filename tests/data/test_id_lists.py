"""The committed id lists: what the rule gives on the real tables, by patient, unchanged."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, cast

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.io import load_card
from g2d_bench.cards.task import SplitRule, TaskCard
from g2d_bench.data.divide import apply_rule, divide, usable
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.splits import Split, read_id_list, write_id_list
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.readers.base import PHANTOM_MARKER, Dataset, Sample
from g2d_bench.readers.registry import open_dataset
from g2d_bench.readers.rsna import Rsna

LISTS = shipped("tasks") / "splits"
LISTED = {
    "covidx": ["covidx-cls"],
    "rsna": ["rsna-cls", "rsna-det", "rsna-ground", "rsna-seg", "rsna-zeroshot"],
    "siim": ["siim-ground", "siim-seg", "siim-zeroshot"],
}


def test_files_match_their_checksums() -> None:
    sums = dict(line.split("  ")[::-1] for line in (LISTS / "SHA256SUMS").read_text().splitlines())
    assert sorted(sums) == sorted(path.name for path in LISTS.glob("*.csv.gz"))
    for name, wanted in sums.items():
        assert hashlib.sha256((LISTS / name).read_bytes()).hexdigest() == wanted


def test_cards_name_the_list_of_their_data_set() -> None:
    for task in Catalogue.open().tasks:
        ids = task.split["clean"].ids
        assert (ids is not None) == (task.name in LISTED.get(task.dataset, []))
        assert ids is None or ids == LISTS / f"{task.dataset}-clean.csv.gz"
        assert all(rule.ids is None for name, rule in task.split.items() if name != "clean")


@pytest.mark.parametrize("name", sorted(LISTED))
def test_list_is_what_the_rule_gives_on_the_real_table(name: str, real_pack: Path) -> None:
    dataset = open_dataset(name, real_pack / "annotations")
    everything = Manifest.of_tables(dataset).samples
    listed = read_id_list(LISTS / f"{name}-clean.csv.gz")
    for task in LISTED[name]:
        card = Catalogue.open().tasks[task]
        samples = usable(everything, card)
        assert len(samples) == card.counts["images"]
        assert apply_rule(card, "clean", samples, dataset).parts == listed.parts
        assert divide(card, "clean", samples, dataset).hash == listed.hash
    patient = {sample.id: sample.patient for sample in everything}
    owners = [{patient[image] for image in ids} for ids in listed.parts.values()]
    assert len(set.union(*owners)) == sum(len(part) for part in owners)
    assert sum(len(ids) for ids in listed.parts.values()) == len(everything)


SPLIT = Split("clean", ("a", "b", "c", "d"), ("e", "f"), ("g", "h"))
CARD = """
version = "1.0"
title = "x"
kind = "classification"
dataset = "rsna"
labels = ["Pneumonia"]
metrics = ["auroc"]
main = "auroc"
[split.clean]
ratios = [0.5, 0.25, 0.25]
ids = "splits/own.csv.gz"
"""


@pytest.fixture
def card(tmp_path: Path) -> TaskCard:
    """A card beside its own list."""
    write_id_list(tmp_path / "splits" / "own.csv.gz", SPLIT)
    (tmp_path / "own.toml").write_text(CARD)
    return load_card(tmp_path / "own.toml", TaskCard)


def samples(names: str) -> list[Sample]:
    return [Sample(i, i, Path(i), {"Pneumonia": 1.0}) for i in names]


def test_list_holds_for_real_data_and_the_rule_for_generated(card: TaskCard, tmp_path: Path) -> None:
    dataset = Rsna(tmp_path)
    assert divide(card, "clean", samples("hgfedcba"), dataset) == SPLIT
    (tmp_path / PHANTOM_MARKER).write_text("{}")
    assert dataset.kind == "phantom"
    computed = divide(card, "clean", samples("abcdefgh"), dataset)
    assert computed == apply_rule(card, "clean", samples("abcdefgh"), dataset)
    assert computed != SPLIT


def test_a_release_that_has_shrunk_says_so_once(
    card: TaskCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        split = divide(card, "clean", samples("abceg"), Rsna(tmp_path))
    assert split.parts == {"train": ("a", "b", "c"), "val": ("e",), "test": ("g",)}
    assert split.hash != SPLIT.hash
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("rsna: 3 of 8 ids in own.csv.gz are not in this release; they are left out")


def test_an_image_that_is_not_in_the_list_stops(card: TaskCard, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"own\.csv\.gz: 2 of 10 images are not in the list .the first: x"):
        divide(card, "clean", samples("abcdefghyx"), Rsna(tmp_path))
    with pytest.raises(InputError, match="the val part of split 'clean' is empty"):
        divide(card, "clean", samples("abg"), Rsna(tmp_path))


def test_other_data_in_the_same_layout_follow_the_rule(
    card: TaskCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = samples("klmnopqr")
    assert divide(card, "clean", other, Rsna(tmp_path)) == apply_rule(card, "clean", other, Rsna(tmp_path))
    assert capsys.readouterr().err.startswith("rsna: no image is in own.csv.gz: this is other data")


def test_list_does_not_move_the_digest_of_the_card(card: TaskCard) -> None:
    rule = card.split["clean"]
    bare = card.model_copy(update={"split": {"clean": rule.model_copy(update={"ids": None})}})
    assert bare.digest("clean") == card.digest("clean")
    other = card.model_copy(update={"split": {"clean": rule.model_copy(update={"val_share": 0.5})}})
    assert other.digest("clean") != card.digest("clean")


def test_a_copy_of_a_shipped_card_finds_the_shipped_list(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text((shipped("tasks") / "siim-seg.toml").read_text())
    copied = load_card(tmp_path / "mine.toml", TaskCard)
    assert copied.split["clean"].ids == LISTS / "siim-clean.csv.gz"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("own.csv.gz", "owm.csv.gz", r"own\.toml: split\.clean\.ids: no such id list: .*owm\.csv\.gz"),
        ("ratios = [0.5, 0.25, 0.25]", 'function = "rsna_det"', "made by its function; leave ids out"),
    ],
)
def test_wrong_cards(card: TaskCard, tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "own.toml").write_text(CARD.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_card(tmp_path / "own.toml", TaskCard)


def test_rules_without_a_list_need_no_data_set() -> None:
    rule: dict[str, Any] = {"ratios": (0.5, 0.25, 0.25)}
    assert SplitRule(**rule).ids is None
    made = TaskCard.model_validate(
        {
            **{"name": "x", "version": "1.0", "title": "x", "kind": "classification", "dataset": "rsna"},
            **{"labels": ["Pneumonia"], "metrics": ["auroc"], "main": "auroc", "split": {"clean": rule}},
        }
    )
    assert divide(made, "clean", samples("abcdefgh"), cast(Dataset, None)).name == "clean"
