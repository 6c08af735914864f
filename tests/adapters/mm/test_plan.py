"""What a rule says of the length of a training."""

from __future__ import annotations

from g2d_bench.adapters.mm.plan import Plan
from g2d_bench.cards.catalogue import Catalogue


def test_a_plan_is_what_the_rule_says() -> None:
    rule = Catalogue.open().protocols["clean"].table("segmentation")
    rule = rule.model_copy(update={"epochs": 3, "min_steps": 5, "max_steps": 20, "batch_size": 8})
    plan = Plan.of(rule, 33, lower_is_better=True)
    assert (plan.steps, plan.every) == (3 * 5, max(rule.validate_every, 5)) == rule.schedule(33)
    assert (plan.learning_rate, plan.weight_decay) == (rule.learning_rate, rule.weight_decay)
    assert (plan.patience, plan.settle_steps) == (rule.patience, rule.settle_steps)
    assert plan.lower_is_better
    assert not Plan.of(rule, 33).lower_is_better
