"""Trained on one data set, tested on another."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import ANY

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.task import Elsewhere, SplitRule, TaskCard
from g2d_bench.data import cache
from g2d_bench.data.crossed import Joined, cross, their_task
from g2d_bench.data.divide import divide, usable
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.task_data import TaskData
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box, Dataset, Sample


class Made(Dataset):
    """Films that are numbers; each has a mask in a corner of its own."""

    labels: ClassVar[tuple[str, ...]] = ()
    patient_field: ClassVar[str] = "patient"

    def __init__(self, name: str, people: str = "", kind: str = "phantom") -> None:
        super().__init__(Path("/nowhere"))
        self.name, self.people, self._kind = name, people or name, kind  # type: ignore[misc]

    @property
    def kind(self) -> str:
        return self._kind

    def samples(self) -> list[Sample]:
        return []

    def read_image(self, sample: Sample) -> NDArray[np.uint8]:
        # Films of one number are one film, whatever the data set calls them.
        seed = int(hashlib.sha256(sample.meta["film"].encode()).hexdigest()[:8], 16)
        return np.random.default_rng(seed).integers(0, 255, (128, 128)).astype(np.uint8)

    def read_mask(self, sample: Sample, shape: tuple[int, int], label: str) -> NDArray[np.bool_]:
        mask = np.zeros(shape, np.bool_)
        mask[: 4 if label == "A" else 8, : 4 if label == "A" else 8] = True
        return mask


def manifest(dataset: Made, samples: Sequence[Sample]) -> Manifest:
    ordered = tuple(sorted(samples, key=lambda sample: sample.id))
    return Manifest(
        dataset=dataset.name,
        kind=dataset.kind,
        samples=ordered,
        sha256=tuple(f"{dataset.kind} {dataset.name} {sample.id}" for sample in ordered),
        sizes=np.full((len(ordered), 2), 128, np.int32),
        content_hash=hashlib.sha256(repr(ordered).encode()).hexdigest(),
    )


def films(count: int, label: str = "Pneumonia", each: int = 1, first: int = 0, **more: Any) -> list[Sample]:
    return [
        Sample(
            f"{n:03}-{k}",
            f"{n:03}",
            Path(f"{n}-{k}"),
            {label: float(n % 3 == 0), **({"B": 0.0} if label == "A" else {})},
            boxes=(Box(label, 1, 2, 3, 4),) * (n % 3 == 0),
            meta={"film": f"{first + n}-{k}"},
            **more,
        )
        for n in range(count)
        for k in range(each)
    ]


def task(rule: SplitRule | None = None, **changes: Any) -> TaskCard:
    card = Catalogue.open().tasks["rsna-to-cxr14-cls"]
    clean = card.split["clean"].model_copy(update={"ids": None})
    test = Elsewhere(dataset="cxr14", labels={"Pneumonia": ("A", "B")}, split=rule)
    return card.model_copy(update={"split": {"clean": clean}, "test": test, **changes})


def own(card: TaskCard) -> TaskCard:
    return card.model_copy(update={"name": "rsna-cls", "test": None, "inside": ""})


def official(samples: Sequence[Sample]) -> list[Sample]:
    """Let every third film be of the official test part."""
    return [replace(s, split="test" if n % 3 == 0 else "train") for n, s in enumerate(samples)]


@pytest.fixture
def both() -> tuple[tuple[Made, Manifest], tuple[Made, Manifest]]:
    rsna, cxr14 = Made("rsna"), Made("cxr14")
    theirs = [
        Sample(s.id, s.patient, s.path, {"A": s.labels["A"], "B": float(n % 2)}, boxes=s.boxes, meta=s.meta)
        for n, s in enumerate(films(40, "A", each=2, first=1000))
    ]
    return (rsna, manifest(rsna, films(90, each=3))), (cxr14, manifest(cxr14, theirs))


def test_one_trains_as_if_alone_and_the_other_tests(both: Any) -> None:
    card = task()
    joined, combined = cross(card, "clean", *both)
    clean = Catalogue.open().protocols["clean"]
    for fraction, shots in ((0.1, 0), (1.0, 4), (1.0, 30)):
        data = TaskData(card, clean, joined, combined, fraction, 3, shots)
        alone = TaskData(own(card), clean, both[0][0], both[0][1], fraction, 3, shots)
        assert data.train == tuple(f"rsna/{name}" for name in alone.train)
        assert data.val == tuple(f"rsna/{name}" for name in alone.val)
    assert set(data.test) == {sample.id for sample in both[1][1].samples}
    assert joined.training.task == "rsna-cls"
    assert joined.training.split_hash == alone.split.hash
    assert (joined.tested_on, joined.left_out, combined.dataset) == ("cxr14", "", "rsna-to-cxr14")
    assert data.check_leaks() == ""


def test_labels_boxes_and_masks_are_in_the_words_of_the_task(both: Any) -> None:
    joined, combined = cross(task(), "clean", *both)
    here = {sample.id: sample for sample in combined.samples}
    for theirs in both[1][1].samples:
        sample = here[theirs.id]
        assert sample.labels == {"Pneumonia": max(theirs.labels.values())}
        assert {box.label for box in sample.boxes} <= {"Pneumonia"}
        area = {(0, 0): 0, (1, 0): 16, (0, 1): 64, (1, 1): 64}
        mask = joined.read_mask(sample, (128, 128), "Pneumonia")
        assert mask.sum() == area[int(theirs.labels["A"]), int(theirs.labels["B"])]
        assert (joined.read_image(sample) == both[1][0].read_image(theirs)).all()


def told(label: str, **labels: float) -> Sample:
    return Sample(label, label, Path(), labels, boxes=(Box("A", 1, 2, 3, 4),), meta={"film": label})


@pytest.mark.parametrize(
    ("kind", "tested"),
    [("classification", {"neither", "both", "one"}), ("segmentation", {"neither", "both"})],
)
def test_whatever_nobody_knows_does_not_test(both: Any, kind: str, tested: set[str]) -> None:
    """Where what is not drawn counts as absent, one label of which nothing is known spoils the film."""
    theirs = [
        told("neither", A=0.0, B=0.0),
        told("both", A=1.0, B=1.0),
        told("one", A=1.0, B=float("nan")),
        told("unknown", A=0.0, B=float("nan")),
    ]
    cxr14 = both[1][0]
    joined, combined = cross(task(kind=kind), "clean", both[0], (cxr14, manifest(cxr14, theirs)))
    assert set(joined.split.test) == tested
    assert not any(np.isnan(sample.labels["Pneumonia"]) for sample in combined.samples)
    with pytest.raises(InputError, match=r"test\.labels: no test image tells Pneumonia$"):
        cross(task(), "clean", both[0], (cxr14, manifest(cxr14, theirs[3:])))


def test_a_box_that_means_two_labels_is_of_both(both: Any) -> None:
    card = task(labels=("Pneumonia", "Opacity"))
    means = Elsewhere(dataset="cxr14", labels={"Pneumonia": "A", "Opacity": ("A", "B")})
    rsna = [replace(s, labels=s.labels | {"Opacity": 1.0}) for s in both[0][1].samples]
    _, combined = cross(
        card.model_copy(update={"test": means}),
        "clean",
        (both[0][0], manifest(both[0][0], rsna)),
        (both[1][0], manifest(both[1][0], [told("x", A=1.0, B=0.0)])),
    )
    assert [box.label for box in combined.samples[combined.index["x"]].boxes] == ["Pneumonia", "Opacity"]


def test_only_the_test_part_of_a_rule_tests(both: Any) -> None:
    rule = SplitRule(ratios=(0.5, 0.25, 0.25))
    card = task(rule)
    joined, _ = cross(card, "clean", *both)
    parts = {sample.id.split("-")[0] for sample in both[1][1].samples}
    tested = {name.split("-")[0] for name in joined.split.test}
    assert len(tested) == pytest.approx(len(parts) / 4, abs=2)
    assert their_task(card).split == {"clean": rule}


@pytest.mark.parametrize(
    ("crossed", "alone"), [("cxr14-to-rsna-cls", "rsna-cls"), ("rsna-to-nih1k-cls", "nih1k-cls")]
)
def test_the_test_part_is_that_of_the_other_set_s_own_task(crossed: str, alone: str) -> None:
    cards = Catalogue.open().tasks
    inside, outside = (Made(cards[name].dataset) for name in (crossed, alone))
    theirs = manifest(outside, films(200, each=2, first=1000))
    joined, _ = cross(
        cards[crossed], "clean", (inside, manifest(inside, official(films(90)))), (outside, theirs)
    )
    own = divide(cards[alone], "clean", usable(theirs.samples, cards[alone]), outside)
    assert joined.split.test == own.test


def test_patients_of_both_are_left_out(both: Any) -> None:
    """Where both number the same people: a patient who trains or validates does not test, with any film."""
    inside, outside = Made("cxr14", "NIH"), Made("nih1k", "NIH")
    card = task()
    joined, combined = cross(
        card,
        "clean",
        (inside, manifest(inside, films(30))),
        (outside, manifest(outside, films(60, "A", each=2, first=1000))),
    )
    trained = {
        combined.samples[combined.index[name]].patient for name in (*joined.split.train, *joined.split.val)
    }
    tested = {combined.samples[combined.index[name]].patient for name in joined.split.test}
    assert not trained & tested
    assert tested >= {f"{n:03}" for n in range(30, 60)}
    assert joined.left_out.startswith(f"{2 * len(trained)} of 120 test images of nih1k are left out")
    assert "(found by patient)" in joined.left_out
    strangers = Made("nih1k", "others")
    free, _ = cross(
        card,
        "clean",
        (inside, manifest(inside, films(30))),
        (strangers, manifest(strangers, films(60, "A", each=2, first=1000))),
    )
    assert free.left_out == ""


def test_one_film_under_two_names_is_found_by_its_pixels(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On real films only; with it go the other films of its patient, which nobody else could find."""
    # These films are no files.
    monkeypatch.setattr(cache, "digest_file", lambda path: ANY)
    rsna, cxr14 = Made("rsna", kind="real"), Made("cxr14", kind="real")
    inside = (rsna, manifest(rsna, films(60)))
    theirs = films(40, "A", each=2, first=1000)
    twin = next(s for s in theirs if s.id == "007-1")
    trained = cross(task(), "clean", inside, (cxr14, manifest(cxr14, theirs)))[0].split.train[0]
    film = next(s for s in inside[1].samples if trained.endswith(s.id)).meta["film"]
    theirs[theirs.index(twin)] = Sample(
        twin.id, twin.patient, twin.path, twin.labels, boxes=twin.boxes, meta={"film": film}
    )
    joined, combined = cross(task(), "clean", inside, (cxr14, manifest(cxr14, theirs)))
    assert {s.id for s in theirs} - set(joined.split.test) == {"007-0", "007-1"}
    assert "2 of 80 test images of cxr14 are left out: they are of 1 patients" in joined.left_out
    assert "(found by near-duplicate)" in joined.left_out
    data = TaskData(task(), Catalogue.open().protocols["clean"], joined, combined, 1.0, 0)
    assert data.check_leaks() == ""


