"""When training ends early: not before it has settled, then after validations without gain."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from g2d_bench.adapters.mm.plan import Plan
from g2d_bench.adapters.mm.runner import _early_stop, build_runner, import_quietly, quiet


def stops_at(scores: list[float], *, patience: int, settle: int, direction: str = "greater") -> int | None:
    """Return the step of the validation (every 10 steps) at which training ends."""
    hook: Any = _early_stop("score", direction, patience, settle)
    loop = SimpleNamespace(stop_training=False)
    logger = SimpleNamespace(info=lambda text: None, warning=lambda text: None)
    for place, score in enumerate(scores, start=1):
        runner = SimpleNamespace(iter=10 * place, train_loop=loop, logger=logger)
        hook.after_val_epoch(runner, {"score": score})
        if loop.stop_training:
            return 10 * place
    return None


@pytest.mark.parametrize(
    ("settle", "end"),
    [
        (0, 30),  # 20 and 30 brought nothing
        (20, 30),
        (30, 40),  # only 30 and 40 count
        (40, None),  # the gain at 40 comes first, and only one validation follows without another
    ],
)
def test_patience_counts_from_where_training_has_settled(settle: int, end: int | None) -> None:
    assert stops_at([0.2, 0.1, 0.1, 0.1 if settle < 40 else 0.5, 0.4], patience=2, settle=settle) == end


def test_the_best_score_of_before_still_has_to_be_beaten() -> None:
    assert stops_at([0.5, 0.1, 0.2, 0.3, 0.4], patience=2, settle=30) == 40
    assert stops_at([0.1, 0.5, 0.6, 0.7, 0.8], patience=2, settle=30) is None


def test_losses_fall() -> None:
    assert stops_at([3.0, 2.0, 2.5, 2.5], patience=2, settle=0, direction="less") == 40


def test_mmengine_leaves_an_accelerator_alone_where_the_environment_forbids_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    library: Any = import_quietly("mmengine.runner.runner")

    # A device that every machine has, and that is not the processor, stands for a GPU.
    def other() -> str:
        asked.append("meta")
        return "meta"

    monkeypatch.setattr(library, "get_device", other)
    monkeypatch.setenv("G2D_BENCH_DEVICE", "cpu")
    model_of: Any = import_quietly("mmengine.model")
    metric_of: Any = import_quietly("mmengine.evaluator")

    class Model(model_of.BaseModel):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(2))

        def forward(self, **_: Any) -> dict[str, torch.Tensor]:
            return {"loss": self.weight.sum()}

    class Metric(metric_of.BaseMetric):  # type: ignore[misc]
        def process(self, *_: Any) -> None: ...

        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            return {}

    model, loader = Model(), DataLoader[Any](TensorDataset(torch.arange(2)))
    build_runner(
        model,
        Plan(steps=1, every=1, patience=1, settle_steps=0, learning_rate=0.1, weight_decay=0.0),
        work_dir=tmp_path,
        train=loader,
        val=loader,
        test=loader,
        val_metric=Metric(),
        test_metric=Metric(),
        select="score",
        seed=0,
    )
    assert {one.device.type for one in model.parameters()} == {"cpu"}
    assert asked == []


def test_only_this_thread_is_hushed(capsys: pytest.CaptureFixture[str]) -> None:
    beside = threading.Thread(target=lambda: print("of the loop beside", flush=True))
    with quiet():
        print("of the library")
        beside.start()
        beside.join()
    print("afterwards")
    assert capsys.readouterr().out.splitlines() == ["of the loop beside", "afterwards"]
