"""Fine-tuning: all weights of an encoder and a linear layer on its pooled features."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from g2d_bench.adapters.base import Job
from g2d_bench.encoders.load import Encoder
from g2d_bench.rules import ClassificationTraining

EVAL_BATCH = 64


@dataclass(frozen=True)
class Tuned:
    """What the chosen model says.

    Attributes:
        val: probabilities of the validation images, [N, C].
        test: likewise of the test images.
        notes: JSON facts about the training.
    """

    val: NDArray[np.float64]
    test: NDArray[np.float64]
    notes: dict[str, Any]


class Classifier(nn.Module):
    """An encoder with a linear layer; takes uint8 images [B, S, S], gives logits [B, C].

    Args:
        encoder: whose image encoder is trained.
        classes: C.
        freeze_norm: keep BatchNorm in eval mode.
    """

    def __init__(self, encoder: Encoder, classes: int, *, freeze_norm: bool) -> None:
        super().__init__()
        self.body = encoder.image.requires_grad_(True)
        self.head = nn.Linear(encoder.image.num_features, classes)
        self._preprocess = encoder.preprocess
        self._freeze_norm = freeze_norm

    def train(self, mode: bool = True) -> Classifier:
        """Switch mode; frozen BatchNorm stays in eval mode."""
        super().train(mode)
        if self._freeze_norm:
            for module in self.body.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, C]."""
        logits: Tensor = self.head(self.body(self._preprocess(images)).pooled)
        return logits


def fine_tune(job: Job, rule: ClassificationTraining, judge: Callable[[NDArray[np.float64]], float]) -> Tuned:
    """Train one cell; the step with the best validation score is the result.

    Args:
        job: the cell; its encoder is left as it is.
        rule: optimiser and schedule.
        judge: scores probabilities of the validation set; greater is better.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data, exclusive = job.data, job.task.exclusive
    pixels = data.pixels(job.encoder.card.image.size)
    encoder = replace(job.encoder, image=copy.deepcopy(job.encoder.image))
    train = pixels.rows(data.train)
    truth = torch.from_numpy(data.targets(data.train)).float()
    batch = min(rule.batch_size, len(train))
    epoch = -(-len(train) // batch)
    steps = min(max(rule.epochs * epoch, rule.min_steps), rule.max_steps)
    every = max(rule.validate_every, epoch)

    def load(rows: NDArray[np.intp]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(pixels.pixels[rows])).to(device)

    def predict(ids: Sequence[str]) -> NDArray[np.float64]:
        model.eval()
        rows = pixels.rows(ids)
        with torch.inference_mode(), amp:
            parts = [model(load(rows[n : n + EVAL_BATCH])) for n in range(0, len(rows), EVAL_BATCH)]
        logits = torch.cat(parts).double()
        chances: NDArray[np.float64] = (logits.softmax(1) if exclusive else logits.sigmoid()).cpu().numpy()
        return chances

    with torch.random.fork_rng():
        torch.manual_seed(job.seed)
        model = Classifier(encoder, len(job.task.labels), freeze_norm=rule.batchnorm == "frozen").to(device)
        amp = torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")
        optimiser = torch.optim.AdamW(
            model.parameters(), lr=rule.learning_rate, weight_decay=rule.weight_decay
        )
        best, chosen, kept, waited, step = -np.inf, 0, copy.deepcopy(model.state_dict()), 0, 0
        for step, rows in zip(range(1, steps + 1), batches(len(train), batch, job.seed), strict=False):
            model.train()
            with amp:
                logits = model(load(train[rows.numpy()]))
            loss = masked_loss(logits.float(), truth[rows].to(device), exclusive=exclusive)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimiser.step()
            if step % every and step != steps:
                continue
            score = judge(predict(data.val))
            if score > best:
                best, chosen, kept, waited = score, step, copy.deepcopy(model.state_dict()), 0
            elif (waited := waited + 1) >= rule.patience:
                break
        model.load_state_dict(kept)
        val, test = predict(data.val), predict(data.test)
    notes = {
        "steps": step,
        "chosen_step": chosen,
        "validation": {job.task.main: abs(float(best))},
        "encoder_frozen": False,
    }
    return Tuned(val, test, notes)


def batches(count: int, size: int, seed: int) -> Iterator[Tensor]:
    """Yield row numbers [size] without end: one random order of all rows after the other, cut in pieces."""
    generator = torch.Generator().manual_seed(seed)
    waiting = torch.empty(0, dtype=torch.long)
    while True:
        while len(waiting) < size:
            waiting = torch.cat([waiting, torch.randperm(count, generator=generator)])
        yield waiting[:size]
        waiting = waiting[size:]


def masked_loss(logits: Tensor, targets: Tensor, *, exclusive: bool) -> Tensor:
    """Cross-entropy over what is known.

    Args:
        logits: [B, C].
        targets: [B, C] in {0, 1, NaN}.
        exclusive: softmax over the classes; else the mean binary cross-entropy of all known labels.

    Returns:
        A scalar; 0 where nothing is known.
    """
    if exclusive:
        return F.cross_entropy(logits, targets.argmax(1))
    known = ~targets.isnan()
    each = F.binary_cross_entropy_with_logits(logits, targets.nan_to_num(0.0), reduction="none")
    return (each * known).sum() / known.sum().clamp_min(1)
