"""Random numbers that depend on names only: never on order, process or what was drawn before."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic import draws

T = TypeVar("T")
_ZERO, _LOW = np.zeros(4, np.uint64), (1 << 64) - 1
_IDLE: list[np.random.Philox] = []
"""Generators of streams that are no more: to set one to another key takes a tenth of making one."""
VERSION = "2"
"""Part of every name: another one draws everything anew."""


def digest(*parts: str | int, bits: int = 128) -> int:
    """Hash names to a whole number of ``bits`` bits (a multiple of 8)."""
    text = "\x1f".join(map(str, (VERSION, *parts)))
    return int.from_bytes(blake2b(text.encode(), digest_size=bits // 8).digest(), "big")


def stream(*parts: str | int) -> Stream:
    """Return the random stream of a name; a counter-based one, so that streams never overlap."""
    return Stream(digest(*parts))


class Stream:
    """Random numbers whose bits depend on the key alone.

    Whole numbers and shares of one are numpy's: they are made of whole-number steps. What numpy makes with
    the C library's logarithm, or with a product that some compilers fuse with a sum, is made here, from the
    same words in the same order; so the values are numpy's, too, wherever those are rounded well.

    Args:
        key: of 128 bits.
    """

    def __init__(self, key: int) -> None:
        self._words = _IDLE.pop() if _IDLE else np.random.Philox(0)
        self._words.state = {
            "bit_generator": "Philox",
            "state": {"counter": _ZERO, "key": np.array([key & _LOW, key >> 64], np.uint64)},
            "buffer": _ZERO,
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        self._generator = np.random.Generator(self._words)

    def __del__(self) -> None:
        _IDLE.append(self._words)

    @overload
    def random(self) -> float: ...
    @overload
    def random(self, size: int) -> NDArray[np.float64]: ...
    def random(self, size: int | None = None) -> Any:
        """Shares of one: 0 up to 1, without it."""
        return self._generator.random(size)

    @overload
    def uniform(self, low: float, high: float) -> float: ...
    @overload
    def uniform(self, low: float, high: float, size: int) -> NDArray[np.float64]: ...
    def uniform(self, low: float, high: float, size: int | None = None) -> Any:
        """Numbers between two, each as likely as the other."""
        return low + (high - low) * self._generator.random(size)

    @overload
    def integers(self, low: int, high: int | None = None) -> int: ...
    @overload
    def integers(self, low: int, high: int | None = None, *, size: int) -> NDArray[np.int64]: ...
    @overload
    def integers(self, low: int, high: int | None, size: int) -> NDArray[np.int64]: ...
    def integers(self, low: int, high: int | None = None, size: int | None = None) -> Any:
        """Whole numbers from ``low`` up to ``high``, without it; from 0 up to ``low`` if that is all."""
        return self._generator.integers(low, high, size)

    def choice(self, options: Sequence[T]) -> T:
        """One of several, each as likely as the other."""
        return options[int(self._generator.integers(len(options)))]

    def shuffle(self, items: list[Any]) -> None:
        """Bring a list into random order."""
        self._generator.shuffle(items)

    @overload
    def normal(self, mean: float = 0.0, deviation: float = 1.0) -> float: ...
    @overload
    def normal(self, mean: float, deviation: float, size: int) -> NDArray[np.float64]: ...
    @overload
    def normal(self, *, size: int | tuple[int, ...]) -> NDArray[np.float64]: ...
    def normal(
        self, mean: float = 0.0, deviation: float = 1.0, size: int | tuple[int, ...] | None = None
    ) -> Any:
        """Normally distributed numbers."""
        if size is None:
            return mean + deviation * draws.normal(self._word)
        count = int(np.prod(size))
        return mean + deviation * draws.normals(self._words.random_raw, count).reshape(size)

    def normal_singles(self, shape: tuple[int, int]) -> NDArray[np.float32]:
        """Standard normal numbers in single precision; they use the stream up: draw nothing after them."""
        return draws.normal_singles(self._words.random_raw, shape[0] * shape[1]).reshape(shape)

    def beta(self, a: float, b: float) -> float:
        """A share of one from a beta distribution, both parameters 1 or more."""
        first = draws.gamma(self._word, a)
        return first / (first + draws.gamma(self._word, b))

    def geometric(self, share: float) -> int:
        """How many tries until the first that succeeds, ``share`` of them doing so."""
        draw = self.random()
        count, chance = 1, share
        reached = share
        while draw > reached:
            chance *= 1.0 - share
            reached += chance
            count += 1
        return count

    def _word(self) -> int:
        return int(self._words.random_raw())
