"""The published protocols: what their cards say, what they refuse, what they leave of `clean`."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.adapters.classification import ClassificationRule
from g2d_bench.adapters.detection import DetectionRule
from g2d_bench.adapters.segmentation import SegmentationRule
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.kind import KINDS, untrained
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cells.plan import make_cells
from g2d_bench.data.legacy_splits import NAMES
from g2d_bench.errors import InputError
from g2d_bench.hashing import set_fields

PROTOCOLS = Path(__file__).resolve().parents[2] / "tasks" / "protocols"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.open()


def plan(catalogue: Catalogue, *tasks: str, protocol: str = "legacy") -> Any:
    return make_cells(
        catalogue,
        tasks=tasks,
        encoders=("random",),
        fractions=[0.1],
        seeds=[0],
        protocol=protocol,
        weights=lambda card: (True, ""),
    )


@pytest.mark.parametrize("name", ["clean", "clean-finetune"])
def test_nothing_of_the_published_protocols_reaches_clean(catalogue: Catalogue, name: str) -> None:
    """What enters the hash of `clean` is its card as it is written: no key that came later is at work."""
    written = tomllib.loads((PROTOCOLS / f"{name}.toml").read_text()) | {"name": name}
    later = set_fields(catalogue.protocols[name])
    assert later == written
    for rule in (
        written["segmentation"],
        written["detection"],
        written["classification"].get("training", {}),
    ):
        assert not {"drop_last", "augmentation", "crop"} & set(rule)
        assert all(set(case) == {"scale", "learning_rate"} for case in rule.get("case", ()))


LISTS_UNPUBLISHED = {"chexpert-8x200", "mimic-5x200", "mimic-retrieval", "openi-retrieval"}
"""Tasks of papers whose lists are unseeded, not free, or drawn by no rule that can be repeated."""


def test_every_task_of_a_paper_has_a_published_split_with_its_defects(catalogue: Catalogue) -> None:
    assert {task.name for task in catalogue.tasks if task.papers} >= LISTS_UNPUBLISHED
    for task in catalogue.tasks:
        published = bool(task.papers) and task.name not in LISTS_UNPUBLISHED
        assert ("legacy" in task.split) == published, task.name
        if published:
            rule = task.split["legacy"]
            assert rule.defects, task.name
            assert rule.official or rule.function in NAMES
    for name in ("legacy", "legacy-finetune"):
        assert catalogue.protocols[name].defects


def test_a_published_protocol_measures_by_the_papers_metric(catalogue: Catalogue) -> None:
    legacy, clean = catalogue.protocols["legacy"], catalogue.protocols["clean"]
    seen = {task.name: legacy.view(task) for task in catalogue.tasks if not legacy.refusal(task)}
    assert seen["siim-seg"].main == seen["siim-seg"].metrics[0] == "dice_legacy_batched"
    assert seen["rsna-det"].main == "ap_legacy"
    assert seen["ms-cxr-phrase"].main == "cnr"
    assert seen["rsna-cls"] == catalogue.tasks["rsna-cls"]
    for name, task in seen.items():
        assert set(catalogue.tasks[name].metrics) <= set(task.metrics)
        assert clean.view(catalogue.tasks[name]) is catalogue.tasks[name]


def test_a_task_without_published_protocol_says_so(catalogue: Catalogue) -> None:
    with pytest.raises(
        InputError, match=r"covid-cxr-seg\.toml.*no published protocol.*--protocol clean"
    ) as one:
        plan(catalogue, "siim-seg", "covid-cxr-seg")
    assert "\n" not in str(one.value)
    cells, skipped = plan(catalogue, "all")
    without = {task.name for task in catalogue.tasks if "legacy" not in task.split}
    assert {"covid-cxr-det", "covid-cxr-phrase", "covid-cxr-seg"} <= without
    assert {left.name for left in skipped} == without
    assert {cell.task for cell in cells} == set(catalogue.tasks.names) - {left.name for left in skipped}
    with pytest.raises(InputError, match="'legacy-finetune' says nothing about detection"):
        plan(catalogue, "rsna-det", protocol="legacy-finetune")
    trained = {cell.task for cell in plan(catalogue, "all", protocol="legacy-finetune")[0]}
    assert {catalogue.tasks[name].kind for name in trained} <= {"classification", *filter(untrained, KINDS)}


@pytest.mark.parametrize(
    ("task", "fraction", "expected"),
    [
        ("rsna-det", 0.01, (2e-4, 8)),
        ("rsna-det", 0.1, (5e-4, 16)),
        ("object-cxr-det", 0.01, (2.5e-4, 8)),
        ("object-cxr-det", 1.0, (5e-4, 16)),
        ("covid-cxr-det", 0.01, (5e-4, 16)),
    ],
)
def test_published_rates_differ_by_task_and_fraction(
    catalogue: Catalogue, task: str, fraction: float, expected: tuple[float, int]
) -> None:
    rule = catalogue.protocols["legacy"].table("detection")
    assert rule is not None
    here = rule.of(task, fraction, "published")
    assert (here.learning_rate, here.batch_size) == expected


def test_the_floor_of_steps_leaves_the_published_schedules_alone(catalogue: Catalogue) -> None:
    """Images of the smallest published training sets, and 50 epochs without the last batch."""
    legacy = catalogue.protocols["legacy"]
    tuned = catalogue.protocols["legacy-finetune"].table("classification")
    assert legacy.table("classification") is not None
    assert legacy.table("classification").training is not None
    assert legacy.table("segmentation") is not None
    assert legacy.table("detection") is not None
    assert tuned is not None
    assert tuned.training is not None
    assert legacy.table("classification").training.schedule(187) == (150, 3)
    assert legacy.table("segmentation").of("siim-seg", 0.01, "published").schedule(40) == (250, 5)
    assert legacy.table("segmentation").of("rsna-seg", 0.01, "published").schedule(160) == (500, 10)
    assert legacy.table("detection").of("object-cxr-det", 0.01, "published").schedule(72) == (450, 9)
    assert legacy.table("detection").of("rsna-det", 0.01, "published").schedule(160) == (1000, 20)
    assert legacy.table("detection").of("rsna-det", 1.0, "published").schedule(16010) == (50000, 1000)
    assert tuned.training.schedule(779) == (600, 12)


def test_a_case_may_hold_for_a_scale_alone(catalogue: Catalogue) -> None:
    rule = catalogue.protocols["clean"].table("segmentation")
    assert rule is not None
    small, large = (rule.of("siim-seg", 0.1, scale) for scale in ("phantom", "published"))
    assert (small.learning_rate, large.learning_rate) == (3e-3, 1e-3)
    assert large == rule


def changed(name: str, kind: str, **values: Any) -> dict[str, Any]:
    return {**tomllib.loads((PROTOCOLS / f"{name}.toml").read_text())[kind], **values}


CASE = {"task": "siim-seg", "batch_size": 4}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: SegmentationRule(**changed("clean", "segmentation", augmentation="scale_rotate")),
            "augmentation needs an encoder that is not frozen in every respect",
        ),
        (
            lambda: SegmentationRule(**changed("clean", "segmentation", drop_last=True)),
            "drop_last goes with select = 'val_loss'",
        ),
        (
            lambda: SegmentationRule(**changed("clean", "segmentation", max_steps=10)),
            "min_steps = 240 is above max_steps = 10",
        ),
        (
            lambda: SegmentationRule(**changed("clean", "segmentation", case=[CASE, CASE])),
            "two cases for 'siim-seg' up to 1",
        ),
        (
            lambda: SegmentationRule(**changed("clean", "segmentation", case=[{"task": "siim-seg"}])),
            "give learning_rate, batch_size or both",
        ),
        (
            lambda: DetectionRule(**changed("clean", "detection", select="val_loss")),
            "a detector is chosen by a metric",
        ),
        (
            lambda: ClassificationRule(**changed("legacy", "classification", penalties=[1.0])),
            "takes either penalties or training",
        ),
        (lambda: ClassificationRule(tuning="frozen"), "takes either penalties or training"),
        (lambda: ClassificationRule(tuning="finetune"), "takes training alone"),
        (
            lambda: ClassificationRule(**changed("legacy-finetune", "classification") | {"tuning": "frozen"}),
            "takes batchnorm = 'frozen'",
        ),
        (
            lambda: Protocol(name="x", version="1.0", title="x", split="clean", draw="published"),
            "draws from a published split",
        ),
        (
            lambda: Protocol(
                name="x", version="1.0", title="x", split="clean", main={"segmentation": "dice_positiv"}
            ),
            "did you mean 'dice_positive'",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
