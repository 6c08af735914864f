"""From word pieces to words: the sums that GLoRIA and MGCA form.

Both walk along the tokens of a text; a piece that does not continue a word opens the next one, ``[CLS]``,
``[SEP]`` and unknown words being words of one piece, and the walk ends at ``[SEP]``. A *word index* records
the outcome: for each token the number of its word, -1 for padding; 0 is ``[CLS]`` and the last is ``[SEP]``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    pass


def word_index(starts: Tensor, mask: Tensor) -> Tensor:
    """Number the words of a batch of texts.

    Args:
        starts: bool [B, T], true where a token opens a word.
        mask: bool [B, T], true for tokens, false for padding; tokens come first.

    Returns:
        Long [B, T], -1 for padding.
    """
    numbers = torch.cumsum(starts.long() * mask, dim=1) - 1
    return numbers.masked_fill(~mask, -1)


def word_counts(index: Tensor) -> Tensor:
    """Count the words of each text, ``[CLS]`` and ``[SEP]`` included: long [B]."""
    return index.amax(dim=1) + 1


def word_sums(values: Tensor, index: Tensor, words: int | None = None) -> Tensor:
    """Sum what belongs to the pieces of one word.

    Args:
        values: [B, T] or [B, T, D].
        index: word index, long [B, T].
        words: W, at least the largest word count of the batch, which it is by default; to count is to wait
            for the device.

    Returns:
        [B, W] or [B, W, D]; zero where a text has fewer words.
    """
    batch = len(index)
    if words is None:
        words = int(index.max()) + 1
    rows = torch.arange(batch, device=index.device)[:, None] * words + index
    # Padding goes to a row of its own, behind all others, that is cut off.
    rows = torch.where(index < 0, batch * words, rows)
    sums = values.new_zeros((batch * words + 1, *values.shape[2:]))
    sums = sums.index_add(0, rows.flatten(), values.flatten(0, 1))
    return sums[:-1].reshape(batch, words, *values.shape[2:])


def bare_sentences(sentences: Sequence[str]) -> list[str]:
    r"""Reduce sentences to lower-case words (``\w+``), as the released GLoRIA and MGCA do.

    Sentences of one word are dropped unless nothing else is left, sentences without a word unless there is
    no other.
    """
    bare = [re.findall(r"\w+", sentence.lower()) for sentence in sentences]
    kept = [one for one in bare if len(one) > 1] or [one for one in bare if one] or [[]]
    return [" ".join(one) for one in kept]
