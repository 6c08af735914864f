"""Parts of a film that show nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from g2d_bench.errors import InputError
from g2d_bench.readers.images import read_image

WriteDicom = Callable[..., Path]


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 1300.5, "WindowWidth": 601}])
def test_padding_is_black_and_sets_no_range(
    tmp_path: Path, write_dicom: WriteDicom, kind: str, window: dict[str, float]
) -> None:
    pixels = np.array([[-32768, 1000, 1300, 1600, -32768]], np.int16)
    path = write_dicom(
        tmp_path / "a.dcm", pixels, PixelPaddingValue=-32768, PhotometricInterpretation=kind, **window
    )
    anatomy = [0, 127.5, 255] if kind == "MONOCHROME2" else [255, 127.5, 0]
    np.testing.assert_allclose(read_image(path), [[0, *anatomy, 0]], atol=0.51)


def test_padding_up_to_a_limit(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[0, 3, 5, 6, 106]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, PixelPaddingValue=5, PixelPaddingRangeLimit=0)
    assert read_image(path).tolist() == [[0, 0, 0, 0, 255]]


def test_padding_written_unsigned_beside_signed_values(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[-2000, 0, 100]], np.int16)
    path = write_dicom(tmp_path / "a.dcm", pixels)
    header = dcmread(path)
    header.add_new("PixelPaddingValue", "US", 65536 - 2000)
    header.save_as(path)
    assert read_image(path).tolist() == [[0, 0, 255]]


def test_padding_in_eight_bits_and_everywhere(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[255, 7, 200]], np.uint8)
    path = write_dicom(tmp_path / "a.dcm", pixels, PixelPaddingValue=255)
    assert read_image(path).tolist() == [[0, 7, 200]]
    path = write_dicom(tmp_path / "a.dcm", np.full((2, 2), 9, np.uint16), PixelPaddingValue=9)
    assert not read_image(path).any()


def test_rectangular_shutter(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.full((5, 6), 4000, np.uint16)
    pixels[1:4, 2:4] = [[100, 200], [300, 400], [500, 600]]
    edges = {
        "ShutterLeftVerticalEdge": 3,
        "ShutterRightVerticalEdge": 4,
        "ShutterUpperHorizontalEdge": 2,
        "ShutterLowerHorizontalEdge": 4,
    }
    path = write_dicom(tmp_path / "a.dcm", pixels, ShutterShape="RECTANGULAR", **edges)
    expected = np.zeros((5, 6), int)
    expected[1:4, 2:4] = [[0, 51], [102, 153], [204, 255]]
    np.testing.assert_array_equal(read_image(path), expected)
    path = write_dicom(
        tmp_path / "a.dcm", pixels, ShutterShape="RECTANGULAR", ShutterPresentationValue=0x8000, **edges
    )
    assert read_image(path)[0, 0] == 128
    del edges["ShutterUpperHorizontalEdge"]
    path = write_dicom(tmp_path / "a.dcm", pixels, ShutterShape="RECTANGULAR", **edges)
    refused(path, "ShutterUpperHorizontalEdge: is missing")


def test_round_and_angular_shutters_together(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.full((9, 9), 255, np.uint8)
    path = write_dicom(
        tmp_path / "a.dcm",
        pixels,
        ShutterShape=["CIRCULAR", "POLYGONAL"],
        CenterOfCircularShutter=[5, 5],
        RadiusOfCircularShutter=3,
        VerticesOfThePolygonalShutter=[1, 1, 1, 9, 5, 9, 5, 1],
    )
    rows, columns = np.mgrid[1:10, 1:10]
    expected = ((rows - 5) ** 2 + (columns - 5) ** 2 <= 9) & (rows <= 5)
    np.testing.assert_array_equal(read_image(path) == 255, expected)
