"""What of an encoder moves a number beside its card: weights, files of its texts, code of its scorer."""

from __future__ import annotations

from pathlib import Path

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.scorer import SCORERS
from g2d_bench.encoders.text_folder import needs_folder, text_digest
from g2d_bench.encoders.weights import weights_digest, weights_file
from g2d_bench.hashing import digest_code


def digests(
    card: EncoderCard,
    checkpoint: Path | None,
    seed: int,
    dataset: str,
    *,
    texts: bool,
    weights: str = "",
) -> dict[str, str]:
    """Name what a cell takes of an encoder.

    Args:
        card: of the encoder.
        checkpoint: the user's weights file.
        seed: of the cell; what a random initialisation is derived from.
        dataset: of the task; of embeddings those of this data set are taken.
        texts: whether the encoder is asked with texts.
        weights: names weights that lie in no file.

    Returns:
        ``weights``; where texts are asked with ``text`` and ``scorer``, too, as far as the card has them.

    Raises:
        InputError: see :func:`g2d_bench.encoders.weights.weights_file`.
    """
    found = {"weights": weights or weights_digest(card, checkpoint, seed, dataset)}
    if texts and needs_folder(card) and (file := weights_file(card, checkpoint)) is not None:
        found["text"] = text_digest(card, file)
    if texts and card.scorer:
        found["scorer"] = digest_code(SCORERS.module(card.scorer))
    return found
