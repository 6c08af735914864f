"""Training a head over an encoder's maps: by mmengine's loop, or by steps of our own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.evaluator import BaseMetric
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader, Dataset

from g2d_bench.adapters.base import Job, stays
from g2d_bench.adapters.dense import EVAL_BATCH, DenseRule
from g2d_bench.adapters.mm.backbone import collate
from g2d_bench.adapters.mm.plan import Plan
from g2d_bench.adapters.mm.runner import Trained, build_runner, quiet, train_and_test
from g2d_bench.cards.protocol import VAL_LOSS

Found = TypeVar("Found")
"""What a head finds in all images of a part."""


@dataclass(frozen=True)
class Head(Generic[Found]):
    """What one kind of head brings to the training.

    Attributes:
        model: backbone and head.
        samples: the images of a part with what is true of them, for mmengine's loop.
        read: takes what was predicted of one image from a sample of that loop.
        join: makes one thing of that of all images of a part, in their order.
        score: gives metrics of what was found in ``val``.
        by_steps: trains and predicts the test set without mmengine's loop, by
            :func:`g2d_bench.adapters.mm.steps.learn`.
        val_loss: the training loss as a metric of that loop, where it chooses the checkpoint.
    """

    model: torch.nn.Module
    samples: Callable[[str], Dataset[dict[str, Any]]]
    read: Callable[[dict[str, Any]], Any]
    join: Callable[[Sequence[Any]], Found]
    score: Callable[[Found], dict[str, float]]
    by_steps: Callable[[Plan], tuple[Trained, Found]]
    val_loss: BaseMetric | None = None


def train(job: Job, rule: DenseRule, select: str, head: Head[Found]) -> tuple[Trained, Found]:
    """Train a head, go back to the step that validation chose, and predict the test set.

    Args:
        job: the cell.
        rule: of its protocol, for this task, fraction and encoder.
        select: the metric that chooses, or ``val_loss``.
        head: what is trained.
    """
    plan = Plan.of(rule, len(job.data.train), lower_is_better=select == VAL_LOSS)
    # What trains is mmengine's own. In the scope of another library, which whatever ran before may have set,
    # it would be looked for there first, and all of that library imported for it.
    with DefaultScope.overwrite_default_scope("mmengine"):
        if stays(job.encoder.device, job.protocol.precision):
            return head.by_steps(plan)
        return _by_runner(head, rule, plan, select, job.seed)


def _by_runner(
    head: Head[Found], rule: DenseRule, plan: Plan, select: str, seed: int
) -> tuple[Trained, Found]:
    test = Predicted(head, lambda _: {})
    training, val = head.samples("train"), head.samples("val")
    by_loss = head.val_loss is not None

    def evaluated(images: Dataset[dict[str, Any]], size: int, drop_last: bool = False) -> DataLoader[Any]:
        return DataLoader(images, size, shuffle=False, collate_fn=collate, drop_last=drop_last)

    last = rule.drop_last and len(val) >= rule.batch_size  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory(prefix="g2d-bench-") as folder:
        runner = build_runner(
            head.model,
            plan,
            work_dir=Path(folder),
            train=DataLoader(
                training,
                rule.batch_size,
                sampler=InfiniteSampler(training, shuffle=True, seed=seed),
                collate_fn=collate,
            ),
            # The loss of batches as in training; what they hold moves it.
            val=evaluated(val, rule.batch_size, last) if by_loss else evaluated(val, EVAL_BATCH),
            test=evaluated(head.samples("test"), EVAL_BATCH),
            val_metric=head.val_loss or Predicted(head, head.score),
            test_metric=test,
            select=select,
            seed=seed,
        )
        with quiet():
            trained = train_and_test(runner)
    assert test.found is not None
    return trained, test.found


class Predicted(BaseMetric, Generic[Found]):
    """Collects what is predicted, image by image, and scores it when the loop ends.

    Args:
        head: reads and joins it.
        score: gives its metrics.

    Attributes:
        found: in the last loop, in the order of its data set.
    """

    default_prefix = None

    def __init__(self, head: Head[Found], score: Callable[[Found], dict[str, float]]) -> None:
        super().__init__()
        self._head, self._score = head, score
        self.found: Found | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Keep one batch of predictions."""
        self.results += [(sample["index"], self._head.read(sample)) for sample in data_samples]

    def compute_metrics(self, results: list[tuple[int, Any]]) -> dict[str, float]:
        """Score all predictions together, not batch by batch."""
        self.found = self._head.join([one for _, one in sorted(results, key=lambda item: item[0])])
        return self._score(self.found)
