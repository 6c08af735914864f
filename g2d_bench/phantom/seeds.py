"""Random numbers that depend on names only: never on order, process or what was drawn before."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

VERSION = "1"
"""Part of every name: another one draws everything anew."""


def digest(*parts: str | int, bits: int = 128) -> int:
    """Hash names to a whole number of ``bits`` bits (a multiple of 8)."""
    text = "\x1f".join(map(str, (VERSION, *parts)))
    return int.from_bytes(blake2b(text.encode(), digest_size=bits // 8).digest(), "big")


def stream(*parts: str | int) -> np.random.Generator:
    """Return the random stream of a name; a counter-based one, so that streams never overlap."""
    return np.random.Generator(np.random.Philox(key=digest(*parts)))
