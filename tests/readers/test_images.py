from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.dataset import Dataset as Header
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from g2d_bench.errors import InputError
from g2d_bench.readers.images import (
    DECODE_VERSION,
    GEOMETRY_VERSION,
    Letterbox,
    image_size,
    letterbox,
    read_dicom_header,
    read_image,
    read_mask_image,
)

WriteDicom = Callable[..., Path]
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def smooth(rows: int = 64, columns: int = 48) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:rows, 0:columns]
    image: NDArray[np.uint8] = (127 + 60 * np.sin(y / 9) + 60 * np.cos(x / 7)).astype(np.uint8)
    return image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# DICOM ------------------------------------------------------------------------------------------------------


def test_eight_bits_stay_as_they_are(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP // 2)
    np.testing.assert_array_equal(read_image(path), RAMP // 2)


def test_monochrome1_is_inverted(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_image(path), 255 - RAMP)


def test_jpeg_baseline(tmp_path: Path, write_dicom: WriteDicom) -> None:
    image = smooth()
    jpeg = encoded(Image.fromarray(image), "JPEG", quality=95)
    read = read_image(write_dicom(tmp_path / "a.dcm", image, jpeg=jpeg))
    np.testing.assert_array_equal(read, np.array(Image.open(io.BytesIO(jpeg))))
    assert np.abs(read.astype(int) - image).mean() < 2


def test_sixteen_bits_without_window_are_stretched(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[1000, 2000], [3000, 4000]], np.uint16)
    for bits in (10, 12, 16):  # whatever the header claims
        path = write_dicom(tmp_path / f"{bits}.dcm", pixels, BitsStored=bits, HighBit=bits - 1)
        assert read_image(path).tolist() == [[0, 85], [170, 255]]


def test_overlay_bits_above_the_stored_ones_are_cut(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = tmp_path / "a.dcm"
    write_dicom(path, np.array([[0, 0xF000 | 1365, 4095]], np.uint16), BitsStored=12, HighBit=11)
    assert read_image(path).tolist() == [[0, 255, 17]]  # no overlay: the depth is wrong
    header = dcmread(path)
    header.add_new((0x6000, 0x0102), "US", 12)
    header.save_as(path)
    assert read_image(path).tolist() == [[0, 85, 255]]


def test_signed_values_of_odd_depth(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[0x0FFF, 0, 1]], np.int16)  # in 12 bits, without sign extension, -1, 0, 1
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=11)
    np.testing.assert_allclose(read_image(path), [[0, 127.5, 255]], atol=0.51)


@pytest.mark.parametrize("stored", [0, 24])
def test_impossible_depth_in_the_header(tmp_path: Path, write_dicom: WriteDicom, stored: int) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.array([[0, 300]], np.uint16), BitsStored=stored, HighBit=23)
    assert read_image(path).tolist() == [[0, 255]]


def window_reference(value: float, centre: float, width: float) -> float:
    """DICOM PS3.3 C.11.2.1.2.1, written out."""
    if value <= centre - 0.5 - (width - 1) / 2:
        return 0
    if value > centre - 0.5 + (width - 1) / 2:
        return 255
    return ((value - (centre - 0.5)) / (width - 1) + 0.5) * 255


