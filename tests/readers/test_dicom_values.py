from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from g2d_bench.errors import InputError
from g2d_bench.readers import dicom
from g2d_bench.readers.images import image_size, read_image

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


# Modality and VOI -------------------------------------------------------------------------------------------


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


def test_fields_of_enhanced_objects(tmp_path: Path, write_dicom: WriteDicom) -> None:
    """One frame, its rescale and window in the functional groups."""
    scale, window, shared = Dataset(), Dataset(), Dataset()
    scale.RescaleSlope, scale.RescaleIntercept = "2", "-100"
    window.WindowCenter, window.WindowWidth, window.VOILUTFunction = 100, 200, "LINEAR_EXACT"
    shared.PixelValueTransformationSequence, shared.FrameVOILUTSequence = (
        Sequence([scale]),
        Sequence([window]),
    )
    path = write_dicom(
        tmp_path / "a.dcm",
        np.array([[50, 100, 150]], np.uint16),
        NumberOfFrames=1,
        SharedFunctionalGroupsSequence=Sequence([shared]),
    )
    np.testing.assert_allclose(read_image(path), [[0, 127.5, 255]], atol=0.51)


# Padding and shutters ---------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ShutterShape": "BITMAP"}, "ShutterShape: 'BITMAP', allowed"),
        (
            {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [900, 900], "RadiusOfCircularShutter": 2},
            "ShutterShape: nothing of the image is left",
        ),
        ({"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 5]}, ".*pairs of row"),
        ({"PresentationLUTShape": "LIN OD"}, "PresentationLUTShape: 'LIN OD', allowed: IDENTITY, INVERSE"),
        ({"VOILUTFunction": "GAMMA", "WindowCenter": 5, "WindowWidth": 9}, "VOILUTFunction: 'GAMMA'"),
        ({"PixelAspectRatio": [4, 3]}, "PixelAspectRatio: pixels of 4 × 3"),
        ({"ImagerPixelSpacing": ["0.1", "0.2"]}, "ImagerPixelSpacing: pixels of 0.1 × 0.2"),
        ({"PhotometricInterpretation": "CMYK"}, "PhotometricInterpretation: 'CMYK', allowed: MONOCHROME1"),
        ({"PhotometricInterpretation": "RGB"}, "SamplesPerPixel: 1, RGB has 3"),
        ({"PixelPresentation": "MIXED"}, "PixelPresentation: "),
        ({"NumberOfFrames": 2}, "NumberOfFrames: 2 frames, one expected"),
        (
            {"Rows": 65535, "Columns": 65535},
            r"Rows, Columns: 65,535 × 65,535 pixels in .*; at most 100,000,000 ",
        ),
        ({"SamplesPerPixel": 65535, "Rows": 9000, "Columns": 9000}, "Rows, Columns: .* bytes"),
        ({"Rows": [8, 8]}, "Rows: .* is no whole number"),
    ],
)
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, write_dicom: WriteDicom, fields: dict[str, object], message: str
) -> None:
    refused(write_dicom(tmp_path / "a.dcm", RAMP, **fields), f"not a readable DICOM image: {message}")


def test_spacing_that_says_nothing(tmp_path: Path, write_dicom: WriteDicom) -> None:
    for spacing in (["0.143", "0.143"], ["0", "0"], None):
        fields = {} if spacing is None else {"PixelSpacing": spacing}
        assert read_image(write_dicom(tmp_path / "a.dcm", RAMP, **fields)).max() == 255


# Samples ----------------------------------------------------------------------------------------------------


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


def test_a_few_pixels_of_32_bits_take_no_memory(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.zeros((8, 8), np.uint32)
    pixels[0] = np.linspace(0, 4_000_000_000, 8).astype(np.uint32)
    path = write_dicom(tmp_path / "a.dcm", pixels)
    read_image(path)
    tracemalloc.start()
    image = read_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(image[0], np.linspace(0, 255, 8), atol=0.51)
    assert peak < 4_000_000


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


@pytest.mark.parametrize(("bits", "full"), [(4, 15), (7, 127)])
def test_fewer_than_eight_bits_fill_the_range(
    tmp_path: Path, write_dicom: WriteDicom, bits: int, full: int
) -> None:
    pixels = np.array([[0, 3, full]], np.uint8)
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_allclose(read_image(path), [[0, 3 / full * 255, 255]], atol=0.51)
    deeper = np.array([[0, 3, 200]], np.uint8)  # the header is wrong
    path = write_dicom(tmp_path / "a.dcm", deeper, BitsStored=bits, HighBit=bits - 1)
    np.testing.assert_array_equal(read_image(path), deeper)


@pytest.mark.parametrize("kind", [np.uint16, np.int16])
def test_samples_in_the_upper_bits(tmp_path: Path, write_dicom: WriteDicom, kind: type) -> None:
    pixels: NDArray[Any] = (np.array([[0, 1000, 2000]]) << 4).astype(kind)
    window = {"WindowCenter": 1000.5, "WindowWidth": 2001}  # in units of the 12 bits
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=15, **window)
    np.testing.assert_allclose(read_image(path), [[0, 127.5, 255]], atol=0.51)


