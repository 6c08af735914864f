"""Images that one task trains on and another one tests on."""

from __future__ import annotations

from g2d_bench.data.audit_facts import RELEASE, Crossing, SplitAudit
from g2d_bench.data.crossings import crossings, image_key
from g2d_bench.data.splits import Split


def test_image_key() -> None:
    assert [image_key(name) for name in ("a.png", "b.c.JPG", "1.2.3.45", "d")] == [
        "a",
        "b.c",
        "1.2.3.45",
        "d",
    ]


def made(dataset: str, split: str, train: str, test: str) -> tuple[SplitAudit, Split]:
    """A split of which only the training and test images matter."""
    parts = Split(split, tuple(train.split()), ("val",), tuple(test.split()))
    return SplitAudit(dataset, [f"{dataset}-task"], split, "", hash=parts.hash), parts


def test_images_are_counted_in_both_directions() -> None:
    splits = [made("a", "clean", "1 2 3", "4 5"), made("b", "clean", "4.png 5.png 6", "2.jpg")]
    shared, found, notes = crossings(splits, {"a": frozenset("12345"), "b": frozenset({"4.png", "2.jpg"})})
    assert shared == {"a & b": 2}
    assert found == [
        Crossing("a-task (clean)", "b-task (clean)", 1),
        Crossing("b-task (clean)", "a-task (clean)", 2),
    ]
    assert notes == []


def test_splits_that_no_run_brings_together_do_not_cross() -> None:
    clean, legacy = made("a", "clean", "1 2", "3"), made("b", "legacy", "3", "1")
    assert crossings([clean, legacy], {})[1] == []
    assert crossings([clean, clean], {})[1] == [], "the same split, thus the same images"
    release = made("b", RELEASE, "3", "9")
    assert [one.images for one in crossings([clean, release], {})[1]] == [1]


def test_what_ids_cannot_tell_is_noted() -> None:
    _, _, notes = crossings([], {"rsna": frozenset(), "cxr14": frozenset(), "siim": frozenset()})
    assert [note.split(":")[0] for note in notes] == ["cxr14 & rsna", "cxr14 & siim", "rsna & siim"]
    assert crossings([], {"rsna": frozenset()})[2] == []
    named = [
        note.split(":")[0] for note in crossings([], {"nih1k": frozenset(), "chestxdet10": frozenset()})[2]
    ]
    assert named == ["chestxdet10 & nih1k"]
