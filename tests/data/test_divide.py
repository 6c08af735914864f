"""Split rules of cards and the committed id lists, on made-up samples and on the real tables."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from listed import SPLIT
from made_up import sample, task

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.task import SplitRule, TaskCard
from g2d_bench.data.divide import apply_rule, check_labels, divide, usable
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.splits import hold_out, read_id_list
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.readers.base import PHANTOM_MARKER, Dataset, Sample
from g2d_bench.readers.registry import open_dataset
from g2d_bench.readers.rsna import Rsna

LISTS = shipped("tasks") / "splits"
LISTED = {
    "covidx": ["covidx-cls"],
    "nih1k": ["nih1k-cls", "nih1k-zeroshot"],
    "rsna": ["rsna-cls", "rsna-det", "rsna-ground", "rsna-seg", "rsna-zeroshot"],
    "siim": ["siim-ground", "siim-seg", "siim-zeroshot"],
}
NAN = math.nan


def test_files_match_their_checksums() -> None:
    sums = dict(line.split("  ")[::-1] for line in (LISTS / "SHA256SUMS").read_text().splitlines())
    assert sorted(sums) == sorted(path.name for path in LISTS.glob("*.csv.gz"))
    for name, wanted in sums.items():
        assert hashlib.sha256((LISTS / name).read_bytes()).hexdigest() == wanted


@pytest.mark.parametrize("name", sorted(LISTED))
def test_list_is_what_the_rule_gives_on_the_real_table(name: str, real_pack: Path) -> None:
    dataset = open_dataset(name, real_pack / "annotations")
    counts = {"nih1k": 1000}
    everything = Manifest.of_tables(dataset).samples
    listed = read_id_list(LISTS / f"{name}-clean.csv.gz")
    for task_name in LISTED[name]:
        card = Catalogue.open().tasks[task_name]
        samples = usable(everything, card)
        assert len(samples) == card.counts.get("images", counts.get(name))
        assert apply_rule(card, "clean", samples, dataset).parts == listed.parts
        assert divide(card, "clean", samples, dataset).hash == listed.hash
    patient = {sample.id: sample.patient for sample in everything}
    owners = [{patient[image] for image in ids} for ids in listed.parts.values()]
    assert len(set.union(*owners)) == sum(len(part) for part in owners)
    assert sum(len(ids) for ids in listed.parts.values()) == len(everything)


@pytest.mark.slow
def test_lists_of_chestxray14_are_what_the_rules_give(real_pack: Path) -> None:
    """NIH's parts, the validation part by patient; the boxed films apart."""
    dataset = open_dataset("cxr14", real_pack / "annotations")
    everything = Manifest.of_tables(dataset).samples
    catalogue = Catalogue.open()
    official = {sample.id: sample.split for sample in everything}
    for known, name in (("cxr14-cls", "clean"), ("cxr14-zeroshot", "clean"), ("cxr14-ground", "ground")):
        card = catalogue.tasks[known]
        held = usable(everything, card)
        assert len(held) == card.counts["images"]
        listed = read_id_list(LISTS / f"cxr14-{name}.csv.gz")
        assert apply_rule(card, "clean", held, dataset).parts == listed.parts
        if name == "clean":
            assert {official[i] for i in listed.train + listed.val} == {"train"}
            assert {official[i] for i in listed.test} == {"test"}


def test_lists_of_chestxray14_share_no_patient() -> None:
    """The patient is the number before the film's, in NIH's names."""
    for name, sizes in (("clean", (77860, 8664, 25596)), ("ground", (87, 178, 615))):
        listed = read_id_list(LISTS / f"cxr14-{name}.csv.gz")
        assert tuple(len(ids) for ids in listed.parts.values()) == sizes
        owners = [{image.split("_")[0] for image in ids} for ids in listed.parts.values()]
        assert len(set.union(*owners)) == sum(map(len, owners))
    # What is asked for by name, no task trains on.
    assert set(listed.train + listed.val + listed.test) <= set(
        read_id_list(LISTS / "cxr14-clean.csv.gz").test
    )


def samples(names: str) -> list[Sample]:
    return [Sample(i, i, Path(i), {"Pneumonia": 1.0}) for i in names]


def test_list_holds_for_real_data_and_the_rule_for_generated(listed_card: TaskCard, tmp_path: Path) -> None:
    dataset = Rsna(tmp_path)
    assert divide(listed_card, "clean", samples("hgfedcba"), dataset) == SPLIT
    (tmp_path / PHANTOM_MARKER).write_text("{}")
    assert dataset.kind == "phantom"
    computed = divide(listed_card, "clean", samples("abcdefgh"), dataset)
    assert computed == apply_rule(listed_card, "clean", samples("abcdefgh"), dataset)
    assert computed != SPLIT


