"""What the parts of a split share and must not: images, patients, files, near-duplicates."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from g2d_bench.data.cache import PixelCache
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.splits import PARTS, Split
from g2d_bench.errors import InputError
from g2d_bench.progress import tell_once
from g2d_bench.readers.images import Letterbox

Kind = Literal["id", "patient", "file", "near-duplicate"]

NEAR_DUPLICATE = 0.85
"""Correlation of fine structure from which two images are the same film.

Measured on the 165 public covid-cxr radiographs at 128 px: pairs of different patients reach 0.57, films of
one patient on following days 0.78. Every film keeps at least 0.99 with its copy that is stored as JPEG of
quality 40, made smaller, noisy or stretched to a square; 0.96 with another gamma, 0.90 with local contrast
equalisation, 0.86 cut by 1 % on each side or turned by 1 degree. Not found: cut by 3 % (0.30).
"""

_GRID = 32
_BLUR = 5
_BLOCK = 4096


class LeakError(InputError):
    """The parts of a split share something."""


@dataclass(frozen=True, slots=True)
class Leak:
    """Two images that must not lie in different parts.

    Attributes:
        kind: what they share.
        a: id of the first; for a shared patient or file, the first of possibly several.
        b: id of the second.
        split_a: part of the first.
        split_b: part of the second.
    """

    kind: Kind
    a: str
    b: str
    split_a: str
    split_b: str


def find_leaks(split: Split, manifest: Manifest, pixels: PixelCache | None = None) -> list[Leak]:
    """Compare the parts of a split, pair by pair.

    Args:
        split: the parts.
        manifest: knows patient and file hash of every id.
        pixels: decoded images of at least 64 px, for near-duplicates; None leaves those out. With them, films
            of one grey value are no shared file, however often they occur: one line says how many there are.

    Returns:
        One leak per shared id, patient or file and pair of parts; one per pair of near-duplicate images that
        share neither patient nor file. In the order of ``Kind``.

    Raises:
        InputError: the manifest does not know an id.
    """
    rows = {part: manifest.rows(ids) for part, ids in split.parts.items()}
    patients = [sample.patient for sample in manifest.samples]
    leaks = [
        *_shared("id", split.parts, {part: list(ids) for part, ids in split.parts.items()}),
        *_shared("patient", split.parts, {part: [patients[row] for row in rows[part]] for part in rows}),
    ]
    blank = (
        set()
        if pixels is None
        else _blank(pixels, manifest, {int(r) for part in rows.values() for r in part})
    )
    if manifest.sha256:  # Else only the tables were read.
        # A blank film is as good as no film: each is told from all others by its place.
        hashes = {
            part: [str(row) if row in blank else manifest.sha256[row] for row in rows[part].tolist()]
            for part in rows
        }
        leaks += _shared("file", split.parts, hashes)
    if pixels is None:
        return leaks
    texture = {part: _texture(pixels, rows[part]) for part in rows}
    for one, other in combinations(split.parts, 2):
        for i, j in _similar(texture[one], texture[other]):
            a, b = rows[one][i], rows[other][j]
            if patients[a] != patients[b] and manifest.sha256[a] != manifest.sha256[b]:
                names = split.parts[one][i], split.parts[other][j]
                leaks.append(Leak("near-duplicate", *names, one, other))
    return leaks


def require_no_leaks(split: Split, manifest: Manifest, pixels: PixelCache | None = None) -> None:
    """Stop at leaks.

    Raises:
        LeakError: there are some; its text counts them by kind and shows the first.
    """
    leaks = find_leaks(split, manifest, pixels)
    if not leaks:
        return
    counts: dict[str, int] = defaultdict(int)
    for leak in leaks:
        counts[leak.kind] += 1
    first = leaks[0]
    raise LeakError(
        f"split {split.name!r} leaks ({', '.join(f'{count} by {kind}' for kind, count in counts.items())}); "
        f"first: {first.a} in {first.split_a} and {first.b} in {first.split_b} share {first.kind}",
        file=manifest.dataset,
    )


def shared_in_words(leaks: Sequence[Leak]) -> str:
    """Say what parts share: ``train and test 154 images and 160 patients; ...``; empty without leaks."""
    counts: dict[tuple[str, str], Counter[Kind]] = defaultdict(Counter)
    for leak in leaks:
        counts[leak.split_a, leak.split_b][leak.kind] += 1
    texts = []
    for one, other in sorted(counts, key=lambda pair: [PARTS.index(part) for part in pair]):
        count = counts[one, other]
        # An image that stands in two parts brings its file along.
        copies = count["file"] - count["id"]
        numbers = {"images": count["id"], "patients": count["patient"], "copies of files": copies}
        words = " and ".join(f"{number} {what}" for what, number in numbers.items() if number > 0)
        texts.append(f"{one} and {other} {words}")
    return "; ".join(texts)


def _shared(kind: Kind, ids: Mapping[str, Sequence[str]], keys: Mapping[str, list[str]]) -> Iterator[Leak]:
    # Reversed, so that of several images with one key the first stays.
    first = {part: dict(zip(reversed(keys[part]), reversed(ids[part]), strict=True)) for part in ids}
    for one, other in combinations(ids, 2):
        shared = first[one].keys() & first[other].keys()
        for a, b in sorted((first[one][key], first[other][key]) for key in shared):
            yield Leak(kind, a, b, one, other)


def _blank(pixels: PixelCache, manifest: Manifest, rows: set[int]) -> set[int]:
    """Return the rows of films that show one grey value only, and say once how many there are."""
    found = set()
    for row in sorted(rows):
        content = _content(pixels, row)
        # The first line decides for nearly all films.
        if (content[0] == content[0, 0]).all() and (content == content[0, 0]).all():
            found.add(row)
    if found:
        first = manifest.samples[min(found)].path
        tell_once(
            f"{manifest.dataset}: {len(found):,} films are blank (one grey value each; the first: {first}): "
            "they count as images, and as no leak where they are alike"
        )
    return found


def _content(pixels: PixelCache, row: int) -> NDArray[np.uint8]:
    """Return an image without the padding of its square."""
    box = Letterbox.of((int(pixels.native[row, 0]), int(pixels.native[row, 1])), pixels.pixels.shape[1])
    return pixels.pixels[row, box.top : box.top + box.height, box.left : box.left + box.width]


def _texture(pixels: PixelCache, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Fine structure of each image, normalised so that a product of two is their correlation; [n, 900].

    The padding is cut off and the content stretched to a small square: borders and aspect would otherwise
    outweigh the anatomy. Taking off the local mean leaves what differs between two chests.
    """
    import cv2

    found = np.empty((len(rows), (_GRID - 2) ** 2), np.float32)
    for place, row in enumerate(rows):
        content = _content(pixels, int(row))
        small = cv2.resize(content.astype(np.float32), (_GRID, _GRID), interpolation=cv2.INTER_AREA)
        detail = small - cv2.blur(small, (_BLUR, _BLUR), borderType=cv2.BORDER_REFLECT)
        found[place] = detail[1:-1, 1:-1].ravel()
    found -= found.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(found, axis=1, keepdims=True)
    # An image without structure resembles nothing.
    found /= np.where(norm > 1e-3, norm, np.inf)
    return found


def _similar(one: NDArray[np.float32], other: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    for top in range(0, len(one), _BLOCK):
        for left in range(0, len(other), _BLOCK):
            near = one[top : top + _BLOCK] @ other[left : left + _BLOCK].T >= NEAR_DUPLICATE
            for i, j in np.argwhere(near):
                yield top + int(i), left + int(j)
