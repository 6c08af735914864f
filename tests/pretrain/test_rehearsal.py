"""What would fail in the first step, or after the last one, fails before a step is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError
from g2d_bench.pretrain import pretrain as run
from g2d_bench.pretrain import train
from g2d_bench.pretrain.batches import Batches
from g2d_bench.pretrain.distributed import World
from g2d_bench.pretrain.pairs import PairData, read_pairs
from g2d_bench.pretrain.presets import recipe
from g2d_bench.pretrain.rehearsal import rehearse
from g2d_bench.pretrain.run_folder import RunFolder


@pytest.mark.parametrize("method", OBJECTIVES.names)
def test_it_leaves_no_trace(toy: Path, tmp_path: Path, tiny: dict[str, Any], method: str) -> None:
    here = World(0, 1, torch.device("cpu"))
    made = recipe(method, overrides=tiny)
    pairs = PairData(read_pairs(str(toy)), made.store, cache=toy.parent / "cache")
    model = run.build(made, pairs, RunFolder(tmp_path, {}), here, 0)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    rehearse(model, Batches(pairs, made, model.objective, model.text, 0, here))
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), random)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert all(value.grad is None for value in model.parameters())


@pytest.mark.parametrize("training", [True, False])
def test_a_fault_costs_a_line_and_no_step(
    go: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training: bool
) -> None:
    forward = train.Model.forward

    def spoilt(self: train.Model, *args: Any) -> dict[str, torch.Tensor]:
        if self.training is training:
            raise IndexError("too few maps\nand more")
        return forward(self, *args)

    monkeypatch.setattr(train.Model, "forward", spoilt)
    mode = "training" if training else "evaluation"
    with pytest.raises(InputError) as caught:
        go(tmp_path / "run")
    assert str(caught.value) == (
        "--set model, heads, constants of convirt: "
        f"a pass of two films in {mode} mode fails: IndexError: too few maps"
    )
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(train.Model, "forward", lambda *_: {"lost": torch.zeros(())})
    with pytest.raises(InputError, match="losses of convirt: gives no total under 'loss'"):
        go(tmp_path / "run")


def test_a_backbone_whose_vector_is_wider_than_its_map_has_no_cells(go: Any, tmp_path: Path) -> None:
    made = go(tmp_path / "run", model="mobilenetv3_small_050", options={}, steps=1)
    encoder = load_encoder(load_card(made.encoder, EncoderCard))
    assert encoder.image.channels[-1] != encoder.image.num_features
    assert "text" in encoder.gives
    assert "cells" not in encoder.gives
