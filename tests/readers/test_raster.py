"""PNG, JPEG, TIFF and others; files that no encoder here can write are put together byte by byte."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.readers.images import image_size, read_image

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
STRETCHED = RAMP / 4095 * 255
GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
ROOM = 0.51


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(pixels: NDArray[Any], colour: int, *extra: tuple[bytes, bytes], after: bool = False) -> bytes:
    """A PNG of pixels [H, W] or [H, W, channels], with more chunks before or after them."""
    depth = pixels.dtype.itemsize * 8
    rows = pixels.astype(f">u{depth // 8}").reshape(len(pixels), -1)
    head = struct.pack(">2I5B", pixels.shape[1], pixels.shape[0], depth, colour, 0, 0, 0)
    data = (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    chunks = [(b"IHDR", head), *([data, *extra] if after else [*extra, data]), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff(pixels: NDArray[Any], *, order: Literal["<", ">"] = "<", pages: int = 1, **tags: Any) -> bytes:
    """An uncompressed TIFF in one strip; tags override those that the array asks for."""
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    kind = {"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]
    wanted: dict[int, Any] = {
        256: pixels.shape[1],
        257: pixels.shape[0],
        258: (pixels.dtype.itemsize * 8,) * samples,
        259: 1,
        262: 1 if samples < 3 else 2,
        277: samples,
        278: pixels.shape[0],
        339: (kind,) * samples,
    }
    subfiles = tags.pop("subfiles", [0] * pages)
    wanted |= {int(name.removeprefix("t")): value for name, value in tags.items()}
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(data) * pages)
    out += data * pages
    for page in range(pages):
        entries = {**wanted, 254: subfiles[page], 273: 8 + page * len(data), 279: len(data)}
        start, body, extra = len(out), b"", b""
        room = start + 2 + 12 * len(entries) + 4
        for tag, value in sorted(entries.items()):
            values = value if isinstance(value, tuple) else (value,)
            letter, code = ("I", 4) if tag in (254, 273, 279) else ("H", 3)
            packed = struct.pack(f"{order}{len(values)}{letter}", *values)
            if len(packed) > 4:
                packed, extra = struct.pack(f"{order}I", room + len(extra)), extra + packed
            body += struct.pack(f"{order}HHI", tag, code, len(values)) + packed.ljust(4, b"\0")
        following = 0 if page == pages - 1 else room + len(extra)
        out += struct.pack(f"{order}H", len(entries)) + body + struct.pack(f"{order}I", following) + extra
    return out


def check(tmp_path: Path, data: bytes, reference: Any, room: float = ROOM) -> None:
    path = tmp_path / "image"
    path.write_bytes(data)
    read = read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_allclose(read, reference, atol=room)
    assert image_size(data, path) == read.shape


def refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "image"
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"not a readable image: {message}") as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


# PNG --------------------------------------------------------------------------------------------------------


def channels(colour: int) -> NDArray[np.uint16]:
    """The ramp as grey (0), RGB (2), grey and alpha (4) or RGBA (6), with an alpha of its own."""
    planes: list[NDArray[np.uint16]] = [RAMP] * (3 if colour & 2 else 1)
    planes += [65535 - RAMP.T * 3] if colour >= 4 else []
    return np.stack(planes, axis=-1)


@pytest.mark.parametrize("colour", [0, 2, 4, 6])
def test_sixteen_bits_in_any_channels_are_stretched_alike(tmp_path: Path, colour: int) -> None:
    check(tmp_path, png(channels(colour), colour), STRETCHED)


def test_sixteen_bit_colours_become_luma(tmp_path: Path) -> None:
    rgb = np.stack([RAMP, RAMP.T, RAMP[::-1]], axis=-1)
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    check(tmp_path, png(rgb, 2), (luma - luma.min()) / (luma.max() - luma.min()) * 255, 0.55)


def test_transparent_colours_keep_their_brightness(tmp_path: Path) -> None:
    check(tmp_path, png(RAMP[..., None], 0, (b"tRNS", b"\x01\x00")), STRETCHED)
    check(tmp_path, png(channels(2), 2, (b"tRNS", b"\0\1" * 3)), STRETCHED)
    check(tmp_path, png(GREY[..., None], 0, (b"tRNS", b"\0\x14")), GREY, 0)


def exif(turn: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = turn
    return made.tobytes()


def laid(turn: int) -> NDArray[np.uint8]:
    """What is stored under an orientation (TIFF 6.0, Orientation), if the upright film is GREY."""
    back = {
        1: GREY,
        2: GREY[:, ::-1],  # row 0 is the top, column 0 the right side
        3: GREY[::-1, ::-1],  # bottom, right
        4: GREY[::-1],  # bottom, left
        5: GREY.T,  # row 0 is the left side, column 0 the top
        6: GREY[:, ::-1].T,  # right, top
        7: GREY[::-1, ::-1].T,  # right, bottom
        8: GREY[::-1].T,  # left, bottom
    }
    return np.ascontiguousarray(back[turn])


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("after", [False, True])
def test_png_is_turned_upright(tmp_path: Path, turn: int, after: bool) -> None:
    tag = (b"eXIf", exif(turn).removeprefix(b"Exif\0\0"))
    check(tmp_path, png(laid(turn)[..., None], 0, tag, after=after), GREY, 0)
    deep = laid(turn)[..., None].astype(np.uint16).repeat(3, axis=-1) * 290
    check(tmp_path, png(deep, 2, tag, after=after), GREY / 220 * 255)


@pytest.mark.parametrize("content", [b"", b"MM\0*", b"\xff" * 40])
def test_metadata_that_nobody_can_read_turn_nothing(tmp_path: Path, content: bytes) -> None:
    check(tmp_path, png(GREY[..., None], 0, (b"eXIf", content)), GREY, 0)


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    for kind in ("PNG", "GIF", "WEBP"):
        moving = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        refused(tmp_path, moving, "2 pages or frames, one expected")


# JPEG -------------------------------------------------------------------------------------------------------


def test_jpeg_is_turned_upright(tmp_path: Path) -> None:
    upright = np.zeros((16, 32), np.uint8)
    upright[:8, :16] = 255
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(upright)))  # 6: to be turned clockwise
    check(tmp_path, encoded(stored, "JPEG", quality=100, exif=exif(6)), upright, 3)
    check(tmp_path, encoded(stored, "JPEG", quality=100), np.rot90(upright), 3)
    check(tmp_path, encoded(stored, "WEBP", lossless=True, exif=exif(6)), upright, 1)


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_jpeg_in_colours(tmp_path: Path, mode: str) -> None:
    """Grey levels as equal colours, and as inks (which Adobe's files store the wrong way round)."""
    grey = np.array([[0] * 8, [90] * 8, [180] * 8, [255] * 8], np.uint8).repeat(8, axis=0)
    image = Image.fromarray(np.stack([grey] * 3, axis=-1))
    check(tmp_path, encoded(image.convert(mode), "JPEG", quality=100, subsampling=0), grey, 3)


def test_the_previews_of_a_camera_are_left_aside(tmp_path: Path) -> None:
    film = Image.fromarray(np.full((16, 16), 77, np.uint8))
    both = encoded(film, "MPO", save_all=True, append_images=[Image.new("L", (4, 4))])
    check(tmp_path, both, np.full((16, 16), 77), 1)


# TIFF -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "order", "reference"),
    [
        (GREY, "<", GREY),
        (GREY, ">", GREY),
        (RAMP, "<", STRETCHED),
        (RAMP, ">", STRETCHED),
        (RAMP.astype(np.int16) - 2000, "<", STRETCHED),
        (RAMP.astype(np.int16) - 2000, ">", STRETCHED),
        ((GREY.astype(np.int16) - 110).astype(np.int8), "<", GREY / 220 * 255),
        (RAMP.astype(np.uint32) * 1_000_000, "<", STRETCHED),
        (RAMP.astype(np.int32) - 2000, "<", STRETCHED),
        (RAMP.astype(np.float32) / 7 - 3, "<", STRETCHED),
        (RAMP.astype(np.float32) / 7 - 3, ">", STRETCHED),
        (np.stack([GREY] * 3, axis=-1), "<", GREY),
        (np.stack([RAMP] * 3, axis=-1), "<", STRETCHED),
        (np.stack([RAMP] * 3, axis=-1), ">", STRETCHED),
    ],
)
def test_tiff_of_any_depth(
    tmp_path: Path, pixels: NDArray[Any], order: Literal["<", ">"], reference: NDArray[Any]
) -> None:
    check(tmp_path, tiff(pixels, order=order), reference)


