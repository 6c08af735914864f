"""Segmentation: a U-Net decoder over an encoder's pyramid, trained by mmseg and mmengine, or linear heads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ModelWrapValidatorHandler, ValidationInfo, model_validator

from g2d_bench.adapters.base import PREDICTS_NOTHING, Job, Outcome, settled, stays
from g2d_bench.adapters.mm.runner import Trained, build_runner, quiet, train_and_test
from g2d_bench.adapters.segmentation_linear import LinearSegmentation, run_linear
from g2d_bench.cards.kind import Kind
from g2d_bench.cards.protocol import VAL_LOSS, Protocol, Training
from g2d_bench.cards.task import TaskCard
from g2d_bench.errors import InputError
from g2d_bench.metrics.segmentation import BATCHED, all_empty, batch_numbers, counts, segmentation_metrics

if TYPE_CHECKING:
    import torch
    from mmseg.models.segmentors import EncoderDecoder
    from torch.utils.data import DataLoader

    from g2d_bench.adapters.mm.segmentation import Rows

EVAL_BATCH = 32


class SegmentationRule(Training):
    """How a decoder is trained and read in a segmentation task.

    A table with ``decoder = "linear"`` is read as a
    :class:`~g2d_bench.adapters.segmentation_linear.LinearSegmentation`.
    """

    decoder: Literal["unet"] = "unet"
    tuning: Literal["frozen", "finetune"]
    decoder_widths: dict[Literal["phantom", "published"], tuple[int, ...]]
    """Per scale of encoder: widths of the decoder's stages, coarse to fine."""
    loss: Literal["bce_dice", "focal_dice"]
    augmentation: Literal["none", "scale_rotate"] = "none"
    select: str
    """Metric by which the checkpoint is chosen on validation, or ``val_loss``."""
    threshold: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.augmentation != "none" and (self.tuning, self.batchnorm) == ("frozen", "frozen"):
            # Their features are computed once.
            raise ValueError("augmentation needs an encoder that is not frozen in every respect")
        if self.drop_last and self.select != VAL_LOSS:
            raise ValueError(f"drop_last goes with select = {VAL_LOSS!r}")
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _of_a_decoder(
        cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self | LinearSegmentation:
        # It stands last and so surrounds the other validators, which know nothing of linear heads.
        if isinstance(value, dict) and value.get("decoder") == "linear":
            return LinearSegmentation.model_validate(value, context=info.context)
        return handler(value)


def run(job: Job) -> Outcome:
    """Fit what one cell puts on its encoder and predict the test set.

    Returns:
        Metrics, those of the all-empty predictor, and per test image the counts of predicted, true and
        common pixels with the predicted mask as bits.

    Raises:
        InputError: the protocol says nothing about segmentation, the encoder has no decoder to
            transfer, or validation holds no positive image.
    """
    return run_many([job])[0]


@settled
def run_many(jobs: Sequence[Job]) -> list[Outcome]:
    """Fit several cells of one task and protocol, linear heads together; see :func:`run`."""
    rule: SegmentationRule | LinearSegmentation = jobs[0].protocol.table("segmentation")
    if isinstance(rule, LinearSegmentation):
        found = zip(jobs, run_linear(jobs, rule), strict=True)
        return [_outcome(job, read.bits, job.data.mask_bits("test"), rule, read.notes) for job, read in found]
    return [_decoded(job, rule) for job in jobs]


def _decoded(job: Job, rule: SegmentationRule) -> Outcome:
    """Train the decoder of one cell and predict the test set; see :func:`run`."""
    from g2d_bench.adapters.mm.backbone import kept_maps, numbered
    from g2d_bench.adapters.mm.segmentation import Rows
    from g2d_bench.adapters.warp import Warps
    from g2d_bench.encoders.features import frozen_hash, pyramid_bytes, pyramid_features

    data, encoder = job.data, job.encoder
    rule = rule.of(job.task.name, data.fraction, encoder.card.scale)
    by_loss = rule.select == VAL_LOSS
    size = encoder.card.image.size
    pixels = data.pixels(size)
    ids = {"train": data.train, "val": data.val, "test": data.test}
    # The table of the backbone holds this cell's images only: at 1 % most of the data set is not needed.
    used = [i for part in ids.values() for i in part]
    table = np.ascontiguousarray(pixels.pixels[pixels.rows(used)])
    truth = {part: data.mask_bits(part) for part in ids}
    if not by_loss and not truth["val"].any():
        raise InputError(
            "no validation image shows the finding, so no checkpoint can be chosen", file=job.task.name
        )

    frozen = rule.tuning == "frozen" and rule.batchnorm == "frozen"
    pyramids, row = (
        kept_maps(job, used, pyramid_features, pyramid_bytes) if frozen else (None, numbered(used))
    )
    before = frozen_hash(encoder.image)
    side = job.task.eval_size
    model = _model(job, rule, table, pyramids)

    def scored(part: str, bits: NDArray[np.uint8]) -> dict[str, float]:
        names = (rule.select,) if part == "val" else job.task.metrics
        return segmentation_metrics(*counts(bits, truth[part]), names=names, batch=rule.batch_size)

    places = {part: [row[i] for i in ids[part]] for part in ids}
    if stays(encoder.device, job.protocol.precision):
        from g2d_bench.adapters.mm import segmentation_steps as seg_steps

        trained, bits = seg_steps.train(
            model,
            rule,
            truth,
            places,
            side,
            size,
            lambda found: scored("val", found)[rule.select],
            seed=job.seed,
            eval_batch=EVAL_BATCH,
            device=encoder.device,
            precision=job.protocol.precision,
        )
    else:
        loaders = {
            part: _loader(
                Rows(
                    truth[part],
                    places[part],
                    side,
                    size,
                    warps=Warps(job.seed) if rule.augmentation != "none" and part == "train" else None,
                ),
                part,
                rule,
                job.seed,
            )
            for part in ids
        }
        trained, bits = _by_runner(job, rule, model, loaders, scored)
    if frozen and frozen_hash(encoder.image) != before:
        raise RuntimeError("the frozen encoder changed while the decoder was trained")
    return _outcome(
        job,
        bits,
        truth["test"],
        rule,
        {
            "steps": trained.steps,
            "chosen_step": trained.chosen_step,
            "validation": {rule.select: trained.validation},
            "dense_features": "computed once" if pyramids is not None else "computed per step",
            "encoder_frozen": frozen,
            "encoder_state": before,
            **({} if frozen else {"encoder_state_after": frozen_hash(encoder.image)}),
        },
        _no_better(rule, trained, truth["val"]),
    )


def _outcome(
    job: Job,
    bits: NDArray[np.uint8],
    truth: NDArray[np.uint8],
    rule: SegmentationRule | LinearSegmentation,
    notes: dict[str, Any],
    doubts: Sequence[str] = (),
) -> Outcome:
    """Score the predicted masks of the test set beside the empty prediction.

    Args:
        job: the cell.
        bits: predicted masks, [N, side * side / 8].
        truth: true masks, likewise.
        rule: how many images a batch has.
        notes: facts about the fit.
        doubts: what speaks against calling it one.
    """
    data, names = job.data, job.task.metrics
    empty = [*_predicts_nothing(bits, truth), *doubts]
    common, predicted, true = counts(bits, truth)
    metrics = segmentation_metrics(common, predicted, true, names=names, batch=rule.batch_size)
    batches = {"batch": batch_numbers(len(true), rule.batch_size)} if BATCHED in names else {}
    return Outcome(
        metrics={name: float(metrics[name]) for name in names},
        references={"all-empty": all_empty(true, names=names, batch=rule.batch_size)},
        predictions={
            "id": np.array(data.test),
            "patient": np.array(data.patients(data.test)),
            "intersection": common,
            "predicted": predicted,
            "true": true,
            **batches,
            "mask": bits,
        },
        notes={**notes, **({PREDICTS_NOTHING: "; ".join(empty)} if empty else {})},
    )


def _by_runner(
    job: Job,
    rule: SegmentationRule,
    model: EncoderDecoder,
    loaders: dict[str, DataLoader[dict[str, Any]]],
    scored: Callable[[str, NDArray[np.uint8]], dict[str, float]],
) -> tuple[Trained, NDArray[np.uint8]]:
    """Train by mmengine, and return what it did with the predicted bits of the test set."""
    from g2d_bench.adapters.mm.segmentation import G2DBenchLoss, G2DBenchMasks

    by_loss = rule.select == VAL_LOSS
    steps, interval = rule.schedule(len(job.data.train))

    def metric(part: str) -> G2DBenchMasks:
        return G2DBenchMasks(lambda bits: scored(part, bits))

    test = metric("test")
    with tempfile.TemporaryDirectory(prefix="g2d-bench-") as folder:
        runner = build_runner(
            model,
            work_dir=Path(folder),
            scope="mmseg",
            train=loaders["train"],
            val=loaders["val"],
            test=loaders["test"],
            val_metric=G2DBenchLoss(model.decode_head) if by_loss else metric("val"),
            test_metric=test,
            learning_rate=rule.learning_rate,
            weight_decay=rule.weight_decay,
            max_steps=steps,
            validate_every=interval,
            patience=rule.patience,
            settle_steps=rule.settle_steps,
            select=rule.select,
            seed=job.seed,
            lower_is_better=by_loss,
        )
        with quiet():
            trained = train_and_test(runner)
    assert test.bits is not None
    return trained, test.bits


def _predicts_nothing(bits: NDArray[np.uint8], truth: NDArray[np.uint8]) -> list[str]:
    """Say that all predicted masks [N, bits / 8] of the test set are empty, if they are."""
    if bits.any() or not truth.any():
        return []
    return [f"predicts nothing on any of the {len(bits)} test images: its numbers are those of all-empty"]


def _no_better(rule: SegmentationRule, trained: Trained, truth: NDArray[np.uint8]) -> list[str]:
    """Say that the chosen checkpoint scores on validation as an empty prediction does, if it does.

    Args:
        rule: by which metric the checkpoint was chosen; the loss tells nothing of the kind.
        trained: with its score.
        truth: masks of the validation images as bits.
    """
    if rule.select == VAL_LOSS:
        return []
    _, _, true = counts(truth, truth)
    nothing = all_empty(true, names=(rule.select,), batch=rule.batch_size)[rule.select]
    if trained.validation > nothing:
        return []
    return [
        f"best {rule.select} on validation ({trained.validation:.3g}) is no better than that of all-empty"
    ]


def _loader(rows: Rows, part: str, rule: SegmentationRule, seed: int) -> DataLoader[dict[str, Any]]:
    from mmengine.dataset import InfiniteSampler
    from torch.utils.data import DataLoader

    from g2d_bench.adapters.mm.backbone import collate

    if part == "train":
        sampler = InfiniteSampler(rows, shuffle=True, seed=seed)
        return DataLoader(rows, batch_size=rule.batch_size, sampler=sampler, collate_fn=collate)
    if part == "val" and rule.select == VAL_LOSS:
        last = rule.drop_last and len(rows) >= rule.batch_size
        return DataLoader(rows, batch_size=rule.batch_size, drop_last=last, collate_fn=collate)
    return DataLoader(rows, batch_size=EVAL_BATCH, shuffle=False, collate_fn=collate)


def _model(
    job: Job, rule: SegmentationRule, table: NDArray[np.uint8], pyramids: list[torch.Tensor] | None
) -> EncoderDecoder:
    import torch
    from mmengine.config import ConfigDict
    from mmseg.models.segmentors import EncoderDecoder

    from g2d_bench.adapters.mm.backbone import Unprocessed
    from g2d_bench.encoders.decoder import UNetDecoder

    encoder = job.encoder
    if job.with_decoder:
        if encoder.decoder is None:
            raise InputError("the encoder has no pre-trained decoder", field=encoder.card.name)
        decoder = encoder.decoder
    else:
        with torch.random.fork_rng():
            torch.manual_seed(job.seed)
            widths = rule.decoder_widths[encoder.card.scale]
            decoder = UNetDecoder(encoder.image.channels, encoder.image.strides, widths)
    with quiet():
        return EncoderDecoder(
            backbone={
                "type": "G2DBenchEncoder",
                "encoder": encoder,
                "pixels": table,
                "maps": pyramids,
                "tuning": rule.tuning,
                "batchnorm": rule.batchnorm,
            },
            decode_head={
                "type": "G2DBenchUNetHead",
                "decoder": decoder,
                "threshold": rule.threshold,
                "loss": rule.loss,
            },
            data_preprocessor=Unprocessed(),
            test_cfg=ConfigDict(mode="whole"),
        )


def together(task: TaskCard, protocol: Protocol) -> bool:
    """Say whether linear heads are fitted at their optimum, which is cheaper for several cells at once."""
    return isinstance(protocol.says(task.kind), LinearSegmentation)


KIND = Kind(
    "segmentation",
    heading="segmentation",
    place=0,
    run=run,
    asks=frozenset({"maps"}),
    trained=True,
    trivial=frozenset({"all-empty"}),
    truth=("true",),
    positives="fewer",
    masks=True,
    decoder=True,
    rule=SegmentationRule,
    imports=("g2d_bench.adapters.mm.segmentation", "g2d_bench.adapters.warp"),
    run_many=run_many,
    together=together,
)
