"""Whether a weights file leaves something of an image encoder to the seed."""

from __future__ import annotations

from pathlib import Path

import torch

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.image_side import build_image, fill_image
from g2d_bench.errors import InputError

_known: dict[tuple[str, str], bool] = {}
"""By the digests of card and file."""


def drawn_by_seed(card: EncoderCard, file: Path, digest: str) -> bool:
    """Say whether a file lacks entries that are drawn at random, as a card may allow by ``missing_ok``.

    What is missing and starts the same for every seed, such as the scale of a normalisation, is not drawn. A
    file that does not fit is refused where it is loaded, and here lacks nothing.

    Args:
        card: of the encoder.
        file: its weights.
        digest: of the file, which is opened once for each.
    """
    key = card.digest, digest
    if key not in _known:
        _known[key] = _differ(card, file)
    return _known[key]


def _differ(card: EncoderCard, file: Path) -> bool:
    states = []
    for seed in (0, 1):
        try:
            image = build_image(card, seed, file)
            report, _ = fill_image(card, image, file, seed=seed)
        except InputError:
            return False
        if not report.excused:
            return False
        states.append(image.state_dict())
    first, second = states
    return any(not torch.equal(value, second[name]) for name, value in first.items())
