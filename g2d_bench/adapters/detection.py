"""Detection: a YOLOv3 over an encoder's three coarsest maps, trained by mmdet and mmengine."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from g2d_bench.adapters.base import PREDICTS_NOTHING, Job, Outcome, settled_one, stays
from g2d_bench.adapters.mm.runner import build_runner, quiet, train_and_test
from g2d_bench.cards.kind import Kind
from g2d_bench.cards.protocol import VAL_LOSS, Training
from g2d_bench.errors import InputError
from g2d_bench.metrics.detection import detection_metrics
from g2d_bench.readers.images import Letterbox

if TYPE_CHECKING:
    # mmdet takes seconds to import; computing metrics again must not wait for it.
    from mmdet.models.detectors import YOLOV3
    from mmengine.runner import Runner

    from g2d_bench.adapters.mm.detection import BoxRows, FoundBoxes
    from g2d_bench.data.task_data import TaskData

EVAL_BATCH = 32


@dataclass(frozen=True)
class Truth:
    """True boxes of some images.

    Attributes:
        frames: where each image lies in the encoder's input, [N].
        image: number of the image of each box, [G].
        label: number of its label, [G].
        box: (left, top, width, height) in raw pixels, [G, 4].
    """

    frames: tuple[Letterbox, ...]
    image: NDArray[np.int32]
    label: NDArray[np.int16]
    box: NDArray[np.float64]

    @classmethod
    def of(cls, data: TaskData, ids: Sequence[str], labels: tuple[str, ...], size: int) -> Truth:
        """Collect the boxes of a task's labels; boxes of other labels are left out."""
        number = {label: n for n, label in enumerate(labels)}
        found = [
            (n, number[box.label], (box.x, box.y, box.w, box.h))
            for n, name in enumerate(ids)
            for box in data.samples[name].boxes
            if box.label in number
        ]
        sizes = data.manifest.sizes[data.manifest.rows(ids)]
        return cls(
            tuple(Letterbox.of((int(rows), int(columns)), size) for rows, columns in sizes),
            np.array([image for image, _, _ in found], np.int32),
            np.array([label for _, label, _ in found], np.int16),
            np.array([box for _, _, box in found], np.float64).reshape(-1, 4),
        )

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays that are stored with predictions."""
        return {"true_image": self.image, "true_label": self.label, "true_box": self.box}

    def corners(self, image: int) -> NDArray[np.float64]:
        """Return corners (left, top, right, bottom) of one image's boxes in pixels of the input, [G, 4].

        Hand-drawn boxes may pass the edge a little; here they end at it, as the head has no cell beyond.
        """
        frame = self.frames[image]
        box = frame.boxes_forward(self.box[self.image == image])
        return np.clip(np.concatenate([box[:, :2], box[:, :2] + box[:, 2:]], axis=1), 0, frame.size)


class DetectionRule(Training):
    """How a detection head is trained and read in a detection task."""

    tuning: Literal["frozen", "finetune"]
    head: Literal["yolov3"]
    head_widths: dict[Literal["phantom", "published"], tuple[int, int, int]]
    """Per scale of encoder: channels that the neck gives at its three levels, coarse to fine."""
    select: str
    """Metric by which the checkpoint is chosen on validation; ``main`` for the task's main one."""
    score_threshold: float = Field(ge=0, lt=1)
    """Objectness and class probability below which no box is kept; low, or it cuts the curve."""
    nms_iou: float = Field(gt=0, lt=1)
    """Overlap above which the weaker of two boxes of one label is dropped."""
    max_boxes: int = Field(gt=0)
    """Boxes kept per image."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.select == VAL_LOSS:
            raise ValueError("a detector is chosen by a metric, not by its loss")
        return self


@settled_one
def run(job: Job) -> Outcome:
    """Train the detector of one cell and predict the test set.

    Returns:
        Metrics, those of the mean box, and all predicted boxes of the test images in raw pixels beside the
        true ones.

    Raises:
        InputError: the protocol says nothing about detection, or validation holds no box.
    """
    rule: DetectionRule = job.protocol.table("detection")
    data, encoder, task = job.data, job.encoder, job.task
    rule = rule.of(task.name, data.fraction, encoder.card.scale)
    size = encoder.card.image.size
    select = task.main if rule.select == "main" else rule.select
    ids = {"train": data.train, "val": data.val, "test": data.test}
    truth = {part: Truth.of(data, ids[part], task.labels, size) for part in ids}
    if not len(truth["val"].box):
        raise InputError("no validation image has a box, so no checkpoint can be chosen", file=task.name)

    with quiet():
        import torch
        from mmengine.dataset import InfiniteSampler
        from mmengine.registry import DefaultScope
        from torch.utils.data import DataLoader

        from g2d_bench.adapters.mm import detection as modules
        from g2d_bench.adapters.mm.backbone import collate, kept_maps, numbered
        from g2d_bench.encoders.features import frozen_hash

    pixels = data.pixels(size)
    # The table of the backbone holds this cell's images only: at 1 % most of the data set is not needed.
    used = [i for part in ids.values() for i in part]
    table = np.ascontiguousarray(pixels.pixels[pixels.rows(used)])
    frozen = rule.tuning == "frozen" and rule.batchnorm == "frozen"
    levels, place = (
        kept_maps(job, used, modules.dense_levels, modules.dense_bytes) if frozen else (None, numbered(used))
    )
    before = frozen_hash(encoder.image)

    def rows(part: str) -> BoxRows:
        true = truth[part]
        return modules.BoxRows(
            [place[i] for i in ids[part]],
            [true.corners(n) for n in range(len(ids[part]))],
            [true.label[true.image == n].astype(np.int64) for n in range(len(ids[part]))],
            size,
        )

    def evaluated(part: str) -> DataLoader[dict[str, Any]]:
        return DataLoader(rows(part), batch_size=EVAL_BATCH, shuffle=False, collate_fn=collate)

    training = rows("train")
    predictions: dict[str, NDArray[Any]] = {}

    def score_val(found: list[FoundBoxes]) -> dict[str, float]:
        return detection_metrics(_stored(found, truth["val"], ids["val"]), names=(select,))

    def score_test(found: list[FoundBoxes]) -> dict[str, float]:
        predictions.update(_stored(found, truth["test"], ids["test"]))
        return detection_metrics(predictions, names=task.metrics)

    steps, interval = rule.schedule(len(data.train))

    def runner(model: YOLOV3, folder: Path) -> Runner:
        sampler = InfiniteSampler(training, shuffle=True, seed=job.seed)
        return build_runner(
            model,
            work_dir=folder,
            scope="mmdet",
            train=DataLoader(training, batch_size=rule.batch_size, sampler=sampler, collate_fn=collate),
            val=evaluated("val"),
            test=evaluated("test"),
            val_metric=modules.G2DBenchBoxes(score_val),
            test_metric=modules.G2DBenchBoxes(score_test),
            learning_rate=rule.learning_rate,
            weight_decay=rule.weight_decay,
            max_steps=steps,
            validate_every=interval,
            patience=rule.patience,
            settle_steps=rule.settle_steps,
            select=select,
            seed=job.seed,
        )

    # mmdet's modules are looked up in the registry of the current scope, which whatever ran before has set,
    # and which is put back here for whatever comes next.
    with DefaultScope.overwrite_default_scope("mmdet"):
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(job.seed)
            model = modules.yolo_v3(encoder, rule, table, levels, len(task.labels))
        if stays(encoder.device, job.protocol.precision):
            from g2d_bench.adapters.mm import detection_steps as det_steps

            trained, boxes = det_steps.train(
                model,
                rule,
                {part: rows(part) for part in ids},
                size,
                lambda found: score_val(found)[select],
                seed=job.seed,
                eval_batch=EVAL_BATCH,
                device=encoder.device,
                precision=job.protocol.precision,
            )
            trained = trained._replace(metrics=score_test(boxes))
        else:
            with tempfile.TemporaryDirectory(prefix="g2d-bench-") as folder:
                made = runner(model, Path(folder))
                with quiet():
                    trained = train_and_test(made)
    if frozen and frozen_hash(encoder.image) != before:
        raise RuntimeError("the frozen encoder changed while the detector was trained")
    return Outcome(
        metrics={name: float(trained.metrics[name]) for name in task.metrics},
        references={"mean-box": mean_box(truth["train"], truth["test"], names=task.metrics)},
        predictions=predictions | {"patient": np.array(data.patients(data.test))},
        notes={
            "steps": trained.steps,
            "chosen_step": trained.chosen_step,
            "validation": {select: trained.validation},
            "dense_features": "computed once" if levels is not None else "computed per step",
            "encoder_frozen": frozen,
            "encoder_state": before,
            **({} if frozen else {"encoder_state_after": frozen_hash(encoder.image)}),
            "training_boxes": len(truth["train"].box),
            **(
                {}
                if len(predictions["box"])
                else {PREDICTS_NOTHING: f"predicts no box on any of the {len(data.test)} test images"}
            ),
        },
    )


def mean_box(train: Truth, test: Truth, *, names: Sequence[str]) -> dict[str, float]:
    """Return the metrics of a predictor that has not looked at the image.

    It gives every test image one box per label, the mean of that label's training boxes as shares of
    their images' sides, all with the same confidence.

    Args:
        train: boxes to average.
        test: boxes to find.
        names: which metrics.
    """
    sides = np.array([frame.native[::-1] * 2 for frame in train.frames], np.float64).reshape(-1, 4)
    shares = train.box / sides[train.image]
    known = np.unique(train.label)
    means = np.array([shares[train.label == label].mean(axis=0) for label in known]).reshape(-1, 4)
    found = [
        (
            frame.boxes_forward(means * np.array(frame.native[::-1] * 2)) @ _TO_CORNERS,
            known.astype(np.int64),
            np.ones(len(known), np.float32),
        )
        for frame in test.frames
    ]
    return detection_metrics(_stored(found, test, range(len(test.frames))), names=names)


_TO_CORNERS = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1]], np.float64)
"""(left, top, width, height) times this is (left, top, right, bottom)."""


def _stored(found: Sequence[FoundBoxes], truth: Truth, ids: Sequence[object]) -> dict[str, NDArray[Any]]:
    """Make the arrays to store: boxes in raw pixels, cut at the image's edge, in the order of the images."""
    boxes, keeps = [], []
    for (corners, _, _), frame in zip(found, truth.frames, strict=True):
        low, high = corners[:, :2], corners[:, 2:]
        box = frame.boxes_inverse(np.concatenate([low, high - low], axis=1))
        edge = np.array(frame.native[::-1], np.float64)
        low, high = np.clip(box[:, :2], 0, edge), np.clip(box[:, :2] + box[:, 2:], 0, edge)
        boxes.append(np.concatenate([low, high - low], axis=1))
        keeps.append((high > low).all(axis=1))
    keep = np.concatenate(keeps)
    image = np.repeat(np.arange(len(found), dtype=np.int32), [len(box) for box in boxes])
    return {
        "id": np.array(ids),
        "box_image": image[keep],
        "box_label": np.concatenate([label for _, label, _ in found])[keep].astype(np.int16),
        "box_score": np.concatenate([confidence for _, _, confidence in found])[keep].astype(np.float32),
        "box": np.concatenate(boxes)[keep].astype(np.float32),
        **truth.arrays,
    }


KIND = Kind(
    "detection",
    heading="detection",
    place=1,
    run=run,
    asks=frozenset({"maps"}),
    trained=True,
    trivial=frozenset({"mean-box"}),
    truth=("true_image", "true_label", "true_box"),
    positives="fewer",
    rule=DetectionRule,
    imports=("g2d_bench.adapters.mm.detection",),
)
