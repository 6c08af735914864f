"""Images of pairs, decoded once into a cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.files import draft, write_at
from g2d_bench.kept import begin_table, finish_table, open_table, read_kept, table_size, write_kept
from g2d_bench.locks import alone
from g2d_bench.progress import track
from g2d_bench.readers.images import DECODE_VERSION, GEOMETRY_VERSION, letterbox, read_image


def decode(paths: Sequence[Path], size: int, cache: Path, strict: bool) -> tuple[NDArray[np.uint8], set[int]]:
    """Decode images once.

    Args:
        paths: the image files.
        size: side of the stored squares, pixels.
        cache: folder for the decoded images.
        strict: an unreadable image raises; else it is left out.

    Returns:
        The readable ones [N, size, size], memory-mapped, and the numbers of the others.

    Raises:
        InputError: an unreadable image, naming it; none is readable; the cache cannot be written.
    """
    stats = []
    for path in paths:
        stat = path.stat()
        stats.append((str(path), stat.st_size, stat.st_mtime_ns))
    key = hashlib.sha256(repr((stats, size, DECODE_VERSION, GEOMETRY_VERSION)).encode()).hexdigest()[:24]
    failures = cache / f"{key}-{size}.json"

    def opened(*, say: bool) -> tuple[NDArray[np.uint8], set[int]] | None:
        listed = read_kept(failures, say=say)
        if listed is None:
            return None
        skipped = set(json.loads(listed))
        if len(skipped) == len(paths):
            raise InputError("no image could be read", file=paths[0])
        table = open_table(cache / f"{key}-{size}.u8", (len(paths) - len(skipped), size, size), say=say)
        return None if table is None or (strict and skipped) else (table, skipped)

    if (found := opened(say=True)) is not None:
        return found
    with alone(cache / f".{key}-{size}.lease", "decode"):
        if (found := opened(say=False)) is None:
            _fill(paths, size, cache / f"{key}-{size}.u8", failures, strict)
            found = opened(say=False)
    if found is None:
        raise InputError("decoded images cannot be read back", file=cache)
    return found


def _fill(paths: Sequence[Path], size: int, table: Path, failures: Path, strict: bool) -> None:
    """Decode images into a table of the readable ones and a list of the others."""
    bad: list[int] = []
    rows = 0
    # How many rows there will be is known at the end; the head has the same length whatever it says.
    whole = (len(paths), size, size)
    with draft(table, table_size(whole)) as handle:
        start = begin_table(handle, whole)
        for index, pixels in enumerate(_squares(paths, size)):
            if isinstance(pixels, InputError):
                if strict:
                    raise pixels
                bad.append(index)
                continue
            write_at(handle, np.ascontiguousarray(pixels).data, start + rows * size * size)
            rows += 1
        shape = (rows, size, size)
        assert begin_table(handle, shape) == start
        os.ftruncate(handle, table_size(shape))
        finish_table(handle, table, shape)
        write_kept(failures, json.dumps(bad).encode())


def _squares(paths: Sequence[Path], size: int) -> Iterator[NDArray[np.uint8] | InputError]:
    """Yield the decoded squares in order, or the error of an unreadable image."""

    def one(path: Path) -> NDArray[np.uint8] | InputError:
        try:
            return letterbox(read_image(path), size)
        except InputError as error:
            return error

    # Decoders release the interpreter lock; chunks bound what waits in memory.
    with ThreadPoolExecutor() as pool:
        chunks = (paths[start : start + 256] for start in range(0, len(paths), 256))
        yield from track(
            (square for chunk in chunks for square in pool.map(one, chunk)), "decode", len(paths), "img"
        )
