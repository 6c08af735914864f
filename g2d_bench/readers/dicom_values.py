"""Stored values of a DICOM image to grey values: the steps of PS3.3 C.11 and C.7.6.3, in their order.

``header`` is a pydicom data set throughout. What it says and this module cannot follow is a ValueError whose
text begins with the name of the field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from g2d_bench.readers.dicom_regions import occluded, padding, shutter_level
from g2d_bench.readers.grey import Mapping, luma, to_grey

Values = NDArray[np.float64]
_FUNCTIONAL = ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence")


def grey_values(pixels: NDArray[Any], header: Any, stored: int) -> NDArray[np.uint8]:
    """Bring the samples of a monochrome image to 0 (black) .. 255 (white).

    Modality LUT, or else the rescale; the first window, or else the first VOI LUT, or else a stretch from the
    least to the greatest value that is shown (8-bit values without any of these stay as they are);
    MONOCHROME1 or the presentation shape INVERSE turns light and dark, once. Padding and what a shutter
    hides have no part in the stretch and are black at the end, or as bright as the shutter says.

    Args:
        pixels: [H, W], integers or floats.
        header: its data set.
        stored: bits of a sample that the header calls used.

    Returns:
        Shape [H, W].

    Raises:
        ValueError: a field that is contradictory, unknown or outside of what it may be.
    """
    shape = _presentation_shape(header)
    hidden = padding(pixels, header, stored)
    shutter = occluded(pixels.shape, header)
    unseen = shutter if hidden is None else hidden if shutter is None else hidden | shutter
    modality = _modality(header)
    window = _window(header)
    voi = None if window is not None else _voi_table(header, modality.signed)
    mapping: Mapping | None
    if window is not None:
        mapping = _chained(modality.mapping, lambda values: apply_window(values, *window))
    else:
        mapping = modality.mapping if voi is None else _chained(modality.mapping, voi)
    if mapping is None and pixels.dtype == np.uint8:
        grey = _eight_bits(pixels, stored)
    else:
        monotone = modality.monotone and voi is None
        grey = to_grey(pixels, mapping, stretch=window is None, monotone=monotone, hidden=unseen)
    if (header.PhotometricInterpretation == "MONOCHROME1") or shape == "INVERSE":
        grey = np.invert(grey)
    if unseen is not None:
        grey = np.where(unseen, np.uint8(0), grey)
    if shutter is not None:
        grey[shutter] = shutter_level(header)
    if pixels.dtype.kind == "f":
        grey[np.isnan(pixels)] = 0
    return grey


def colour_values(pixels: NDArray[Any], stored: int) -> NDArray[np.uint8]:
    """Bring red, green and blue samples [H, W, 3] to luma [H, W]; deeper than 8 bits it is stretched."""
    brightness = luma(pixels)
    return _eight_bits(brightness, stored) if brightness.dtype == np.uint8 else to_grey(brightness)


def palette_values(pixels: NDArray[Any], header: Any, stored: int) -> NDArray[np.uint8]:
    """Look the samples [H, W] of a PALETTE COLOR image up, and bring their colours to luma.

    See PS3.3 C.7.6.3.1.5. Entries of 16 bits count by their upper 8.
    """
    channels = []
    for colour in ("Red", "Green", "Blue"):
        table, first = _palette_channel(header, colour)
        index = np.clip(pixels.astype(np.int64) - first, 0, table.size - 1)
        channels.append(table[index])
    grey: NDArray[np.uint8] = luma(np.stack(channels, axis=-1))
    hidden = padding(pixels, header, stored)
    return grey if hidden is None else np.where(hidden, np.uint8(0), grey)


def apply_window(values: Values, centre: float, width: float, how: str = "LINEAR") -> Values:
    """Window values to 0..255, not yet cut at the ends (PS3.3 C.11.2.1.2 and C.11.2.1.3).

    Args:
        values: output of the modality step.
        centre: of the window.
        width: above 0; at least 1 for LINEAR.
        how: LINEAR, LINEAR_EXACT or SIGMOID.
    """
    if how == "SIGMOID":
        return 255.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700, 700)))
    if how == "LINEAR_EXACT":
        return ((values - centre) / width + 0.5) * 255.0
    if width == 1:
        return np.where(values <= centre - 0.5, 0.0, 255.0)
    return ((values - (centre - 0.5)) / (width - 1.0) + 0.5) * 255.0


def lookup_table(descriptor: Any, data: Any, little: bool) -> tuple[NDArray[np.int64], int, int]:
    """Unpack a lookup table (PS3.3 C.11.1.1, C.7.6.3.1.5 and C.7.6.3.1.6).

    Args:
        descriptor: element with the number of entries (0 means 65,536), the first value that is mapped,
            and the bits of an entry.
        data: element with the entries: 16-bit words, or two 8-bit entries in a word.
        little: whether the file is little-endian.

    Returns:
        The entries, the first value mapped (as it stands there, signed or not), the bits of an entry.

    Raises:
        ValueError: a descriptor that is none, or fewer entries than it names.
    """
    try:
        entries, first, bits = (int(value) for value in descriptor.value)
    except (TypeError, ValueError):
        raise ValueError(f"{descriptor.keyword}: {descriptor.value!r} is no descriptor of a table") from None
    entries = entries % 65536 or 65536
    raw = data.value
    if isinstance(raw, bytes):
        words = np.frombuffer(raw[: len(raw) // 2 * 2], "<u2" if little else ">u2").astype(np.int64)
        tail = raw[len(words) * 2 :]
    else:
        listed = [raw] if isinstance(raw, int) else list(raw or ())
        words, tail = np.array(listed, np.int64).reshape(-1) & 0xFFFF, b""
    if len(words) < entries <= 2 * len(words) + len(tail) and bits <= 8:
        # The first entry of a pair is the lower half of its word, whatever the order of bytes.
        halves = np.stack([words & 0xFF, words >> 8], axis=-1).reshape(-1)
        words = np.concatenate([halves, np.frombuffer(tail, np.uint8).astype(np.int64)])
    if len(words) < entries:
        raise ValueError(f"{data.keyword}: {len(words)} entries, {entries} expected")
    return words[:entries], first, bits


def holder(header: Any, group: str) -> Any:
    """Return the data set with the fields of a functional group: of the enhanced objects, or the header."""
    for name in _FUNCTIONAL:
        for item in list(header.get(name) or ())[:1]:
            inner = item.get(group)
            if inner:
                return inner[0]
    return header


class _Modality(NamedTuple):
    """The step from stored values to those of the modality."""

    mapping: Mapping | None
    monotone: bool
    signed: bool


def _modality(header: Any) -> _Modality:
    signed = bool(header.get("PixelRepresentation"))
    sequence = header.get("ModalityLUTSequence")
    if sequence:
        return _Modality(_table_of(sequence[0], header, signed), False, False)
    source = holder(header, "PixelValueTransformationSequence")
    slope = _float(source, "RescaleSlope") or 1.0
    intercept = _float(source, "RescaleIntercept") or 0.0
    signed = signed or slope < 0 or intercept < 0
    if (slope, intercept) == (1.0, 0.0):
        return _Modality(None, True, signed)
    return _Modality(lambda values: values * slope + intercept, True, signed)


def _voi_table(header: Any, signed: bool) -> Mapping | None:
    sequence = header.get("VOILUTSequence") or holder(header, "FrameVOILUTSequence").get("VOILUTSequence")
    return _table_of(sequence[0], header, signed) if sequence else None


def _table_of(item: Any, header: Any, signed: bool) -> Mapping:
    """Return the step through a table of which values come that may be below 0, or may not."""
    for name in ("LUTDescriptor", "LUTData"):
        if name not in item:
            raise ValueError(f"{name}: is missing")
    table, first, _ = lookup_table(item["LUTDescriptor"], item["LUTData"], _little(header))
    entries, start = table.astype(np.float64), _first_mapped(first, signed)

    def look_up(values: Values) -> Values:
        index = np.clip(np.nan_to_num(np.rint(values)) - start, 0, len(entries) - 1).astype(np.int64)
        return entries[index]

    return look_up


def _first_mapped(first: int, signed: bool) -> int:
    """Read the first value of a descriptor, whose field may be signed or not, as the values are."""
    if signed:
        return first - 65536 if first >= 32768 else first
    return first % 65536


def _palette_channel(header: Any, colour: str) -> tuple[NDArray[np.uint8], int]:
    prefix = f"{colour}PaletteColorLookupTable"
    if f"{prefix}Descriptor" not in header:
        raise ValueError(f"{prefix}Descriptor: is missing")
    descriptor = header[f"{prefix}Descriptor"]
    if f"{prefix}Data" in header:
        table, first, bits = lookup_table(descriptor, header[f"{prefix}Data"], _little(header))
    elif f"Segmented{prefix}Data" in header:
        raise ValueError(f"Segmented{prefix}Data: palettes in segments are not read")
    else:
        raise ValueError(f"{prefix}Data: is missing")
    first = _first_mapped(first, bool(header.get("PixelRepresentation")))
    if bits > 8 or table.max() > 255:
        table = table >> 8
    return table.astype(np.uint8), first


def _window(header: Any) -> tuple[float, float, str] | None:
    """First window of a header as (centre, width, function), or None where there is no usable one."""
    source = (
        header if _first(header, "WindowCenter") not in (None, "") else holder(header, "FrameVOILUTSequence")
    )
    centre, width = _float(source, "WindowCenter"), _float(source, "WindowWidth")
    if centre is None or width is None:
        return None
    function = str(source.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        raise ValueError(f"VOILUTFunction: {function!r}, allowed: LINEAR, LINEAR_EXACT, SIGMOID")
    return (centre, width, function) if (width >= 1 if function == "LINEAR" else width > 0) else None


def _presentation_shape(header: Any) -> str:
    shape = str(header.get("PresentationLUTShape") or "IDENTITY").strip().upper()
    if shape not in ("IDENTITY", "INVERSE"):
        raise ValueError(f"PresentationLUTShape: {shape!r}, allowed: IDENTITY, INVERSE")
    if header.get("PresentationLUTSequence"):
        raise ValueError("PresentationLUTSequence: presentation tables are not read")
    if str(header.get("PixelPresentation") or "") in ("COLOR", "MIXED"):
        raise ValueError("PixelPresentation: colours added to grey values are not read")
    return shape


def _eight_bits(pixels: NDArray[np.uint8], stored: int) -> NDArray[np.uint8]:
    """Keep 8-bit values; those of fewer bits are spread over 0..255, unless the header is wrong of them."""
    full = 2**stored - 1 if 1 <= stored <= 8 else 255
    if full == 255 or (pixels.size and pixels.max() > full):
        return pixels
    return to_grey(pixels, lambda values: values * (255.0 / full), stretch=False)


def _chained(first: Mapping | None, second: Callable[[Values], Values]) -> Mapping:
    return second if first is None else lambda values: second(first(values))


def _little(header: Any) -> bool:
    return bool(header.file_meta.TransferSyntaxUID.is_little_endian)


def _first(header: Any, name: str) -> Any:
    """First value of a field, None where there is none."""
    value = header.get(name)
    if value is None or isinstance(value, str | int | float):
        return value
    try:
        return value[0] if len(value) else None
    except TypeError:
        return value


def _float(header: Any, name: str) -> float | None:
    """First value of a field as a number; None where it is missing, empty or infinite."""
    try:
        value = _first(header, name)
        number = None if value is None or value == "" else float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: not a number") from None
    return number if number is not None and np.isfinite(number) else None
