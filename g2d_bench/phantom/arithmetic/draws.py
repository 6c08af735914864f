"""Normal, exponential and gamma distributed numbers from random words, by Marsaglia and Tsang's methods.

Words are used up as numpy's generators use them, so the numbers are theirs; but logarithm and exponential
are our own. A word names a strip (8 bits), a sign and a place in the strip.

Sources: G. Marsaglia and W. W. Tsang, The ziggurat method for generating random variables (2000), and A
simple method for generating gamma variables (2000).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.arithmetic.double import exp, log
from g2d_bench.phantom.arithmetic.tables import Ziggurat, exponential_strips, normal_strips

Word = Callable[[], int]
Words = Callable[[int], NDArray[np.uint64]]
PLACES = 52
"""Bits of a normal number's place in its strip."""
PLACES_EXPONENTIAL = 53
PLACES_SINGLE = 23
FEW = 24
ALONE = 100
"""Words that a draw beyond the last strip never takes: every two succeed nine times in ten."""
ONE = 2.0**-53


def normal(word: Word) -> float:
    """Return one standard normal number."""
    strips = normal_strips(PLACES)
    width, inner = _lists()
    while True:
        draw = word()
        strip, place = draw & 255, draw >> 9 & (1 << PLACES) - 1
        x = place * width[draw & 511]
        if place < inner[strip]:
            return x
        if strip == 0:
            # Beyond the last strip; here a bit of the place decides on the side.
            while True:
                far = -(1 / strips.edge) * log(1.0 - (word() >> 11) * ONE)
                other = -log(1.0 - (word() >> 11) * ONE)
                if other + other > far * far:
                    return -(strips.edge + far) if place >> 8 & 1 else strips.edge + far
        low = float(strips.height[strip])
        if (float(strips.height[strip - 1]) - low) * ((word() >> 11) * ONE) + low < exp(-0.5 * x * x):
            return x


@cache
def _lists() -> tuple[list[float], list[int]]:
    """Widths and inner ends of the normal strips: a list is quicker than an array to read one number from."""
    strips = normal_strips(PLACES)
    return strips.width.tolist(), strips.inner.tolist()


def exponential(word: Word) -> float:
    """Return one standard exponential number."""
    strips = exponential_strips(PLACES_EXPONENTIAL)
    while True:
        draw = word() >> 3
        strip, place = draw & 255, draw >> 8
        x = place * float(strips.width[strip])
        if place < int(strips.inner[strip]):
            return x
        share = (word() >> 11) * ONE
        if strip == 0:
            return strips.edge - log(1.0 - share)
        low = float(strips.height[strip])
        if (float(strips.height[strip - 1]) - low) * share + low < exp(-x):
            return x


def gamma(word: Word, shape: float) -> float:
    """Return one gamma distributed number, ``shape`` 1 or more."""
    if shape == 1:
        return exponential(word)
    b = shape - 1.0 / 3.0
    c = 1.0 / float(np.sqrt(9 * b))
    while True:
        x = normal(word)
        v = 1.0 + c * x
        if v <= 0:
            continue
        v = v * v * v
        share = (word() >> 11) * ONE
        if share < 1.0 - 0.0331 * (x * x) * (x * x):
            return b * v
        if log(share) < 0.5 * x * x + b * (1.0 - v + log(v)):
            return b * v


def normals(words: Words, count: int) -> NDArray[np.float64]:
    """Return standard normal numbers, shape [count]; exactly the words that they need are taken."""
    parts: list[NDArray[np.float64]] = []
    rest, missing = words(count), count
    while True:
        values, used = _parse(rest, normal_strips(PLACES), PLACES)
        parts.append(values)
        missing -= len(values)
        if not missing:
            return np.concatenate(parts) if len(parts) > 1 else values
        rest = np.concatenate([rest[used:], words(missing)])