def test_window_after_rescale(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.arange(0, 4096, 16, dtype=np.int16).reshape(16, 16)
    path = write_dicom(
        tmp_path / "a.dcm",
        pixels,
        RescaleSlope=2,
        RescaleIntercept=-1000,
        WindowCenter=[2000, 7],
        WindowWidth=[3000, 7],
    )
    reference = [[round(window_reference(v * 2 - 1000, 2000, 3000)) for v in row] for row in pixels.tolist()]
    assert np.abs(read_image(path).astype(int) - reference).max() <= 1  # halves may round either way


def test_negative_values(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.array([[-100, 0, 100]], np.int16))
    np.testing.assert_allclose(read_image(path), [[0, 127.5, 255]], atol=0.51)


def test_window_on_eight_bits(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=128, WindowWidth=2)
    image = read_image(path)
    assert (image[RAMP < 127] == 0).all()
    assert (image[RAMP > 128] == 255).all()


@pytest.mark.parametrize(
    ("function", "low", "middle", "high"),
    [("SIGMOID", 255 / (1 + math.exp(2)), 127.5, 255 / (1 + math.exp(-2))), ("LINEAR_EXACT", 0, 127.5, 255)],
)
def test_other_window_functions(
    tmp_path: Path, write_dicom: WriteDicom, function: str, low: float, middle: float, high: float
) -> None:
    pixels = np.array([[50, 100, 150]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, WindowCenter=100, WindowWidth=100, VOILUTFunction=function)
    np.testing.assert_allclose(read_image(path)[0], [low, middle, high], atol=0.51)


@pytest.mark.parametrize(("centre", "width"), [("", ""), (100, 0), (100, "")])
def test_useless_window_is_ignored(
    tmp_path: Path, write_dicom: WriteDicom, centre: object, width: object
) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, WindowCenter=centre, WindowWidth=width)
    np.testing.assert_array_equal(read_image(path), RAMP)


def test_voi_table(tmp_path: Path, write_dicom: WriteDicom) -> None:
    table = Dataset()
    table.LUTDescriptor = [4, 0, 16]
    table.LUTData = np.array([0, 10, 20, 1000], "<u2").tobytes()
    pixels = np.array([[0, 1, 2, 3]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, VOILUTSequence=Sequence([table]))
    assert read_image(path).tolist() == [[0, 3, 5, 255]]


@pytest.mark.parametrize("high", [11, 15, 3])
def test_twelve_of_sixteen_bits_wherever_the_header_puts_them(
    tmp_path: Path, write_dicom: WriteDicom, high: int
) -> None:
    pixels = np.array([[0, 1365, 4095]], np.uint16)
    path = write_dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=high)
    assert read_image(path).tolist() == [[0, 85, 255]]


def test_signed_sixteen_bits_with_rescale(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[-2000, 0, 2000]], np.int16)
    path = write_dicom(tmp_path / "a.dcm", pixels, RescaleSlope="0.5", RescaleIntercept="-100")
    np.testing.assert_allclose(read_image(path), [[0, 127.5, 255]], atol=0.51)


def test_a_slope_below_zero_turns_grey_values_round(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[0, 1000, 3000]], np.uint16)
    assert read_image(write_dicom(tmp_path / "a.dcm", pixels, RescaleSlope="-1")).tolist() == [[255, 170, 0]]


def test_monochrome1_after_window_and_in_jpeg(tmp_path: Path, write_dicom: WriteDicom) -> None:
    pixels = np.array([[0, 1000, 2000, 3000]], np.uint16)
    window = {"WindowCenter": 1500.5, "WindowWidth": 1001}
    two = read_image(write_dicom(tmp_path / "two.dcm", pixels, **window))
    one = read_image(
        write_dicom(tmp_path / "one.dcm", pixels, PhotometricInterpretation="MONOCHROME1", **window)
    )
    assert two.tolist() == [[0, 0, 255, 255]]
    assert one.tolist() == [[255, 255, 0, 0]]
    jpeg = encoded(Image.fromarray(smooth()), "JPEG", quality=95)
    packed = write_dicom(tmp_path / "j.dcm", smooth(), jpeg=jpeg, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(read_image(packed), 255 - np.array(Image.open(io.BytesIO(jpeg))))


def stored_as(syntax: UID, pixels: NDArray[Any], path: Path, write_dicom: WriteDicom) -> Path:
    """Write pixels in another transfer syntax."""
    header = dcmread(write_dicom(path, pixels))
    if syntax == RLELossless:
        header.compress(syntax)
    elif syntax == ExplicitVRBigEndian:
        # The writer turns the header round, and leaves the pixels to us.
        header.PixelData = pixels.astype(pixels.dtype.newbyteorder(">")).tobytes()
    elif syntax == JPEG2000Lossless:
        header.PixelData = encapsulate([encoded(Image.fromarray(pixels), "JPEG2000")])
    header.file_meta.TransferSyntaxUID = syntax
    if syntax != RLELossless:
        fresh = Header()
        fresh.file_meta = header.file_meta
        for element in header:
            fresh.add(element)
        fresh["PixelData"].VR = "OB" if syntax == JPEG2000Lossless else "OW"
        header = fresh
    header.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEG2000Lossless,
    ],
    ids=lambda syntax: str(syntax.name),
)
def test_transfer_syntaxes_without_loss(tmp_path: Path, write_dicom: WriteDicom, syntax: UID) -> None:
    pixels = (np.arange(64 * 48) % 4096).astype(np.uint16).reshape(64, 48)
    if syntax == JPEG2000Lossless:
        pixels = smooth()  # type: ignore[assignment]
    plain = read_image(write_dicom(tmp_path / "plain.dcm", pixels))
    other = stored_as(syntax, pixels, tmp_path / "other.dcm", write_dicom)
    assert dcmread(other).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read_image(other), plain)
    assert plain.std() > 20


