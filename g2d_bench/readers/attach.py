"""Image files and the rows that name them: every sample its file, and every file its sample."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Sample
from g2d_bench.readers.folders import packed_images, walk

_ENDING = re.compile(r"\.(?:dcm|png|jpe?g)$", re.IGNORECASE)


def find_files(root: Path, suffixes: Sequence[str], folders: Sequence[str] = ("",)) -> list[str]:
    """List image files below some folders of a release by one directory walk, which follows links.

    Args:
        root: the release.
        suffixes: lower-case endings, with the dot.
        folders: where to look, relative to ``root``; missing ones are skipped.

    Returns:
        Sorted POSIX paths relative to ``root``; hidden files and ``__MACOSX`` are left out.
    """
    found: list[str] = []
    for folder in folders:
        if not (root / folder).is_dir():
            continue
        for directory, names in walk(root / folder):
            prefix = Path(directory).relative_to(root).as_posix()
            prefix = "" if prefix == "." else prefix + "/"
            found += [prefix + n for n in names if n.lower().endswith(tuple(suffixes)) and n[0] != "."]
    return sorted(found)


def film_at(root: Path, place: Path) -> str:
    """Find one film of a release too large to be listed, also where it is a PNG and the tables say JPEG.

    Args:
        root: the release.
        place: as the tables have it, relative to ``root``.

    Returns:
        Its POSIX path relative to ``root``, "" where it is not there.
    """
    for path in (place, place.with_suffix(".png"), place.with_suffix(".jpg")):
        if (root / path).is_file():
            return path.as_posix()
    return ""


def by_path(path: str) -> str:
    """Key of :func:`attach_images`: the whole relative path."""
    return path


def by_name(path: str) -> str:
    """Key of :func:`attach_images`: the file name, for releases that spread images over numbered folders."""
    return path.rsplit("/", 1)[-1]


def by_stem(path: str) -> str:
    """Key of :func:`attach_images`: the file name without its ending."""
    return PurePosixPath(path).stem


def attach_images(
    samples: Sequence[Sample],
    root: Path,
    files: Sequence[str],
    table: Path,
    column: str,
    key: Callable[[str], str] = by_path,
) -> list[Sample]:
    """Give every sample its file, and every file its sample.

    Args:
        samples: with ``path`` relative to ``root`` as the table has it, and ``meta["row"]``.
        root: the release.
        files: from :func:`find_files`.
        table: the table that names the images.
        column: its column of image names.
        key: which part of a path identifies an image.

    Returns:
        The samples with complete paths, sorted by id.

    Raises:
        InputError: an id without an image, an image without an id, or two files for one id.
    """
    places: dict[str, str] = {}
    for file in files:
        if places.setdefault(key(file), file) != file:
            raise InputError(
                f"a second file for the same image, beside {places[key(file)]}", file=root / file
            )
    # Copies are often stored in another format, under the same name but for its ending.
    endings = {_ENDING.sub("", name): name for name in reversed(places) if _ENDING.search(name)}
    done: list[Sample] = []
    absent: list[Sample] = []
    for sample in samples:
        wanted = key(sample.path.as_posix())
        if wanted not in places:
            wanted = endings.get(_ENDING.sub("", wanted), wanted)
        place = places.pop(wanted, None)
        if place is None:
            absent.append(sample)
        else:
            done.append(replace(sample, path=root / place))
    if absent:
        row = f"{table}:{absent[0].meta['row']}" if "row" in absent[0].meta else table
        packed = packed_images(root)
        hint = f"; {', '.join(packed[:3])} lies there packed: unpack it" if packed else ""
        raise InputError(
            f"no image {absent[0].path} below {root}{_others(len(absent), len(samples), 'ids')}{hint}",
            file=row,
            field=column,
        )
    if places:
        first = min(places.values())
        raise InputError(
            f"image without a row in {table.name}{_others(len(places), len(files), 'files')}",
            file=root / first,
        )
    return sorted(done, key=lambda sample: sample.id)


def _others(count: int, total: int, noun: str) -> str:
    return f" ({count} of {total} {noun})" if count > 1 else ""
