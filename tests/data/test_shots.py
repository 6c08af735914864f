"""A few training images per class."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.task import TaskCard
from g2d_bench.data.shots import NONE, take_shots
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Sample

LABELS = ("Mass", "Edema")


def task(**changes: object) -> TaskCard:
    return Catalogue.open().tasks["cxr14-cls"].model_copy(update={"labels": LABELS, **changes})


def films(patients: int = 60, each: int = 3) -> dict[str, Sample]:
    """Each patient has three films; those of every third show a mass, of every fifth an edema."""
    found = [
        Sample(
            id=f"{patient:03}-{n}",
            patient=f"{patient:03}",
            path=Path(),
            labels={"Mass": float(patient % 3 == 0), "Edema": float(patient % 5 == 0)},
        )
        for patient in range(patients)
        for n in range(each)
    ]
    return {sample.id: sample for sample in found}


def test_fewer_shots_are_part_of_more_for_every_seed() -> None:
    samples = films()
    for seed in range(3):
        drawn = [set(take_shots(samples, samples, count, seed, task())[0]) for count in (1, 4, 16)]
        assert drawn[0] < drawn[1] < drawn[2]
    others = {take_shots(samples, samples, 4, seed, task())[0] for seed in range(5)}
    assert len(others) == 5


def test_each_class_has_as_many_images_of_different_patients() -> None:
    samples = films()
    ids, short = take_shots(samples, samples, 4, 0, task())
    assert not short
    for label in LABELS:
        assert sum(samples[i].labels[label] == 1 for i in ids) >= 4
    none = [i for i in ids if not any(samples[i].labels.values())]
    assert len(none) == 4
    assert len({samples[i].patient for i in none}) == 4
    assert len(ids) <= 12


def test_the_draw_depends_on_names_alone() -> None:
    samples = films()
    backwards = dict(reversed(samples.items()))
    assert take_shots(samples, samples, 4, 1, task()) == take_shots(backwards, [*backwards], 4, 1, task())
    more = samples | {"new": Sample("new", "new", Path(), {"Mass": 0.0, "Edema": 0.0})}
    ids = take_shots(more, more, 4, 1, task())[0]
    assert sum(i not in take_shots(samples, samples, 4, 1, task())[0] for i in ids) <= 1


def test_second_films_of_a_patient_come_when_first_ones_are_used_up() -> None:
    samples = films(patients=15)
    ids, short = take_shots(samples, samples, 4, 0, task())
    edema = {samples[i].patient for i in ids if samples[i].labels["Edema"] == 1}
    assert edema == {"000", "005", "010"}
    assert not short
    ids, short = take_shots(samples, samples, 100, 0, task())
    assert short == {"Mass": 15, "Edema": 9, NONE: 24}
    assert len(ids) == 45


def test_labels_that_exclude_each_other_need_no_further_class() -> None:
    samples = {
        f"{n}": Sample(f"{n}", f"{n}", Path(), {"Mass": float(n % 2), "Edema": float(n % 2 == 0)})
        for n in range(20)
    }
    ids, _ = take_shots(samples, samples, 3, 0, task(exclusive=True))
    assert len(ids) == 6
    only = {name: sample for name, sample in samples.items() if sample.labels["Mass"] == 1}
    with pytest.raises(InputError, match="shots: no training image shows Edema"):
        take_shots(only, only, 3, 0, task(exclusive=True))
    without = {name: Sample(name, name, Path(), {"Mass": 0.0, "Edema": 0.0}) for name in samples}
    with pytest.raises(InputError, match="no training image shows Mass, Edema"):
        take_shots(without, without, 3, 0, task())


def test_an_image_of_which_a_label_is_unknown_shows_no_class() -> None:
    samples = films() | {"odd": Sample("odd", "odd", Path(), {"Mass": float("nan"), "Edema": 0.0})}
    assert "odd" not in take_shots(samples, samples, 100, 0, task())[0]
