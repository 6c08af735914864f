"""What a data set contains, with hashes: parsed once, opened in a blink afterwards."""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
import stat
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.data.parallel import over_files
from g2d_bench.errors import InputError
from g2d_bench.files import read_regular
from g2d_bench.hashing import digest_code, digest_foreign, digest_package
from g2d_bench.kept import read_kept, write_kept
from g2d_bench.locks import alone
from g2d_bench.paths import PACKAGE, cache_dir
from g2d_bench.progress import tell_once
from g2d_bench.readers.base import Box, Dataset, Phrase, Sample
from g2d_bench.readers.frames import fit_samples
from g2d_bench.readers.images import image_size

FORMAT = 1
"""Version of the cache file."""

FILE_ANNOTATION = "file:"
"""An annotation that starts so names a file below the root of the data set; its bytes count in the hash."""


@dataclass(frozen=True)
class Manifest:
    """The samples of a data set with the hashes of their files.

    Attributes:
        dataset: name of the data set.
        kind: ``phantom`` or ``real``.
        samples: sorted by id.
        sha256: hash of each image file, in the order of ``samples``; empty where only tables were read.
        sizes: native (H, W) of each image, shape [N, 2].
        content_hash: SHA-256 over everything that can change a number: ids, patients, labels, splits,
            annotations, boxes (as they lie on the films), phrases, reports and image bytes; not over paths.
        remarks: what the reader left aside or took otherwise than it stands there, a line each.
        decoder: digest of the source of a reader of another package, by which decoded films and masks are
            named; "" for one of this package, whose decoding has versions.
    """

    dataset: str
    kind: str
    samples: tuple[Sample, ...]
    sha256: tuple[str, ...]
    sizes: NDArray[np.int32]
    content_hash: str
    remarks: tuple[str, ...] = ()
    decoder: str = ""

    @cached_property
    def index(self) -> dict[str, int]:
        """Id to its place in ``samples`` and in every cache."""
        return {sample.id: place for place, sample in enumerate(self.samples)}

    def rows(self, ids: Iterable[str]) -> NDArray[np.intp]:
        """Return the places of ids.

        Raises:
            InputError: an id is unknown.
        """
        index = self.index
        try:
            return np.array([index[name] for name in ids], dtype=np.intp)
        except KeyError as error:
            raise InputError(f"data set {self.dataset} has no image {error.args[0]!r}") from None

    @classmethod
    def open(cls, dataset: Dataset, *, refresh: bool = False) -> Manifest:
        """Open a data set's manifest, building it (with progress) when its files changed.

        The cache is keyed by path, size and modification time of every file below the root, and by the code
        that reads them; hidden files do not count.

        Args:
            dataset: the reader.
            refresh: build in any case.

        Raises:
            InputError: a table or file is missing or malformed, or an id stands twice.
        """
        path, root, fingerprint = _place(dataset)
        if not refresh and (cached := _load(path, root, fingerprint)) is not None:
            return _tell(cached)
        with alone(path.with_name(f".{path.name}.lease"), f"hashing {dataset.name}"):
            # Whoever was at it before may have made it.
            if not refresh and (cached := _load(path, root, fingerprint, say=False)) is not None:
                return _tell(cached)
            manifest = _build(dataset)
            _save(path, manifest, root, fingerprint)
        return _tell(manifest)

    @classmethod
    def cached(cls, dataset: Dataset) -> Manifest | None:
        """Return the manifest if it was built since the files last changed, else None."""
        path, root, fingerprint = _place(dataset)
        return _load(path, root, fingerprint)

    @classmethod
    def of_tables(cls, dataset: Dataset) -> Manifest:
        """Make a manifest of the tables alone: no file is hashed, no size is known, ``content_hash`` is "".

        Raises:
            InputError: a table is missing or malformed, or an id stands twice.
        """
        samples = _sorted(dataset, dataset.table_samples())
        return cls(dataset.name, dataset.kind, samples, (), np.zeros((len(samples), 2), np.int32), "")


def _tell(manifest: Manifest) -> Manifest:
    """Say once what of a release is not taken as it stands."""
    for remark in manifest.remarks:
        tell_once(f"{manifest.dataset}: {remark}")
    return manifest


def _place(dataset: Dataset) -> tuple[Path, Path, str]:
    """Return the cache file of a data set, its resolved root, and the fingerprint of its files."""
    root = dataset.root.resolve()
    place = hashlib.sha256(os.fsencode(f"{type(dataset).__qualname__}:{root}")).hexdigest()[:12]
    return cache_dir() / "manifests" / f"{dataset.name}-{place}.json.gz", root, _fingerprint(dataset)


def _sorted(dataset: Dataset, samples: Iterable[Sample]) -> tuple[Sample, ...]:
    found = tuple(sorted(samples, key=lambda sample: sample.id))
    for before, sample in pairwise(found):
        if before.id == sample.id:
            raise InputError(f"id {sample.id!r} stands twice in data set {dataset.name}", file=sample.path)
    return found


def _build(dataset: Dataset) -> Manifest:
    samples = _sorted(dataset, dataset.samples())
    paths = [sample.path for sample in samples]
    files = list(over_files(_inspect, paths, f"hashing {dataset.name}", threads=min(8, os.cpu_count() or 1)))
    sizes = np.array([size for _, size in files], np.int32).reshape(-1, 2)
    samples, fitted = fit_samples(samples, sizes)
    lines = [_canonical(dataset, sample, sha) for sample, (sha, _) in zip(samples, files, strict=True)]
    return Manifest(
        dataset=dataset.name,
        kind=dataset.kind,
        samples=samples,
        sha256=tuple(sha for sha, _ in files),
        sizes=sizes,
        content_hash=hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        remarks=(*dataset.remarks, *fitted),
        decoder=digest_foreign(type(dataset).__module__),
    )


