"""Our encoder, a YOLOv3 on it, and our metric as mmdet and mmengine modules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from g2d_bench.adapters.dense import DenseRule
from g2d_bench.adapters.mm.backbone import EncoderBackbone, Unprocessed
from g2d_bench.adapters.mm.ops import install
from g2d_bench.encoders.features import BATCH, empty_levels, pyramid_features, pyramid_shapes
from g2d_bench.encoders.load import Encoder

install()
# Only now: mmdet looks for mmcv's compiled operators when it is imported.
from mmdet.models.dense_heads import YOLOV3Head  # noqa: E402
from mmdet.models.detectors import YOLOV3  # noqa: E402
from mmdet.registry import MODELS  # noqa: E402
from mmdet.structures import DetDataSample  # noqa: E402

T = TypeVar("T")

COARSEST = 32
"""Pixels per cell of the coarsest of the three maps (YOLOv3, section 2.3); the others halve it."""

ANCHOR_SIDE = 416
ANCHORS = (
    ((116, 90), (156, 198), (373, 326)),
    ((30, 61), (62, 45), (59, 119)),
    ((10, 13), (16, 30), (33, 23)),
)
"""Widths and heights in pixels of an input of ``ANCHOR_SIDE``, coarse to fine (YOLOv3, section 2.3)."""

CHUNK = 16 * BATCH
"""Images whose full pyramids are in memory at a time while those maps are kept that the head needs."""


def grids(size: int) -> tuple[int, int, int]:
    """Return the cells per side of the three maps of a square input, fine to coarse."""
    cells = max(1, round(size / COARSEST))
    return 4 * cells, 2 * cells, cells


def three(levels: Sequence[T]) -> list[T]:
    """Return the three coarsest levels of a pyramid, fine to coarse.

    The coarsest one is read again for each that a shorter pyramid lacks: those of a ViT are of one size, too.
    """
    return [*levels[-3:], *[levels[-1]] * (3 - len(levels))]


def to_grids(pyramid: Sequence[Tensor], size: int) -> list[Tensor]:
    """Bring the three coarsest maps of a pyramid, see :func:`three`, to the grids of the head.

    The neck doubles a map's side to join it to the next one, and all encoders should be read on one grid.
    So maps of a ViT, which are of one size, and of an encoder that enlarges its input are resampled
    (bilinear, antialiased where they shrink); those of any other ResNet are left as they are.

    Args:
        pyramid: maps [B, C, H, W], fine to coarse.
        size: side of the encoder's input in pixels.
    """
    return [
        level
        if level.shape[-2:] == (side, side)
        else F.interpolate(level, size=(side, side), mode="bilinear", antialias=True)
        for level, side in zip(three(pyramid), grids(size), strict=True)
    ]


def dense_levels(encoder: Encoder, pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> list[Tensor]:
    """Compute the three maps of some images.

    Args:
        encoder: the frozen encoder.
        pixels: uint8 [M, S, S].
        rows: which images, in the order of the result.

    Returns:
        [N, C, H, W] per level, fine to coarse; see :func:`~g2d_bench.encoders.features.pyramid_features`.
    """
    size = encoder.card.image.size
    levels = empty_levels(encoder, len(rows), _shapes(encoder))
    for start in range(0, len(rows), CHUNK):
        part = pyramid_features(encoder, pixels, rows[start : start + CHUNK])
        for level, maps in zip(levels, to_grids(part, size), strict=True):
            level[start : start + len(maps)] = maps
    return levels


def dense_bytes(encoder: Encoder) -> int:
    """Return the room that the three maps of one image take."""
    return sum(4 * int(np.prod(shape)) for shape in _shapes(encoder))


def _shapes(encoder: Encoder) -> list[tuple[int, int, int]]:
    """Return [C, H, W] of the three maps."""
    sides = grids(encoder.card.image.size)
    return [(c, side, side) for (c, _, _), side in zip(three(pyramid_shapes(encoder)), sides, strict=True)]


class BoxRows(Dataset[dict[str, Any]]):
    """Images by row number, with their true boxes in pixels of the encoder's input.

    Args:
        rows: row of each image in the backbone's table.
        boxes: per image corners (left, top, right, bottom), [G, 4].
        labels: per image numbers of the labels, [G].
        size: side of the encoder's input.
    """

    def __init__(
        self,
        rows: Sequence[int],
        boxes: Sequence[NDArray[np.float64]],
        labels: Sequence[NDArray[np.int64]],
        size: int,
    ) -> None:
        self._rows = rows
        self._boxes = [torch.from_numpy(box.astype(np.float32)) for box in boxes]
        self._labels = [torch.from_numpy(label) for label in labels]
        # The metric maps boxes back to raw pixels, so mmdet sees no other scale than the input's.
        shape = (size, size)
        self._meta = {"ori_shape": shape, "img_shape": shape, "scale_factor": (1.0, 1.0)}

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = DetDataSample(metainfo={**self._meta, "index": index})
        sample.gt_instances = InstanceData(bboxes=self._boxes[index], labels=self._labels[index])
        return {"inputs": self._rows[index], "data_samples": sample}


@MODELS.register_module()
class G2DBenchYOLOHead(YOLOV3Head):
    """mmdet's YOLOv3 head, which finds the targets of each training image once.

    They depend on its boxes alone, and nothing is augmented. mmdet finds them anew in every step, which takes
    longer than the forward pass of a small head.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # By number of the image in the data set; only what differs from "nothing here", which is little.
        self._targets: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def loss_by_feat(
        self,
        pred_maps: Sequence[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict[str, Any]],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, list[Tensor]]:
        """Return mmdet's losses per level of a batch whose images are numbered by ``index``."""
        sizes = [tuple(level.shape[-2:]) for level in pred_maps]
        targets, negatives = self.target_maps(
            sizes, batch_gt_instances, [meta["index"] for meta in batch_img_metas]
        )
        names = ("loss_cls", "loss_conf", "loss_xy", "loss_wh")
        losses = [
            self.loss_by_feat_single(*level) for level in zip(pred_maps, targets, negatives, strict=True)
        ]
        return dict(zip(names, map(list, zip(*losses, strict=True)), strict=True))

    def loss_by_feat_single(
        self, pred_map: Tensor, target_map: Tensor, neg_map: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return mmdet's losses of one level.

        mmdet asks the device in every step whether an anchor is object and background at once, and then
        counts it once; here it is counted once without a question.

        Args:
            pred_map: [B, A (5 + K), H, W].
            target_map: [B, H W A, 5 + K].
            neg_map: [B, H W A].

        Returns:
            Losses of class, objectness, centre and size.
        """
        found = pred_map.permute(0, 2, 3, 1).reshape(len(pred_map), -1, self.num_attrib)
        objects = target_map[..., 4]
        counted = (neg_map.float() + objects).clamp(min=0.0, max=1.0)
        where = objects.unsqueeze(-1)
        return (
            self.loss_cls(found[..., 5:], target_map[..., 5:], weight=where),
            self.loss_conf(found[..., 4], objects, weight=counted),
            self.loss_xy(found[..., :2], target_map[..., :2], weight=where),
            self.loss_wh(found[..., 2:4], target_map[..., 2:4], weight=where),
        )

    def target_maps(
        self, sizes: Sequence[tuple[int, ...]], boxes: Sequence[InstanceData], images: Sequence[int]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Return per level what to learn at each anchor [B, A, 5 + K] and which are background [B, A].

        Args:
            sizes: rows and columns of each level, coarse to fine.
            boxes: true boxes and labels of each image.
            images: number of each image; always the same boxes under one number.
        """
        device = boxes[0].bboxes.device
        priors = self.prior_generator.grid_priors(sizes, device=device)
        counts = [len(level) for level in priors]
        target = priors[0].new_zeros(len(boxes), sum(counts), self.num_attrib)
        negative = torch.ones(target.shape[:2], dtype=torch.uint8, device=device)
        for n, (true, image) in enumerate(zip(boxes, images, strict=True)):
            if image not in self._targets:
                flags = self.responsible_flags(sizes, true.bboxes, device)
                whole, background = self._get_targets_single(priors, flags, true)
                objects = whole[:, 4].nonzero()[:, 0]
                other = (background == 0).nonzero()[:, 0]
                self._targets[image] = (objects, whole[objects], other)
            objects, values, other = self._targets[image]
            target[n, objects] = values
            negative[n, other] = 0
        return list(torch.split(target, counts, dim=1)), list(torch.split(negative, counts, dim=1))


@MODELS.register_module()
class G2DBenchPyramid(EncoderBackbone):
    """An encoder as an mmdet backbone: its three coarsest maps on the grids of the head."""

    def read(self, pyramid: list[Tensor]) -> list[Tensor]:
        """Bring the maps to the grids; see :func:`to_grids`."""
        return to_grids(pyramid, self.encoder.card.image.size)


@dataclass(frozen=True)
class Reading:
    """Which of the boxes that a head gives are kept.

    Attributes:
        score_threshold: objectness and class probability below which none is.
        nms_iou: overlap above which the weaker of two of one label is not.
        max_boxes: per image.
    """

    score_threshold: float
    nms_iou: float
    max_boxes: int


def yolo_v3(
    encoder: Encoder,
    rule: DenseRule,
    reading: Reading,
    widths: tuple[int, int, int],
    pixels: NDArray[np.uint8],
    levels: list[Tensor] | None,
    labels: int,
) -> YOLOV3:
    """Build mmdet's YOLOv3 (Redmon and Farhadi, 2018) on an encoder, within mmdet's registry scope.

    The losses and the assignment of boxes to anchors are those of mmdet's COCO configuration; the anchors are
    COCO's, scaled from 416 px to the encoder's input (as MGCA does).

    Args:
        encoder: the loaded encoder.
        rule: what of the encoder is trained.
        reading: which boxes are kept.
        widths: channels that the neck gives at its three levels, coarse to fine.
        pixels: see :class:`~g2d_bench.adapters.mm.backbone.EncoderBackbone`.
        levels: its ``maps``, of the three that the head reads.
        labels: how many labels there are.
    """
    size = encoder.card.image.size
    strides = [size / side for side in reversed(grids(size))]
    scale = size / ANCHOR_SIDE

    def entropy(weight: float) -> dict[str, Any]:
        return {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": weight, "reduction": "sum"}

    model = YOLOV3(
        backbone={
            "type": "G2DBenchPyramid",
            "encoder": encoder,
            "pixels": pixels,
            "maps": levels,
            "tuning": rule.tuning,
            "batchnorm": rule.batchnorm,
        },
        neck=ConfigDict(
            type="YOLOV3Neck",
            num_scales=3,
            in_channels=three(encoder.image.channels)[::-1],
            out_channels=list(widths),
        ),
        bbox_head=ConfigDict(
            type="G2DBenchYOLOHead",
            num_classes=labels,
            in_channels=list(widths),
            out_channels=[2 * width for width in widths],
            anchor_generator={
                "type": "YOLOAnchorGenerator",
                "base_sizes": [[(w * scale, h * scale) for w, h in sizes] for sizes in ANCHORS],
                "strides": strides,
            },
            bbox_coder={"type": "YOLOBBoxCoder"},
            featmap_strides=strides,
            loss_cls=entropy(1.0),
            loss_conf=entropy(1.0),
            loss_xy=entropy(2.0),
            loss_wh={"type": "MSELoss", "loss_weight": 2.0, "reduction": "sum"},
        ),
        train_cfg=ConfigDict(
            assigner={"type": "GridAssigner", "pos_iou_thr": 0.5, "neg_iou_thr": 0.5, "min_pos_iou": 0}
        ),
        test_cfg=ConfigDict(
            nms_pre=1000,
            min_bbox_size=0,
            conf_thr=reading.score_threshold,
            score_thr=reading.score_threshold,
            nms={"type": "nms", "iou_threshold": reading.nms_iou},
            max_per_img=reading.max_boxes,
        ),
        data_preprocessor=Unprocessed(),
    )
    # The layout of the maps: convolutions need not turn their weights round in every step.
    model.neck.to(memory_format=torch.channels_last)
    model.bbox_head.to(memory_format=torch.channels_last)
    return model


FoundBoxes = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.floating[Any]]]
"""Corners in pixels of the encoder's input [P, 4], label numbers [P] and scores [P] of one image."""


def boxes_of(sample: dict[str, Any]) -> FoundBoxes:
    """Read the boxes of one image from a sample of mmengine's loop."""
    return read_boxes(sample["pred_instances"])


def read_boxes(found: Any) -> FoundBoxes:
    """Read the boxes that mmdet found in one image, strongest first."""
    corners, labels, scores = (found[k].cpu() for k in ("bboxes", "labels", "scores"))
    return corners.double().numpy(), labels.numpy(), scores.float().numpy()
