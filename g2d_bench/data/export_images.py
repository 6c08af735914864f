"""The images of a task as files, for whoever embeds them elsewhere: exact pixels, ids, and what is asked."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.cards.kind import KINDS
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.task_data import TaskData
from g2d_bench.draft_folders import draft_folder, not_placed
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_text
from g2d_bench.progress import track
from g2d_bench.readers.images import Letterbox
from g2d_bench.readers.reports import report_text

if TYPE_CHECKING:
    from g2d_bench.cards.protocol import Protocol
    from g2d_bench.cards.task import TaskCard
    from g2d_bench.readers.base import Dataset

IMAGES, IDS, TEXTS, REPORTS, ABOUT = "images", "ids.csv", "texts.txt", "reports.csv", "export.json"
HOLDS = frozenset({IMAGES, IDS, TEXTS, REPORTS, ABOUT})
"""What stands in an export, and so in a draft of one."""


def export_images(
    task: TaskCard,
    protocol: Protocol,
    dataset: Dataset,
    manifest: Manifest,
    out: Path,
    *,
    size: int | None = None,
    method: str = "other",
) -> dict[str, Any]:
    """Write the images of all parts of a task, losslessly, and the prompts and reports that it asks.

    Args:
        task: which.
        protocol: names the split.
        dataset: decodes the images.
        manifest: of the data set.
        out: a folder that is not there yet; it appears when all is written.
        size: side of letterboxed squares; films as they are if None.
        method: objective of the encoder, whose prompts are asked.

    Returns:
        What ``export.json`` says.

    Raises:
        InputError: the folder is there, cannot be written, or an image cannot be read.
    """
    if out.exists():
        raise InputError("is there already; give a new folder", file=out, field="--out")
    if not out.parent.is_dir():
        raise InputError("no such folder", file=out.parent, field="--out")
    data = TaskData(task, protocol, dataset, manifest, 1.0, 0)
    rows = [(image, part) for part, ids in data.split.parts.items() for image in ids]
    about = {
        "task": f"{task.name}@{task.version}",
        "data set": dataset.name,
        "kind": manifest.kind,
        "content": manifest.content_hash,
        "split": data.split.hash,
        "images": len(rows),
        "size": size or "as the films are",
    }
    try:
        with draft_folder(out, HOLDS) as draft:
            about |= _write(draft, task, data, rows, size, method)
            (draft / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
            draft.chmod(0o755)
            draft.rename(out)
    except OSError as error:
        raise not_placed(error, out) from error
    return about


def _write(
    draft: Path, task: TaskCard, data: TaskData, rows: list[tuple[str, str]], size: int | None, method: str
) -> dict[str, int]:
    """Write all but what ``export.json`` says; return what that says of texts and reports."""
    from PIL import Image

    (draft / IMAGES).mkdir()
    digits = len(str(len(rows)))
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    said = reports(task, data)
    writer.writerow(["id", "file", "part", *(["report"] if said else [])])
    for n, (image, part) in enumerate(track(rows, f"images of {task.name}", unit="image")):
        name = f"{IMAGES}/{n:0{digits}}.png"
        Image.fromarray(_pixels(data.dataset, data.manifest, image, size)).save(draft / name)
        report = [digest_text(said[image]) if image in said else ""] if said else []
        writer.writerow([image, name, part, *report])
    (draft / IDS).write_text(table.getvalue(), encoding="utf-8")
    texts = asked(task, method)
    if texts:
        (draft / TEXTS).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    counts = {"texts": len(texts)}
    if said:
        different = list(dict.fromkeys(said.values()))
        counts["reports"] = len(different)
        (draft / REPORTS).write_text(_table(different), encoding="utf-8")
    return counts


def asked(task: TaskCard, method: str) -> list[str]:
    """Return the prompts that a task asks an encoder of some objective, each once."""
    if task.prompts is None:
        return []
    found = [task.prompts.of(label, method)[0] for label in task.labels]
    return list(dict.fromkeys(text for one in found for text in (*one.positive, *one.negative)))


def reports(task: TaskCard, data: TaskData) -> dict[str, str]:
    """Return the reports that a task compares images with, by image of its test set; else nothing."""
    if not KINDS[task.kind].reports(task):
        return {}
    return {image: report_text(data.samples[image].report) for image in data.test}


def _table(texts: list[str]) -> str:
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(["report", "text"])
    writer.writerows([digest_text(text), text] for text in texts)
    return written.getvalue()


def _pixels(dataset: Dataset, manifest: Manifest, image: str, size: int | None) -> NDArray[np.uint8]:
    sample = manifest.samples[manifest.index[image]]
    film = dataset.read_image(sample)
    if size is None:
        return np.ascontiguousarray(film)
    square: NDArray[np.uint8] = Letterbox.of((film.shape[0], film.shape[1]), size).image_forward(film)
    return np.ascontiguousarray(square)
