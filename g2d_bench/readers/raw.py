"""The raw films of the JSRT database: ``.IMG``, 12 bits in 16, the greater byte first, no header."""

from __future__ import annotations

from math import isqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.grey import check_size
from g2d_bench.readers.mistaken import mistaken

SUFFIX = ".img"
DEEPEST = 4095
"""Greatest value of a pixel: 12 bits. It is the densest part of the film: black on a viewer."""
LEAST = 64
"""Side in pixels below which a square of bytes is no film."""


def is_raw(path: Path) -> bool:
    """Say whether a file is a raw film by its name; nothing in it tells."""
    return path.suffix.lower() == SUFFIX


def raw_size(data: bytes, path: Path) -> tuple[int, int]:
    """Return (H, W) of a raw film, which is square.

    Raises:
        InputError: the bytes are no square of 16-bit pixels.
    """
    side = isqrt(len(data) // 2)
    if side < LEAST or 2 * side * side != len(data):
        why = mistaken(data) or f"{len(data):,} bytes are no square of 16-bit pixels"
        raise InputError(f"not a raw film: {why}", file=path)
    check_size(side, side, path)
    return side, side


def read_raw(data: bytes, path: Path) -> NDArray[np.uint8]:
    """Return grey values, [H, W], bone bright: the stored values are turned, and 12 bits become 8.

    Raises:
        InputError: no square, or a value of more than 12 bits.
    """
    shape = raw_size(data, path)
    values = np.frombuffer(data, ">u2").reshape(shape)
    if (deepest := int(values.max())) > DEEPEST:
        message = f"not a raw film: a value of {deepest}, more than 12 bits; is its lesser byte first?"
        raise InputError(message, file=path)
    bright = (DEEPEST - values.astype(np.float32)) * np.float32(255 / DEEPEST)
    grey: NDArray[np.uint8] = np.rint(bright).astype(np.uint8)
    return grey
