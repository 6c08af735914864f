from __future__ import annotations

import itertools
import json
import math
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

import numpy as np
import pytest
import torch

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.encoders.checkpoint import open_checkpoint
from g2d_bench.errors import InputError
from g2d_bench.pretrain import pretrain as run
from g2d_bench.pretrain import train
from g2d_bench.pretrain.batches import Batches
from g2d_bench.pretrain.distributed import World
from g2d_bench.pretrain.pairs import PairData, read_pairs
from g2d_bench.pretrain.presets import Recipe, recipe
from g2d_bench.pretrain.pretrain import Pretrained
from g2d_bench.pretrain.run_folder import RunFolder
from g2d_bench.pretrain.train import Log, Plateau, learning_rate, total_steps

ALONE = World(0, 1, torch.device("cpu"))


class Go(Protocol):
    def __call__(self, out: Path, method: str = "convirt", **changes: Any) -> Pretrained: ...


def log(out: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def weights(out: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    return state


@pytest.mark.parametrize("method", OBJECTIVES.names)
def test_interrupted_and_resumed_equals_uninterrupted(
    go: Go, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch, tiny: dict[str, Any]
) -> None:
    whole = go(tmp_path / "whole", method)

    class Pulled(Exception):
        pass

    saved = RunFolder.log

    def pull(folder: RunFolder, entry: dict[str, Any]) -> None:
        saved(folder, entry)
        if entry["step"] == 4:
            raise Pulled

    # The plug is pulled in step 4; the last checkpoint is that of step 3.
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "log", pull)
        with pytest.raises(Pulled):
            go(tmp_path / "cut", method, save_every=3)
    assert [line["step"] for line in log(tmp_path / "cut")] == [0, 1, 2, 3, 4]
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the global state must not matter
    resumed = go(tmp_path / "cut", method, save_every=3)
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert whole.card["tensors"] == resumed.card["tensors"]
    # The file that is handed on: the same bytes of weights, and a description that differs in time alone.
    files = [tmp_path / name / "encoder.safetensors" for name in ("whole", "cut")]
    one, other = (dict(open_checkpoint(file).metadata) for file in files)
    assert {name for name in one if one[name] != other[name]} <= {"made", "seconds"}
    bodies = [file.read_bytes() for file in files]
    assert len({body[8 + int.from_bytes(body[:8], "little") :] for body in bodies}) == 1
    steps = [line["step"] for line in log(tmp_path / "cut")]
    assert steps == list(range(tiny["steps"]))
    losses = [line["loss"] for line in log(tmp_path / "cut")]
    assert all(map(math.isfinite, losses))
    assert len(set(losses)) == len(losses)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_saves_after_the_step_and_a_second_one_does_not_wait(
    go: Go, tmp_path: Path, times: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    go(tmp_path / "whole")
    saved = RunFolder.log

    def press(folder: RunFolder, entry: dict[str, Any]) -> None:
        saved(folder, entry)
        if entry["step"] == 4:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "log", press)
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path / "cut", save_every=3)
    assert signal.getsignal(signal.SIGINT) is before
    assert capfd.readouterr().err.count("saves and stops after this step; Ctrl-C again stops at once") == 1
    done = torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["step"]
    assert done == {1: 5, 2: 3}[times], "the first loses nothing, the second what was not saved"
    go(tmp_path / "cut", save_every=3)
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_learns(go: Go, tmp_path: Path) -> None:
    """In some hundred steps the toy's twelve kinds of pictures find their own reports."""
    augment = recipe("mgca", preset="paper").augment
    made = go(tmp_path, steps=220, lr=3e-3, heads={"dim": 32}, augment=augment)
    losses = [line["loss"] for line in log(tmp_path)]
    assert np.mean(losses[-20:]) < 0.88 * np.mean(losses[:10])
    assert made.card["losses"]["validation"]["val_loss"] > 0


def test_learning_rates() -> None:
    cosine = Recipe("x", "paper", lr=1.0, warmup=0.1, min_lr=0.1)
    rates = [learning_rate(cosine, step, 100, Plateau()) for step in range(101)]
    assert rates[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.1 + 0.9 / 2)
    assert rates[100] == pytest.approx(0.1)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))
    restarts = Recipe("x", "paper", lr=2.0, schedule="restarts", period=10)
    assert [learning_rate(restarts, step, 100, Plateau()) for step in (0, 5, 10, 15)] == pytest.approx(
        [2, 1, 2, 1]
    )
    plateau = Recipe("x", "paper", lr=1.0, schedule="plateau", patience=2)
    state, seen = Plateau(), []
    for loss in [5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3]:
        state.update(loss, plateau)
        seen.append(learning_rate(plateau, 0, 100, state))
    # Halved when the third epoch in a row brings nothing better, as torch's ReduceLROnPlateau does.
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    reference, wanted = (
        torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.5, patience=2, threshold=0),
        [],
    )
    for loss in [5, 4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3]:
        reference.step(loss)
        wanted.append(optimiser.param_groups[0]["lr"])
    assert seen == wanted


def test_training_ends_after_as_many_epochs_without_a_better_loss_as_the_recipe_says() -> None:
    recipe, state = Recipe("x", "paper", early_stop=3), Plateau()
    stopped = []
    for loss in [5, 4, 4, 4, 3, 3, 3, 3]:
        state.update(loss, recipe)
        stopped.append(state.stopped)
    assert stopped == [False] * 7 + [True]


