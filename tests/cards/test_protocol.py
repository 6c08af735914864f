"""Protocol cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.io import load_card
from g2d_bench.cards.protocol import Case, Protocol, Training
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped

# As they were before there was a choice: records of single precision keep their keys.
DIGESTS = {
    ("clean", "classification"): "63bbbff5af6f957e50b2eb0bdf64b2c826c23ac5bda5678fce42286267ff268f",
    ("clean", "segmentation"): "708c2817d9269c9569597cc5c19fc23c13b919eb3ab2222516351d2a655ae7a8",
    ("legacy", "detection"): "5fccacac09d270595ccf6ee3794ed4ddbb1dacc31b2985d11d973d0dd80f20ff",
}


@pytest.mark.parametrize(("name", "kind"), list(DIGESTS))
def test_single_precision_moves_no_digest(name: str, kind: str) -> None:
    protocols = Catalogue.open().protocols
    protocol = protocols[name]
    assert protocol.precision == "fp32"
    assert protocol.digest(kind) == DIGESTS[name, kind]
    fast = protocols[f"{name}+fast"]
    assert (fast.name, fast.precision) == (f"{name}+fast", "fast")
    assert fast.digest(kind) != protocol.digest(kind)


TRAINING: dict[str, Any] = {
    "batchnorm": "frozen",
    "optimiser": "adamw",
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "batch_size": 8,
    "epochs": 10,
    "min_steps": 20,
    "max_steps": 1000,
    "validate_every": 5,
    "patience": 3,
}


@pytest.mark.parametrize(
    ("images", "drop_last", "expected"),
    [
        (1, False, (20, 5)),  # 1 step an epoch, 10 in all: fewer than the least
        (81, False, (110, 11)),  # 11 steps an epoch, one of them with one image
        (81, True, (100, 10)),
        (7, True, (20, 5)),  # no full batch: still one step
        (100_000, False, (1000, 12500)),
    ],
)
def test_steps_of_a_schedule(images: int, drop_last: bool, expected: tuple[int, int]) -> None:
    assert Training(**TRAINING, drop_last=drop_last).schedule(images) == expected


def test_the_case_for_fewest_labels_holds() -> None:
    rule = Training(
        **TRAINING,
        case=(
            Case(max_fraction=0.1, learning_rate=0.1),
            Case(max_fraction=0.01, learning_rate=0.2, batch_size=2),
            Case(task="a", scale="phantom", learning_rate=0.3),
        ),
    )
    found = {
        (task, fraction, scale): rule.of(task, fraction, scale).learning_rate
        for task, fraction, scale in (
            ("b", 0.01, "phantom"),
            ("b", 0.02, "phantom"),
            ("b", 1.0, "phantom"),
            ("a", 1.0, "phantom"),
            ("a", 1.0, "published"),
        )
    }
    assert list(found.values()) == [0.2, 0.1, 1e-3, 0.3, 1e-3]
    assert rule.of("b", 0.01, "phantom").batch_size == 2
    assert rule.of("b", 0.1, "phantom").batch_size == 8, "what a case leaves out stays"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"min_steps": 2000}, "min_steps = 2000 is above max_steps = 1000"),
        ({"case": [{"task": "a"}]}, "give learning_rate, batch_size or both"),
        ({"case": [{"batch_size": 2}, {"batch_size": 3}]}, "two cases for 'all tasks' up to 1"),
    ],
)
def test_schedules_that_cannot_be(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Training.model_validate(TRAINING | change)


def test_a_protocol_s_own_main_metric_stands_first() -> None:
    task = Catalogue.open().tasks["siim-seg"]
    other = next(name for name in task.metrics if name != task.main)
    protocol = Protocol(name="x", version="1.0", title="x", split="clean", main={"segmentation": other})
    seen = protocol.view(task)
    assert (seen.main, seen.metrics[0]) == (other, other)
    assert sorted(seen.metrics) == sorted(task.metrics)
    plain = Protocol(name="x", version="1.0", title="x", split="clean")
    assert plain.view(task) is task
    assert protocol.digest("segmentation") != plain.digest("segmentation")
    assert protocol.digest("detection") == plain.digest("detection")


def test_why_a_task_cannot_be_run() -> None:
    catalogue = Catalogue.open()
    task = catalogue.tasks["siim-seg"]
    bare = Protocol(name="bare", version="1.0", title="x", split="clean")
    assert catalogue.protocols["clean"].refusal(task) == ""
    assert bare.refusal(task) == "protocol 'bare' says nothing about segmentation"
    assert bare.refusal(catalogue.tasks["siim-zeroshot"]) == ""
    other = Protocol(name="bare", version="1.0", title="x", split="other")
    assert other.refusal(task) == f"the task has no split 'other' (it has {', '.join(task.split)})"


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        (
            "clean",
            'select = "dice_positive"',
            'select = "auroc"',
            "segmentation: metric 'auroc' reads scores",
        ),
        (
            "clean",
            'select = "main"',
            'select = "ap50"',
            "detection: unknown metric 'ap50'; did you mean 'ap_50'",
        ),
        (
            "clean-linear",
            'select = "dice_positive"',
            'select = "cnr"',
            "segmentation: metric 'cnr' reads inside",
        ),
        (
            "clean",
            'split = "clean"',
            'split = "clean"\nmain = { detection = "cnr" }',
            "main: metric 'cnr' reads",
        ),
    ],
)
def test_what_a_protocol_chooses_by_is_of_the_kind(
    tmp_path: Path, name: str, old: str, new: str, says: str
) -> None:
    text = (shipped("tasks") / "protocols" / f"{name}.toml").read_text()
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=says):
        load_card(tmp_path / "mine.toml", Protocol)
