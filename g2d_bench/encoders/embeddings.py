"""Images in the space that an encoder shares with texts: computed once, kept by content."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.devices import half
from g2d_bench.encoders.features import (
    FOLDER,
    batch_size,
    blank_features,
    features_key,
    forward,
    frozen_hash,
    known_rows,
    pooled_table,
)
from g2d_bench.encoders.heads.base import Heads, ImageEmbedding
from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.row_table import Rows, RowTable
from g2d_bench.hashing import digest_code, digest_json
from g2d_bench.paths import cache_dir

CELLS_BYTES = 4 << 30
"""Room that the cells of one call's images may take on disk; beyond it they are computed for each call."""


def embeddings_key(encoder: Encoder, content: str) -> str:
    """Name the embedded images of an encoder on some data: what names its features, and the heads.

    Of the heads their state counts, and what the card says of them: an activation has no weights.
    Our own heads are of a package whose source the features' key holds; those of others lie elsewhere.
    """
    heads = _heads(encoder)
    kind = type(heads)
    code = digest_code(kind.__module__)
    said = encoder.card.heads.model_dump(mode="json")
    parts = [features_key(encoder, content), kind.__qualname__, frozen_hash(heads), said, code]
    return digest_json(parts)[:32]


def image_embeddings(
    encoder: Encoder,
    pixels: NDArray[np.uint8],
    rows: Sequence[int] | NDArray[np.integer[Any]],
    *,
    content: str,
    cells: bool,
    folder: Path | None = None,
) -> Iterator[tuple[slice, ImageEmbedding]]:
    """Project images; each image is computed once for all tasks that ask.

    The vectors always go to a table, the cells where they are asked for and fit, and with them the pooled
    features, which linear heads read: so a data set's images pass the encoder once for all its tasks.

    Args:
        encoder: frozen, with heads.
        pixels: uint8 [M, S, S].
        rows: which of them, in this order.
        content: hash of ``pixels``; part of the key.
        cells: whether the cells are wanted, too.
        folder: where to keep tables; the cache folder if None.

    Yields:
        Places in ``rows`` and their embedding, float32 on the encoder's device; ``cells`` is None unless they
        are wanted.

    Raises:
        RuntimeError: the encoder's state moved, which must not happen.
        ValueError: the cells are wanted of heads that have none.
    """
    wanted = known_rows(rows, len(pixels))
    given = getattr(encoder.image, "joint", None)
    if given is not None and not cells:
        yield slice(0, len(wanted)), ImageEmbedding(given[torch.from_numpy(wanted).to(given.device)])
        return
    vector, local = _shapes(encoder)
    if cells and local is None:
        raise ValueError(f"{encoder.card.name} projects no cells")
    shapes = {"vector": vector}
    if cells and local is not None:
        if len(np.unique(wanted)) * 4 * int(np.prod(local)) > CELLS_BYTES:
            yield from _computed(encoder, pixels, wanted)
            return
        shapes["cells"] = local
    folder, key = folder or encoder.folder or cache_dir() / FOLDER, embeddings_key(encoder, content)
    tables = {name: RowTable(folder, f"{key}.{name}", len(pixels), shape) for name, shape in shapes.items()}
    _complete(encoder, pixels, wanted, pooled_table(encoder, len(pixels), content, folder), tables)
    size = batch_size(encoder)
    for start in range(0, len(wanted), size):
        part = wanted[start : start + size]
        found = {
            name: torch.from_numpy(table.read(part)).to(encoder.device) for name, table in tables.items()
        }
        yield slice(start, start + len(part)), ImageEmbedding(found["vector"], found.get("cells"))


def _complete(
    encoder: Encoder, pixels: NDArray[np.uint8], wanted: Rows, pooled: RowTable, tables: dict[str, RowTable]
) -> None:
    """Compute what is missing in any of the tables, for all of them."""
    with ExitStack() as stack:
        # Always in this order, so that no two processes wait for each other.
        for table in (pooled, *tables.values()):
            stack.enter_context(table)
        missing = np.unique(np.concatenate([table.missing(wanted) for table in tables.values()]))
        if not missing.size:
            return
        for part, features in forward(encoder, pixels, missing):
            pooled.write(part, features.pooled[: len(part)])
            embedding = _embed(encoder, features, len(part))
            for name, table in tables.items():
                table.write(part, _part(embedding, name))
        for table in (pooled, *tables.values()):
            table.seal(missing)


def _computed(
    encoder: Encoder, pixels: NDArray[np.uint8], wanted: Rows
) -> Iterator[tuple[slice, ImageEmbedding]]:
    start = 0
    for part, features in forward(encoder, pixels, wanted):
        yield slice(start, start + len(part)), _embed(encoder, features, len(part))
        start += len(part)


@torch.inference_mode()
def _embed(encoder: Encoder, features: ImageFeatures, count: int) -> ImageEmbedding:
    """Project a whole batch, as :func:`~g2d_bench.encoders.features.forward` gives it, and keep ``count``.

    The heads' products, too, round differently for other numbers of rows.
    """
    with half(encoder.device, encoder.precision):
        vector, cells = _heads(encoder).eval().embed_image(features)
    return ImageEmbedding(vector[:count].float(), None if cells is None else cells[:count].float())


def _shapes(encoder: Encoder) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Return the shapes [d] and [d, h, w] of one image's embedding."""
    vector, cells = _embed(encoder, blank_features(encoder), 1)
    return tuple(vector.shape[1:]), None if cells is None else tuple(cells.shape[1:])


def _part(embedding: ImageEmbedding, name: str) -> Tensor:
    part: Tensor | None = getattr(embedding, name)
    assert part is not None
    return part


def _heads(encoder: Encoder) -> Heads:
    if encoder.heads is None:
        raise ValueError(f"{encoder.card.name} has no heads")
    return encoder.heads
