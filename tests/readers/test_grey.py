"""From stored values to grey levels."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from g2d_bench.errors import InputError
from g2d_bench.readers.images import read_image

WriteDicom = Callable[..., Path]
RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)


def table(values: NDArray[Any], first: int = 0, bits: int = 16) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(values) % 65536, first, bits])
    item.add_new("LUTData", "OW", np.asarray(values).astype("<u2").tobytes())
    return Sequence([item])


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 32768, "WindowWidth": 65536}])
def test_modality_table_comes_before_the_window(
    tmp_path: Path, write_dicom: WriteDicom, window: dict[str, int]
) -> None:
    """A table that turns light and dark round, and a window in the units of its output."""
    output = np.rint(65535 * (1 - np.arange(4096) / 4095) ** 2)
    path = write_dicom(tmp_path / "a.dcm", RAMP, ModalityLUTSequence=table(output), **window)
    np.testing.assert_allclose(read_image(path), (output / 65535 * 255).reshape(64, 64), atol=0.51)


def test_a_table_that_turns_round_is_stretched_by_what_occurs(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    """Values between the extremes that no pixel has take no part."""
    output = np.array([100, 9000, 200, 0, 300])
    path = write_dicom(
        tmp_path / "a.dcm", np.array([[0, 2, 4]], np.uint16), ModalityLUTSequence=table(output)
    )
    np.testing.assert_allclose(read_image(path), [[0, 127.5, 255]], atol=0.51)


def test_values_outside_of_a_table_take_its_ends(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[-7, -5, -4, -3, 9]], np.int16)
    path = write_dicom(
        tmp_path / "a.dcm", pixels, ModalityLUTSequence=table(np.array([0, 51, 255]), first=-5)
    )
    assert read_image(path).tolist() == [[0, 0, 51, 255, 255]]


def test_voi_table_is_in_units_of_the_rescaled_values(tmp_path: Path, write_dicom: WriteDicom) -> None:
    lookup = table(np.array([0, 51, 255]), first=-10)
    pixels = np.array([[0, 1, 2, 3]], np.uint16)
    path = write_dicom(
        tmp_path / "a.dcm", pixels, VOILUTSequence=lookup, RescaleSlope=1, RescaleIntercept=-11
    )
    assert read_image(path).tolist() == [[0, 0, 51, 255]]


def test_a_first_value_of_65436_is_minus_100_where_values_are_signed(
    tmp_path: Path, write_dicom: WriteDicom
) -> None:
    lookup = table(np.array([0, 51, 255]), first=65436)
    pixels = np.array([[-101, -100, -99, -98]], np.int16)
    assert read_image(write_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=lookup)).tolist() == [
        [0, 0, 51, 255]
    ]
    plain = np.array([[65435, 65436, 65437, 65438]], np.uint16)
    assert read_image(write_dicom(tmp_path / "a.dcm", plain, VOILUTSequence=lookup)).tolist() == [
        [0, 0, 51, 255]
    ]


@pytest.mark.parametrize("change", ["short", "no data", "no descriptor", "descriptor"])
def test_a_damaged_table_is_refused(tmp_path: Path, write_dicom: WriteDicom, change: str) -> None:
    lookup = table(np.arange(4096))
    if change == "short":
        lookup[0].LUTData = lookup[0].LUTData[:200]
    elif change == "descriptor":
        lookup[0].LUTDescriptor = [4096, 0]
    else:
        delattr(lookup[0], {"no data": "LUTData", "no descriptor": "LUTDescriptor"}[change])
    path = write_dicom(tmp_path / "a.dcm", RAMP, ModalityLUTSequence=lookup)
    refused(
        path,
        {"no data": "LUTData: is missing", "short": "LUTData: 100 entries"}.get(change, "LUTDescriptor: "),
    )


@pytest.mark.parametrize("width", [0.25, 0.5])
def test_exact_windows_may_be_narrower_than_one(
    tmp_path: Path, write_dicom: WriteDicom, width: float
) -> None:
    pixels = np.array([[0, 1, 2]], np.uint16)
    scaled = {"RescaleSlope": "0.1", "WindowCenter": 0.1, "WindowWidth": width}
    path = write_dicom(tmp_path / "a.dcm", pixels, VOILUTFunction="LINEAR_EXACT", **scaled)
    reference = [min(max((x * 0.1 - 0.1) / width + 0.5, 0), 1) * 255 for x in range(3)]
    np.testing.assert_allclose(read_image(path)[0], reference, atol=0.51)


def test_a_window_of_one_is_a_threshold(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[7, 8, 9]], np.uint16)  # centre - 0.5 = 8 belongs to the dark side
    path = write_dicom(tmp_path / "a.dcm", pixels, WindowCenter=8.5, WindowWidth=1)
    assert read_image(path).tolist() == [[0, 0, 255]]


@pytest.mark.parametrize(
    ("kind", "shape", "turned"),
    [
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", "IDENTITY", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
    ],
)
def test_light_and_dark_turn_once(
    tmp_path: Path, write_dicom: WriteDicom, kind: str, shape: str, turned: bool
) -> None:
    pixels = np.array([[10, 20]], np.uint8)
    path = write_dicom(tmp_path / "a.dcm", pixels, PhotometricInterpretation=kind, PresentationLUTShape=shape)
    assert read_image(path).tolist() == [[245, 235] if turned else [10, 20]]


@pytest.mark.parametrize("name", ["FloatPixelData", "DoubleFloatPixelData"])
def test_float_pixels(tmp_path: Path, write_dicom: WriteDicom, name: str) -> None:
    values = np.array(
        [[-1.5, 0.5, 2.5, math.nan, math.inf, -999.0]], "f4" if name == "FloatPixelData" else "f8"
    )
    padding = name.replace("Data", "PaddingValue")
    fields: dict[str, object] = {name: values.tobytes(), padding: -999.0, "PixelData": None}
    fields |= dict.fromkeys(("BitsStored", "HighBit", "PixelRepresentation"))
    path = write_dicom(
        tmp_path / "a.dcm", np.zeros((1, 6), np.uint32), BitsAllocated=values.itemsize * 8, **fields
    )
    np.testing.assert_allclose(read_image(path), [[0, 127.5, 255, 0, 255, 0]], atol=0.51)
