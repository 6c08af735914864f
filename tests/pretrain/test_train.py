from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

import numpy as np
import pytest
import torch

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.errors import InputError
from g2d_bench.pretrain import pretrain as run
from g2d_bench.pretrain import train
from g2d_bench.pretrain.distributed import World
from g2d_bench.pretrain.objective import Objective
from g2d_bench.pretrain.pairs import PairData, read_pairs
from g2d_bench.pretrain.presets import PRESETS, Recipe, recipe
from g2d_bench.pretrain.pretrain import Pretrained
from g2d_bench.pretrain.run_folder import RunFolder, differences
from g2d_bench.pretrain.train import Batches, Log, Plateau, learning_rate, total_steps

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
    steps = [line["step"] for line in log(tmp_path / "cut")]
    assert steps == list(range(tiny["steps"]))
    losses = [line["loss"] for line in log(tmp_path / "cut")]
    assert all(map(math.isfinite, losses))
    assert len(set(losses)) == len(losses)


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


def test_training_learns(go: Go, tmp_path: Path) -> None:
    """In some hundred steps the toy's twelve kinds of pictures find their own reports."""
    augment = recipe("mgca", preset="paper").augment
    made = go(tmp_path, steps=100, lr=3e-3, heads={"dim": 32}, augment=augment)
    losses = [line["loss"] for line in log(tmp_path)]
    assert np.mean(losses[-20:]) < 0.88 * np.mean(losses[:10])
    assert made.card["losses"]["validation"]["val_loss"] > 0


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


def test_batches_cover_an_epoch_and_depend_on_the_step_alone(
    toy: Path, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    pairs = PairData(read_pairs(str(toy)), 36, cache=toy.parent / "cache")
    made = recipe("convirt", overrides=tiny)
    model = run.build(made, pairs, RunFolder(tmp_path, {}), ALONE, 0)

    def batches(rank: int = 0, size: int = 1, **changes: Any) -> Batches:
        world = World(rank, size, torch.device("cpu"))
        return Batches(
            pairs, recipe("convirt", overrides=tiny | changes), model.objective, model.text, 0, world
        )

    one = batches()
    assert one.per_epoch == len(pairs.parts["train"]) // 8
    seen = np.concatenate([one.indices(step) for step in range(one.per_epoch)])
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(pairs.parts["train"])
    assert not np.array_equal(one.indices(0), one.indices(one.per_epoch))  # another epoch, another order
    assert np.array_equal(one.indices(3), batches().indices(3))
    # Two processes see the halves of what one process sees; four parts the quarters.
    (whole,) = next(one.train(5, 6))
    halves = [next(batches(rank, 2).train(5, 6))[0] for rank in range(2)]
    close = partial(torch.testing.assert_close, atol=1e-5, rtol=0)  # the last bit depends on the batch's size
    close(whole[0], torch.cat([half[0] for half in halves]))
    assert torch.equal(whole[1]["input_ids"], torch.cat([half[1]["input_ids"] for half in halves]))
    assert whole[2] == halves[0][2] + halves[1][2]
    parts = next(batches(accumulate=4).train(5, 6))
    assert len(parts) == 4
    close(whole[0], torch.cat([part[0] for part in parts]))
    # Validation sees the pixels as they are.
    grey, _, ids = next(one.validation())
    assert [pairs.ids.index(name) in pairs.parts["val"] for name in ids] == [True] * len(ids)
    stored = torch.from_numpy(np.array(pairs.images[pairs.ids.index(ids[0])]))
    torch.testing.assert_close(grey[0, 0], stored[2:34, 2:34] / 255, atol=1e-4, rtol=0)


def test_accumulation_is_the_mean_of_its_parts(go: Go, tmp_path: Path) -> None:
    go(tmp_path / "a", steps=1, accumulate=2)
    assert math.isfinite(log(tmp_path / "a")[0]["loss"])
    with pytest.raises(InputError, match="batch: a batch of 8 does not divide into 3 parts"):
        go(tmp_path / "b", accumulate=3)
    with pytest.raises(InputError, match="training pairs do not fill a batch of 64"):
        go(tmp_path / "c", batch=64)


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
    plateau = Recipe("x", "paper", lr=1.0, schedule="plateau", patience=2, early_stop=6)
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
    assert not state.stopped
    state.update(3, plateau)
    assert state.stopped


def test_plateau_runs_validate_each_epoch_and_stop(go: Go, tmp_path: Path) -> None:
    made = go(tmp_path, lr=0.0, schedule="plateau", patience=0, early_stop=1, steps=0, epochs=9)
    entries = log(tmp_path)
    watched = [entry for entry in entries if "val_loss" in entry]
    assert len(watched) == watched[-1]["epoch"] + 1 < 9
    assert made.card["steps"] == len(entries)


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


def test_another_configuration_is_refused(go: Go, tmp_path: Path) -> None:
    go(tmp_path, steps=2)
    with pytest.raises(
        InputError, match=r"config\.json: .* recipe\.lr: 0\.001 there, 0\.5 here; seed: 0 there, 1 here"
    ):
        go(tmp_path, steps=2, lr=0.5, seed=1)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not a run's configuration"):
        go(tmp_path, steps=2)


def test_damaged_or_unwritable_folders(go: Go, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/out: --out: folder cannot be written"):
        go(tmp_path / "file" / "out")
    go(tmp_path / "run", steps=2)
    (tmp_path / "run/result.json").unlink()
    (tmp_path / "run/checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"checkpoint\.pt: damaged checkpoint"):
        go(tmp_path / "run", steps=2)
    folder = RunFolder(tmp_path / "gone", {})
    (tmp_path / "gone/config.json").unlink()
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match=r"checkpoint\.pt: checkpoint cannot be written"):
        folder.save({"step": 1})


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


def test_differences_name_leaves() -> None:
    there, here = {"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 1, "c": [2]}, "e": None, "f": 0}
    assert list(differences(there, here)) == [
        "a.c: [1] there, [2] here",
        "d: 2 there, null here",
        "f: null there, 0 here",
    ]


def test_log_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, {})
    for step in range(4):
        folder.log({"step": step})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 4, "lo')
    folder.log_until(2)
    assert [entry["step"] for entry in folder.entries()] == [0, 1]


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
        assert (made.mean[0], made.std[0]) == (card["mean"], card["std"])


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


def test_epochs_give_steps(toy: Path, tmp_path: Path, tiny: dict[str, Any]) -> None:
    pairs = PairData(read_pairs(str(toy)), 36, cache=toy.parent / "cache")
    made = recipe("convirt", overrides=tiny | {"steps": 0, "epochs": 3})
    model = run.build(made, pairs, RunFolder(tmp_path, {}), ALONE, 0)
    batches = Batches(pairs, made, model.objective, model.text, 0, ALONE)
    assert total_steps(made, batches) == 3 * (len(pairs.parts["train"]) // 8)


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
