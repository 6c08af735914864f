"""Features of a frozen encoder: computed once, kept by content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from g2d_bench.devices import half, switched
from g2d_bench.encoders.checkpoint import tensor_hash
from g2d_bench.encoders.feed import batches, stored
from g2d_bench.encoders.folded import folded
from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.library import library_of
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.row_table import Rows, RowTable
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_json, digest_package
from g2d_bench.paths import PACKAGE, cache_dir
from g2d_bench.progress import track

CODE = ("encoders", "readers", "data")
"""Packages through which an image becomes features; the source of all their modules is part of the key."""

FOLDER = "features"
"""Where tables lie in the cache folder."""

BATCH = 32
"""Every image is computed in a batch of this size, however many are asked for, so that its features do
not depend on its company: kernels are chosen by shape, and sums differ in the last bit between them."""

GPU_BATCH = 512
"""What :data:`BATCH` is on a GPU, for images of 224 px; fewer where they are larger."""


def frozen_hash(module: nn.Module) -> str:
    """Return a sha256 (hex) over all parameters and buffers, BatchNorm statistics included.

    Equal before and after a run, it proves that nothing of the module moved.
    """
    state = module.state_dict()
    return digest_json([sorted(state), tensor_hash(state[name] for name in sorted(state))])


def features_key(encoder: Encoder, content: str) -> str:
    """Name the pooled features of an encoder on some data.

    Args:
        encoder: its state, its files (with the configuration beside the weights, which moves the numbers and
            no tensor), input size, normalisation and pooling decide, where it runs, and the installed version
            of the library that computes.
        content: hash of the pixel table.
    """
    parts: list[Any] = [
        frozen_hash(encoder.image),
        encoder.weights_hash,
        encoder.card.image.model_dump(mode="json"),
        content,
        encoder.device.type,
        *(digest_package(PACKAGE / name) for name in CODE),
        [torch.__version__, timm.__version__, library_of(encoder.card.image.library).version()],
        *([encoder.salt] if encoder.salt else []),
    ]
    if encoder.precision != "fp32":
        parts.append(encoder.precision)
    return digest_json(parts)[:32]


def batch_size(encoder: Encoder) -> int:
    """Return how many images pass the encoder at once: by device and input size alone, see :data:`BATCH`."""
    if encoder.device.type != "cuda":
        return BATCH
    size, batch = encoder.card.image.resize_inside or encoder.card.image.size, GPU_BATCH
    while batch > BATCH and batch * size**2 > GPU_BATCH * 224**2:
        batch //= 2
    return batch


def pooled_features(
    encoder: Encoder,
    pixels: NDArray[np.uint8],
    rows: Sequence[int] | NDArray[np.integer[Any]],
    *,
    content: str,
    folder: Path | None = None,
) -> NDArray[np.float32]:
    """Return the pooled features of some images; each image is computed once for all cells that ask.

    One table per encoder and data set grows by the rows that are asked for; several processes may share it.

    Args:
        encoder: the frozen encoder; of one whose vectors are given, they are taken as they are.
        pixels: uint8 [M, S, S] (a memory map will do).
        rows: which images, in the order of the result.
        content: hash of ``pixels``; part of the key.
        folder: where to keep tables; the cache folder if None.

    Returns:
        float32 [len(rows), D].

    Raises:
        RuntimeError: the encoder's state moved, which must not happen.
    """
    wanted = known_rows(rows, len(pixels))
    given = getattr(encoder.image, "vectors", None)
    if given is not None:
        vectors: NDArray[np.float32] = given[torch.from_numpy(wanted).to(given.device)].cpu().numpy()
        return vectors
    with pooled_table(encoder, len(pixels), content, folder) as table:
        missing = table.missing(wanted)
        if missing.size:
            computed = (
                (part, found.pooled[: len(part)]) for part, found in forward(encoder, pixels, missing)
            )
            stored(computed, table.write)
            table.seal(missing)
        return table.read(wanted)


def pooled_table(encoder: Encoder, count: int, content: str, folder: Path | None = None) -> RowTable:
    """Return the table of pooled features of a data set's ``count`` images, to be opened."""
    shape = (encoder.image.num_features,)
    return RowTable(
        folder or encoder.folder or cache_dir() / FOLDER, features_key(encoder, content), count, shape
    )


def known_rows(rows: Sequence[int] | NDArray[np.integer[Any]], count: int) -> Rows:
    """Return rows as numbers.

    Raises:
        IndexError: one is no row of a table of ``count``.
    """
    wanted = np.asarray(rows, dtype=np.int64)
    if wanted.size and (wanted.min() < 0 or wanted.max() >= count):
        raise IndexError(f"rows must lie in [0, {count})")
    return wanted


