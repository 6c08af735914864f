"""What of pneumonia on real films is read without an encoder, and at what depth of one: part (e).

A linear head of the same protocol is fitted on the mean and the standard deviation of a film's greys, on the
film at 8 x 8 pixels, and on the mean of each stage of the encoders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transfer_cells import FRACTIONS, LINEAR, Candidate, Score

from g2d_bench.api.evaluate import _bench, _in_memory
from g2d_bench.api.spec import ImageSpec
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.workers import execute
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.encoders.tone import standardised
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell

SIDE = 128
"""Of the square film, as the small encoders see it."""
CELLS = 8
WITHOUT = ("mean and deviation of grey", f"film at {CELLS} x {CELLS} pixels")
"""What is read without an encoder."""


class Pooled(nn.Module):
    """Gives a vector for each film.

    Args:
        read: takes greys from 0 to 1, [B, 1, S, S], and gives [B, D].
        part: what of it has weights.
    """

    def __init__(self, read: Callable[[Tensor], Tensor], part: nn.Module | None = None) -> None:
        super().__init__()
        self.part = part
        self._read = read

    def forward(self, images: Tensor) -> Tensor:
        return self._read(images[:, :1])


def greys(films: Tensor) -> Tensor:
    """Return mean and standard deviation, [B, 2]."""
    flat = films.flatten(1)
    return torch.stack([flat.mean(1), flat.std(1)], 1)


def thumbnails(films: Tensor) -> Tensor:
    """Return the film at 8 x 8 pixels, [B, 64]."""
    return nn.functional.adaptive_avg_pool2d(films, CELLS).flatten(1)


def stage(encoder: Encoder, place: int) -> Callable[[Tensor], Tensor]:
    """Return what gives the mean of a stage [B, C], films preprocessed as the encoder's card says."""
    channels = encoder.card.image.channels

    def read(films: Tensor) -> Tensor:
        shown = standardised(films).repeat(1, channels, 1, 1)
        return encoder.image(shown).pyramid[place].mean((2, 3))

    return read


def readers(everybody: Sequence[Candidate]) -> Iterator[tuple[str, int, int, Pooled]]:
    """Yield encoder ("" for none), training, stage (from 0) or place in :data:`WITHOUT`, and reader."""
    for place, read in enumerate((greys, thumbnails)):
        yield "", 0, place, Pooled(read)
    cards = Catalogue.open().encoders
    for one in everybody:
        card = cards[one.encoder]
        if not card.image.standardise:
            raise InputError("stages are read of encoders that standardise films", field=one.encoder)
        encoder = load_encoder(card, checkpoint=one.weights, seed=one.training, text=False)
        with torch.no_grad():
            depth = len(encoder.image(torch.zeros(1, card.image.channels, SIDE, SIDE)).pyramid)
        for place in range(depth):
            yield one.encoder, one.training, place, Pooled(stage(encoder, place), encoder.image)


def shallow(everybody: Sequence[Candidate], seeds: int, real: Path, cards: Path, runs: Path) -> list[Score]:
    """Fit linear heads on what is read of the films of each split.

    Args:
        everybody: the encoders.
        seeds: how many splits.
        real: folder of real films.
        cards: folder of the splits' task cards.
        runs: where records are put; models in memory are measured each time.

    Raises:
        InputError: a cell failed.
    """
    settings = Settings(data_root=real, results=runs, task_dirs=(cards,))
    found: list[Score] = []
    for encoder, training, place, reader in readers(everybody):
        spec = ImageSpec(SIDE, mean=0.0, std=1.0, scale="phantom")
        bench, name = _bench(reader, settings, spec, f"{encoder or 'none'}-{place}", ())
        cells = [
            Cell(LINEAR.format(split), fraction, "clean", split, name)
            for split in range(seeds)
            for fraction in FRACTIONS
        ]
        with _in_memory(bench):
            report = execute(cells, bench, 1)
        if report.failures:
            raise InputError(f"{report.failures[0].cell}: {report.failures[0].error}")
        values: dict[Cell, Any] = {record.cell: record.metrics["auroc"] for record in report.records}
        found += [
            {
                "encoder": encoder,
                "training": training,
                "stage": place,
                "fraction": cell.fraction,
                "seed": cell.seed,
                "value": values[cell],
            }
            for cell in cells
        ]
    return found
