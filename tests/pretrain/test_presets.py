"""Recipes are what they were when each objective's settings stood in one table."""

from __future__ import annotations

import json
from pathlib import Path

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