def test_a_release_that_has_shrunk_says_so_once(
    listed_card: TaskCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        split = divide(listed_card, "clean", samples("abceg"), Rsna(tmp_path))
    assert split.parts == {"train": ("a", "b", "c"), "val": ("e",), "test": ("g",)}
    assert split.hash != SPLIT.hash
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].startswith("rsna: 3 of 8 ids in own.csv.gz are not in this release; they are left out")


def test_an_image_that_is_not_in_the_list_stops(listed_card: TaskCard, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"own\.csv\.gz: 2 of 10 images are not in the list .the first: x"):
        divide(listed_card, "clean", samples("abcdefghyx"), Rsna(tmp_path))
    with pytest.raises(InputError, match="the val part of split 'clean' is empty"):
        divide(listed_card, "clean", samples("abg"), Rsna(tmp_path))


def test_other_data_in_the_same_layout_follow_the_rule(
    listed_card: TaskCard, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = samples("klmnopqr")
    assert divide(listed_card, "clean", other, Rsna(tmp_path)) == apply_rule(
        listed_card, "clean", other, Rsna(tmp_path)
    )
    assert capsys.readouterr().err.startswith("rsna: no image is in own.csv.gz: this is other data")


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


def test_uncertain_and_unmentioned_labels_get_what_the_card_says() -> None:
    samples = [sample(0, {"A": -1, "B": -1}), sample(1, {"A": NAN, "B": 1}), sample(2, {"A": NAN, "B": NAN})]

    def read(**policy: Any) -> list[tuple[float, ...]]:
        return [(s.labels["A"], s.labels["B"]) for s in usable(samples, task(**policy))]

    np.testing.assert_array_equal(read(), [(NAN, 1)])
    np.testing.assert_array_equal(read(uncertain={"default": 0, "A": 1}), [(1, 0), (NAN, 1)])
    np.testing.assert_array_equal(read(uncertain={"A": 1}, unmentioned=0), [(1, NAN), (0, 1), (0, 0)])
    # What the card does not ask to change stays the very same sample.
    assert usable(samples, task())[0] is samples[1]


def test_where_what_is_not_drawn_is_absent_all_labels_must_be_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A film of which one label is told would else test, or train, a detector as if the other were absent."""
    told = [(1.0, 0.0), (0.0, NAN), (NAN, NAN), (0.0, 1.0), (NAN, 1.0)]
    samples = [sample(n, {"A": a, "B": b}) for n, (a, b) in enumerate(told)]
    boxed = task(kind="detection", metrics=["ap_50"], main="ap_50")
    assert [s.id for s in usable(samples, boxed)] == ["i000", "i003"]
    assert (
        "made-up: 2 of 5 images are left out, which tell some of A, B and not all" in capsys.readouterr().err
    )
    assert [s.id for s in usable(samples, task())] == ["i000", "i001", "i003", "i004"]
    assert "left out" not in capsys.readouterr().err
    filled = boxed.model_copy(update={"unmentioned": 0})
    assert len(usable(samples, filled)) == 5


def test_only_images_of_which_the_data_set_says_so() -> None:
    samples = [sample(n, {"A": 1}, view=view) for n, view in enumerate(("frontal", "lateral"))]
    assert [s.id for s in usable(samples, task(where={"view": "frontal"}))] == ["i000"]
    for where, text in (
        ({"view": "oblique"}, "where: no film of covidx has view 'oblique'; allowed: frontal, lateral"),
        ({"view": "fronal"}, "where: no film of covidx has view 'fronal'; did you mean 'frontal'"),
        ({"vew": "frontal"}, "where: no film of covidx tells 'vew'; did you mean 'view'"),
    ):
        with pytest.raises(InputError, match=text):
            usable(samples, task(where=where))


def test_a_label_that_the_data_set_lacks_is_named() -> None:
    check_labels(task(), ("A", "B", "C"))
    check_labels(task(), ())
    with pytest.raises(InputError, match="labels: unknown label 'B' of covidx"):
        check_labels(task(), ("A", "C"))


def test_official_split_with_drawn_validation() -> None:
    # Patients of four images each; a tenth of them shows A.
    samples = [
        sample(n, {"A": float(n // 4 % 10 == 0), "B": 0.0}, patient=f"p{n // 4}") for n in range(400)
    ] + [sample(n, {"A": 1.0, "B": 0.0}, "test") for n in range(400, 440)]
    card = task()
    split = divide(card, "clean", samples, cast(Dataset, None))
    assert split.test == tuple(f"i{n}" for n in range(400, 440))
    assert len(split.val) == 80
    owner = {s.id: s.patient for s in samples}
    assert not {owner[i] for i in split.train} & {owner[i] for i in split.val}
    positive = sum(next(s for s in samples if s.id == i).labels["A"] for i in split.val)
    assert positive == 8
    assert divide(card, "clean", samples[::-1], cast(Dataset, None)).hash == split.hash
    train, val = hold_out(samples[:400], share=0.2, salt="covidx/clean", strata=("A", "B"))
    assert (train, val) == (split.train, split.val)
    assert hold_out(samples[:400], share=0.2, salt="other", strata=("A", "B"))[1] != val


def test_official_split_with_its_own_validation(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("train", "valid", "test")
    samples = [sample(n, {"A": 1.0}, words[n % 3]) for n in range(9)]
    card = task(split={"clean": {"official": True}})
    split = divide(card, "clean", samples, cast(Dataset, None))
    assert (split.train[0], split.val[0], split.test[0]) == ("i000", "i001", "i002")
    assert divide(task(), "clean", samples, cast(Dataset, None)).parts == split.parts
    [line] = capsys.readouterr().err.splitlines()
    assert line == (
        "covidx: the release has a validation part of its own (3 images), which is used instead of 20% of "
        "train"
    )
    with pytest.raises(InputError, match="val part of split 'official' is empty"):
        divide(card, "clean", [s for s in samples if s.split != "valid"], cast(Dataset, None))
    with pytest.raises(InputError, match="assigns image 'i009' to no part"):
        divide(card, "clean", [*samples, sample(9, {"A": 1.0}, "")], cast(Dataset, None))


def test_an_empty_part_names_the_tables_that_leave_it_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from g2d_bench.data import divide as dividing

    for name in ("train.csv", "valid.csv", "readme.md"):
        (tmp_path / name).write_text("")
    release = cast(Dataset, SimpleNamespace(root=tmp_path, access="Get it.", kind="real", patient_field="p"))
    samples = [sample(n, {"A": 1.0}, ("train", "test")[n % 2]) for n in range(8)]
    said = rf"^{tmp_path}: the val part .* is empty: by its tables \(train.csv, valid.csv\), the release here"
    with pytest.raises(InputError, match=said):
        divide(task(split={"clean": {"official": True}}), "clean", samples, release)
    published = SimpleNamespace(train=("i000", "i002"), valid=("x9",), test=("i001",))
    monkeypatch.setattr(dividing, "legacy_split", lambda function, dataset: published)
    rules = {"clean": {"ratios": [0.6, 0.2, 0.2]}, "other": {"function": "covidx"}}
    with pytest.raises(InputError, match=said):
        divide(task(split=rules), "other", samples, release)


@pytest.mark.parametrize("rule", [{"ratios": [0.6, 0.2, 0.2]}, {"official": True}, {"function": "covidx"}])
def test_one_patient_id_for_all_films(rule: dict[str, Any]) -> None:
    samples = [sample(n, {"A": 1.0}, ("train", "valid", "test")[n % 3], patient="ANON") for n in range(9)]
    card = task(split={"clean": {"ratios": [0.6, 0.2, 0.2]}, "other": rule})
    release = SimpleNamespace(root=Path("data/siim"), patient_field="PatientID", kind="real")
    with pytest.raises(
        InputError, match=r"data/siim: PatientID: all 9 images carry one patient id, 'ANON', .* anonymised"
    ):
        divide(card, "other", samples, cast(Dataset, release))


def test_published_split_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from g2d_bench.data import divide as dividing

    published = SimpleNamespace(train=("i000", "i003", "i009"), valid=("i000", "i001"), test=("i002",))
    monkeypatch.setattr(dividing, "legacy_split", lambda function, dataset: published)
    card = task(split={"clean": {"ratios": [0.6, 0.2, 0.2]}, "legacy": {"function": "covidx"}})
    samples = [sample(n, {"A": 1.0}) for n in range(4)]
    split = divide(card, "legacy", samples, cast(Dataset, None))
    # Images that the task cannot use are left out; the published overlap of train and validation stays.
    assert split.parts == {"train": ("i000", "i003"), "val": ("i000", "i001"), "test": ("i002",)}
    with pytest.raises(InputError, match=r"the task has no split 'other' \(it has clean, legacy\)"):
        divide(card, "other", samples, cast(Dataset, None))


def test_clean_split_of_the_real_covidx_lists(real_pack: Path, tmp_path: Path) -> None:
    import gzip

    from g2d_bench.readers.covidx import Covidx

    for name in ("train_COVIDx9A.txt", "test_COVIDx9A.txt"):
        packed = real_pack / "annotations" / "covidx" / f"{name}.gz"
        (tmp_path / name).write_bytes(gzip.decompress(packed.read_bytes()))
    dataset = Covidx(tmp_path)
    samples = dataset.table_samples()
    card = Catalogue.open().tasks["covidx-cls"]
    assert len(usable(samples, card)) == card.counts["images"]
    split = divide(card, "clean", samples, dataset)
    patients = {s.id: s.patient for s in samples}
    parts = [{patients[i] for i in ids} for ids in split.parts.values()]
    assert len(set.union(*parts)) == sum(len(part) for part in parts)
    assert len(split.test) == 400
    assert len(split.val) / 30130 == pytest.approx(0.2, abs=0.005)
    legacy = divide(card, "legacy", samples, dataset)
    assert [len(ids) for ids in legacy.parts.values()] == [24104, 6026, 400]