@pytest.mark.parametrize(
    ("syntax", "message"),
    [
        (JPEGLSLossless, "Unable to decompress 'JPEG-LS Lossless"),
        (MPEG2MPML, "'Transfer Syntax UID' value of 'MPEG2 Main Profile / Main Level' is not supported"),
    ],
)
def test_compression_that_nothing_installed_reads(
    tmp_path: Path, write_dicom: WriteDicom, syntax: UID, message: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", smooth(), jpeg=b"\xff\xd8\xff\xf7" + bytes(60))
    header = dcmread(path)
    header.file_meta.TransferSyntaxUID = syntax
    header.save_as(path)
    with pytest.raises(InputError, match=message) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_constant_image(tmp_path: Path, write_dicom: WriteDicom) -> None:
    assert not read_image(write_dicom(tmp_path / "a.dcm", np.full((3, 4), 500, np.uint16))).any()


def test_colour_dicom_becomes_luma(tmp_path: Path, write_dicom: WriteDicom) -> None:
    rgb = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1)
    reference = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(read_image(write_dicom(tmp_path / "a.dcm", rgb)) - reference).max() <= 1


def test_palette_dicom(tmp_path: Path, write_dicom: WriteDicom) -> None:
    palette: dict[str, object] = {}
    for colour in ("Red", "Green", "Blue"):
        palette[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        palette[f"{colour}PaletteColorLookupTableData"] = (np.arange(255, -1, -1, "<u2") * 256).tobytes()
    path = write_dicom(tmp_path / "a.dcm", RAMP, PhotometricInterpretation="PALETTE COLOR", **palette)
    assert np.abs(read_image(path).astype(int) - (255 - RAMP)).max() <= 1


def test_dicom_is_known_by_content(tmp_path: Path, write_dicom: WriteDicom) -> None:
    np.testing.assert_array_equal(read_image(write_dicom(tmp_path / "a", RAMP)), RAMP)


# pydicom tells of the surplus bytes, too.
@pytest.mark.filterwarnings("ignore:The number of bytes of pixel data is sufficient")
@pytest.mark.parametrize(
    "change",
    [
        {"Rows": 17},
        {"NumberOfFrames": 2},
        {"Rows": 8, "NumberOfFrames": 2},
        {"PhotometricInterpretation": None},
        {"PixelRepresentation": 2},
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
        {"Rows": 0},
        {"Columns": None},
    ],
)
def test_contradictory_dicom(tmp_path: Path, write_dicom: WriteDicom, change: dict[str, object]) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, **change)
    with pytest.raises(InputError, match=r"a\.dcm: not a readable DICOM image"):
        read_image(path)


@pytest.mark.parametrize("pixels", [None, b""])
def test_dicom_without_pixels(tmp_path: Path, write_dicom: WriteDicom, pixels: bytes | None) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, PixelData=pixels)
    with pytest.raises(InputError, match=r"a\.dcm: not a readable DICOM image: it holds no pixels"):
        read_image(path)


def test_dicom_without_transfer_syntax(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP)
    header = dcmread(path)
    del header.file_meta.TransferSyntaxUID
    header.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)
    with pytest.raises(InputError, match="its header names no transfer syntax"):
        read_image(path)


@pytest.mark.parametrize("change", [{"Rows": 0}, {"Rows": None}])
def test_size_of_a_header_without_one(
    tmp_path: Path, write_dicom: WriteDicom, change: dict[str, object]
) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP, **change)
    with pytest.raises(InputError, match=r"a\.dcm: Rows: is missing or 0"):
        image_size(path.read_bytes(), path)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.filterwarnings("ignore:End of file")
def test_every_truncation_is_an_error(tmp_path: Path, write_dicom: WriteDicom, compressed: bool) -> None:
    jpeg = encoded(Image.fromarray(smooth()), "JPEG") if compressed else None
    data = write_dicom(tmp_path / "whole.dcm", smooth(), jpeg=jpeg).read_bytes()
    for length in [*range(0, len(data) - 40, 97), len(data) - 40]:
        path = tmp_path / "cut.dcm"
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cut\.dcm: "):
            read_image(path)


@pytest.mark.parametrize("name", ["a.dcm", "a.png", "a"])
@pytest.mark.parametrize("content", [b"", b"not an image", bytes(200)])
def test_not_an_image(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=r": not a (DICOM file|readable image)") as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_image(path)


