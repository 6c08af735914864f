"""Size of a DICOM image by a walk over its header, where nothing in it is out of the ordinary.

Parsing a header costs as much as hashing the file behind it. Most films are written in explicit VR, little
endian, their elements in ascending order (PS3.5, 7.1.2; PS3.10, 7.1); of these two numbers are found by their
lengths alone. Whatever differs is left to the parser.
"""

from __future__ import annotations

import struct

_SYNTAX = 0x00020010
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_META, _PIXELS = 0x0002, 0x7FE0
"""Groups of the file's own description and of the pixels, behind which no tag of a header lies."""
_SYNTAXES = frozenset(
    f"1.2.840.10008.1.2{kind}".encode()
    for kind in (".1", ".4.50", ".4.51", ".4.57", ".4.70", ".4.80", ".4.81", ".4.90", ".4.91", ".5")
)
"""Transfer syntaxes whose headers are explicit VR, little endian, and lie in the file as they are."""
_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
"""Value representations whose length has two bytes."""
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UR UT UV".split())
"""Those whose length has four, behind two empty bytes."""

Elements = dict[int, tuple[bytes, bytes]]
"""Tag to representation and value."""


def walked_size(data: bytes) -> tuple[int, int] | None:
    """Return (H, W) of a DICOM file.

    Args:
        data: its content.

    Returns:
        None where a parser has to be asked.
    """
    if data[128:140] != b"DICM\x02\x00\x00\x00UL\x04\x00":
        return None
    start = 144 + int.from_bytes(data[140:144], "little")
    meta, header = _meta(data, start), _header(data, start)
    if meta is None or header is None or _value(meta, _SYNTAX, b"UI").rstrip(b"\0") not in _SYNTAXES:
        return None
    size = [_value(header, tag, b"US") for tag in (_ROWS, _COLUMNS)]
    if any(len(value) != 2 for value in size):
        return None
    rows, columns = (int.from_bytes(value, "little") for value in size)
    return rows, columns


def _value(elements: Elements, tag: int, kind: bytes) -> bytes:
    written, value = elements.get(tag, (b"", b""))
    return value if written == kind else b""


def _meta(data: bytes, end: int) -> Elements | None:
    """Return the elements of the file's description, None where one is unusual or it ends elsewhere."""
    elements, place, group = _walk(data, 132, _META, end)
    return elements if place == end and group == _META else None


def _header(data: bytes, start: int) -> Elements | None:
    """Return the elements up to the pixels, None where something unusual lies before them."""
    elements, _, group = _walk(data, start, _PIXELS - 1, len(data))
    described = any(tag >> 16 <= _META for tag in elements)
    return elements if group >= _PIXELS and not described else None


def _walk(data: bytes, place: int, last: int, end: int) -> tuple[Elements, int, int]:
    """Go from element to element.

    Args:
        data: of the file.
        place: of the first element.
        last: group of the last one that is taken.
        end: where to stop.

    Returns:
        What was passed, the place of what was not, and its group: at ``end`` that of the last element, 0
        where something is unusual.
    """
    found: Elements = {}
    group, before = 0, -1
    while place < end:
        if place + 12 > len(data):
            return found, place, 0
        group, number, kind, length = struct.unpack_from("<HH2sH", data, place)
        tag = group << 16 | number
        if group > last:
            return found, place, group
        value = place + 8
        if kind in _LONG:
            reserved, (length,) = length, struct.unpack_from("<I", data, value)
            value += 4
        elif kind in _SHORT:
            reserved = 0
        else:
            return found, place, 0
        if reserved or tag <= before or value + length > len(data):
            return found, place, 0
        found[tag] = kind, data[value : value + length]
        before, place = tag, value + length
    return found, place, group
