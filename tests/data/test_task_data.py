"""Label policies and split rules of task cards, on made-up samples and, for sizes, on the real tables."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from g2d_bench.adapters.base import Outcome
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import SplitRule, TaskCard
from g2d_bench.cells.run import undefined_notes
from g2d_bench.data.divide import divide, usable
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.splits import hold_out
from g2d_bench.data.task_data import TaskData
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset, Sample

NAN = math.nan
PROTOCOL = Protocol(name="clean", version="1.0", title="x", split="clean")


def task(**changes: Any) -> TaskCard:
    return TaskCard.model_validate(
        {
            "name": "made-up",
            "version": "1.0",
            "title": "x",
            "kind": "classification",
            "dataset": "covidx",
            "labels": ["A", "B"],
            "metrics": ["auroc"],
            "main": "auroc",
            "split": {"clean": {"official": True, "val_share": 0.2}},
            **changes,
        }
    )


def sample(n: int, labels: dict[str, float], split: str = "train", patient: str = "", **meta: str) -> Sample:
    return Sample(
        id=f"i{n:03}",
        patient=patient or f"p{n:03}",
        path=Path("x"),
        labels=labels,
        split=split,
        meta=meta,
    )


def open_data(card: TaskCard, samples: list[Sample]) -> TaskData:
    manifest = Manifest("covidx", "real", tuple(samples), (), np.zeros((len(samples), 2), np.int32), "")
    return TaskData(card, PROTOCOL, cast(Dataset, None), manifest, 1.0, 0)


def test_uncertain_and_unmentioned_labels_get_what_the_card_says() -> None:
    samples = [sample(0, {"A": -1, "B": -1}), sample(1, {"A": NAN, "B": 1}), sample(2, {"A": NAN, "B": NAN})]

    def read(**policy: Any) -> list[tuple[float, ...]]:
        return [(s.labels["A"], s.labels["B"]) for s in usable(samples, task(**policy))]

    np.testing.assert_array_equal(read(), [(NAN, 1)])
    np.testing.assert_array_equal(read(uncertain={"default": 0, "A": 1}), [(1, 0), (NAN, 1)])
    np.testing.assert_array_equal(read(uncertain={"A": 1}, unmentioned=0), [(1, NAN), (0, 1), (0, 0)])
    # What the card does not ask to change stays the very same sample.
    assert usable(samples, task())[0] is samples[1]


def test_only_images_of_which_the_data_set_says_so() -> None:
    samples = [sample(n, {"A": 1}, view=view) for n, view in enumerate(("frontal", "lateral"))]
    assert [s.id for s in usable(samples, task(where={"view": "frontal"}))] == ["i000"]
    with pytest.raises(InputError, match="no image with view 'oblique' carries the labels A, B"):
        usable(samples, task(where={"view": "oblique"}))


def test_targets_in_the_order_of_the_card() -> None:
    samples = [sample(n, {"A": n % 2, "B": NAN}, "test" if n > 8 else "train") for n in range(12)]
    data = open_data(task(), samples)
    np.testing.assert_array_equal(data.targets(("i001", "i000")), [[1, NAN], [0, NAN]])
    assert data.targets(()).shape == (0, 2)


@pytest.mark.parametrize("labels", [{"A": 1.0, "B": 1.0}, {"A": 0.0, "B": 0.0}, {"A": 1.0, "B": NAN}])
def test_exclusive_labels_are_checked(labels: dict[str, float]) -> None:
    samples = [sample(n, {"A": n % 2, "B": 1 - n % 2}, "test" if n > 8 else "train") for n in range(12)]
    samples[0] = sample(0, labels)
    data = open_data(task(exclusive=True), samples)
    assert data.targets(("i001",)).tolist() == [[1, 0]]
    with pytest.raises(InputError, match=r"made-up\.toml: exclusive: image 'i000' does not show exactly one"):
        data.targets(("i001", "i000"))


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


@pytest.mark.parametrize("rule", [{"ratios": [0.6, 0.2, 0.2]}, {"official": True}, {"function": "covidx"}])
def test_one_patient_id_for_all_films(rule: dict[str, Any]) -> None:
    samples = [sample(n, {"A": 1.0}, ("train", "valid", "test")[n % 3], patient="ANON") for n in range(9)]
    card = task(split={"clean": {"ratios": [0.6, 0.2, 0.2]}, "other": rule})
    release = SimpleNamespace(root=Path("data/siim"), patient_field="PatientID", kind="real")
    with pytest.raises(
        InputError, match=r"data/siim: PatientID: all 9 images carry one patient id, 'ANON', .* anonymised"
    ):
        divide(card, "other", samples, cast(Dataset, release))


def test_why_a_metric_is_undefined() -> None:
    parts = ("train", "valid", "test", "test")
    samples = [sample(n, {"A": float(n % 2), "B": 1.0}, parts[n % 4]) for n in range(8)]
    data = open_data(task(split={"clean": {"official": True}}), samples)
    assert data.why_undefined("auroc") == "no test image is without B"
    assert data.why_undefined("auroc/B") == "no test image is without B"
    assert data.why_undefined("auroc/A") == "it has nothing to count on this test set"
    none = [sample(n, {"A": 0.0, "B": float(n % 2)}, parts[n % 4]) for n in range(8)]
    data = open_data(task(split={"clean": {"official": True}}), none)
    assert data.why_undefined("auroc") == "no test image shows A"
    assert data.why_undefined("auroc/A") == "no test image shows A"
    names = [f"L{n}" for n in range(8)]
    many = open_data(
        task(labels=names, split={"clean": {"official": True}}),
        [sample(n, dict.fromkeys(names, 0.0), parts[n % 4]) for n in range(8)],
    )
    assert many.why_undefined("auroc") == "no test image shows L0, L1, L2, L3 and 4 more labels"
    outcome = Outcome(metrics={"auroc": NAN, "auroc/B": 0.5}, references={}, predictions={})
    assert undefined_notes(outcome, data) == {"undefined": {"auroc": "no test image shows A"}}
    assert undefined_notes(Outcome({"auroc/B": 0.5}, {}, {}), data) == {}


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


def test_val_share_needs_an_official_split() -> None:
    with pytest.raises(ValueError, match="goes with official"):
        SplitRule(ratios=(0.5, 0.25, 0.25), val_share=0.1)


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
