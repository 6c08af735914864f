"""Whole runs: what they share, what they see, what they leave behind."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.encoders.heads.make import HEADS
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_code
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
    unlabelled, labelled = seen[:5], seen[5:]
    # The rehearsal in two modes, two steps and one validation batch.
    assert len(unlabelled) == len(labelled) == 5
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


def test_a_part_holds_two_pairs_or_more(go: Go, tmp_path: Path) -> None:
    for method in OBJECTIVES.names:
        with pytest.raises(InputError, match="a batch of 8 in 8 parts leaves 1 pair in each"):
            go(tmp_path / method, method, accumulate=8)


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


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write an objective and heads of another package, as if that were installed anew."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(remark: str) -> None:
        for registry, kind, base in (
            (OBJECTIVES, "objective", "g2d_bench.pretrain.convirt import ConVIRT"),
            (HEADS, "heads", "g2d_bench.encoders.heads.convirt import ConVIRTHeads"),
        ):
            name, mark = f"{kind}_of_a_test", {"objective": "OBJECTIVE", "heads": "HEADS"}[kind]
            lines = [
                f"from {base} as Base",
                "class Mine(Base):",
                "    name = method = 'mine'",
                f"{mark} = Mine",
            ]
            (tmp_path / f"{name}.py").write_text("\n".join([*lines, f"# {remark}"]))
            point = EntryPoint("mine", name, registry.group)
            monkeypatch.setitem(registry.__dict__, "_foreign", {"mine": point})
        importlib.invalidate_caches()
        digest_code.cache_clear()

    return write


def test_changed_code_of_another_package_is_another_run(
    go: Go, tmp_path: Path, foreign: Callable[[str], None]
) -> None:
    foreign("first")
    out = tmp_path / "run"
    made = go(out, "mine", steps=2)
    assert set(made.card["code"]) == {"objective", "heads"}
    assert json.loads((out / "config.json").read_text())["code"] == made.card["code"]
    assert go(out, "mine", steps=2).card == made.card
    foreign("second")
    with pytest.raises(
        InputError, match=r"config\.json: .* code\.heads: .* there, .* here; code\.objective: "
    ):
        go(out, "mine", steps=2)
    # Of the suite's own code the version stands on the card, and finished runs stay finished.
    assert "code" not in go(tmp_path / "own", steps=2).card


def test_a_checkpoint_of_another_model_is_one_line(go: Go, tmp_path: Path) -> None:
    go(tmp_path, steps=2)
    (tmp_path / "result.json").unlink()
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    state["model"]["objective.more"] = state["model"].pop("objective.heads.image.0.weight")
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(InputError, match=r"checkpoint\.pt: is not of this model \(.*\); take another folder"):
        go(tmp_path, steps=2)


def test_reports_that_are_all_alike_say_nothing_about_retrieval(
    go: Go, toy_writer: Callable[..., Path], tmp_path: Path
) -> None:
    data = toy_writer(tmp_path / "toy", count=160)
    table = data / "pairs.csv"
    lines = table.read_text().splitlines()
    rows = [f"{line.split(',')[0]},{line.split(',')[1]},One square." for line in lines[1:]]
    table.write_text("\n".join([lines[0], *rows]))
    card = go(tmp_path / "run", data=data, steps=2).card
    assert card["data"]["reports"] == {"train": 1, "val": 1, "held": 1}
    assert "retrieval" not in card
    count = card["data"]["pairs"]["train"]
    assert run.summary(card).endswith(
        f"; 1 different reports in {count} training pairs; too few different held-out reports for retrieval"
    )


def test_what_was_lost_or_damaged_of_a_finished_run_is_said(go: Go, tmp_path: Path) -> None:
    made = go(tmp_path)
    result, whole = tmp_path / "result.json", made.weights.read_bytes()
    made.weights.write_bytes(b"0")
    with pytest.raises(InputError, match=r"encoder\.safetensors: "):
        go(tmp_path)
    made.weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(
        InputError, match=r"encoder\.safetensors: holds other weights than result\.json says; rem"
    ):
        go(tmp_path)
    made.weights.write_bytes(whole)
    result.write_text("{")
    with pytest.raises(InputError, match=r"result\.json: damaged; remove it, and the run makes it again"):
        go(tmp_path)
    result.unlink()
    (tmp_path / "log.jsonl").unlink()
    again = go(tmp_path)
    assert again.card["tensors"] == made.card["tensors"]
    assert again.card["steps"] == made.card["steps"] == 6
    assert run.summary(again.card).startswith("convirt: 6 steps, loss not known (log.jsonl lacks it); ")