def test_header(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = write_dicom(
        tmp_path / "a.dcm", RAMP[:8], PatientID=" p1 ", PatientSex="F", PatientAge="045Y", ViewPosition="PA"
    )
    wanted = {
        "patient": "p1",
        "sex": "F",
        "age": "45",
        "view": "PA",
        "device": "",
        "rows": "8",
        "columns": "16",
    }
    assert read_dicom_header(path) == wanted


@pytest.mark.parametrize(
    ("text", "years"), [("45", "45"), ("018M", "1"), ("155Y", "155"), ("", ""), ("old", ""), ("010W", "0")]
)
@pytest.mark.filterwarnings("ignore:Invalid value")
def test_age(tmp_path: Path, write_dicom: WriteDicom, text: str, years: str) -> None:
    assert read_dicom_header(write_dicom(tmp_path / "a.dcm", RAMP, PatientAge=text))["age"] == years


def test_header_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(RAMP), "PNG"))
    with pytest.raises(InputError, match="not a DICOM file"):
        read_dicom_header(path)
    path.write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00\xff")
    with pytest.raises(InputError, match="DICOM"):
        read_dicom_header(path)


# Other formats ----------------------------------------------------------------------------------------------


def check_png(tmp_path: Path, image: Image.Image, reference: NDArray[Any], tolerance: float = 0) -> None:
    path = tmp_path / "a.png"
    image.save(path)
    read = read_image(path)
    assert read.dtype == np.uint8
    assert read.shape == reference.shape
    assert np.abs(read.astype(float) - reference).max() <= tolerance


def test_grey_and_binary(tmp_path: Path) -> None:
    check_png(tmp_path, Image.fromarray(RAMP), RAMP)
    check_png(tmp_path, Image.fromarray(RAMP > 99), np.where(RAMP > 99, 255, 0))


def test_colour_becomes_luma_and_alpha_is_dropped(tmp_path: Path) -> None:
    rgb = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1)
    reference = rgb @ np.array([0.299, 0.587, 0.114])
    check_png(tmp_path, Image.fromarray(rgb), reference, 1)
    check_png(tmp_path, Image.fromarray(np.dstack([rgb, RAMP])), reference, 1)
    check_png(tmp_path, Image.fromarray(np.dstack([RAMP, 255 - RAMP]), "LA"), RAMP, 1)


def test_palette(tmp_path: Path) -> None:
    image = Image.fromarray(RAMP).convert("P")
    image.putpalette([level for value in range(256) for level in (255 - value,) * 3])
    check_png(tmp_path, image, 255 - RAMP, 1)


def test_sixteen_bit_png_is_stretched(tmp_path: Path) -> None:
    check_png(
        tmp_path,
        Image.fromarray(np.array([[1000, 2000], [3000, 4000]], np.uint16)),
        np.array([[0, 85], [170, 255]]),
    )
    check_png(tmp_path, Image.fromarray(np.full((2, 2), 9, np.uint16)), np.zeros((2, 2)))


def test_truncated_png_and_jpeg(tmp_path: Path) -> None:
    for kind in ("PNG", "JPEG"):
        data = encoded(Image.fromarray(smooth()), kind)
        for length in range(0, len(data) - 16, 41):
            path = tmp_path / f"a.{kind.lower()}"
            path.write_bytes(data[:length])
            with pytest.raises(InputError, match="not a readable image"):
                read_image(path)


def test_size_without_pixels(tmp_path: Path, write_dicom: WriteDicom) -> None:
    path = tmp_path / "a"
    data = write_dicom(path, smooth(20, 30)).read_bytes()
    assert image_size(data[:-300], path) == (20, 30)
    assert image_size(encoded(Image.fromarray(smooth(20, 30)), "PNG"), path) == (20, 30)
    with pytest.raises(InputError, match="a: not a readable image"):
        image_size(b"nothing", path)


