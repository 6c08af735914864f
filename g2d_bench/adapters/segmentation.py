"""Segmentation: a U-Net decoder over an encoder's pyramid, trained by mmseg and mmengine, or linear heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from g2d_bench.adapters.base import Job, Outcome, settled
from g2d_bench.adapters.dense import DenseRule, Material
from g2d_bench.adapters.mm.runner import Trained, quiet
from g2d_bench.adapters.segmentation_linear import LinearSegmentation, run_linear
from g2d_bench.cards.arrays import Rule
from g2d_bench.cards.kind import Kind, OneOf, Sources
from g2d_bench.cards.protocol import VAL_LOSS, Protocol
from g2d_bench.cards.task import TaskCard, require_fit
from g2d_bench.errors import InputError
from g2d_bench.metrics.segmentation import BATCHED, all_empty, batch_numbers, counts, segmentation_metrics
from g2d_bench.records.notes import CLAUSE, PREDICTS_NOTHING

if TYPE_CHECKING:
    from mmseg.models.segmentors import EncoderDecoder

    from g2d_bench.adapters.mm.plan import Plan
    from g2d_bench.adapters.mm.segmentation import Rows
    from g2d_bench.adapters.mm.train import Head
    from g2d_bench.data.task_data import TaskData


class SegmentationRule(DenseRule):
    """How a decoder is trained and read in a segmentation task; ``select`` may be ``val_loss``."""

    decoder: Literal["unet"] = "unet"
    decoder_widths: dict[Literal["phantom", "published"], tuple[int, ...]]
    """Per scale of encoder: widths of the decoder's stages, coarse to fine."""
    loss: Literal["bce_dice", "focal_dice"]
    augmentation: Literal["none", "scale_rotate"] = "none"
    threshold: float = Field(gt=0, lt=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.augmentation != "none" and self.frozen:
            # Their features are computed once.
            raise ValueError("augmentation needs an encoder that is not frozen in every respect")
        if self.drop_last and self.select != VAL_LOSS:
            raise ValueError(f"drop_last goes with select = {VAL_LOSS!r}")
        if self.select != VAL_LOSS:
            require_fit(self.select, KIND)
        return self


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
    from g2d_bench.adapters.mm.train import train
    from g2d_bench.encoders.features import pyramid_bytes, pyramid_features

    rule = rule.of(job.task.name, job.data.fraction, job.encoder.card.scale)
    material = Material.of(job, rule, pyramid_features, pyramid_bytes)
    truth = {part: job.data.mask_bits(part) for part in material.ids}
    if rule.select != VAL_LOSS and not truth["val"].any():
        raise InputError(
            "no validation image shows the finding, so no checkpoint can be chosen", file=job.task.name
        )
    trained, bits = train(job, rule, rule.select, _head(job, rule, material, truth))
    notes = material.notes(job.encoder, trained, rule.select)
    return _outcome(job, bits, truth["test"], rule, notes, _no_better(rule, trained.validation, truth["val"]))


def _head(
    job: Job, rule: SegmentationRule, material: Material, truth: dict[str, NDArray[np.uint8]]
) -> Head[NDArray[np.uint8]]:
    """Return what is trained; it finds the bits of all masks of a part, [N, side * side / 8]."""
    from g2d_bench.adapters.mm import segmentation as modules
    from g2d_bench.adapters.mm import segmentation_steps as seg_steps
    from g2d_bench.adapters.mm.train import Head
    from g2d_bench.adapters.warp import Warps

    side, size = job.task.eval_size, job.encoder.card.image.size
    model = _model(job, rule, material)

    def warps(part: str) -> Warps | None:
        return Warps(job.seed) if rule.augmentation != "none" and part == "train" else None

    def samples(part: str) -> Rows:
        return modules.Rows(truth[part], material.rows[part], side, size, warps(part))

    def score(found: NDArray[np.uint8]) -> dict[str, float]:
        return segmentation_metrics(*counts(found, truth["val"]), names=(rule.select,), batch=rule.batch_size)

    def by_steps(plan: Plan) -> tuple[Trained, NDArray[np.uint8]]:
        return seg_steps.train(
            model,
            rule,
            plan,
            truth,
            material.rows,
            side,
            size,
            lambda found: score(found)[rule.select],
            warps=warps("train"),
            seed=job.seed,
            device=job.encoder.device,
            precision=job.protocol.precision,
        )

    return Head(
        model,
        samples,
        read=modules.mask_bits,
        join=np.stack,
        score=score,
        by_steps=by_steps,
        val_loss=modules.G2DBenchLoss(model.decode_head) if rule.select == VAL_LOSS else None,
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
    common, predicted, true = counts(bits, truth)
    empty = [*_predicts_nothing(predicted, true), *doubts]
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
        notes={**notes, **({PREDICTS_NOTHING: CLAUSE.join(empty)} if empty else {})},
    )


def _predicts_nothing(predicted: NDArray[Any], true: NDArray[Any]) -> list[str]:
    """Say that all predicted masks of the test set are empty, if they are; both are pixels, [N]."""
    if predicted.any() or not true.any():
        return []
    return [f"predicts nothing on any of the {len(true)} test images: its numbers are those of all-empty"]


def _no_better(rule: SegmentationRule, validation: float, truth: NDArray[np.uint8]) -> list[str]:
    """Say that the chosen checkpoint scores on validation as an empty prediction does, if it does.

    Args:
        rule: by which metric the checkpoint was chosen; the loss tells nothing of the kind.
        validation: its score.
        truth: masks of the validation images as bits.
    """
    if rule.select == VAL_LOSS:
        return []
    _, _, true = counts(truth, truth)
    nothing = all_empty(true, names=(rule.select,), batch=rule.batch_size)[rule.select]
    if validation > nothing:
        return []
    return [f"best {rule.select} on validation ({validation:.3g}) is no better than that of all-empty"]


def _model(job: Job, rule: SegmentationRule, material: Material) -> EncoderDecoder:
    import torch
    from mmengine.config import ConfigDict
    from mmengine.registry import DefaultScope
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
    # mmseg's modules are looked up in the registry of the current scope.
    with DefaultScope.overwrite_default_scope("mmseg"), quiet():
        return EncoderDecoder(
            backbone={
                "type": "G2DBenchEncoder",
                "encoder": encoder,
                "pixels": material.pixels,
                "maps": material.maps,
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


def expected(data: TaskData) -> tuple[Sequence[str], dict[str, NDArray[Any]]]:
    """Return ids and truth of the test images: how many pixels of the grid are true."""
    return data.test, {"true": np.bitwise_count(data.mask_bits("test")).sum(axis=1, dtype=np.int64)}


def blind(
    predictions: Mapping[str, NDArray[Any]], names: Sequence[str]
) -> list[tuple[str, Mapping[str, NDArray[Any]], list[str]]]:
    """Return the predictor of nothing."""
    if "true" not in predictions:
        return []
    nothing = np.zeros_like(predictions["true"])
    return [("all-empty", {**predictions, "intersection": nothing, "predicted": nothing}, list(names))]


def noted(predictions: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return whether a record notes that nothing is predicted."""
    if not {"predicted", "true"} <= set(predictions):
        return {}
    empty = _predicts_nothing(predictions["predicted"], predictions["true"])
    return {f"{PREDICTS_NOTHING}{CLAUSE}predicts": empty[0] if empty else None}


def told(sources: Sources) -> dict[str, Any]:
    """Return what protocol and validation masks say of the fit that a record notes."""
    rule: SegmentationRule | LinearSegmentation | None = sources.rule
    if rule is None:
        return {}
    if isinstance(rule, LinearSegmentation):
        return {"encoder_frozen": True, **_of_grids(rule, sources.notes)}
    found: dict[str, Any] = {"encoder_frozen": rule.frozen}
    scores = sources.notes.get("validation")
    score = scores.get(rule.select) if isinstance(scores, Mapping) else None
    if sources.data is not None and isinstance(score, float) and sources.encoder is not None:
        rule = rule.of(sources.task.name, sources.data.fraction, sources.encoder.scale)
        doubts = _no_better(rule, score, sources.data.mask_bits("val"))
        found[f"{PREDICTS_NOTHING}{CLAUSE}best"] = doubts[0] if doubts else None
    return found


def _of_grids(rule: LinearSegmentation, notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return penalty and threshold if they are of the protocol's grids, and whether they lie at an edge."""
    found: dict[str, Any] = {}
    for name, grid in (("penalty", rule.penalties), ("threshold", rule.thresholds)):
        chosen = notes.get(name)
        found[name] = chosen if chosen in grid else grid[0]
        found[f"{name}_at_edge"] = chosen in (grid[0], grid[-1])
    return found


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
    arrays={
        **{name: Rule("iu", ("N",)) for name in ("intersection", "predicted", "true")},
        "batch": Rule("iu", ("N",), 0, "N"),
    },
    truth=("true",),
    positives="fewer",
    shown=lambda predictions: predictions["true"] > 0,
    expected=expected,
    blind=blind,
    noted=noted,
    told=told,
    masks=True,
    one_label=True,
    complete=True,
    decoder=True,
    bare=together,
    rule=OneOf("decoder", (SegmentationRule, LinearSegmentation)),
    imports=("g2d_bench.adapters.mm.segmentation", "g2d_bench.adapters.mm.train", "g2d_bench.adapters.warp"),
    run_many=run_many,
    together=together,
)