def test_an_overlay_below_the_samples_is_cut(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = (np.array([[0, 1000, 2000]]) << 4 | 5).astype(np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=15)
    header = dcmread(path)
    header.add_new((0x6002, 0x0100), "US", 16)
    header.add_new((0x6002, 0x0102), "US", 0)
    header.save_as(path)
    np.testing.assert_allclose(read_image(path), [[0, 127.5, 255]], atol=0.51)


@pytest.mark.filterwarnings("ignore:The number of bytes of pixel data is sufficient")
def test_undeclared_frames(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, Rows=16)
    refused(path, r"Pixel Data: decoded to \(4, 16, 64\)")


def test_deep_colour_is_stretched(tmp_path: Path, write_dicom: WriteDicom) -> None:
    rgb = np.stack([RAMP, RAMP.T, RAMP[::-1]], axis=-1)
    reference = rgb @ np.array([0.299, 0.587, 0.114])
    reference = (reference - reference.min()) / (reference.max() - reference.min()) * 255
    for kind in (np.uint16, np.uint32):
        read = read_image(write_dicom(tmp_path / "a.dcm", rgb.astype(kind)))
        np.testing.assert_allclose(read, reference, atol=0.55)


def palette(entries: int, words: bytes, bits: int, first: int = 0) -> dict[str, object]:
    fields: dict[str, object] = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour in ("Red", "Green", "Blue"):
        fields[f"{colour}PaletteColorLookupTableDescriptor"] = [entries, first, bits]
        fields[f"{colour}PaletteColorLookupTableData"] = words
    return fields


def test_palettes_of_eight_bits(tmp_path: Path, write_dicom: WriteDicom) -> None:
    """Packed in pairs, or one to a word; the values are the same."""
    pixels, levels = np.array([[9, 10, 11, 12, 13]], np.uint8), np.array([250, 7, 90, 3], np.uint8)
    for words in (levels.tobytes(), levels.astype("<u2").tobytes()):
        path = write_dicom(tmp_path / "a.dcm", pixels, **palette(4, words, 8, first=10))
        assert read_image(path).tolist() == [[250, 250, 7, 90, 3]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RedPaletteColorLookupTableData": None}, "RedPaletteColorLookupTableData: is missing"),
        (
            {"BluePaletteColorLookupTableDescriptor": None},
            "BluePaletteColorLookupTableDescriptor: is missing",
        ),
        ({"GreenPaletteColorLookupTableData": b"12"}, "GreenPaletteColorLookupTableData: 1 entries, 4"),
        (
            {"RedPaletteColorLookupTableData": None, "SegmentedRedPaletteColorLookupTableData": b"1234"},
            "SegmentedRedPaletteColorLookupTableData: palettes in segments",
        ),
    ],
)
def test_palettes_that_are_refused(
    tmp_path: Path, write_dicom: WriteDicom, change: dict[str, object], message: str
) -> None:
    fields = palette(4, bytes(8), 16)
    gone = [name for name, value in change.items() if value is None]
    fields = {name: value for name, value in (fields | change).items() if name not in gone}
    refused(write_dicom(tmp_path / "a.dcm", np.zeros((2, 2), np.uint8), **fields), message)


# Limits -----------------------------------------------------------------------------------------------------


def test_a_code_stream_of_another_size_is_refused(tmp_path: Path, write_dicom: WriteDicom) -> None:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (3000, 2000)).save(buffer, "JPEG")
    path = write_dicom(tmp_path / "a.dcm", np.zeros((8, 8), np.uint8), jpeg=buffer.getvalue())
    refused(path, "Rows, Columns: 8 × 8, but its pixels are an image of 3000 × 2000")


def test_a_box_without_length_is_not_walked_for_ever(tmp_path: Path, write_dicom: WriteDicom) -> None:
    """In pydicom the walk through the boxes before a JPEG 2000 stream ends by their lengths alone."""
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0\0\0\x14ftyp" + bytes(12) + bytes(40)
    path = write_dicom(tmp_path / "a.dcm", np.zeros((8, 8), np.uint8), jpeg=boxes)
    header = dcmread(path)
    header.file_meta.TransferSyntaxUID = JPEG2000Lossless
    header.save_as(path)
    refused(path, "Pixel Data: a JP2 file that is damaged")


def test_a_deflated_file_that_grows_without_end(
    tmp_path: Path, write_dicom: WriteDicom, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((512, 512), np.uint16))
    header = dcmread(path)
    header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)
    assert path.stat().st_size < 5000
    assert image_size(path.read_bytes(), path) == (512, 512)
    monkeypatch.setattr(dicom, "_MAX_INFLATED", 400_000)
    refused(path, "it unpacks to more than 400,000 bytes")
    with pytest.raises(InputError, match="it unpacks to more than"):
        image_size(path.read_bytes(), path)
