"""What a cell sees of its data, on made-up samples."""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import pytest
from made_up import sample, task

from g2d_bench.adapters.base import Outcome
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.cells.run import undefined_notes
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.task_data import TaskData
from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset, Sample

NAN = math.nan
PROTOCOL = Protocol(name="clean", version="1.0", title="x", split="clean")


def open_data(card: TaskCard, samples: list[Sample]) -> TaskData:
    manifest = Manifest("covidx", "real", tuple(samples), (), np.zeros((len(samples), 2), np.int32), "")
    return TaskData(card, PROTOCOL, cast(Dataset, None), manifest, 1.0, 0)


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