def pyramid_features(
    encoder: Encoder, pixels: NDArray[np.uint8], rows: Sequence[int] | NDArray[np.integer[Any]]
) -> list[Tensor]:
    """Compute the dense features of some images.

    Args:
        encoder: the frozen encoder.
        pixels: uint8 [M, S, S].
        rows: which images, in the order of the result.

    Returns:
        Per pyramid level float32 [N, C, H, W] where the encoder is, N times :func:`pyramid_bytes` in all; in
        ``fast`` precision half of it, bfloat16.

    Raises:
        RuntimeError: the encoder's state moved, which must not happen.
    """
    wanted = known_rows(rows, len(pixels))
    shapes = pyramid_shapes(encoder)
    # The layout in which the CPU's convolutions, of encoder and decoder alike, are fastest.
    levels = empty_levels(encoder, len(wanted), shapes)
    start = 0
    for part, features in forward(encoder, pixels, wanted):
        for level, maps in zip(levels, features.pyramid, strict=True):
            level[start : start + len(part)] = maps[: len(part)].to(level)
        start += len(part)
    return levels


def empty_levels(encoder: Encoder, count: int, shapes: Sequence[tuple[int, int, int]]) -> list[Tensor]:
    """Return room for maps [count, C, H, W] of an encoder, one tensor per shape, where it computes."""
    kind = torch.float32 if encoder.precision == "fp32" else torch.bfloat16
    return [
        torch.empty((count, *s), dtype=kind, device=encoder.device, memory_format=torch.channels_last)
        for s in shapes
    ]


def pyramid_bytes(encoder: Encoder) -> int:
    """Return the room that the dense features of one image take."""
    return sum(4 * int(np.prod(shape)) for shape in pyramid_shapes(encoder))


def pyramid_shapes(encoder: Encoder) -> list[tuple[int, int, int]]:
    """Return [C, H, W] per pyramid level for one image of the card's size."""
    maps = blank_features(encoder).pyramid
    return [(int(m.shape[1]), int(m.shape[2]), int(m.shape[3])) for m in maps]


@torch.inference_mode()
def blank_features(encoder: Encoder) -> ImageFeatures:
    """Return the features of one black image of the card's size, in eval mode; their shapes matter."""
    size = encoder.card.image.size
    blank = torch.zeros((1, size, size), dtype=torch.uint8, device=encoder.device)
    training = encoder.image.training
    encoder.image.eval()
    features: ImageFeatures = encoder.image(encoder.preprocess(blank))
    encoder.image.train(training)
    return features


def forward(encoder: Encoder, pixels: NDArray[np.uint8], rows: Rows) -> Iterator[tuple[Rows, ImageFeatures]]:
    """Yield rows and their features in batches of one fixed size, in eval mode; see that nothing moves.

    The features are those of a whole batch: where fewer rows are left, the first ones are theirs. Whatever is
    computed of them should be computed of the whole batch, too, and cut afterwards.

    Args:
        encoder: the frozen encoder.
        pixels: uint8 [M, S, S].
        rows: which images, in this order.

    Raises:
        InputError: a vector has NaN or infinity; said when all are computed.
        RuntimeError: the encoder's state moved, which must not happen.
    """
    image, before = encoder.image, _Kept(encoder.image)
    training = image.training
    image.eval()
    model = image if encoder.precision == "fp32" else folded(image, _noise(encoder))
    size = batch_size(encoder)
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    images = batches(pixels, parts, size, encoder.device)
    wrong: list[Tensor] = []
    shown = track(parts, f"features of {encoder.card.name}", unit="batch")
    for part, full in zip(shown, images, strict=True):
        device, precision = encoder.device, encoder.precision
        compute = torch.inference_mode(), switched(device, precision), half(device, precision)
        with encoder.pace.timed(len(full), device), compute[0], compute[1], compute[2]:
            pyramid, pooled = model(encoder.preprocess(full))
        # Counted where it computes, and asked for once: a GPU would wait for each answer.
        wrong.append((~torch.isfinite(pooled[: len(part)]).all(dim=1)).sum())
        yield part, ImageFeatures(list(pyramid), pooled.float())
    image.train(training)
    if wrong and (count := int(torch.stack(wrong).sum())):
        raise InputError(
            f"gives NaN or infinity for {count} of {len(rows)} images; vectors of finite numbers are wanted",
            field=encoder.card.name,
        )
    if before.moved(image):
        raise RuntimeError(f"the frozen encoder {encoder.card.name} changed while its features were computed")


def _noise(encoder: Encoder) -> Tensor:
    """Return an image of the card's size that an encoder says something of, normalised, where it computes."""
    size = encoder.card.image.size
    drawn = torch.randint(256, (1, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return encoder.preprocess(drawn.to(encoder.device))


class _Kept:
    """The state of a module, to see whether it moves: its hash, or on a GPU, where that is slow, a copy."""

    def __init__(self, module: nn.Module) -> None:
        self._copy = [_bytes(v).clone() for v in module.state_dict().values() if v.is_cuda]
        self._hash = "" if self._copy else frozen_hash(module)

    def moved(self, module: nn.Module) -> bool:
        if not self._copy:
            return frozen_hash(module) != self._hash
        now = [_bytes(value) for value in module.state_dict().values()]
        same = [(a == b).all() for a, b in zip(now, self._copy, strict=True)]
        return not bool(torch.stack(same).all())


def _bytes(value: Tensor) -> Tensor:
    return value.detach().contiguous().reshape(-1).view(torch.uint8)
