"""How far generated films are from real ones: part (c) of :mod:`transfer`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from film_statistics import (
    MASKED,
    WORDS,
    Grey,
    Mask,
    alike,
    distance,
    fitted,
    histogram,
    histogram_distance,
    statistics,
    thumbnail,
    told_apart,
)
from numpy.typing import NDArray

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.readers.base import Dataset

QUANTILES = tuple(range(0, 101, 5))
"""In percent: what is kept of a distribution, for the plot."""


@dataclass(frozen=True)
class Film:
    """A film of either side.

    Attributes:
        grey: grey values [H, W].
        lungs: mask of both lungs [H, W], None where nobody drew it.
        patient: whose it is, by a name that no other side has.
        numbers: its statistics.
    """

    grey: Grey
    lungs: Mask | None
    patient: str
    numbers: Mapping[str, float]


def as_shown(card: EncoderCard) -> EncoderCard:
    """Return a card whose encoder sees grey values as they are, exposure included."""
    return card.model_copy(update={"image": card.image.model_copy(update={"standardise": False})})


def generated_films(dataset: str, count: int) -> list[Film]:
    """Generate the first films of a data set with the code as it is now, and read them; nothing is kept.

    They go through files as any generated data set does: which films have masks, what these take in and what
    JPEG does to a film are then those of the data set.

    Args:
        dataset: which.
        count: how many.
    """
    from g2d_bench.phantom import ensure
    from g2d_bench.readers.registry import dataset_class

    with TemporaryDirectory() as folder:
        return _films(dataset_class(dataset)(ensure(dataset, root=Path(folder), count=count)), "generated")


def real_films(dataset: str, root: Path) -> list[Film]:
    """Read the films of a data set below a folder of real data.

    Raises:
        InputError: they are not there, or generated ones.
    """
    from g2d_bench.errors import InputError
    from g2d_bench.readers.registry import open_dataset

    reader = open_dataset(dataset, root)
    if reader.kind != "real":
        raise InputError("these films are generated", file=reader.root, field="--real")
    return _films(reader, "real")


def _films(reader: Dataset, side: str) -> list[Film]:
    from g2d_bench.progress import track

    films = []
    for sample in track(reader.samples(), f"measuring {side} {reader.name}", unit="film"):
        grey = reader.read_image(sample)
        shape = (grey.shape[0], grey.shape[1])
        lungs = reader.read_mask(sample, shape, "Lung") if sample.labels.get("Lung") == 1 else None
        films.append(Film(grey, lungs, f"{side} {sample.patient}", statistics(grey, lungs)))
    return films


def gap(generated: Sequence[Film], real: Sequence[Film]) -> dict[str, Any]:
    """Compare films by their statistics.

    Returns:
        ``statistics``: of each the mean, standard deviation and quantiles on both sides and the distance;
        ``histogram``: of the pooled greys.
    """
    sides = {"generated": generated, "real": real}
    values: dict[str, dict[str, list[float]]] = {}
    for side, films in sides.items():
        columns = {name: [f.numbers[name] for f in films if name in f.numbers] for name in WORDS}
        columns["others"] = alike([thumbnail(fitted(film.grey)) for film in films])
        values[side] = columns
    found = {}
    for name in WORDS:
        own, theirs = values["generated"][name], values["real"][name]
        # Without masks there is nothing to compare.
        if len(own) > 1 and len(theirs) > 1:
            found[name] = {
                "generated": _summary(own),
                "real": _summary(theirs),
                **asdict(distance(own, theirs)),
            }
    greys = {side: histogram([fitted(film.grey) for film in films]) for side, films in sides.items()}
    pooled = asdict(histogram_distance(greys["generated"], greys["real"]))
    shares = {side: [round(float(share), 6) for share in found_] for side, found_ in greys.items()}
    return {
        "films": {side: len(films) for side, films in sides.items()},
        "statistics": found,
        "histogram": {**pooled, **shares},
    }


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return {
        "count": len(values),
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)),
        "quantiles": [float(value) for value in np.percentile(values, QUANTILES)],
    }


def boxed(film: Film) -> Grey | None:
    """Return the square around the lungs' box, black outside of the film; None without a mask."""
    if film.lungs is None or not film.lungs.any():
        return None
    rows, columns = np.flatnonzero(film.lungs.any(1)), np.flatnonzero(film.lungs.any(0))
    side = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    top = int(rows[0] + rows[-1] + 1 - side) // 2
    left = int(columns[0] + columns[-1] + 1 - side) // 2
    square: Grey = np.pad(film.grey, side)[top + side : top + 2 * side, left + side : left + 2 * side]
    return square


def probed(
    generated: Sequence[Film], real: Sequence[Film], encoders: Mapping[str, Any]
) -> Iterator[tuple[str, str, tuple[float, float]]]:
    """Tell real from generated with linear probes on frozen features.

    Args:
        generated: the films of one side.
        real: those of the other.
        encoders: name to a loaded encoder.

    Yields:
        Encoder, what it saw (``film``: the letterboxed film; ``chest``: the square around the lungs, where
        both sides have masks; ``numbers``: no encoder, the statistics), and AUROC with its spread over folds.
    """
    films = [*generated, *real]
    is_real = np.arange(len(films)) >= len(generated)
    people = [film.patient for film in films]
    names = [name for name in WORDS if name not in MASKED and name != "others"]
    yield "–", "numbers", told_apart(_columns(films, names), is_real, people)
    cut = [boxed(film) for film in films]
    have = np.array([square is not None for square in cut])
    for name, encoder in encoders.items():
        found = told_apart(features(encoder, [film.grey for film in films]), is_real, people)
        yield name, "film", found
        if have[is_real].sum() > 20 and have[~is_real].sum() > 20:
            squares = [square for square in cut if square is not None]
            owners = [one for one, there in zip(people, have, strict=True) if there]
            yield name, "chest", told_apart(features(encoder, squares), is_real[have], owners)


def _columns(films: Sequence[Film], names: Sequence[str]) -> NDArray[np.float64]:
    return np.array([[film.numbers[name] for name in names] for film in films])


def features(encoder: Any, greys: Sequence[Grey]) -> NDArray[np.float32]:
    """Return the pooled features [N, D] of films of any shape, preprocessed as the encoder's card says."""
    from g2d_bench.encoders.features import forward
    from g2d_bench.readers.images import letterbox

    size = encoder.card.image.size
    pixels = np.stack([letterbox(grey, size) for grey in greys])
    parts = [
        found.pooled[: len(rows)].cpu().numpy()
        for rows, found in forward(encoder, pixels, np.arange(len(pixels)))
    ]
    return np.concatenate(parts)
