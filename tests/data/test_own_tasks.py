"""Cards for somebody's own films."""

from __future__ import annotations

import tomllib
from pathlib import Path

from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.prompts import PromptSet
from g2d_bench.data.own_tasks import METRICS, own_tasks, prompts_text
from g2d_bench.metrics.registry import metric_names
from g2d_bench.readers.base import Box, Sample
from g2d_bench.readers.folder_table import Meaning


def samples(count: int, split: str = "") -> list[Sample]:
    box = (Box("Node", 1, 1, 2, 2),)
    return [
        Sample(
            f"f{n}", f"P{n}", Path("x.png"), {"Ödem": float(n % 2), "Node": float(n % 3 == 0)}, split,
            boxes=box if n % 3 == 0 else (), report="Clear." if n % 2 else "",
        )
        for n in range(count)
    ]  # fmt: skip


def test_every_kind_has_metrics_that_exist() -> None:
    assert set(METRICS) == set(KINDS)
    assert {name for names in METRICS.values() for name in names} <= set(metric_names())


def test_what_is_there_decides() -> None:
    meaning = Meaning({"image": "image", "boxes": "boxes"}, ("Ödem", "Node"), masks={"Ödem": "mask"})
    made = {
        task.name: tomllib.loads(task.text)
        for task in own_tasks("x", samples(50), meaning, ("Ödem", "Node"), ("Node",))
    }
    assert list(made) == [
        *(
            "x-cls",
            "x-zeroshot",
            "x-seg-dem",
            "x-ground-dem",
            "x-ground-node",
            "x-det",
            "x-phrase",
            "x-retrieval",
        )
    ]
    assert made["x-cls"]["labels"] == ["Ödem", "Node"]
    assert made["x-cls"]["fractions"] == [1.0]
    assert made["x-det"]["labels"] == ["Node"]
    assert made["x-seg-dem"]["split"]["clean"]["ratios"] == [0.7, 0.15, 0.15]
    assert made["x-zeroshot"]["split"]["clean"]["ratios"] == [0.2, 0.2, 0.6]
    bare = own_tasks("x", samples(10), Meaning({"image": "image"}), (), ())
    assert bare == []


def test_small_shares_need_many_films() -> None:
    meaning = Meaning({"image": "image"}, ("Node",))
    for count, wanted in ((100, [1.0]), (200, [0.1, 1.0]), (2000, [0.01, 0.1, 1.0])):
        card = tomllib.loads(own_tasks("x", samples(count), meaning, ("Node",), ())[0].text)
        assert card["fractions"] == wanted


def test_a_split_of_the_table_is_taken_and_lacks_perhaps_validation() -> None:
    meaning = Meaning({"image": "image"}, ("Node",))
    films = samples(20, "train") + samples(10, "test")
    card = tomllib.loads(own_tasks("x", films, meaning, ("Node",), ())[0].text)
    assert card["split"]["clean"] == {"official": True, "val_share": 0.2}


def test_prompts_of_any_label() -> None:
    found = PromptSet.model_validate(
        tomllib.loads(prompts_text("x", ("Left_Lung", "COVID-19", "ARDS"))) | {"name": "x"}
    )
    assert found.label["Left_Lung"].negative[0] == "There is no left lung."
    assert found.label["COVID-19"].positive[0] == "There is COVID-19."
    assert found.label["ARDS"].positive[0] == "There is ARDS."