def _inspect(path: Path) -> tuple[str, tuple[int, int]]:
    data = _read(path)
    return hashlib.sha256(data).hexdigest(), image_size(data, path)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error


def _canonical(dataset: Dataset, sample: Sample, sha256: str) -> str:
    """One line of JSON with everything of a sample that can change a number."""
    annotation = hashlib.sha256()
    for text in sample.annotation:
        data = text.encode()
        if text.startswith(FILE_ANNOTATION):
            data = _read(dataset.root / text.removeprefix(FILE_ANNOTATION))
        annotation.update(hashlib.sha256(data).digest())
    fields = [
        sample.id,
        sample.patient,
        sorted((label, float(value)) for label, value in sample.labels.items()),
        sample.split,
        annotation.hexdigest(),
        sorted(_pack_box(box) for box in sample.boxes),
        [[phrase.text, sorted(_pack_box(box) for box in phrase.boxes)] for phrase in sample.phrases],
        sample.report,
        sha256,
    ]
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))


def _fingerprint(dataset: Dataset) -> str:
    """Hash of the state of all files below the root, of those beside it, and of the code that reads them."""
    digest = hashlib.sha256(f"{FORMAT}".encode())
    digest.update(digest_package(PACKAGE / "readers").encode())
    digest.update(digest_code(type(dataset).__module__, __name__).encode())
    for entry in sorted(_files(os.fspath(dataset.root), "")):
        digest.update(entry.encode("utf-8", "surrogateescape"))
    for path in dataset.beside():
        state = path.stat()
        digest.update(os.fsencode(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n"))
    return digest.hexdigest()


def _files(folder: str, prefix: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterable[str]:
    try:
        itself = Path(folder).stat()
        place = (itself.st_dev, itself.st_ino)
        if place in above:
            return  # a link to a folder that it lies in
        entries = os.scandir(folder)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=folder) from error
    with entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                state = entry.stat()
            except OSError:
                state = entry.stat(follow_symlinks=False)  # a link to nothing, or to itself
            if stat.S_ISDIR(state.st_mode):
                yield from _files(entry.path, f"{prefix}{entry.name}/", above | {place})
            else:
                yield f"{prefix}{entry.name}\0{state.st_size}\0{state.st_mtime_ns}\n"


def _save(path: Path, manifest: Manifest, root: Path, fingerprint: str) -> None:
    content = {
        "format": FORMAT,
        "fingerprint": fingerprint,
        "dataset": manifest.dataset,
        "kind": manifest.kind,
        "content_hash": manifest.content_hash,
        "sha256": manifest.sha256,
        "sizes": manifest.sizes.tolist(),
        "remarks": manifest.remarks,
        "decoder": manifest.decoder,
        "samples": [_pack(sample, root) for sample in manifest.samples],
    }
    # Level 1: a second opening should cost as little as possible, and so should the first.
    write_kept(path, gzip.compress(json.dumps(content).encode(), 1, mtime=0))


def _load(path: Path, root: Path, fingerprint: str, *, say: bool = True) -> Manifest | None:
    packed = read_kept(path, say=say)
    if packed is None:
        return None
    try:
        content = json.loads(gzip.decompress(packed))
        if content["format"] != FORMAT or content["fingerprint"] != fingerprint:
            return None
        samples = tuple(_unpack(packed, root) for packed in content["samples"])
        sizes = np.array(content["sizes"], np.int32).reshape(-1, 2)
        manifest = Manifest(
            content["dataset"],
            content["kind"],
            samples,
            tuple(content["sha256"]),
            sizes,
            content["content_hash"],
            tuple(content["remarks"]),
            content["decoder"],
        )
    # Another version wrote it: it is made again.
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, IndexError):
        return None
    return manifest if len(samples) == len(manifest.sha256) == len(sizes) else None


def _pack(sample: Sample, root: Path) -> list[Any]:
    path = sample.path.resolve()
    inside = path.is_relative_to(root)
    return [
        sample.id,
        sample.patient,
        path.relative_to(root).as_posix() if inside else str(path),
        {label: None if math.isnan(value) else value for label, value in sample.labels.items()},
        sample.split,
        sample.annotation,
        [_pack_box(box) for box in sample.boxes],
        [[phrase.text, [_pack_box(box) for box in phrase.boxes]] for phrase in sample.phrases],
        sample.report,
        dict(sample.meta),
    ]


def _unpack(packed: list[Any], root: Path) -> Sample:
    name, patient, path, labels, split, annotation, boxes, phrases, report, meta = packed
    return Sample(
        id=name,
        patient=patient,
        path=root / path,
        labels={label: math.nan if value is None else float(value) for label, value in labels.items()},
        split=split,
        annotation=tuple(annotation),
        boxes=tuple(Box(*box) for box in boxes),
        phrases=tuple(Phrase(text, tuple(Box(*box) for box in within)) for text, within in phrases),
        report=report,
        meta=meta,
    )


def _pack_box(box: Box) -> list[Any]:
    return [box.label, float(box.x), float(box.y), float(box.w), float(box.h)]