def test_generated_films_that_train_resemble_real_ones_without_a_leak(own_cache: Path) -> None:
    made, real = Made("covid-cxr"), Made("covid-cxr", kind="real")
    joined, combined = cross(
        task(), "clean", (made, manifest(made, films(60))), (real, manifest(real, films(30, "A")))
    )
    assert joined.left_out == ""
    assert len(joined.split.test) == 30
    assert combined.kind == joined.kind == "real"
    assert joined.training.kind == "phantom"
    assert all(name.startswith("generated covid-cxr/") for name in joined.split.train)


def test_nothing_left_to_test_on_is_said(both: Any) -> None:
    one = Made("cxr14", "NIH")
    films_of_one = manifest(one, films(30))
    trained = cross(task(), "clean", (one, films_of_one), both[1])[0].split.train
    names = {name.removeprefix("cxr14/") for name in trained}
    same = [
        Sample(s.id, s.patient, s.path, {"A": 0.0, "B": 0.0}, meta=s.meta) for s in films(30) if s.id in names
    ]
    other = Made("nih1k", "NIH")
    with pytest.raises(InputError, match=r"are left out.*none is left"):
        cross(task(), "clean", (one, films_of_one), (other, manifest(other, same)))


def test_the_hash_names_both(both: Any) -> None:
    hashes = {cross(task(), "clean", *both)[1].content_hash}
    one, other = both
    hashes.add(cross(task(), "clean", (one[0], manifest(one[0], films(91))), other)[1].content_hash)
    hashes.add(cross(task(), "clean", one, (other[0], manifest(other[0], films(40, "A"))))[1].content_hash)
    mapped = task().model_copy(update={"test": Elsewhere(dataset="cxr14", labels={"Pneumonia": "A"})})
    hashes.add(cross(mapped, "clean", *both)[1].content_hash)
    assert len(hashes) == 4
    with pytest.raises(InputError, match="joined by a task"):
        cross(task(), "clean", *both)[0].samples()
    assert isinstance(cross(task(), "clean", *both)[0], Joined)
