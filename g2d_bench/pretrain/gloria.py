"""GLoRIA (Huang et al., 2021): a sentence against the image, and each of its words against the image's cells.

In the released code, words first compete for each cell, then cells for each word; the paper's equation names
only the second. The order here is the code's, from which the published weights come.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from g2d_bench.encoders.heads.base import EPS, Embeddings
from g2d_bench.encoders.words import bare_sentences
from g2d_bench.pretrain.augment import Augment
from g2d_bench.pretrain.objective import Objective, TextRecipe, Variant, alignment_loss, diagonal_loss, gather

ATTENTION_SCALE = 4.0
"""temp1: by which a cell's share of a word is multiplied before the softmax over cells."""
WORD_SCALE = 5.0
"""temp2: by which cosines of words and contexts are multiplied before they are summed."""
SCORE_SCALE = 10.0
"""temp3: by which similarities are multiplied before the cross-entropy; 1/tau of the global loss."""
BLOCK = {"cpu": 1 << 19, "cuda": 1 << 26}
"""Entries (image, text, word, cell) that are formed at once: what fits a core's cache, or an accelerator."""


def local_similarity(
    cells: Tensor,
    words: Tensor,
    mask: Tensor,
    *,
    attention_scale: float = ATTENTION_SCALE,
    word_scale: float = WORD_SCALE,
    block: int | None = None,
    recompute: bool = False,
    by_length: bool | None = None,
) -> Tensor:
    """Compare every image, cell by cell, with every text, word by word.

    For image i with cells c_m and text j with words w_n: ``a_mn = softmax_n(c_m . w_n)``, ``alpha_nm =
    softmax_m(temp1 a_mn)``, ``ctx_n = sum_m alpha_nm c_m``, ``Z_ij = log sum_n exp(temp2 cos(w_n, ctx_n))``.

    Contexts are never formed: ``w_n . ctx_n`` is a mean of scores at hand, and ``|ctx_n|^2`` follows from the
    Gram matrix of the cells. On a processor texts are taken in order of length, some at a time, so that
    little is padded; a GPU would have to be asked for the lengths, and takes them as they come.

    Args:
        cells: [A, d, h, w].
        words: [B, N, d].
        mask: bool [B, N]; words come first.
        attention_scale: temp1.
        word_scale: temp2.
        block: how many entries (A x texts x words x cells) are formed at once; :data:`BLOCK` by default.
        recompute: form them again for the gradient instead of keeping them: memory stays that of one block.
        by_length: take texts in order of length; None for what suits the device.

    Returns:
        Z, [A, B]; ``-temp2`` (a lone word of cosine -1) for a text without words.
    """
    flat = cells.flatten(2)
    gram = flat.transpose(1, 2) @ flat
    if by_length is None:
        by_length = not cells.is_cuda
    if by_length:
        lengths = torch.where(mask, torch.arange(1, mask.shape[1] + 1, device=mask.device), 0).amax(dim=1)
        order = torch.argsort(lengths, stable=True)
        sizes = lengths[order].tolist()
    else:
        order, sizes = torch.arange(len(mask), device=mask.device), [mask.shape[1]] * len(mask)
    limit = block or BLOCK.get(cells.device.type, BLOCK["cuda"])
    columns = []
    for start, stop in _blocks(sizes, limit // (flat.shape[0] * flat.shape[2])):
        chosen = order[start:stop]
        longest = max(sizes[stop - 1], 1)
        part = (flat, gram, words[chosen, :longest], mask[chosen, :longest], attention_scale, word_scale)
        columns.append(
            checkpoint(_block_similarity, *part, use_reentrant=False, preserve_rng_state=False)
            if recompute
            else _block_similarity(*part)
        )
    return torch.cat(columns, dim=1)[:, torch.argsort(order)]


def _blocks(sizes: Sequence[int], room: int) -> list[tuple[int, int]]:
    """Cut ascending lengths into runs whose padded length is at most ``room``, each of one text at least."""
    runs, start = [], 0
    for stop in range(1, len(sizes) + 1):
        if stop == len(sizes) or (stop + 1 - start) * sizes[stop] > room:
            runs.append((start, stop))
            start = stop
    return runs


def _block_similarity(
    flat: Tensor, gram: Tensor, words: Tensor, mask: Tensor, attention_scale: float, word_scale: float
) -> Tensor:
    (images, _, cells), (texts, longest, width) = flat.shape, words.shape
    low = torch.finfo(flat.dtype).min
    scores = torch.matmul(words.reshape(-1, width), flat).view(images, texts, longest, cells)
    shares = torch.softmax(scores.masked_fill(~mask[..., None], low), dim=2)
    alpha = torch.softmax(attention_scale * shares, dim=3)
    spread = torch.bmm(alpha.view(images, -1, cells), gram).view_as(alpha)
    dot, square = (alpha * scores).sum(dim=3), (alpha * spread).sum(dim=3)
    lengths = square.clamp(min=EPS**2).sqrt() * words.norm(dim=2).clamp(min=EPS)
    cosines = (word_scale * dot / lengths).masked_fill(~mask, low)
    return torch.where(mask.any(dim=1), torch.logsumexp(cosines, dim=2), -word_scale)


class GLoRIA(Objective):
    """GLoRIA's objective: global plus local loss.

    The variants differ in their negatives alone: of all processes (``paper``), or, as released, of one.

    Args:
        heads: :class:`~g2d_bench.encoders.heads.gloria.GLoRIAHeads`.
        attention_scale: temp1.
        word_scale: temp2.
        score_scale: temp3.
        global_weight: of the global loss.
        local_weight: of the local loss.
        gather_negatives: contrast with the pairs of all processes.
        block: see :func:`local_similarity`.
        recompute: see :func:`local_similarity`.
    """

    name = "gloria"
    text: ClassVar[TextRecipe] = TextRecipe(max_length=97, part="impression")
    loss_options: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {"released": {"gather_negatives": False}}
    # Configuration of the released code (CheXpert, ResNet-50).
    recipe: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "paper": {
            "resize_inside": 299,
            "optimiser": "adam",
            "lr": 5e-5,
            "betas": (0.5, 0.999),
            "weight_decay": 1e-6,
            "batch": 48,
            "clip": 0.25,
            "schedule": "plateau",
            "patience": 5,
            "early_stop": 10,
            "epochs": 50,
        }
    }
    # Configuration of the released code: a random 224 crop of the 256 square, no more.
    augment: ClassVar[Mapping[Variant, Augment]] = {"paper": Augment(crop=(224 / 256, 224 / 256))}

    def __init__(
        self,
        heads: nn.Module,
        *,
        attention_scale: float = ATTENTION_SCALE,
        word_scale: float = WORD_SCALE,
        score_scale: float = SCORE_SCALE,
        global_weight: float = 1.0,
        local_weight: float = 1.0,
        gather_negatives: bool = True,
        block: int | None = None,
        recompute: bool = False,
    ) -> None:
        super().__init__(heads)
        self.attention_scale, self.word_scale, self.score_scale = attention_scale, word_scale, score_scale
        self.global_weight, self.local_weight = global_weight, local_weight
        self.gather_negatives, self.block, self.recompute = gather_negatives, block, recompute

    def choose_text(self, sentences: Sequence[str], rng: np.random.Generator) -> str:
        """Draw one sentence, in bare words."""
        bare = bare_sentences(sentences)
        return bare[int(rng.integers(len(bare)))]

    def phase(self) -> Hashable | None:
        """One phase."""
        return 0

    def losses(self, embeddings: Embeddings) -> dict[str, Tensor]:
        """Compute ``loss`` and its parts ``global`` and ``local``."""
        image, cells, text, words, mask, _ = embeddings
        if cells is None or words is None or mask is None:
            raise ValueError("GLoRIA compares words with cells; its heads gave none")
        if self.gather_negatives:
            image, text, cells = gather(image), gather(text), gather(cells)
        # Each process compares its own texts with all images, and all learn the result.
        columns = local_similarity(
            cells,
            words,
            mask,
            attention_scale=self.attention_scale,
            word_scale=self.word_scale,
            block=self.block,
            recompute=self.recompute,
        ).T
        if self.gather_negatives:
            columns = gather(columns)
        local = diagonal_loss(self.score_scale * columns)
        glob = alignment_loss(image, text, temperature=1 / self.score_scale)
        return {
            "loss": self.global_weight * glob + self.local_weight * local,
            "global": glob,
            "local": local,
        }


OBJECTIVE = GLoRIA