def test_what_is_no_number_is_black_and_sets_no_range(tmp_path: Path) -> None:
    pixels = np.array([[np.nan, 1, 2, 3], [np.inf, -np.inf, 1, 3]], np.float32)
    reference = [[0, 0, 127.5, 255], [255, 0, 0, 255]]
    check(tmp_path, tiff(pixels), reference)
    turned = [[0, 255, 127.5, 0], [0, 255, 255, 0]]
    check(tmp_path, tiff(pixels, t262=0), turned)
    refused(tmp_path, tiff(np.full((2, 2), np.nan, np.float32)), "no pixel has a finite value")


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_white_is_zero(tmp_path: Path, kind: type) -> None:
    reference = 255 - GREY if kind == np.uint8 else 255 - GREY / 220 * 255
    check(tmp_path, tiff(GREY.astype(kind), t262=0), reference)


@pytest.mark.parametrize("turn", range(1, 9))
def test_tiff_is_turned_upright(tmp_path: Path, turn: int) -> None:
    check(tmp_path, tiff(laid(turn), t274=turn), GREY, 0)
    check(tmp_path, tiff(laid(turn).astype(np.float32), t274=turn), GREY / 220 * 255)
    packed = encoded(Image.fromarray(laid(turn)), "TIFF", compression="tiff_lzw", tiffinfo={274: turn})
    check(tmp_path, packed, GREY, 0)


