"""Test sets of as many images per class."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.io import load_card
from g2d_bench.cards.task import SplitRule, TaskCard
from g2d_bench.data.per_label import per_label
from g2d_bench.data.splits import Split
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Sample

LABELS = ("Edema", "Pneumonia")


def samples() -> list[Sample]:
    """Two images per patient; 10 patients show Edema alone, 40 Pneumonia alone, 20 both, 30 neither."""
    found = []
    for patient in range(100):
        edema, pneumonia = patient < 10 or 50 <= patient < 70, 10 <= patient < 70
        for image in range(2):
            labels = {"Edema": float(edema), "Pneumonia": float(pneumonia)}
            found.append(Sample(f"{patient:03}-{image}", f"P{patient:03}", Path("x.png"), labels))
    return found


def card(**rule: object) -> tuple[TaskCard, SplitRule]:
    made = SplitRule.model_validate({"per_label": 200, "val_share": 0.5, **rule})
    task = Catalogue.open().tasks["mimic-5x200"]
    return task.model_copy(update={"labels": LABELS, "split": {"clean": made}}), made


def draw(found: list[Sample], **rule: object) -> Split:
    task, made = card(**rule)
    return per_label(task, made, "clean", "salt", found)


def test_as_many_of_each_and_one_per_patient(capsys: pytest.CaptureFixture[str]) -> None:
    found = {sample.id: sample for sample in samples()}
    split = draw(list(found.values()), per_label=5)
    shown = [tuple(label for label in LABELS if found[i].labels[label]) for i in split.test]
    assert sorted(shown) == [("Edema",)] * 5 + [("Pneumonia",)] * 5
    patients = {part: {found[i].patient for i in ids} for part, ids in split.parts.items()}
    assert len(patients["test"]) == 10
    assert not patients["test"] & (patients["train"] | patients["val"])
    assert not patients["train"] & patients["val"]
    assert len(split.train) + len(split.val) == 200 - 20
    # Neither the order of the samples nor anything random decides.
    assert draw(list(reversed(found.values())), per_label=5) == split
    assert "instead of" not in capsys.readouterr().err


def test_the_rarest_class_decides_how_many(capsys: pytest.CaptureFixture[str]) -> None:
    split = draw(samples())
    assert len(split.test) == 2 * 7  # three quarters of ten patients
    assert "7 instead of 200 images per label, for want of Edema" in capsys.readouterr().err


def test_the_rarest_class_is_that_of_the_fewest_patients() -> None:
    """Eight patients show Edema on four films each and Pneumonia on another; twelve more Pneumonia alone."""
    some = {f"{patient:02}-{n}": ("Edema", patient) for patient in range(8) for n in range(4)}
    some |= {f"{patient:02}-x": ("Pneumonia", patient) for patient in range(20)}
    some |= {f"{patient:02}-x": ("", patient) for patient in range(20, 40)}
    found = [
        Sample(name, f"P{patient}", Path("x.png"), {label: float(label == shown) for label in LABELS})
        for name, (shown, patient) in some.items()
    ]
    for salt in map(str, range(20)):
        task, rule = card()
        split = per_label(task, rule, "clean", salt, found)
        assert sorted(some[name][0] for name in split.test) == ["Edema"] * 6 + ["Pneumonia"] * 6


def test_a_class_that_nobody_shows_alone() -> None:
    with pytest.raises(InputError, match="fewer than two patients show 'Edema' alone"):
        draw([sample for sample in samples() if sample.labels["Pneumonia"]])


def test_what_a_card_may_say(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "tasks" / "mimic-5x200.toml").read_text()
    for change, message in (
        (("val_share = 0.5", ""), "per_label needs val_share"),
        (("per_label = 200", "per_label = 200\nofficial = true"), "give exactly one of"),
        (("per_label = 200", "per_label = 0"), "per_label"),
    ):
        assert change[0] in text
        (tmp_path / "mine.toml").write_text(text.replace(*change))
        with pytest.raises(InputError, match=message):
            load_card(tmp_path / "mine.toml", TaskCard)
