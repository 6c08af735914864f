"""Retrieval: from an image to its report and back, and by class."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.adapters.base import Job, NotApplicable, Outcome, settled_one
from g2d_bench.cards.arrays import MOST_SAMPLES, Rule
from g2d_bench.cards.kind import Kind, Sources
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_text
from g2d_bench.metrics.registry import measure
from g2d_bench.metrics.retrieval import PLACE, RANKS, WAYS, class_hits, classes, first_places, levels
from g2d_bench.metrics.retrieval_chance import COMMONEST, RANDOM, without_looking

if TYPE_CHECKING:
    from torch import Tensor

    from g2d_bench.adapters.text_image import TextImage
    from g2d_bench.cards.task import TaskCard
    from g2d_bench.data.task_data import TaskData

Arrays = dict[str, NDArray[Any]]

BATCH = 64
"""Reports that are embedded at once."""
ROWS = 512
"""Images that are compared with all reports at once."""
QUERIES = 10
"""Validation images per class that ask for images of their class, as in ConVIRT's image-image retrieval."""


@settled_one
def run(job: Job) -> Outcome:
    """Rank the test set's reports for each of its images, and its images for each report.

    The similarity is the cosine of the whole image with the whole report
    (:meth:`~g2d_bench.encoders.heads.base.Heads.global_similarity`); a report is its impression and findings.
    Reports with the same text are one candidate, and all images with that text are right for each other's
    report: nobody could tell them apart. Tasks by class rank every image's report instead, whatever it says.

    Returns:
        The task's metrics; those of a random order and of the order in which training images have the
        reports; what :mod:`g2d_bench.metrics.retrieval` lists.

    Raises:
        NotApplicable: the encoder has no text side, or is embeddings without those of reports.
        InputError: an image shows none or several of the classes of a task by class.
    """
    from g2d_bench.adapters.text_image import TextImage

    both = TextImage.of(job.encoder)
    task, data = job.task, job.data
    stored: Arrays = {
        "id": np.array(data.test),
        "patient": np.array(data.patients(data.test)),
        **truth(task, data),
    }
    images = _image_vectors(job, both, data.test)
    notes: dict[str, Any] = {"encoder_state": both.state()}
    if asks_reports(task):
        texts, number = _different(data, data.test)
        known = getattr(both.text, "known", None)
        if known is not None and not known(texts):
            raise NotApplicable("the embeddings give no vectors of reports")
        stored |= _ranked(both, task, images, _text_vectors(both, texts), number, stored)
    if _asks(task, "t2i_class"):
        assert task.prompts is not None
        asked = [task.prompts.of(label, both.method) for label in task.labels]
        texts = [text for prompts, _ in asked for text in prompts.positive]
        wanted = [k for k, (prompts, _) in enumerate(asked) for _ in prompts.positive]
        stored |= _levels("text", both, images, _text_vectors(both, texts), wanted)
        notes["prompts"] = {
            "set": task.prompts.name,
            "hash": task.prompts.digest(task.labels),
            "of": dict(zip(task.labels, (whose for _, whose in asked), strict=True)),
        }
    if _asks(task, "i2i_class"):
        queries = query_images(task, data)
        wanted = [place for _, place in queries]
        vectors = _image_vectors(job, both, tuple(image for image, _ in queries))
        stored |= _levels("image", both, images, vectors, wanted)
        notes["query_images"] = [image for image, _ in queries]
    notes |= noted(stored)
    return Outcome(
        metrics=measure(stored, task.metrics),
        references=without_looking(stored, task.metrics),
        predictions=stored,
        notes=notes,
    )


def asks_reports(task: TaskCard) -> bool:
    """Say whether a task compares images with their reports; else its images need none."""
    return any(name.startswith(("i2t_", "t2i_r", "t2i_m")) for name in task.metrics)


def _asks(task: TaskCard, start: str) -> bool:
    return any(name.startswith(start) for name in task.metrics)


def truth(task: TaskCard, data: TaskData) -> Arrays:
    """Return what is true of the test images: digest of the report, its count in training, classes."""
    digests = [""] * len(data.test)
    seen: NDArray[Any] = np.zeros(len(data.test), np.int64)
    if asks_reports(task):
        digests = [digest_text(text) for text in _texts(data, data.test)]
        counts = Counter(map(digest_text, _texts(data, data.train)))
        seen = np.array([counts[digest] for digest in digests], np.int64)
    return {
        "report": np.array(digests),
        "seen": seen,
        "targets": data.targets(data.test),
        "label": np.array(task.labels),
    }


def query_images(task: TaskCard, data: TaskData) -> list[tuple[str, int]]:
    """Choose the validation images that ask for images of their class, ordered by hash of their ids.

    Returns:
        Image and place of its class among the labels; at most :data:`QUERIES` per class.

    Raises:
        InputError: no validation image shows a class alone.
    """
    targets = data.targets(data.val)
    alone = (targets == 1).sum(axis=1) == 1
    chosen: list[tuple[str, int]] = []
    for place, label in enumerate(task.labels):
        names = [name for name, row, one in zip(data.val, targets, alone, strict=True) if one and row[place]]
        if not names:
            raise InputError(f"no validation image shows {label!r} alone", file=f"{task.name}.toml")
        names.sort(key=lambda name: hashlib.sha256(f"{task.name}:{name}".encode()).hexdigest())
        chosen += [(name, place) for name in names[:QUERIES]]
    return chosen


