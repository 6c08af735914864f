"""MGCA (Wang et al., 2022): alignment of reports, of words and patches, and of cluster assignments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from g2d_bench.encoders.heads.base import Embeddings, unit
from g2d_bench.encoders.heads.mgca import clipped_shares
from g2d_bench.encoders.words import bare_sentences
from g2d_bench.pretrain.augment import Augment
from g2d_bench.pretrain.objective import Objective, TextRecipe, Variant, alignment_loss, gather

if TYPE_CHECKING:
    from g2d_bench.encoders.image import ImageEncoder

ITA_TEMPERATURE = 0.07
"""tau_1, of whole images and reports."""
CTA_TEMPERATURE = 0.1
"""tau_2, of words and patches: attention and contrast."""
PROTOTYPES = 500
"""K, how many clusters there are."""
CPA_TEMPERATURE = 0.2
"""tau_3, of predicted assignments."""
SINKHORN_EPSILON = 0.05
"""By which scores are divided before they are balanced."""
SINKHORN_ITERATIONS = 3
WEIGHTS = (1.0, 1.0, 1.0)
"""lambda_1 to lambda_3 with which the published weights were made: the defaults of the released command line.
Those of the released class, which the command line overrides, are (1, 0.7, 0.5)."""


def token_loss(
    words: Tensor,
    patches: Tensor,
    mask: Tensor,
    weights: Tensor,
    *,
    patch_weights: Tensor | None = None,
    temperature: float = CTA_TEMPERATURE,
    pads: bool = False,
    bare: bool = False,
) -> Tensor:
    """Contrast the words of a text with what they attend to in its own image, and the patches likewise (CTA).

    With unit vectors w_n, p_m: ``o_n = unit(sum_m softmax_m(w_n . p_m / tau) p_m)``, ``s_nk = w_n . o_k /
    tau``, ``L_word = 1/2 sum_n lambda_n [CE(s_n., n) + CE(s_.n, n)]``, mean over the batch; ``L_patch`` is
    the same with roles swapped, patches attending to the words that the mask allows. No other pair is a
    negative.

    Args:
        words: [B, N, d], of any length.
        patches: [B, M, d].
        mask: bool [B, N], which words there are.
        weights: lambda_n [B, N], zero outside of the mask.
        patch_weights: lambda_m [B, M]; 1/M if None, as for ResNets. The released ViT has its attention here.
        temperature: tau_2.
        pads: let padding stand among the negatives of words, as in the released code.
        bare: leave what patches read as long as it is, as the released code does for a ViT.

    Returns:
        ``L_word + L_patch``, a scalar. A text without words adds nothing to it.
    """
    words, patches = unit(words), unit(patches)
    low = torch.finfo(words.dtype).min
    scores = words @ patches.transpose(1, 2) / temperature
    seen = unit(torch.softmax(scores, dim=2) @ patches)
    read = torch.softmax(scores.transpose(1, 2).masked_fill(~mask[:, None], low), dim=2) @ words
    read = read if bare else unit(read)
    # A pad's own row and column are masked too, which is harmless: its weight is zero.
    closed = None if pads else ~mask
    word_part = _own_among_all(words @ seen.transpose(1, 2) / temperature, weights, closed)
    if patch_weights is None:
        patch_weights = patches.new_full(patches.shape[:2], 1 / patches.shape[1])
    worded = mask.any(dim=1, keepdim=True)
    patch_part = _own_among_all(patches @ read.transpose(1, 2) / temperature, patch_weights * worded, None)
    return word_part + patch_part


def _own_among_all(scores: Tensor, weights: Tensor, closed: Tensor | None) -> Tensor:
    """Return the weighted cross-entropies of rows and columns of [B, N, N] with the diagonals."""
    rows = columns = scores
    if closed is not None:
        low = torch.finfo(scores.dtype).min
        rows, columns = scores.masked_fill(closed[:, None], low), scores.masked_fill(closed[..., None], low)
    by_row = torch.log_softmax(rows, dim=2).diagonal(dim1=1, dim2=2)
    by_column = torch.log_softmax(columns, dim=1).diagonal(dim1=1, dim2=2)
    # Of what is masked the terms are as large as numbers get; they must not meet the weights, even zero ones.
    terms = torch.where(weights > 0, by_row, 0.0) + torch.where(weights > 0, by_column, 0.0)
    return -0.5 * (weights * terms).sum() / len(scores)


@torch.no_grad()
def sinkhorn(
    scores: Tensor, *, epsilon: float = SINKHORN_EPSILON, iterations: int = SINKHORN_ITERATIONS
) -> Tensor:
    """Turn scores into assignments that use all prototypes about equally (Caron et al. 2020, SwAV).

    Starting from ``exp(scores / epsilon)``, prototypes are scaled to equal sums over the batch, then samples
    to sum one, ``iterations`` times; in logarithms, so that nothing overflows.

    Args:
        scores: [N, K], samples by prototypes.
        epsilon: the smaller, the harder the assignment.
        iterations: how often.

    Returns:
        [N, K], without gradient; each sample sums to one.
    """
    logs = scores / epsilon
    for _ in range(iterations):
        logs = logs - torch.logsumexp(logs, dim=0, keepdim=True)
        logs = logs - torch.logsumexp(logs, dim=1, keepdim=True)
    return logs.exp()


def prototype_loss(
    image: Tensor,
    text: Tensor,
    prototypes: Tensor,
    *,
    temperature: float = CPA_TEMPERATURE,
    epsilon: float = SINKHORN_EPSILON,
    iterations: int = SINKHORN_ITERATIONS,
) -> Tensor:
    """Predict the cluster of an image from its report and the reverse (CPA).

    ``Z = unit(embeddings) . prototypes``, ``Q = sinkhorn(Z)``, ``P = softmax(Z / tau_3)``; the loss is
    ``1/2 [CE(Q_image, P_text) + CE(Q_text, P_image)]``, means over the batch.

    Args:
        image: [N, d], of any length.
        text: [N, d].
        prototypes: [K, d], rows of length one.
        temperature: tau_3.
        epsilon: see :func:`sinkhorn`.
        iterations: see :func:`sinkhorn`.

    Returns:
        A scalar.
    """
    images, texts = unit(image) @ prototypes.T, unit(text) @ prototypes.T
    image_codes = sinkhorn(images, epsilon=epsilon, iterations=iterations)
    text_codes = sinkhorn(texts, epsilon=epsilon, iterations=iterations)
    by_text = (image_codes * torch.log_softmax(texts / temperature, dim=1)).sum(dim=1)
    by_image = (text_codes * torch.log_softmax(images / temperature, dim=1)).sum(dim=1)
    return -0.5 * (by_text.mean() + by_image.mean())


@torch.no_grad()
def class_attention(attention: Any, tokens: Tensor) -> Tensor:
    """Return the attention that the first token pays all tokens in a block of a ViT, mean over heads.

    Args:
        attention: timm's, with ``qkv``.
        tokens: [B, N, D], as the block hands them to it.

    Returns:
        [B, N]; each row sums to one.
    """
    count, length, _ = tokens.shape
    parts = attention.qkv(tokens).reshape(count, length, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    query, key = attention.q_norm(parts[0, :, :, :1]), attention.k_norm(parts[1])
    weights = torch.softmax((query * attention.scale) @ key.transpose(-2, -1), dim=-1)
    return weights.float().mean(dim=1)[:, 0]


def _shares(attended: Tensor) -> Tensor:
    """Clip patches' attention [B, M] at its own 10th and 90th percentile, and scale it to sum one."""
    return clipped_shares(attended, torch.ones_like(attended, dtype=torch.bool))


