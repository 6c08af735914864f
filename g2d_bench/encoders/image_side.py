"""The image side of a card: built for a seed, and filled from a file."""

from __future__ import annotations

from pathlib import Path

import torch

from g2d_bench.cards.encoder import EncoderCard, Layout
from g2d_bench.encoders.checkpoint import Checkpoint, LoadReport, load_into, match_any, open_checkpoint
from g2d_bench.encoders.image import ImageEncoder, seeded_encoder
from g2d_bench.encoders.library import library_of
from g2d_bench.errors import InputError

OWN = "g2d-bench"
"""Name of the layout that our own pre-training writes."""


def build_image(card: EncoderCard, seed: int, file: Path | None = None) -> ImageEncoder:
    """Build a card's image encoder with a seeded initialisation, in eval mode.

    Args:
        card: which one.
        seed: of the initialisation.
        file: its weights, beside which a library may look for a configuration; they are not read.

    Raises:
        InputError: the library does not know the model or its options, or it does not take the card's size.
    """
    spec = card.image
    try:
        folder = None if file is None else library_of(spec.library).folder_of(file)
        image = seeded_encoder(
            spec.model,
            seed=seed,
            upsample_inside=spec.resize_inside,
            options=spec.options,
            library=spec.library,
            pool=spec.pool,
            channels=spec.channels,
            folder=folder,
        )
    except InputError as error:
        raise InputError(str(error), file=f"{card.name}.toml") from None
    side = spec.resize_inside or spec.size
    if image.input_size not in (None, side):
        message = f"{spec.model} takes {image.input_size} px, not {side}; set image.options.img_size"
        raise InputError(message, file=f"{card.name}.toml", field="image.size")
    return image.eval()


def fill_image(
    card: EncoderCard, image: ImageEncoder, file: Path, *, seed: int
) -> tuple[LoadReport, Checkpoint | None]:
    """Load a file into a fresh image encoder.

    Args:
        card: of the encoder.
        image: as :func:`build_image` gives it for the same seed.
        file: its weights.
        seed: of what the file may lack and the library initialises.

    Returns:
        How the file fitted, and the file, unless the library opened it.

    Raises:
        InputError: the file does not fit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        report = library_of(card.image.library).load(card, image, file)
    if report is not None:
        return report, None
    opened = open_checkpoint(file)
    report = match_any(opened, [*card.checkpoint, own_layout(image)], image.body)
    load_into(image.body, report)
    return report, opened


def own_layout(image: ImageEncoder) -> Layout:
    """Return the layout of files that our own pre-training writes, for every card."""
    return Layout(layout=OWN, prefix="image.", expect=len(image.body.state_dict()))
