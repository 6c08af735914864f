"""What mmengine, mmseg and mmdet need to know of us, and what we keep them from printing."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import uuid
import warnings
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from g2d_bench.adapters.mm.libraries import UNUSED, without
from g2d_bench.progress import Meter
from g2d_bench.terminal import present

if TYPE_CHECKING:
    import torch
    from mmengine.evaluator import BaseMetric
    from mmengine.hooks import Hook
    from mmengine.runner import Runner
    from torch.utils.data import DataLoader

    from g2d_bench.adapters.mm.plan import Plan


class _Hushed:
    """A stream that swallows what this thread writes; text of others reaches the one that it stands for."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._thread = stream, threading.get_ident()

    @property
    def _ours(self) -> bool:
        return threading.get_ident() == self._thread

    def isatty(self) -> bool:
        return not self._ours and self._stream.isatty()

    def write(self, text: str) -> int:
        return len(text) if self._ours else self._stream.write(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Swallow what the libraries print while they work; exceptions pass, and what other threads print."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(_Hushed(present(sys.stdout))),
            contextlib.redirect_stderr(_Hushed(present(sys.stderr))),
        ):
            warnings.simplefilter("ignore")
            if "torch" in sys.modules:
                from g2d_bench.devices import hear

                hear()
            yield
    finally:
        logging.disable(level)


def import_quietly(name: str) -> ModuleType:
    """Import a module of the stack without its notices about absent optional parts, and without those parts.

    See :mod:`g2d_bench.adapters.mm.libraries`.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    with quiet(), without(UNUSED):
        from g2d_bench.adapters.mm.ops import install

        # mmdet looks for mmcv's compiled operators once, when it is imported.
        install()
        return import_module(name)


def _steps_shown(steps: int) -> Hook:
    """Make the hook that shows how far training is."""
    from mmengine.hooks import Hook

    # Made here, where stderr is still the user's.
    meter = Meter("training", steps, "steps")

    class Steps(Hook):
        def after_train_iter(self, *_: Any, **__: Any) -> None:
            meter.step()

        def after_train(self, runner: Runner) -> None:
            meter.close()

    return Steps()


def _early_stop(select: str, direction: str, patience: int, settle_steps: int) -> Hook:
    """Make the hook that ends training when validation no longer gains."""
    from mmengine.hooks import EarlyStoppingHook

    class EarlyStop(EarlyStoppingHook):
        def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
            super().after_val_epoch(runner, metrics)
            if runner.iter < settle_steps:
                self.wait_count = 0
                runner.train_loop.stop_training = False

    return EarlyStop(monitor=select, rule=direction, patience=patience, min_delta=0.0)


class Trained(NamedTuple):
    """What a Runner did.

    Attributes:
        steps: optimiser steps taken.
        chosen_step: step of the checkpoint that validation chose.
        validation: its score there.
    """

    steps: int
    chosen_step: int
    validation: float


def train_and_test(runner: Runner) -> Trained:
    """Train, go back to the checkpoint that validation chose, and predict the test set with it."""
    runner.train()
    steps = runner.iter
    best = runner.message_hub.get_info("best_score")
    chosen = Path(str(runner.message_hub.get_info("best_ckpt")))
    runner.load_checkpoint(str(chosen))
    runner.test()
    return Trained(steps, int(chosen.stem.rsplit("_", 1)[-1]), float(best))


def build_runner(
    model: torch.nn.Module,
    plan: Plan,
    *,
    work_dir: Path,
    train: DataLoader[Any],
    val: DataLoader[Any],
    test: DataLoader[Any],
    val_metric: BaseMetric,
    test_metric: BaseMetric,
    select: str,
    seed: int,
) -> Runner:
    """Set up mmengine's Runner: AdamW, step-based loop, best checkpoint on validation, early stopping.

    Args:
        model: an mmengine model; parameters without gradient are left out of the optimiser.
        plan: how long and how fast it is trained, and which step is taken.
        work_dir: where checkpoints go.
        train: endless training batches.
        val: validation batches.
        test: test batches.
        val_metric: gives the selection score on validation.
        test_metric: gives the result on test.
        select: key of the validation metric.
        seed: of mmengine's own random numbers.
    """
    import torch
    from mmengine.optim import OptimWrapper
    from mmengine.runner import Runner

    from g2d_bench.devices import accelerator

    class Settled(Runner):
        def wrap_model(self, model_wrapper_cfg: Any, model: torch.nn.Module) -> torch.nn.Module:
            # mmengine takes whatever accelerator is there, also where the environment forbids it.
            return model.to(accelerator())

    parameters = [p for p in model.parameters() if p.requires_grad]
    # One kernel for all parameters: one call per parameter and term costs small heads a fifth of a step.
    optimiser = torch.optim.AdamW(
        parameters, lr=plan.learning_rate, weight_decay=plan.weight_decay, fused=True
    )
    direction = "less" if plan.lower_is_better else "greater"
    shown = _steps_shown(plan.steps)
    stopper = _early_stop(select, direction, plan.patience, plan.settle_steps)
    with quiet():
        return Settled(
            model=model,
            work_dir=str(work_dir),
            train_dataloader=train,
            val_dataloader=val,
            test_dataloader=test,
            train_cfg={
                "type": "IterBasedTrainLoop",
                "max_iters": plan.steps,
                "val_interval": plan.every,
            },
            val_cfg={"type": "ValLoop"},
            test_cfg={"type": "TestLoop"},
            val_evaluator=[val_metric],
            test_evaluator=[test_metric],
            optim_wrapper=OptimWrapper(optimizer=optimiser),
            default_hooks={
                "logger": None,
                "checkpoint": {
                    "type": "CheckpointHook",
                    "interval": -1,
                    "by_epoch": False,
                    "save_best": select,
                    "rule": direction,
                    "save_optimizer": False,
                    "save_param_scheduler": False,
                },
            },
            custom_hooks=[
                stopper,
                shown,
            ],
            default_scope="mmengine",
            # Two Runners of one name would share one registry scope.
            experiment_name=uuid.uuid4().hex,
            randomness={"seed": seed},
            log_level="ERROR",
        )
