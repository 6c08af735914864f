from __future__ import annotations

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


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


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