def noted(predictions: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return what a record notes of its scores and of the reports of its test images."""
    found: dict[str, Any] = {"similarity": "cosine of image and whole text"}
    if "report" in predictions and (predictions["report"] != "").any():
        _, sizes = np.unique(predictions["report"], return_counts=True)
        found["reports"] = {
            "images": len(predictions["report"]),
            "different": len(sizes),
            "images_that_share_one": int(sizes[sizes > 1].sum()),
            "most_common": int(sizes.max()),
        }
    return found


def told(sources: Sources) -> dict[str, Any]:
    """Return what a record notes of prompts and of the images that ask, as far as cards and images tell."""
    task, card, found = sources.task, sources.encoder, dict[str, Any]()
    if _asks(task, "t2i_class") and task.prompts is not None:
        found |= {"prompts.set": task.prompts.name, "prompts.hash": task.prompts.digest(task.labels)}
        if card is not None:
            found["prompts.of"] = {n: task.prompts.of(n, card.objective)[1] for n in task.labels}
    if _asks(task, "i2i_class") and sources.data is not None:
        found["query_images"] = [image for image, _ in query_images(task, sources.data)]
    return found


def _texts(data: TaskData, ids: Sequence[str]) -> Iterator[str]:
    """Yield impression and findings of each image's report."""
    from g2d_bench.readers.reports import report_text

    read: dict[str, str] = {}
    for image in ids:
        report = data.samples[image].report
        if report not in read:
            read[report] = report_text(report)
        yield read[report]


def _different(data: TaskData, ids: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Return the different texts, in the order in which images have them, and each image's among them."""
    places: dict[str, int] = {}
    number = np.array([places.setdefault(text, len(places)) for text in _texts(data, ids)])
    return list(places), number


def _image_vectors(job: Job, both: TextImage, ids: tuple[str, ...]) -> Tensor:
    import torch

    return torch.cat([image.vector.float() for _, image in both.embed_images(job, ids, cells=False)])


def _text_vectors(both: TextImage, texts: Sequence[str]) -> Tensor:
    import torch

    parts = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    return torch.cat([both.embed_texts(part).vector.float() for part in parts])


def _ranked(
    both: TextImage,
    task: TaskCard,
    images: Tensor,
    texts: Tensor,
    number: NDArray[np.intp],
    true: Mapping[str, NDArray[Any]],
) -> Arrays:
    """Rank reports for images and images for reports, a few hundred images at a time."""
    by_class = _asks(task, "i2t_class")
    of_class = classes(true) if by_class else np.zeros(len(number), np.intp)
    ranked: Arrays = {f"{way}_{part}": np.empty(len(number), np.int64) for way in WAYS for part in PLACE}
    hits: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for start in range(0, len(images), ROWS):
        some = slice(start, start + ROWS)
        scores = both.heads.global_similarity(images[some], texts).double().cpu().numpy()
        places = first_places(scores, number[some, None] == np.arange(len(texts))[None])
        for part in PLACE:
            ranked[f"i2t_{part}"][some] = getattr(places, part)
        if by_class:
            hits.append(class_hits(scores[:, number], of_class[some, None] == of_class[None]))
    for start in range(0, len(texts), ROWS):
        some = slice(start, start + ROWS)
        scores = both.heads.global_similarity(images, texts[some]).double().cpu().numpy().T
        right = np.arange(len(texts))[some, None] == number[None]
        places = first_places(scores, right)
        inside = (number >= start) & (number < start + len(scores))
        for part in PLACE:
            ranked[f"t2i_{part}"][inside] = getattr(places, part)[number[inside] - start]
    if by_class:
        for place, name in enumerate(("i2t_class_p", "i2t_class_hit")):
            ranked[name] = np.concatenate([part[place] for part in hits])
    return ranked


def _levels(name: str, both: TextImage, images: Tensor, queries: Tensor, wanted: Sequence[int]) -> Arrays:
    scores = both.heads.global_similarity(images, queries).double().cpu().numpy()
    return {f"{name}_level": levels(scores), f"{name}_label": np.array(wanted, np.int64)}


_TRUTH = ("report", "seen", "targets", "label")

KIND = Kind(
    "retrieval",
    heading="retrieval (no training)",
    place=6,
    run=run,
    asks=frozenset({"vector", "text"}),
    trained=False,
    trivial=frozenset({RANDOM, COMMONEST}),
    arrays={
        "report": Rule("U", ("N",)),
        "seen": Rule("iu", ("N",)),
        "targets": Rule("biuf", ("N", "C"), 0, 1, nan=True),
        "label": Rule("U", ("C",)),
        **{f"{way}_above": Rule("iu", ("N",), 0, MOST_SAMPLES) for way in WAYS},
        **{
            f"{way}_{part}": Rule("iu", ("N",), 1, MOST_SAMPLES) for way in WAYS for part in ("tied", "right")
        },
        **{f"{way}_rank": Rule("biuf", ("N",), 1, MOST_SAMPLES) for way in WAYS},
        **{f"i2t_class_{what}": Rule("biuf", ("N", len(RANKS)), 0, 1) for what in ("p", "hit")},
        "text_level": Rule("iu", ("N", "T"), 0, "N"),
        "text_label": Rule("iu", ("T",), 0, "C"),
        "image_level": Rule("iu", ("N", "I"), 0, "N"),
        "image_label": Rule("iu", ("I",), 0, "C"),
    },
    # Texts that ask for a class are prompts.
    lacks=lambda task: ("text_level", "text_label") if task.prompts is None else (),
    truth=_TRUTH,
    kept=_TRUTH,
    expected=lambda data: (data.test, truth(data.task, data)),
    chance=without_looking,
    noted=noted,
    told=told,
    prompts=None,
    reports=asks_reports,
    cost=0,
    early=3,
    imports=("g2d_bench.adapters.text_image",),
)
