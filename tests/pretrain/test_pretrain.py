"""Whole runs: what they share, what they see, what they leave behind."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.errors import InputError
from g2d_bench.pretrain import pretrain as run
from g2d_bench.pretrain.distributed import World
from g2d_bench.pretrain.objective import Objective
from g2d_bench.pretrain.pairs import PairData, read_pairs
from g2d_bench.pretrain.presets import recipe
from g2d_bench.pretrain.pretrain import Pretrained
from g2d_bench.pretrain.run_folder import RunFolder

ALONE = World(0, 1, torch.device("cpu"))


class Go(Protocol):
    def __call__(self, out: Path, method: str = "convirt", **changes: Any) -> Pretrained: ...


def log(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_a_finished_run_is_not_run_again(go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = go(tmp_path)
    monkeypatch.setattr(run, "fit", None)
    assert go(tmp_path).card == first.card


def test_seeds_and_methods_differ(go: Go, tmp_path: Path) -> None:
    tensors = {
        go(tmp_path / "a", steps=2).card["tensors"],
        go(tmp_path / "b", steps=2, seed=1).card["tensors"],
    }
    assert len(tensors) == 2
    again = go(tmp_path / "c", steps=2)
    assert again.card["tensors"] in tensors


def test_initialisation_is_shared_by_the_methods(toy: Path, tmp_path: Path, tiny: dict[str, Any]) -> None:
    pairs = PairData(read_pairs(str(toy)), 36, cache=toy.parent / "cache")
    states = []
    for method in OBJECTIVES.names:
        made = recipe(method, overrides=tiny)
        model = run.build(made, pairs, RunFolder(tmp_path / method, {}), ALONE, 5)
        states.append({**model.image.state_dict(prefix="image."), **model.text.state_dict(prefix="text.")})
    for other in states[1:]:
        assert states[0].keys() == other.keys()
        assert all(torch.equal(states[0][name], other[name]) for name in other)


def test_labels_do_not_reach_the_objective(
    go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy_writer: Callable[[Path], Path]
) -> None:
    """Every value that an objective is called with is pixels, tokens or ids; labels cannot hide there."""
    seen: list[Any] = []
    forward = Objective.forward

    def spy(self: Objective, batch: Any, *features: Any) -> Any:
        seen.append(batch)
        return forward(self, batch, *features)

    monkeypatch.setattr(Objective, "forward", spy)
    go(tmp_path / "a", steps=2)
    pixels_only = toy_writer(tmp_path / "labelled")
    table = pixels_only / "pairs.csv"
    lines = table.read_text().splitlines()
    table.write_text(
        "\n".join([lines[0] + ",Pneumothorax"] + [f"{line},{k % 2}" for k, line in enumerate(lines[1:])])
    )
    go(tmp_path / "b", data=pixels_only, steps=2)
    unlabelled, labelled = seen[:3], seen[3:]
    assert len(unlabelled) == len(labelled) == 3  # two steps and one validation batch
    for one, other in zip(unlabelled, labelled, strict=True):
        assert set(one._fields) == {"grey", "tokens", "ids"}
        assert set(one.tokens) == {"input_ids", "attention_mask", "word_index"}
        assert torch.equal(one.grey, other.grey)
        assert all(torch.equal(one.tokens[name], other.tokens[name]) for name in one.tokens)
        assert one.ids == other.ids


def test_accumulation_is_the_mean_of_its_parts(go: Go, tmp_path: Path) -> None:
    go(tmp_path / "a", steps=1, accumulate=2)
    assert math.isfinite(log(tmp_path / "a")[0]["loss"])
    with pytest.raises(InputError, match="batch: a batch of 8 does not divide into 3 parts"):
        go(tmp_path / "b", accumulate=3)
    with pytest.raises(InputError, match="training pairs do not fill a batch of 64"):
        go(tmp_path / "c", batch=64)


def test_bad_input_leaves_nothing_that_refuses_the_corrected_call(go: Go, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with pytest.raises(InputError, match="do not fill a batch of 4096"):
        go(out, batch=4096)
    assert not out.exists()
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="do not fill a batch of 4096"):
        go(out, batch=4096)
    # What somebody else put there stays, and with it all that the run wrote.
    assert {file.name for file in out.iterdir()} == {"notes.txt", "config.json", "tokenizer.json"}
    go(tmp_path / "whole", steps=2)
    (tmp_path / "whole/result.json").unlink()
    (tmp_path / "whole/checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(InputError, match="damaged checkpoint"):
        go(tmp_path / "whole", steps=2)
    assert (tmp_path / "whole/config.json").is_file()


def test_few_pairs_have_no_validation(go: Go, toy_writer: Callable[..., Path], tmp_path: Path) -> None:
    few = toy_writer(tmp_path / "few", count=4)
    made = go(tmp_path / "run", data=few, batch=2, steps=2)
    assert made.card["data"]["pairs"]["val"] == 0
    assert "val_loss" not in log(tmp_path / "run")[-1]
    assert made.card["losses"]["validation"] == {}