def test_mask_image(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    for values in (RAMP > 99, np.where(RAMP > 99, 255, 0).astype(np.uint8)):
        Image.fromarray(values).save(path)
        np.testing.assert_array_equal(read_mask_image(path), RAMP > 99)


@pytest.mark.parametrize("inside", [1, 100, 127])
def test_a_mask_of_two_values_is_black_and_the_other(tmp_path: Path, inside: int) -> None:
    path = tmp_path / "m.png"
    Image.fromarray(np.where(RAMP > 99, inside, 0).astype(np.uint8)).save(path)
    np.testing.assert_array_equal(read_mask_image(path), RAMP > 99)
    Image.fromarray(np.full((4, 5), inside, np.uint8)).save(path)
    assert read_mask_image(path).all()
    Image.fromarray(np.zeros((4, 5), np.uint8)).save(path)
    assert not read_mask_image(path).any()


def test_a_mask_of_a_palette(tmp_path: Path) -> None:
    """Index 1 of the usual palette is a dark red, whose brightness is 38."""
    image = Image.fromarray((RAMP > 99).astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(tmp_path / "m.png")
    np.testing.assert_array_equal(read_mask_image(tmp_path / "m.png"), RAMP > 99)


def test_dark_greys_are_no_mask(tmp_path: Path) -> None:
    path = tmp_path / "m.png"
    Image.fromarray((RAMP // 3).astype(np.uint8)).save(path)
    with pytest.raises(InputError, match=r"m\.png: is no mask: 86 greys from 0 to 85, none above 127"):
        read_mask_image(path)


# Geometry ---------------------------------------------------------------------------------------------------


def area_average(image: NDArray[Any], rows: int, columns: int) -> NDArray[np.float64]:
    """Each target pixel integrates the source over its area: the definition, as two matrices."""

    def weights(source: int, target: int) -> NDArray[np.float64]:
        matrix = np.zeros((target, source))
        for t in range(target):
            start, stop = t * source / target, (t + 1) * source / target
            for s in range(source):
                matrix[t, s] = max(0.0, min(stop, s + 1) - max(start, s)) / (stop - start)
        return matrix

    result: NDArray[np.float64] = (
        weights(image.shape[0], rows) @ image.astype(float) @ weights(image.shape[1], columns).T
    )
    return result


@pytest.mark.parametrize(
    ("rows", "columns", "size"), [(100, 60, 32), (61, 97, 40), (64, 64, 16), (300, 7, 128)]
)
def test_letterbox_averages_areas(rows: int, columns: int, size: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)
    box = Letterbox.of((rows, columns), size)
    square = letterbox(image, size)
    assert square.shape == (size, size)
    content = square[box.top : box.top + box.height, box.left : box.left + box.width]
    assert np.abs(content - area_average(image, box.height, box.width)).max() <= 1
    outside = square.copy()
    outside[box.top : box.top + box.height, box.left : box.left + box.width] = 0
    assert not outside.any()


def test_letterbox_is_centred_and_fills_the_longest_side() -> None:
    box = Letterbox.of((1024, 512), 128)
    assert (box.top, box.left, box.height, box.width, box.scale) == (0, 32, 128, 64, 0.125)
    box = Letterbox.of((101, 400), 100)
    assert (box.left, box.width, box.top, box.height) == (0, 100, 37, 25)


def test_letterbox_enlarges_smoothly_and_keeps_equal_size() -> None:
    image = smooth(20, 20)
    large = letterbox(image, 80)
    assert np.abs(area_average(large, 20, 20) - image).mean() < 2
    np.testing.assert_array_equal(letterbox(image, 20), image)


def test_extreme_aspect_keeps_a_pixel() -> None:
    assert letterbox(np.full((1, 3000), 200, np.uint8), 64).any()


def test_wrong_shape_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="geometry is for"):
        Letterbox.of((10, 10), 5).image_forward(np.zeros((10, 11), np.uint8))


sides = st.integers(1, 2000)


@given(sides, sides, st.integers(16, 512), st.data())
def test_boxes_go_and_come_back(rows: int, columns: int, size: int, data: st.DataObject) -> None:
    box = Letterbox.of((rows, columns), size)
    x = data.draw(st.floats(0, columns))
    y = data.draw(st.floats(0, rows))
    native = np.array([[x, y, columns - x, rows - y]])
    forward = box.boxes_forward(native)
    np.testing.assert_allclose(box.boxes_inverse(forward), native, atol=1e-6)
    right, bottom = forward[0, 0] + forward[0, 2], forward[0, 1] + forward[0, 3]
    np.testing.assert_allclose([right, bottom], [box.left + box.width, box.top + box.height])
    assert 0 <= forward[0, 0] <= size
    assert 0 <= forward[0, 1] <= size


def test_boxes_enclose_the_same_pixels() -> None:
    image = np.zeros((400, 200), np.uint8)
    image[40:120, 80:140] = 255
    found = np.argwhere(letterbox(image, 100) > 127)
    box = Letterbox.of((400, 200), 100).boxes_forward(np.array([[80.0, 40.0, 60.0, 80.0]]))[0]
    assert found.min(axis=0).tolist() == [box[1], box[0]]
    assert (found.max(axis=0) + 1).tolist() == [box[1] + box[3], box[0] + box[2]]


def test_no_boxes() -> None:
    assert Letterbox.of((4, 4), 2).boxes_forward(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize(("rows", "columns", "size"), [(96, 64, 32), (53, 97, 41)])
def test_mask_is_where_it_covers_half(rows: int, columns: int, size: int) -> None:
    mask = np.random.default_rng(1).random((rows, columns)) < 0.5
    box = Letterbox.of((rows, columns), size)
    cover = area_average(mask, box.height, box.width)
    square = box.mask_forward(mask)[box.top : box.top + box.height, box.left : box.left + box.width]
    clear = np.abs(cover - 0.5) > 1e-3
    np.testing.assert_array_equal(square[clear], (cover >= 0.5)[clear])
    exact = Letterbox.of((4, 4), 2).mask_forward(
        np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]], bool)
    )
    assert exact.tolist() == [[True, False], [False, False]]


def test_a_tiny_mask_does_not_vanish_and_an_empty_one_stays_empty() -> None:
    mask = np.zeros((1024, 1024), np.bool_)
    box = Letterbox.of((1024, 1024), 64)
    assert not box.mask_forward(mask).any()
    mask[500, 700] = True
    assert np.argwhere(box.mask_forward(mask)).tolist() == [[500 // 16, 700 // 16]]


# Cache keys -------------------------------------------------------------------------------------------------

VALUES = {2: "e569be00a84eee2a"}
"""By DECODE_VERSION: digest of what some lossless files decode to."""
PLACES = {1: "a9cff3fb0c7729e8"}
"""By GEOMETRY_VERSION: digest of where some pixels go. Factors are whole, so that no rounding differs."""


def pattern(rows: int = 64, columns: int = 48) -> NDArray[np.uint8]:
    """Whole numbers only: the same on every processor."""
    y, x = np.mgrid[0:rows, 0:columns]
    image: NDArray[np.uint8] = ((3 * y + 5 * x + y * x // 7) % 256).astype(np.uint8)
    return image


def test_other_values_need_another_decode_version(tmp_path: Path, write_dicom: WriteDicom) -> None:
    """Caches are named by the version: with the old one, users would go on with old pixels."""
    deep = pattern().astype(np.uint16) * 61
    colour = np.stack([pattern(), pattern()[::-1], RAMP.repeat(4, 0).repeat(3, 1)], axis=-1)
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [256, 61, 16], np.arange(256, 0, -1, "<u2").tobytes()
    files = [
        write_dicom(tmp_path / "plain.dcm", pattern()),
        write_dicom(tmp_path / "inverted.dcm", pattern(), PhotometricInterpretation="MONOCHROME1"),
        write_dicom(tmp_path / "deep.dcm", deep),
        write_dicom(tmp_path / "window.dcm", deep, WindowCenter=6000, WindowWidth=5000),
        write_dicom(tmp_path / "hounsfield.dcm", deep, RescaleSlope=2, RescaleIntercept=-1024),
        write_dicom(tmp_path / "table.dcm", deep, ModalityLUTSequence=Sequence([table])),
        write_dicom(tmp_path / "padded.dcm", deep, PixelPaddingValue=0, PixelPaddingRangeLimit=610),
        write_dicom(tmp_path / "wide.dcm", deep.astype(np.uint32) * 10_000),
    ]
    for name, image in (("grey", pattern()), ("deep", deep), ("colour", colour)):
        files.append(tmp_path / f"{name}.png")
        Image.fromarray(image).save(files[-1])
    files.append(tmp_path / "turned.tif")
    Image.fromarray(pattern()).save(files[-1], tiffinfo={274: 6})
    digest = hashlib.sha256(b"".join(read_image(path).tobytes() for path in files)).hexdigest()
    assert digest[:16] == VALUES[DECODE_VERSION]


def test_other_places_need_another_geometry_version() -> None:
    digest = hashlib.sha256()
    for rows, columns, size in ((64, 48, 32), (48, 64, 16), (64, 64, 64)):
        frame = Letterbox.of((rows, columns), size)
        digest.update(letterbox(pattern(rows, columns), size).tobytes())
        digest.update(frame.mask_forward(pattern(rows, columns) > 150).tobytes())
        digest.update(frame.boxes_forward(np.array([[4.0, 8.0, 16.0, 12.0]])).tobytes())
    assert digest.hexdigest()[:16] == PLACES[GEOMETRY_VERSION]