def normal_singles(words: Words, count: int) -> NDArray[np.float32]:
    """Return standard normal numbers in single precision, shape [count], from the halves of words.

    More words are taken than are used.
    """
    strips = normal_strips(PLACES_SINGLE)
    values: NDArray[np.float32] = np.empty(0, np.float32)
    rest: NDArray[np.uint32] = np.empty(0, np.uint32)
    while len(values) < count:
        # Three words in a hundred are spent on second looks.
        more = words((count - len(values)) * 33 // 64 + 8)
        # The lower half of a word comes first.
        rest = np.concatenate([rest, more.astype("<u8").view("<u4")])
        new, used = _parse(rest, strips, PLACES_SINGLE)
        values, rest = np.concatenate([values, new]), rest[used:]
    return values[:count]


def _parse(words: NDArray[Any], strips: Ziggurat, bits: int) -> tuple[NDArray[Any], int]:
    """Turn words, or halves of words, into numbers.

    Returns:
        As many numbers as the words complete, and how many words these took.
    """
    signed = (words & 511).astype(np.intp)
    strip, place = signed & 255, words >> 9
    if bits == PLACES:
        place &= np.uint64((1 << bits) - 1)
    # Places have no more bits than the number's type holds.
    x = place.astype(strips.width.dtype)
    x *= strips.width.take(signed)
    (unsure,) = (place >= strips.inner.take(strip)).nonzero()
    if not unsure.size:
        return x, len(words)
    keep = np.ones(len(words), np.bool_)
    for at, under in _in_turn(words, strip, x, unsure, keep, strips):
        if at == len(words) - 1:
            return x[:at][keep[:at]], at
        if strip[at]:
            keep[at], keep[at + 1] = under, False
            continue
        found = _tail(words, at, strips)
        if found is None:
            return x[:at][keep[:at]], at
        x[at], free = found
        keep[at + 1 : free] = False
    return x[keep], len(words)


def _in_turn(
    words: NDArray[Any],
    strip: NDArray[np.intp],
    x: NDArray[Any],
    unsure: NDArray[np.intp],
    keep: NDArray[np.bool_],
    strips: Ziggurat,
) -> Iterator[tuple[int, bool]]:
    """Go through the draws that need a second look, but for those that an earlier one has used up.

    Most second looks stand alone: these are settled in ``keep`` at once, if there are many.

    Yields:
        Where the others are, and what the second look says.
    """
    if len(unsure) < FEW:
        for at in unsure.tolist():
            if keep[at]:
                yield at, at + 1 < len(words) and bool(_under(words, strip, x, at, strips))
        return
    under = np.append(_under(words, strip, x, unsure[:-1], strips), False)
    if unsure[-1] < len(words) - 1:
        under[-1] = _under(words, strip, x, int(unsure[-1]), strips)
    gaps = np.diff(unsure, prepend=-ALONE, append=len(words))
    last_tail = np.maximum.accumulate(np.where(strip[unsure] == 0, unsure, -ALONE))
    entangled = (gaps[:-1] == 1) | (gaps[1:] == 1) | (unsure - last_tail < ALONE)
    alone = np.flatnonzero(~entangled)
    keep[unsure[alone]] = under[alone]
    keep[unsure[alone] + 1] = False
    for number in np.flatnonzero(entangled).tolist():
        at = int(unsure[number])
        if keep[at]:
            yield at, bool(under[number])


def _under(words: NDArray[Any], strip: NDArray[np.intp], x: NDArray[Any], at: Any, strips: Ziggurat) -> Any:
    """Look again at draws near the edge of their strips: is a height, by the next word, under the curve?"""
    low = strips.height[strip[at]]
    height = (strips.height[strip[at] - 1] - low) * _share(words[at + 1]) + low
    wide = x[at].astype(np.float64)
    return height.astype(np.float64) < exp(-0.5 * wide * wide)


def _tail(words: NDArray[Any], at: int, strips: Ziggurat) -> tuple[float, int] | None:
    """Draw a number beyond the last strip; return it and the next free word, None if the words run out."""
    kind = strips.width.dtype.type
    edge, inverse = kind(strips.edge), kind(1 / strips.edge)
    unused, least = _unit(words)
    free = at + 1
    while free + 1 < len(words):
        first, second = ((int(word) >> unused) * float(least) for word in words[free : free + 2])
        far, other = -inverse * kind(log(1.0 - first)), -kind(log(1.0 - second))
        free += 2
        if other + other > far * far:
            value = float(edge + far)
            return -value if int(words[at]) >> 17 & 1 else value, free
    return None


def _share(words: Any) -> Any:
    """Shares of one, of words or of halves."""
    unused, least = _unit(words)
    return (words >> unused).astype(type(least)) * least


def _unit(words: Any) -> tuple[int, Any]:
    """How many last bits of words, or of halves, a share does without, and what the next one is worth."""
    return (8, np.float32(2.0**-24)) if words.dtype == np.uint32 else (11, np.float64(ONE))
