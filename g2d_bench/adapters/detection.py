"""Detection: a YOLOv3 over an encoder's three coarsest maps, trained by mmdet and mmengine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from g2d_bench.adapters.base import Job, Outcome, settled_one
from g2d_bench.adapters.dense import DenseRule, Material
from g2d_bench.adapters.mm.runner import quiet
from g2d_bench.cards.arrays import MOST_LABELS, Rule
from g2d_bench.cards.kind import Kind, Reduced, Sources
from g2d_bench.cards.protocol import VAL_LOSS
from g2d_bench.cards.task import require_fit
from g2d_bench.errors import InputError
from g2d_bench.metrics.detection import detection_metrics
from g2d_bench.readers.images import Letterbox
from g2d_bench.records.compact_boxes import reduce_boxes
from g2d_bench.records.notes import PREDICTS_NOTHING

if TYPE_CHECKING:
    # mmdet takes seconds to import; computing metrics again must not wait for it.
    from g2d_bench.adapters.mm.detection import BoxRows, FoundBoxes
    from g2d_bench.adapters.mm.plan import Plan
    from g2d_bench.adapters.mm.runner import Trained
    from g2d_bench.adapters.mm.train import Head
    from g2d_bench.data.task_data import TaskData


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


class DetectionRule(DenseRule):
    """How a detection head is trained and read in a detection task.

    ``select`` may be ``main``, which stands for the task's main metric.
    """

    head: Literal["yolov3"]
    head_widths: dict[Literal["phantom", "published"], tuple[int, int, int]]
    """Per scale of encoder: channels that the neck gives at its three levels, coarse to fine."""
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
        if self.select != "main":
            require_fit(self.select, KIND)
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
    from g2d_bench.adapters.mm import detection as modules
    from g2d_bench.adapters.mm.train import train

    rule: DetectionRule = job.protocol.table("detection")
    data, encoder, task = job.data, job.encoder, job.task
    rule = rule.of(task.name, data.fraction, encoder.card.scale)
    select = task.main if rule.select == "main" else rule.select
    truth = {
        part: Truth.of(data, ids, task.labels, encoder.card.image.size)
        for part, ids in (("train", data.train), ("val", data.val), ("test", data.test))
    }
    if not len(truth["val"].box):
        raise InputError("no validation image has a box, so no checkpoint can be chosen", file=task.name)
    material = Material.of(job, rule, modules.dense_levels, modules.dense_bytes)
    trained, found = train(job, rule, select, _head(job, rule, select, material, truth))
    predictions = _stored(found, truth["test"], data.test)
    metrics = detection_metrics(predictions, names=task.metrics)
    return Outcome(
        metrics={name: float(metrics[name]) for name in task.metrics},
        references={"mean-box": mean_box(truth["train"], truth["test"], names=task.metrics)},
        predictions=predictions | {"patient": np.array(data.patients(data.test))},
        notes={
            **material.notes(encoder, trained, select),
            "training_boxes": len(truth["train"].box),
            **{name: text for name, text in noted(predictions).items() if text is not None},
        },
    )


def _head(
    job: Job, rule: DetectionRule, select: str, material: Material, truth: dict[str, Truth]
) -> Head[list[FoundBoxes]]:
    """Return what is trained; it finds the boxes of each image of a part."""
    import torch
    from mmengine.registry import DefaultScope

    from g2d_bench.adapters.mm import detection as modules
    from g2d_bench.adapters.mm import detection_steps as det_steps
    from g2d_bench.adapters.mm.train import Head

    encoder = job.encoder
    size = encoder.card.image.size
    # mmdet's modules are looked up in the registry of the current scope.
    with DefaultScope.overwrite_default_scope("mmdet"), quiet(), torch.random.fork_rng():
        torch.manual_seed(job.seed)
        model = modules.yolo_v3(
            encoder,
            rule,
            modules.Reading(rule.score_threshold, rule.nms_iou, rule.max_boxes),
            rule.head_widths[encoder.card.scale],
            material.pixels,
            material.maps,
            len(job.task.labels),
        )

    def samples(part: str) -> BoxRows:
        true = truth[part]
        numbers = range(len(true.frames))
        return modules.BoxRows(
            material.rows[part],
            [true.corners(n) for n in numbers],
            [true.label[true.image == n].astype(np.int64) for n in numbers],
            size,
        )

    def score(found: list[FoundBoxes]) -> dict[str, float]:
        return detection_metrics(_stored(found, truth["val"], material.ids["val"]), names=(select,))

    def by_steps(plan: Plan) -> tuple[Trained, list[FoundBoxes]]:
        return det_steps.train(
            model,
            rule,
            plan,
            {part: samples(part) for part in truth},
            size,
            lambda found: score(found)[select],
            seed=job.seed,
            device=encoder.device,
            precision=job.protocol.precision,
        )

    return Head(model, samples, read=modules.boxes_of, join=list, score=score, by_steps=by_steps)


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


def expected(data: TaskData) -> tuple[Sequence[str], dict[str, NDArray[Any]]]:
    """Return ids and truth of the test images."""
    return data.test, Truth.of(data, data.test, data.task.labels, data.task.eval_size).arrays


def learned(
    data: TaskData, _: dict[str, NDArray[Any]], names: Sequence[str], size: int
) -> dict[str, dict[str, float]]:
    """Return the metrics of the trivial predictor that needs training images."""
    train, test = (Truth.of(data, ids, data.task.labels, size) for ids in (data.train, data.test))
    return {"mean-box": mean_box(train, test, names=names)}


def noted(predictions: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return whether a record notes that nothing is predicted."""
    if "box_image" not in predictions:
        return {}
    nothing = f"predicts no box on any of the {len(predictions['id'])} test images"
    return {PREDICTS_NOTHING: None if len(predictions["box_image"]) else nothing}


def told(sources: Sources) -> dict[str, Any]:
    """Return what protocol and training images say of the fit that a record notes."""
    rule: DetectionRule | None = sources.rule
    found: dict[str, Any] = {} if rule is None else {"encoder_frozen": rule.frozen}
    data = sources.data
    if data is not None:
        boxes = Truth.of(data, data.train, sources.task.labels, sources.task.eval_size).box
        found["training_boxes"] = len(boxes)
    return found


KIND = Kind(
    "detection",
    heading="detection",
    place=1,
    run=run,
    asks=frozenset({"maps"}),
    trained=True,
    trivial=frozenset({"mean-box"}),
    arrays={
        "box_image": Rule("iu", ("P",), 0, "N"),
        "box_label": Rule("iu", ("P",), 0, MOST_LABELS - 1),
        "box_score": Rule("biuf", ("P",), -1e30, 1e30),
        "box": Rule("biuf", ("P", 4), -1e9, 1e9),
        "true_image": Rule("iu", ("G",), 0, "N"),
        "true_label": Rule("iu", ("G",), 0, MOST_LABELS - 1),
        "true_box": Rule("biuf", ("G", 4), -1e9, 1e9),
    },
    truth=("true_image", "true_label", "true_box"),
    positives="fewer",
    shown=lambda predictions: np.isin(np.arange(len(predictions["id"])), predictions["true_image"]),
    expected=expected,
    learned=learned,
    noted=noted,
    told=told,
    complete=True,
    reduced=Reduced(reduce_boxes, "box", "boxes that hit nothing: coordinates and exact scores"),
    rule=DetectionRule,
    imports=("g2d_bench.adapters.mm.detection", "g2d_bench.adapters.mm.train"),
)
