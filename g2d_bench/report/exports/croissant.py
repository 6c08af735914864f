"""Croissant 1.1 of the committed splits: lists of ids with hashes and licences, and no pixel.

http://mlcommons.org/croissant/1.1; the lists are unpacked beside it, so that the format's library reads them.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from g2d_bench import __version__
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.data.splits import read_id_list
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.readers.registry import READERS
from g2d_bench.records.record import digest_bytes
from g2d_bench.report.exports.base import Export, Request

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject"),
            *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
            *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
            *("source", "subField", "transform"),
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
}
"""As the format asks for it."""
RELEASED = "2026-11-26"
"""Day on which the lists were published as they are; raised when one changes."""
LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"


def write(request: Request) -> Mapping[str, bytes]:
    """Write ``croissant.json`` and the lists that it describes.

    Raises:
        InputError: a list is not the one that its checksum was taken of.
    """
    folder = shipped("tasks") / "splits"
    files: dict[str, bytes] = {}
    distribution, sets = [], []
    for line in (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        packed = (folder / name).read_bytes()
        if digest_bytes(packed) != digest:
            raise InputError("is not the list whose checksum stands in SHA256SUMS", file=folder / name)
        plain, data = name.removesuffix(".gz"), gzip.decompress(packed)
        files[f"splits/{plain}"] = data
        distribution.append(_file(plain, data, folder / name))
        sets.append(_records(plain))
    whole = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": "g2d-bench-splits",
        "description": "Training, validation and test images of chest X-ray tasks, as lists of ids, divided "
        "by patient and without known leaks. Only ids: images and labels are to be had from the data sets' "
        "own sources, under their licences.",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "citeAs": f"The g2d-bench authors, g2d-bench {__version__}: honest comparison of medical "
        "vision-language pre-training on chest X-rays",
        "creator": {"@type": "sc:Organization", "name": "The g2d-bench authors"},
        "datePublished": RELEASED,
        "license": LICENCE,
        "url": request.source or "https://example.org/g2d-bench",
        "version": __version__,
        "distribution": distribution,
        "recordSet": sets,
    }
    files["croissant.json"] = (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()
    return files


def _file(name: str, data: bytes, packed: Path) -> dict[str, Any]:
    split = read_id_list(packed)
    counts = ", ".join(f"{len(ids)} {part}" for part, ids in split.parts.items())
    tasks, dataset = _tasks(packed.name)
    reader = READERS[dataset]
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": f"Ids of {reader.title}: {counts}; of the tasks {', '.join(tasks)}. Licence of the "
        f"images: {reader.licence}. {reader.access} {reader.citation}",
        "contentUrl": f"splits/{name}",
        "contentSize": f"{len(data)} B",
        "encodingFormat": "text/csv",
        "sha256": digest_bytes(data),
    }


def _tasks(name: str) -> tuple[list[str], str]:
    """Return the tasks that use a list, and their data set."""
    cards = [
        card
        for card in Catalogue.open().tasks
        if any(rule.ids is not None and rule.ids.name == name for rule in card.split.values())
    ]
    if not cards:
        raise InputError("is used by no task", file=name)
    return [card.name for card in cards], cards[0].dataset


def _records(name: str) -> dict[str, Any]:
    called = name.removesuffix(".csv")
    fields = (("id", "Id of an image, in the words of the data set."), ("split", "train, val or test."))
    return {
        "@type": "cr:RecordSet",
        "@id": called,
        "name": called,
        "description": f"The split of {called}, one image a line.",
        "key": {"@id": f"{called}/id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{called}/{column}",
                "name": column,
                "description": text,
                "dataType": "sc:Text",
                "source": {"fileObject": {"@id": name}, "extract": {"column": column}},
            }
            for column, text in fields
        ],
    }


EXPORT = Export(write, of_records=False)