def test_pages_are_refused_unless_they_are_copies(tmp_path: Path) -> None:
    refused(tmp_path, tiff(GREY, pages=2), "2 pages or frames, one expected")
    check(tmp_path, tiff(GREY, pages=3, subfiles=[0, 1, 4]), GREY, 0)
    refused(tmp_path, tiff(GREY, pages=2, subfiles=[1, 0]), "its first page is a reduced copy")


@pytest.mark.parametrize(
    ("pixels", "tags", "message"),
    [
        (np.stack([RAMP] * 4, axis=-1), {"t262": 5}, "more than 8 bits in several channels"),
        (GREY, {"t262": 4}, "a TIFF file that is damaged, or of a variant that is not read"),
        (GREY, {"t259": 65000}, "a TIFF file that is damaged, or of a variant"),
        (GREY, {"t256": 60000, "t257": 60000}, "60,000 × 60,000 pixels, at most 100,000,000|Image size"),
    ],
)
def test_tiff_that_is_refused(
    tmp_path: Path, pixels: NDArray[Any], tags: dict[str, Any], message: str
) -> None:
    refused(tmp_path, tiff(pixels, **tags), message)


# Anything ---------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_size_that_a_header_declares_is_held_against_the_limit(tmp_path: Path) -> None:
    data = bytearray(png(GREY[..., None], 0))
    for width, height in ((10_001, 10_000), (2**31 - 1, 2**31 - 1), (0, 5)):
        head = struct.pack(">2I", width, height) + bytes(data[24:29])
        data[16:33] = head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
        refused(tmp_path, bytes(data), ".*pixels" if width else "a PNG file that is damaged")
        with pytest.raises(InputError, match="not a readable image: "):
            image_size(bytes(data), tmp_path / "image")


def test_formats_that_start_programs_are_not_tried(tmp_path: Path) -> None:
    refused(tmp_path, encoded(Image.new("L", (4, 4)), "EPS"), "its content is of no format that is read")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
            "a Git LFS pointer .*git lfs pull",
        ),
        (b"\xef\xbb\xbf\n <!DOCTYPE html><html>", r"a web page \(HTML\)"),
        (b"<HTML><head>", r"a web page \(HTML\)"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "an XML text"),
        (b"PK\x03\x04" + bytes(60), r"a packed file \(zip\)"),
        (b"\x1f\x8b" + bytes(60), r"a packed file \(gzip\)"),
    ],
)
def test_what_stands_in_an_images_place_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    refused(tmp_path, content, message)
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"not a DICOM file: {message}"):
        read_image(path)
    with pytest.raises(InputError, match=message):
        image_size(content, path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    import os

    path = tmp_path / "pipe.png"
    os.mkfifo(path)
    with pytest.raises(InputError, match="cannot be read: not a file"):
        read_image(path)


def test_a_file_too_large_to_be_a_film(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(2**31)
    with pytest.raises(InputError, match="2,147,483,648 bytes, at most 1,073,741,824"):
        read_image(path)
