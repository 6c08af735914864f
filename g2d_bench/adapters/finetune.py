"""Training by steps: a linear layer on the pooled features, with all weights of the encoder or alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from g2d_bench.adapters.base import Job, NotApplicable
from g2d_bench.adapters.stepwise import ClassificationTraining
from g2d_bench.cards.protocol import VAL_LOSS
from g2d_bench.data.cache import pixels_content
from g2d_bench.devices import half, room, sent
from g2d_bench.encoders.features import frozen_hash, pooled_features
from g2d_bench.encoders.image import hold_batchnorm
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.replay import Replayed
from g2d_bench.progress import track

EVAL_BATCH = 64
HELD = 512 << 20
"""Bytes of images that stay where they are computed; see :func:`~g2d_bench.devices.room`."""
CROP_FROM = 256 / 224
"""How much larger than its input an image is from which a square is cut (MGCA)."""


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


@dataclass(frozen=True)
class Crops:
    """Squares of one size, cut out of letterboxed images that may be larger.

    Attributes:
        pixels: uint8 [N, L, L].
        size: S, at most L.
    """

    pixels: NDArray[np.uint8]
    size: int

    @property
    def centres(self) -> NDArray[np.uint8]:
        """The squares around the centres, [N, S, S]; a view."""
        start = (self.pixels.shape[1] - self.size) // 2
        return self.pixels[:, start : start + self.size, start : start + self.size]

    def random(self, rows: NDArray[np.intp], generator: torch.Generator) -> NDArray[np.uint8]:
        """Cut a square out of each image in ``rows``, all places being equally likely: [len(rows), S, S]."""
        corners = self.corners(len(rows), generator)
        if corners is None:
            return np.ascontiguousarray(self.pixels[rows])
        return np.stack(
            [
                self.pixels[row, top : top + self.size, left : left + self.size]
                for row, (top, left) in zip(rows, corners.tolist(), strict=True)
            ]
        )

    def corners(self, count: int, generator: torch.Generator) -> Tensor | None:
        """Draw the upper left corners of so many squares, [count, 2]; None where there is one place only."""
        places = self.pixels.shape[1] - self.size + 1
        return None if places == 1 else torch.randint(places, (count, 2), generator=generator)


class Fed:
    """Batches of :class:`Crops` on a device; the whole table lies there if it is a GPU and has room.

    Args:
        crops: where the images come from.
        device: where they are wanted.
        held: None for what the device says; whether the table shall lie there.
    """

    def __init__(self, crops: Crops, device: torch.device, held: bool | None = None) -> None:
        self._crops, self._device = crops, device
        if held is None:
            held = device.type == "cuda" and crops.pixels.nbytes <= room(device, HELD)
        self._table = torch.from_numpy(np.array(crops.pixels)).to(device) if held else None

    def centres(self, rows: NDArray[np.intp]) -> Tensor:
        """Return the squares around the centres of some images, uint8 [B, S, S]."""
        if self._table is None:
            return torch.from_numpy(np.ascontiguousarray(self._crops.centres[rows])).to(self._device)
        start = (self._crops.pixels.shape[1] - self._crops.size) // 2
        return self._cut(rows, torch.full((len(rows), 2), start))

    def random(self, rows: NDArray[np.intp], generator: torch.Generator) -> Tensor:
        """Return a square of each image, all places being equally likely, uint8 [B, S, S]."""
        if self._table is None:
            return torch.from_numpy(self._crops.random(rows, generator)).to(self._device)
        corners = self._crops.corners(len(rows), generator)
        return self._cut(rows, torch.zeros((len(rows), 2), dtype=torch.long) if corners is None else corners)

    def _cut(self, rows: NDArray[np.intp], corners: Tensor) -> Tensor:
        assert self._table is not None
        place = sent(torch.cat([torch.from_numpy(rows.astype(np.int64))[:, None], corners], 1), self._device)
        along = torch.arange(self._crops.size, device=self._device)
        row, top, left = place[:, :1, None], place[:, 1:2] + along, place[:, 2:] + along
        return self._table[row, top[:, :, None], left[:, None, :]]


def crops_of(job: Job, rule: ClassificationTraining) -> tuple[Crops, str]:
    """Open the pixels that a rule trains on, and name the content of :attr:`Crops.centres`."""
    size = job.encoder.card.image.size
    side = round(size * CROP_FROM) if rule.crop else size
    fit = job.encoder.card.image.frame
    content = pixels_content(job.data.manifest, size, side if rule.crop else None, fit)
    return Crops(job.data.pixels(side, fit).pixels, size), content


class Classifier(nn.Module):
    """An encoder with a linear layer; takes uint8 images [B, S, S], gives logits [B, C].

    Args:
        encoder: whose image encoder is trained, or stays as it is.
        classes: C.
        frozen: train the linear layer alone.
        freeze_norm: keep BatchNorm in eval mode.
    """

    def __init__(self, encoder: Encoder, classes: int, *, frozen: bool = False, freeze_norm: bool) -> None:
        super().__init__()
        self.body = encoder.image.requires_grad_(not frozen)
        self.head = nn.Linear(encoder.image.num_features, classes)
        self._preprocess = encoder.preprocess
        self._frozen = frozen
        self._freeze_norm = freeze_norm

    @property
    def trained(self) -> nn.Module:
        """The part that is trained."""
        return self.head if self._frozen else self

    def train(self, mode: bool = True) -> Classifier:
        """Switch mode; a frozen encoder and frozen BatchNorm stay in eval mode."""
        super().train(mode)
        if self._frozen:
            self.body.eval()
        elif self._freeze_norm:
            hold_batchnorm(self.body)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Return logits [B, C]."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            pooled = self.body(self._preprocess(images)).pooled
        logits: Tensor = self.head(pooled)
        return logits


def fine_tune(
    job: Job,
    rule: ClassificationTraining,
    judge: Callable[[NDArray[np.float64]], float],
    *,
    frozen: bool = False,
) -> Tuned:
    """Train one cell; the step with the best validation score is the result.

    Args:
        job: the cell; its encoder is left as it is.
        rule: optimiser, schedule, and whether validation's score or loss decides.
        judge: scores probabilities of the validation set; greater is better.
        frozen: train the linear layer alone.
    """
    if job.encoder.card.embeddings is not None:
        raise NotApplicable("embeddings are given: there is no encoder to train, and no image to augment")
    device, precision = job.encoder.device, job.encoder.precision
    data, exclusive = job.data, job.task.exclusive
    rule = rule.of(job.task.name, job.data.fraction, job.encoder.card.scale)
    crops, content = crops_of(job, rule)
    encoder = replace(job.encoder, image=copy.deepcopy(job.encoder.image))
    before = frozen_hash(encoder.image)
    train = data.manifest.rows(data.train)
    truth = torch.from_numpy(data.targets(data.train)).float().to(device)
    batch = min(rule.batch_size, len(train))
    steps, every = rule.model_copy(update={"batch_size": batch}).schedule(len(train))
    places = torch.Generator().manual_seed(job.seed)
    centres = crops.centres
    known: dict[tuple[str, ...], Tensor] = {}

    def pooled(ids: tuple[str, ...]) -> Tensor:
        """What a frozen encoder says of some images never changes."""
        if ids not in known:
            features = pooled_features(encoder, centres, data.manifest.rows(ids), content=content)
            known[ids] = torch.from_numpy(features).to(device)
        return known[ids]

    images = Fed(crops, device)

    def predict(ids: tuple[str, ...]) -> Tensor:
        model.eval()
        rows = data.manifest.rows(ids)
        with torch.inference_mode(), amp:
            if frozen:
                parts = [model.head(pooled(ids))]
            else:
                pieces = (rows[n : n + EVAL_BATCH] for n in range(0, len(rows), EVAL_BATCH))
                parts = [model(images.centres(piece)) for piece in pieces]
        return torch.cat(parts).double()

    def chances(logits: Tensor) -> NDArray[np.float64]:
        found: NDArray[np.float64] = (logits.softmax(1) if exclusive else logits.sigmoid()).cpu().numpy()
        return found

    def validate() -> float:
        logits = predict(data.val)
        if rule.select == VAL_LOSS:
            return -mean_batch_loss(logits.cpu(), val_truth, rule, exclusive=exclusive)
        return judge(chances(logits))

    val_truth = torch.from_numpy(data.targets(data.val))
    with torch.random.fork_rng():
        torch.manual_seed(job.seed)
        model = Classifier(
            encoder, len(job.task.labels), frozen=frozen, freeze_norm=rule.batchnorm == "frozen"
        ).to(device)
        amp = half(device, precision)
        optimiser = torch.optim.AdamW(
            model.trained.parameters(),
            lr=rule.learning_rate,
            weight_decay=rule.weight_decay,
            fused=True if device.type == "cuda" else None,
            capturable=device.type == "cuda",
        )

        def learn(pixels: Tensor, targets: Tensor) -> dict[str, Tensor]:
            with amp:
                logits = model(pixels)
            loss = masked_loss(logits.float(), targets, exclusive=exclusive)
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimiser.step()
            return {"loss": loss}

        learned = Replayed(learn, device)
        best, chosen, kept, waited, step = -np.inf, 0, copy.deepcopy(model.trained.state_dict()), 0, 0
        order = batches(len(train), batch, job.seed)
        for step, rows in zip(track(range(1, steps + 1), "training", unit="steps"), order, strict=False):
            model.train()
            learned(images.random(train[rows.numpy()], places), truth[sent(rows, device)])
            if step % every and step != steps:
                continue
            score = validate()
            if score > best:
                best, chosen, kept, waited = score, step, copy.deepcopy(model.trained.state_dict()), 0
            elif (waited := waited + (step >= rule.settle_steps)) >= rule.patience:
                break
        model.trained.load_state_dict(kept)
        val, test = chances(predict(data.val)), chances(predict(data.test))
    if frozen and frozen_hash(encoder.image) != before:
        raise RuntimeError("the frozen encoder changed while the classifier was trained")
    notes = {
        "steps": step,
        "chosen_step": chosen,
        "validation": {VAL_LOSS if rule.select == VAL_LOSS else job.task.main: abs(float(best))},
        "encoder_frozen": frozen,
    }
    return Tuned(val, test, notes | ({"encoder_state": before} if frozen else {}))


def mean_batch_loss(
    logits: Tensor, targets: Tensor, rule: ClassificationTraining, *, exclusive: bool
) -> float:
    """Average the loss within batches, then over batches, as Lightning logs it.

    Args:
        logits: [N, C].
        targets: [N, C] in {0, 1, NaN}.
        rule: size of a batch, and whether a last one that is not full is left out, if there is another.
        exclusive: see :func:`masked_loss`.
    """
    size = rule.batch_size
    end = len(logits) // size * size if rule.drop_last and len(logits) >= size else len(logits)
    losses = [
        masked_loss(logits[n : n + size][: end - n], targets[n : n + size][: end - n], exclusive=exclusive)
        for n in range(0, end, size)
    ]
    return float(torch.stack(losses).mean())


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
