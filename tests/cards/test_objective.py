"""Names of objectives, and what a card may say instead."""

from __future__ import annotations

from g2d_bench.cards.objective import CONTROLS, OBJECTIVES, OTHER
from g2d_bench.pretrain.objective import Objective


def test_the_four_published_objectives_are_found() -> None:
    assert {"convirt", "gloria", "mgca", "g2d"} <= set(OBJECTIVES)


def test_each_name_leads_to_a_class_of_its_own() -> None:
    classes = [OBJECTIVES[name] for name in OBJECTIVES]
    assert len(set(classes)) == len(classes)
    assert all(issubclass(one, Objective) for one in classes)


def test_what_a_card_says_without_an_objective_is_no_objective() -> None:
    assert not {*CONTROLS, OTHER} & set(OBJECTIVES)