class MGCA(Objective):
    """MGCA's objective: ITA, CTA and CPA.

    Variant ``released`` repeats the published code where it differs from the paper: a BERT without positions
    and token types, word weights shifted by a token, every text padded to the longest that is allowed, with
    its padding in batch statistics and among the negatives of words, negatives and Sinkhorn per process; for
    a ViT, patches weighed by the attention that the class token pays them, and compared with what they read
    as it is, not scaled to length one.

    Args:
        heads: :class:`~g2d_bench.encoders.heads.mgca.MGCAHeads`.
        prototypes: K.
        weights: lambda_1 to lambda_3, of ITA, CTA and CPA.
        ita_temperature: tau_1.
        cta_temperature: tau_2.
        cpa_temperature: tau_3.
        epsilon: see :func:`sinkhorn`.
        iterations: see :func:`sinkhorn`.
        pads: see :func:`token_loss`.
        patch_attention: of a ViT, weigh patches by the last block's attention and take ``bare`` of
            :func:`token_loss`.
        gather_negatives: contrast and balance over the pairs of all processes.
    """

    name = "mgca"
    text: ClassVar[TextRecipe] = TextRecipe(layers=6, max_length=112)
    head_options: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "released": {"word_weights": "shifted", "pads": True}
    }
    text_reads: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "released": {"places": "zero", "token_types": False}
    }
    loss_options: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "released": {"pads": True, "gather_negatives": False, "patch_attention": True}
    }
    # Released code: AdamW, one cycle with 40 % warm-up; 72 pairs on each of two devices.
    recipe: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "paper": {
            "resize_inside": 299,
            "lr": 2e-5,
            "weight_decay": 0.05,
            "batch": 144,
            "schedule": "cosine",
            "warmup": 0.4,
            "min_lr": 1e-8,
            "early_stop": 5,
            "epochs": 50,
        }
    }
    # Configuration of the released code: a random 224 crop of the 256 square, no more.
    augment: ClassVar[Mapping[Variant, Augment]] = {"paper": Augment(crop=(224 / 256, 224 / 256))}
    # As wide as those of the others.
    phantom: ClassVar[Mapping[str, Any]] = {"heads": {"dim": 128, "hidden": 256}}

    def __init__(
        self,
        heads: nn.Module,
        *,
        prototypes: int = PROTOTYPES,
        weights: tuple[float, float, float] = WEIGHTS,
        ita_temperature: float = ITA_TEMPERATURE,
        cta_temperature: float = CTA_TEMPERATURE,
        cpa_temperature: float = CPA_TEMPERATURE,
        epsilon: float = SINKHORN_EPSILON,
        iterations: int = SINKHORN_ITERATIONS,
        pads: bool = False,
        gather_negatives: bool = True,
        patch_attention: bool = False,
    ) -> None:
        super().__init__(heads)
        self.patch_attention = patch_attention
        self._attended: Tensor | None = None
        self.prototypes = nn.Parameter(unit(torch.randn(prototypes, self.heads.dim)))
        self.weights, self.pads, self.gather_negatives = weights, pads, gather_negatives
        self.ita_temperature, self.cta_temperature = ita_temperature, cta_temperature
        self.cpa_temperature, self.epsilon, self.iterations = cpa_temperature, epsilon, iterations

    def choose_text(self, sentences: Sequence[str], rng: np.random.Generator) -> str:
        """Join all sentences, in bare words."""
        return " ".join(bare_sentences(sentences))

    def watch(self, image: ImageEncoder) -> None:
        """Read the last block's attention of a ViT whenever images pass it, where the variant wants it."""
        blocks = getattr(image.body, "blocks", None)
        if self.patch_attention and blocks is not None and hasattr(blocks[-1].attn, "qkv"):
            prefix = int(image.body.num_prefix_tokens)  # type: ignore[arg-type]

            def keep(attention: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                self._attended = class_attention(attention, inputs[0])[:, prefix:]

            blocks[-1].attn.register_forward_pre_hook(keep)

    def losses(self, embeddings: Embeddings) -> dict[str, Tensor]:
        """Compute ``loss`` and its parts ``ita``, ``cta`` and ``cpa``.

        In training, prototypes are first scaled to length one; in epoch 0 they get no gradient.
        """
        image, cells, text, words, mask, weights = embeddings
        if cells is None or words is None or mask is None or weights is None:
            raise ValueError("MGCA compares weighted words with cells; its heads gave none")
        cta = token_loss(
            words,
            cells.flatten(2).transpose(1, 2),
            mask,
            weights,
            temperature=self.cta_temperature,
            pads=self.pads,
            patch_weights=None if self._attended is None else _shares(self._attended),
            bare=self._attended is not None,
        )
        if self.gather_negatives:
            image, text = gather(image), gather(text)
        ita = alignment_loss(image, text, temperature=self.ita_temperature)
        if self.training:
            with torch.no_grad():
                self.prototypes.copy_(functional.normalize(self.prototypes, dim=1))
        fixed = self.prototypes.detach() if self.epoch == 0 else self.prototypes
        cpa = prototype_loss(
            image,
            text,
            fixed,
            temperature=self.cpa_temperature,
            epsilon=self.epsilon,
            iterations=self.iterations,
        )
        total = self.weights[0] * ita + self.weights[1] * cta + self.weights[2] * cpa
        return {"loss": total, "ita": ita, "cta": cta, "cpa": cpa}


OBJECTIVE = MGCA
