"""Recipes are what they were when each objective's settings stood in one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_json
from g2d_bench.pretrain.objective import VARIANTS
from g2d_bench.pretrain.presets import PRESETS, recipe

KNOWN: dict[str, str] = json.loads(Path(__file__).with_name("recipes.json").read_text())


def test_recipes_are_the_published_ones() -> None:
    assert OBJECTIVES.names == ["convirt", "g2d", "gloria", "mgca"]
    made = {
        f"{name}/{preset}/{variant}": digest_json(recipe(name, preset=preset, variant=variant).as_json())
        for name in OBJECTIVES
        for preset in PRESETS
        for variant in VARIANTS
    }
    assert made == KNOWN


def test_an_unknown_objective_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"--objective: unknown 'gloriaa'; did you mean 'gloria'\?"):
        recipe("gloriaa")


@pytest.mark.parametrize("method", OBJECTIVES.names)
@pytest.mark.parametrize("variant", ["paper", "released"])
def test_paper_recipes(method: str, variant: str) -> None:
    made = recipe(method, preset="paper", variant=variant)
    assert made.model == "resnet50"
    assert made.epochs > 0
    assert made.steps == 0
    assert json.loads(json.dumps(made.as_json())) == made.as_json()
    if (method, variant) == ("g2d", "released"):
        assert (made.lr, made.batch, made.size, made.schedule, made.period) == (
            2e-5,
            512,
            256,
            "restarts",
            200,
        )
        assert made.augment.shear == 15
    if (method, variant) == ("g2d", "paper"):
        assert (made.lr, made.batch, made.size, made.weight_decay) == (2e-4, 2048, 224, 1e-8)


def test_phantom_recipes_differ_in_the_objective_alone() -> None:
    recipes = [recipe(method).as_json() for method in OBJECTIVES.names]
    for made in recipes:
        for name in ("method", "heads", "constants"):
            made.pop(name)
    assert all(made == recipes[0] for made in recipes)


def test_phantom_recipe_is_that_of_the_cards() -> None:
    tomllib = pytest.importorskip("tomllib")
    for method in OBJECTIVES.names:
        card = tomllib.loads((Path(__file__).parents[2] / "baselines" / f"{method}.toml").read_text())[
            "image"
        ]
        made = recipe(method)
        assert (made.model, dict(made.options), made.size) == (card["model"], card["options"], card["size"])
        assert made.standardise
        assert card["standardise"]
        assert not {"mean", "std"} & set(card)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "mcga"}, "--objective: unknown 'mcga'; did you mean 'mgca'"),
        ({"method": "mgca", "preset": "papre"}, "--preset: unknown 'papre'; did you mean 'paper'"),
        ({"method": "mgca", "variant": "code"}, "--variant: unknown 'code'"),
        ({"method": "mgca", "overrides": {"step": 1}}, "a recipe has no 'step'; did you mean 'steps'"),
    ],
)
def test_wrong_words(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe(**arguments)
    assert set(PRESETS) == {"paper", "phantom"}