def test_plateau_runs_validate_each_epoch_and_stop(go: Go, tmp_path: Path) -> None:
    made = go(tmp_path, lr=0.0, schedule="plateau", patience=0, early_stop=1, steps=0, epochs=9)
    entries = log(tmp_path)
    watched = [entry for entry in entries if "val_loss" in entry]
    assert len(watched) == watched[-1]["epoch"] + 1 < 9
    losses = [entry["val_loss"] for entry in watched]
    better = [loss < min(losses[:n]) for n, loss in enumerate(losses) if n]
    assert better == [True] * (len(better) - 1) + [False]
    assert made.card["steps"] == len(entries)
    assert made.card["stopped_early"]
    said = f"convirt: {len(entries)} steps (stopped early: validation no better for 1 epochs) in "
    assert run.summary(made.card).startswith(said)
    assert "stopped_early" not in go(tmp_path / "on", early_stop=0, steps=8).card


def test_a_loss_that_is_not_finite_stops_with_step_and_pairs(
    go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = train.Model.forward

    def spoilt(self: train.Model, *args: Any) -> dict[str, torch.Tensor]:
        found = losses(self, *args)
        return found if self.objective.step < 3 else {"loss": found["loss"] * math.nan}

    monkeypatch.setattr(train.Model, "forward", spoilt)
    with pytest.raises(InputError, match=r"the loss is nan at step 3, with the pairs \d+\.png, ") as error:
        go(tmp_path)
    report = json.loads((tmp_path / "diverged.json").read_text())
    assert report["step"] == 3
    assert len(report["ids"]) == 8
    assert all(name in str(error.value) for name in report["ids"])
    assert "\n" not in str(error.value)
    assert not (tmp_path / "encoder.safetensors").exists()


def test_epochs_give_steps(toy: Path, tmp_path: Path, tiny: dict[str, Any]) -> None:
    pairs = PairData(read_pairs(str(toy)), 36, cache=toy.parent / "cache")
    made = recipe("convirt", overrides=tiny | {"steps": 0, "epochs": 3})
    model = run.build(made, pairs, RunFolder(tmp_path, {}), ALONE, 0)
    batches = Batches(pairs, made, model.objective, model.text, 0, ALONE)
    assert total_steps(made, batches) == 3 * (len(pairs.parts["train"]) // 8)


def test_processes_count_alone_unless_negatives_and_statistics_are_joined(
    toy: Path, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    pairs = PairData(read_pairs(str(toy)), 36, cache=toy.parent / "cache")

    def steps(kind: str, *, gathers: bool = True, **changes: Any) -> int:
        made = recipe("convirt", overrides=tiny | changes)
        model = run.build(made, pairs, RunFolder(tmp_path, {}), ALONE, 0)
        model.objective.gather_negatives = gathers
        here = World(0, 8, torch.device(kind))
        return total_steps(made, Batches(pairs, made, model.objective, model.text, 0, here))

    assert steps("cuda") == 6
    for kind, gathers in (("cuda", False), ("cpu", True)):
        with pytest.raises(InputError, match="a batch of 8 in 8 parts leaves 1 pair in each; a loss needs 2"):
            steps(kind, gathers=gathers)
    assert steps("cpu", batch=16) == 6
    watched = "validation loss, for which 2 validation pairs are too few: 16 are needed"
    for changes in ({"schedule": "plateau"}, {"early_stop": 3}):
        with pytest.raises(InputError, match=watched):
            steps("cpu", batch=16, **changes)


def test_without_a_validation_loss_nothing_goes_by_it(
    go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "validate", lambda *_: {})
    made = go(tmp_path, schedule="plateau", early_stop=1, steps=0, epochs=3)
    entries = log(tmp_path)
    assert "stopped_early" not in made.card
    assert made.card["steps"] == len(entries)
    assert entries[-1]["epoch"] == 2
    assert {entry["lr"] for entry in entries} == {1e-3}


def test_tensorboard_is_optional(
    go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: dict[str, Any]
) -> None:
    import sys
    from types import ModuleType

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install 'g2d-bench\[tensorboard\]'"):
        go(tmp_path / "a", tensorboard=True)
    written: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            assert purge_step == 0

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, value, step))

        def flush(self) -> None:
            """Nothing is buffered."""

    fake = ModuleType("torch.utils.tensorboard")
    fake.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    go(tmp_path / "b", tensorboard=True)
    assert [step for name, _, step in written if name == "loss"] == list(range(tiny["steps"]))


def test_losses_that_are_read_together_are_those_of_their_steps(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    batches = cast(
        Any, SimpleNamespace(data=SimpleNamespace(ids=["a", "b"]), indices=lambda step: [step % 2])
    )
    folder = RunFolder(tmp_path / "run", {})
    log = Log(lines.append, folder, batches, every=3)
    for step in range(4):
        log.add({"step": step, "loss": torch.tensor(step / 3), "lr": 0.1})
    assert [line["step"] for line in lines] == [0, 1, 2]
    log.flush()
    assert [line["loss"] for line in lines] == [float(torch.tensor(step / 3)) for step in range(4)]
    assert all(set(line) == {"step", "loss", "lr", "seconds"} for line in lines)
    log.flush()
    assert len(lines) == 4
    log.add({"step": 4, "loss": torch.tensor(1.0)})
    log.add({"step": 5, "loss": torch.tensor(torch.nan)})
    with pytest.raises(InputError, match=r"the loss is nan at step 5, with the pairs b"):
        log.add({"step": 6, "loss": torch.tensor(torch.nan)})
    assert [line["step"] for line in lines] == [0, 1, 2, 3, 4]
