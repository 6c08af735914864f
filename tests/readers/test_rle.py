from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.readers.rle import EMPTY, decode_absolute, decode_relative, encode_relative


def literal_decode(text: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The definition, pixel by pixel."""
    rows = shape[0]
    mask = np.zeros(shape, np.bool_)
    position = 0
    numbers = [] if text.strip() == "-1" else [int(word) for word in text.split()]
    for gap, length in zip(numbers[0::2], numbers[1::2], strict=True):
        position += gap
        for _ in range(length):
            mask[position % rows, position // rows] = True
            position += 1
    return mask


masks = arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@given(masks)
def test_round_trip_and_literal_reference(mask: NDArray[np.bool_]) -> None:
    text = encode_relative(mask)
    shape = (mask.shape[0], mask.shape[1])
    np.testing.assert_array_equal(decode_relative(text, shape, "t"), mask)
    np.testing.assert_array_equal(literal_decode(text, shape), mask)
    assert (text == EMPTY) == (not mask.any())


@given(st.lists(st.integers(0, 9), min_size=2, max_size=20), st.integers(1, 9))
def test_any_valid_text(numbers: list[int], rows: int) -> None:
    numbers = numbers[: len(numbers) // 2 * 2]  # gaps of 0 occur
    shape = (rows, 100)
    text = " ".join(map(str, numbers))
    if 0 in numbers[1::2]:
        with pytest.raises(InputError, match="a run of no pixels"):
            decode_relative(text, shape, "t")
    elif sum(numbers) > rows * 100:
        with pytest.raises(InputError, match="runs reach pixel"):
            decode_relative(text, shape, "t")
    else:
        np.testing.assert_array_equal(decode_relative(text, shape, "t"), literal_decode(text, shape))


@pytest.mark.parametrize("text", ["x 1", "1", "1 0", "1 9"])
@pytest.mark.parametrize("decode", [decode_relative, decode_absolute])
def test_complaints_name_the_column(decode: Callable[..., object], text: str) -> None:
    with pytest.raises(InputError, match=r"^t:2: EncodedPixels: "):
        decode(text, (2, 3), "t:2")
    with pytest.raises(InputError, match=r"^t:2: rle:Mass: "):
        decode(text, (2, 3), "t:2", "rle:Mass")


def test_columns_come_first() -> None:
    assert decode_relative("1 3", (2, 3), "t").tolist() == [[False, True, False], [True, True, False]]


def test_blanks_and_empty_marker() -> None:
    assert not decode_relative(" -1", (3, 2), "t").any()
    np.testing.assert_array_equal(
        decode_relative(" 1  2\t1 1 ", (3, 3), "t"), literal_decode("1 2 1 1", (3, 3))
    )


def test_result_is_ordinary_memory() -> None:
    mask = decode_relative("1 2", (40, 30), "t")
    assert mask.flags.c_contiguous
    assert mask.flags.writeable
    assert encode_relative(mask.T[::2].T) == encode_relative(np.ascontiguousarray(mask[:, ::2]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2 3", "3 values"),
        ("", "0 values"),
        ("1 2 x 4", "'x' is not a whole number"),
        ("1 2.5", "'2.5' is not a whole number"),
        ("1 1e3", "'1e3' is not"),
        ("1 ٣", "is not a whole number"),
        ("3-1", "'3-1' is not a whole number"),
        ("1 -2", "'-2' is a negative value"),
        ("-1 -1", "'-1' is a negative value"),
        ("0 17", "runs reach pixel 17 of 16"),
        ("15 1 0 1", "runs reach pixel 17 of 16"),
        ("5 0", "a run of no pixels, want -1 for an empty mask"),
        ("5 1 3 0", "a run of no pixels"),
        ("99999999999999999999999 1", "runs reach pixel 100000000000000000000000 of 16"),
        ("9223372036854775807 9223372036854775807", "of 16"),
    ],
)
def test_bad_text_names_file_and_row(text: str, words: str) -> None:
    with pytest.raises(InputError, match=f"train-rle.csv:7: EncodedPixels: .*{words}"):
        decode_relative(text, (4, 4), "train-rle.csv:7")
