"""The pre-training loop.

A step is a function of the parameters, the seed and its own number: batch order, augmentation, drawn
sentences and dropout are derived from (seed, step), never carried along. That is what makes an interrupted
and resumed run equal to an uninterrupted one, bit for bit on CPU.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.tone import standardised
from g2d_bench.errors import InputError, first_line
from g2d_bench.pretrain.augment import mix
from g2d_bench.pretrain.batches import Batches
from g2d_bench.pretrain.learner import Learner
from g2d_bench.pretrain.objective import Batch, Objective
from g2d_bench.pretrain.presets import Recipe
from g2d_bench.pretrain.rehearsal import FAULTS, rehearse
from g2d_bench.pretrain.run_folder import CHECKPOINT, RunFolder
from g2d_bench.processes import patient_interrupts
from g2d_bench.progress import track

LOG_EVERY = 20
"""Steps whose losses are read together on a GPU."""


class Model(nn.Module):
    """Both encoders and the objective: all that trains."""

    def __init__(self, image: ImageEncoder, text: TextEncoder, objective: Objective, recipe: Recipe) -> None:
        super().__init__()
        self.image, self.text, self.objective = image, text, objective
        self._standardise = recipe.standardise
        self.register_buffer("mean", torch.tensor(recipe.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(recipe.std).view(1, 3, 1, 1), persistent=False)

    def normalise(self, grey: Tensor) -> Tensor:
        """Grey values [B, 1, S, S] in [0, 1] to encoder input [B, 3, S, S]."""
        if self._standardise:
            return standardised(grey).repeat(1, 3, 1, 1)
        mean: Tensor = self.mean  # type: ignore[assignment]
        std: Tensor = self.std  # type: ignore[assignment]
        return (grey - mean) / std

    def forward(self, grey: Tensor, tokens: dict[str, Tensor], ids: tuple[str, ...]) -> dict[str, Tensor]:
        """Return the losses of a batch, the total under ``loss``."""
        losses: dict[str, Tensor] = self.objective(
            Batch(grey, tokens, ids), self.image(self.normalise(grey)), self.text(tokens)
        )
        return losses


@dataclass
class Plateau:
    """The best validation loss, and how long ago it was: for the plateau schedule and early stopping."""

    best: float = math.inf
    since: int = 0
    halvings: int = 0
    stopped: bool = False

    def update(self, loss: float, recipe: Recipe) -> None:
        """Take note of an epoch's validation loss."""
        self.since = 0 if loss < self.best else self.since + 1
        self.best = min(self.best, loss)
        if recipe.schedule == "plateau" and self.since and self.since % (recipe.patience + 1) == 0:
            self.halvings += 1
        self.stopped = bool(recipe.early_stop) and self.since >= (recipe.early_stop or 0)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a training ended.

    Attributes:
        steps: that were taken, all calls together.
        early: whether fewer than the recipe's, since the validation loss got no better.
    """

    steps: int
    early: bool


def learning_rate(recipe: Recipe, step: int, steps: int, plateau: Plateau) -> float:
    """Return the learning rate of a step; see :attr:`Recipe.schedule`."""
    if recipe.schedule == "plateau":
        return recipe.lr * 0.5**plateau.halvings
    if recipe.schedule == "restarts":
        return recipe.lr * 0.5 * (1 + math.cos(math.pi * (step % recipe.period) / recipe.period))
    warmup = round(recipe.warmup * steps)
    if step < warmup:
        return recipe.lr * (step + 1) / warmup
    part = (step - warmup) / max(1, steps - warmup)
    return recipe.min_lr + (recipe.lr - recipe.min_lr) * 0.5 * (1 + math.cos(math.pi * part))


def total_steps(recipe: Recipe, batches: Batches) -> int:
    """Return the length of the run in steps.

    Raises:
        InputError: fewer training pairs than a batch, a batch that does not divide or leaves a pair without
            another to be told from, or too few validation pairs for a schedule that goes by their loss.
    """
    here = batches.here
    parts = recipe.accumulate * here.size
    if recipe.batch % parts:
        raise InputError(f"a batch of {recipe.batch} does not divide into {parts} parts", field="batch")
    # Where negatives come from all processes and batch statistics too, a process may hold one pair alone.
    joined = batches.objective.gather_negatives and here.device.type == "cuda"
    if (least := recipe.batch // (recipe.accumulate if joined else parts)) < 2:
        raise InputError(
            f"a batch of {recipe.batch} in {parts} parts leaves {least} pair in each; a loss needs 2 or more",
            field="--set batch, accumulate",
        )
    if not batches.per_epoch:
        count = len(batches.data.parts["train"])
        raise InputError(f"{count} training pairs do not fill a batch of {recipe.batch}", field="batch")
    if _watches(recipe) and (count := len(batches.data.parts["val"])) < 2 * here.size:
        raise InputError(
            f"go by the validation loss, for which {count} validation pairs are too few: {2 * here.size} are"
            " needed; take more patients, or --set schedule='\"cosine\"' --set early_stop=0",
            field="schedule, early_stop",
        )
    return recipe.steps or recipe.epochs * batches.per_epoch


def fit(
    model: Model, batches: Batches, folder: RunFolder, *, save_every: int = 200, tensorboard: bool = False
) -> Ended:
    """Train, from the folder's checkpoint if it has one.

    Args:
        model: on its device; receives the trained parameters.
        batches: what each step sees.
        folder: of the run.
        save_every: steps between checkpoints.
        tensorboard: also write the log for TensorBoard.

    Raises:
        InputError: the loss is not finite (names step and pairs), or the checkpoint is of another model; see
            :func:`total_steps` and :func:`~g2d_bench.pretrain.rehearsal.rehearse`.
        KeyboardInterrupt: Ctrl-C; the first one saves a checkpoint after the step, so that nothing is lost.
    """
    recipe, here, seed = batches.recipe, batches.here, batches.seed
    steps, objective = total_steps(recipe, batches), model.objective
    rehearse(model, batches)
    gpu = here.device.type == "cuda"
    if gpu:
        model.to(memory_format=torch.channels_last)
    learner = Learner(model, objective, recipe, here)
    plateau, start = Plateau(), 0
    if state := folder.load(here.device):
        try:
            model.load_state_dict(state["model"])
            learner.load(state)
            plateau, start = Plateau(**state["plateau"]), int(state["step"])
        except FAULTS as error:
            raise InputError(
                f"is not of this model ({first_line(error)}); take another folder",
                file=folder.path / CHECKPOINT,
            ) from error
    if here.first:
        folder.log_until(start)
    write = _writer(folder, start, tensorboard) if here.first else _silent
    log = Log(write, folder, batches, every=LOG_EVERY if gpu else 1)
    counter, done = range(start, steps), start
    steady = track(counter, f"pretrain {recipe.method}", unit="step") if here.first else iter(counter)
    model.train()
    # Several processes must stop at one step, and a signal reaches each in its own.
    alone = here.size == 1
    with patient_interrupts() if alone else contextlib.nullcontext(lambda: False) as interrupted:
        for step, parts in zip(steady, batches.train(start, steps), strict=True):
            if plateau.stopped:
                break
            epoch = step // batches.per_epoch
            objective.at(step, epoch)
            rate = learning_rate(recipe, step, steps, plateau)
            torch.manual_seed(mix("dropout", seed, step, here.rank))
            losses = learner.step(parts, rate, log.check(step) if log.every == 1 else None)
            norm = losses.pop("grad_norm")
            entry = {"step": step, "epoch": epoch, **losses, "lr": rate, "grad_norm": norm}
            ends_epoch = (step + 1) % batches.per_epoch == 0
            if step + 1 == steps or (ends_epoch and _watches(recipe)):
                found = validate(model, batches)
                entry |= found
                if "val_loss" in found:
                    plateau.update(found["val_loss"], recipe)
            log.add(entry)
            done = step + 1
            stops = interrupted()
            saves = done % save_every == 0 or done == steps or plateau.stopped or stops
            if saves:
                log.flush()
            if here.first and saves:
                folder.save(
                    {
                        "step": done,
                        "model": model.state_dict(),
                        **learner.state(),
                        "plateau": vars(plateau),
                    }
                )
            if stops:
                raise KeyboardInterrupt
    log.flush()
    if gpu:
        model.to(memory_format=torch.contiguous_format)
    here.barrier()
    return Ended(done, plateau.stopped and done < steps)


class Log:
    """Lines of a run's log, whose numbers are read from the device some at a time.

    To read one is to wait for all that the device has been given to do, while it waits for more.

    Args:
        write: takes a line.
        folder: of the run.
        batches: which pairs a step saw, where its loss is not finite.
        every: steps that are read together.
    """

    def __init__(self, write: Any, folder: RunFolder, batches: Batches, *, every: int) -> None:
        self.every = every
        self._write, self._folder, self._batches = write, folder, batches
        self._waiting: list[dict[str, Any]] = []
        self._clock = time.perf_counter()

    def add(self, entry: dict[str, Any]) -> None:
        """Take a line; its tensors are scalars.

        Raises:
            InputError: a loss that is read now is not finite.
        """
        self._waiting.append(
            {name: value.detach() if isinstance(value, Tensor) else value for name, value in entry.items()}
        )
        if len(self._waiting) >= self.every:
            self.flush()

    def flush(self) -> None:
        """Write what waits; each line bears its share of the time since the last one.

        Raises:
            InputError: a loss is not finite.
        """
        if not self._waiting:
            return
        scalars = [value for entry in self._waiting for value in entry.values() if isinstance(value, Tensor)]
        numbers = iter(torch.stack([scalar.double() for scalar in scalars]).tolist() if scalars else [])
        lines = [
            {name: next(numbers) if isinstance(value, Tensor) else value for name, value in entry.items()}
            for entry in self._waiting
        ]
        before, self._clock = self._clock, time.perf_counter()
        seconds = round((self._clock - before) / len(lines), 4)
        self._waiting.clear()
        for line in lines:
            if not math.isfinite(line["loss"]):
                raise self.diverged(line["step"], line["loss"])
            self._write({**line, "seconds": seconds})

    def check(self, step: int) -> Callable[[Tensor], None]:
        """Return what raises if the loss of a step is not finite."""

        def finite(loss: Tensor) -> None:
            if not math.isfinite(float(loss)):
                raise self.diverged(step, float(loss))

        return finite

    def diverged(self, step: int, loss: float) -> InputError:
        """Note a loss that is not finite, with the pairs of its step."""
        data = self._batches.data
        return _diverged(self._folder, step, loss, [data.ids[i] for i in self._batches.indices(step)])


@torch.no_grad()
def validate(model: Model, batches: Batches) -> dict[str, float]:
    """Return the mean losses over the validation pairs under ``val_...``; empty if there are too few."""
    model.eval()
    found: list[dict[str, float]] = []
    for grey, tokens, ids in batches.validation():
        losses = model(grey, tokens, ids)
        found.append({name: float(batches.here.mean(loss)) for name, loss in losses.items()})
    model.train()
    return {
        f"val_{name}": float(np.mean([one[name] for one in found])) for name in (found[0] if found else ())
    }


def _watches(recipe: Recipe) -> bool:
    return recipe.schedule == "plateau" or bool(recipe.early_stop)


def _diverged(folder: RunFolder, step: int, loss: float, ids: list[str]) -> InputError:
    with contextlib.suppress(OSError):
        folder.write("diverged.json", json.dumps({"step": step, "loss": str(loss), "ids": ids}) + "\n")
    return InputError(f"the loss is {loss} at step {step}, with the pairs {', '.join(ids)}", file=folder.path)


def _silent(entry: dict[str, Any]) -> None:
    """Log nothing: only the first process does."""


def _writer(folder: RunFolder, start: int, tensorboard: bool) -> Any:
    if not tensorboard:
        return folder.log
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("TensorBoard is not installed: pip install 'g2d-bench[tensorboard]'") from None
    board = SummaryWriter(str(folder.path / "tensorboard"), purge_step=start)

    def write(entry: dict[str, Any]) -> None:
        folder.log(entry)
        for name, value in entry.items():
            board.add_scalar(name, value, entry["step"])
        board.flush()

    return write
