"""GLoRIA's losses against loops written from the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from g2d_bench.encoders.heads.base import Embeddings
from g2d_bench.encoders.heads.gloria import GLoRIAHeads
from g2d_bench.pretrain.gloria import GLoRIA, local_similarity


def loop_softmax(values: list[Tensor]) -> list[Tensor]:
    largest = max(value.item() for value in values)
    powers = [torch.exp(value - largest) for value in values]
    return [power / sum(powers) for power in powers]


def loop_attention(cells: list[Tensor], words: list[Tensor]) -> list[list[Tensor]]:
    """Return alpha[n][m]: softmax over words for each cell, then over cells for each word."""
    share = [loop_softmax([cell @ word for word in words]) for cell in cells]
    return [loop_softmax([4 * share[m][n] for m in range(len(cells))]) for n in range(len(words))]


def loop_similarity(cells: Tensor, words: Tensor, lengths: list[int]) -> Tensor:
    rows = []
    for image in cells.flatten(2).transpose(1, 2):
        row = []
        for text, length in zip(words, lengths, strict=True):
            chosen = [text[n] for n in range(length)]
            alpha = loop_attention(list(image), chosen)
            total = cells.new_zeros(())
            for n, word in enumerate(chosen):
                context = sum(alpha[n][m] * image[m] for m in range(len(image)))
                cosine = (word @ context) / (word @ word).sqrt() / (context @ context).sqrt()
                total = total + torch.exp(5 * cosine)
            row.append(torch.log(total))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def loop_cross_entropy(scores: Tensor) -> Tensor:
    count = len(scores)
    terms = []
    for i in range(count):
        down = torch.stack([torch.exp(scores[i, k] - scores[i, i]) for k in range(count)]).sum()
        terms.append(torch.log(down))
    return torch.stack(terms).sum() / count


def loop_loss(
    image: Tensor, cells: Tensor, text: Tensor, words: Tensor, lengths: list[int]
) -> tuple[Tensor, Tensor]:
    count = len(image)
    cosines = torch.stack(
        [
            torch.stack([image[i] @ text[j] / image[i].norm() / text[j].norm() for j in range(count)])
            for i in range(count)
        ]
    )
    local = 10 * loop_similarity(cells, words, lengths)
    return (
        loop_cross_entropy(10 * cosines) + loop_cross_entropy(10 * cosines.T),
        loop_cross_entropy(local) + loop_cross_entropy(local.T),
    )


def make(lengths: list[int], longest: int, scale: float = 1.0) -> tuple[Embeddings, list[Tensor]]:
    width = 5
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    count = len(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    leaves = [draw(count, width), draw(count, width, 2, 3), draw(count, width), draw(count, longest, width)]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    image, cells, text, words = leaves
    return Embeddings(image, cells, text, words, mask), leaves


CASES = {
    "one word, full length, pads": ([1, 4, 2, 3], 4),
    "batch of two": ([2, 1], 3),
    "all full": ([3, 3, 3], 3),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("block", "recompute"), [(None, False), (1, False), (60, True)])
def test_value_and_gradient_of_the_loop(case: str, block: int | None, recompute: bool) -> None:
    lengths, longest = CASES[case]
    embeddings, leaves = make(lengths, longest)
    image, cells, text, words = leaves
    glob, local = loop_loss(image, cells, text, words, lengths)
    parts = GLoRIA(torch.nn.Identity(), block=block, recompute=recompute).losses(embeddings)
    torch.testing.assert_close(parts["global"], glob)
    torch.testing.assert_close(parts["local"], local)
    torch.testing.assert_close(parts["loss"], glob + local)
    expected = torch.autograd.grad(glob + local, leaves)
    torch.testing.assert_close(torch.autograd.grad(parts["loss"], leaves), expected)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 30.0])
def test_single_precision_is_near_double(scale: float) -> None:
    lengths = [1, 4, 2]
    embeddings, leaves = make(lengths, 4, scale)
    _, cells, _, words = (leaf.detach() for leaf in leaves)
    assert embeddings.text_mask is not None
    z = local_similarity(cells.float(), words.float(), embeddings.text_mask)
    torch.testing.assert_close(z.double(), loop_similarity(cells, words, lengths), rtol=1e-4, atol=1e-4)


def test_half_precision_sized_numbers_stay_finite() -> None:
    embeddings, leaves = make([1, 4, 2], 4, scale=6e4)
    image, cells, text, words = (leaf.float() for leaf in leaves)
    loss = GLoRIA(torch.nn.Identity()).losses(Embeddings(image, cells, text, words, embeddings.text_mask))[
        "loss"
    ]
    gradients = torch.autograd.grad(loss, leaves)
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_what_pads_hold_changes_nothing() -> None:
    lengths = [1, 3, 2]
    embeddings, leaves = make(lengths, 5)
    words, mask = embeddings.text_local, embeddings.text_mask
    assert words is not None
    assert mask is not None
    filled = torch.where(mask[..., None], words, 1e3)
    objective = GLoRIA(torch.nn.Identity())
    first, second = (objective.losses(embeddings._replace(text_local=w))["loss"] for w in (words, filled))
    assert first.item() == second.item()
    (gradient,) = torch.autograd.grad(first, [leaves[3]])
    assert gradient[mask].any(dim=-1).all()
    assert not gradient[~mask].any()


def test_identical_pairs_give_log_n_twice_over() -> None:
    embeddings, _ = make([2, 2, 2], 2)
    same = Embeddings(*(part[:1].expand_as(part) if part is not None else None for part in embeddings))  # type: ignore[arg-type]
    parts = GLoRIA(torch.nn.Identity()).losses(same)
    expected = 2 * np.log(3)
    assert parts["global"].item() == pytest.approx(expected)
    assert parts["local"].item() == pytest.approx(expected)


def test_text_without_words() -> None:
    embeddings, leaves = make([0, 2, 1], 2)
    loss = GLoRIA(torch.nn.Identity()).losses(embeddings)["loss"]
    gradients = torch.autograd.grad(loss, leaves)
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert embeddings.image_local is not None
    assert embeddings.text_local is not None
    assert embeddings.text_mask is not None
    z = local_similarity(embeddings.image_local, embeddings.text_local, embeddings.text_mask)
    assert (z[:, 0] == -5).all()


def test_order_of_texts_is_kept() -> None:
    lengths = [4, 1, 3, 2, 4]
    embeddings, leaves = make(lengths, 4)
    assert embeddings.text_mask is not None
    whole = local_similarity(leaves[1], leaves[3], embeddings.text_mask)
    pairs = zip(leaves[3][:, None], embeddings.text_mask[:, None], strict=True)
    each = [local_similarity(leaves[1], text, mask) for text, mask in pairs]
    torch.testing.assert_close(whole, torch.cat(each, dim=1))


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_texts_may_be_taken_as_they_come(block: int) -> None:
    embeddings, leaves = make([4, 0, 3, 2, 4], 7)
    assert embeddings.text_mask is not None
    given = (leaves[1], leaves[3], embeddings.text_mask)
    sorted_, coming = (
        local_similarity(*given, block=block, by_length=by_length, recompute=not by_length)
        for by_length in (True, False)
    )
    torch.testing.assert_close(coming, sorted_)
    weights = torch.randn(sorted_.shape, dtype=sorted_.dtype, generator=torch.Generator().manual_seed(0))
    gradients = [torch.autograd.grad((z * weights).sum(), (leaves[1], leaves[3])) for z in (sorted_, coming)]
    torch.testing.assert_close(*gradients)


def test_variants_and_weights() -> None:
    shape: dict[str, Any] = {"channels": (4, 6), "strides": (16, 32), "num_features": 6, "text_width": 5}
    assert GLoRIA.build(**shape).gather_negatives
    released = GLoRIA.build(variant="released", **shape, local_weight=0.5)
    assert not released.gather_negatives
    assert isinstance(released.heads, GLoRIAHeads)
    parts = released.losses(make([2, 1], 2)[0])
    torch.testing.assert_close(parts["loss"], parts["global"] + 0.5 * parts["local"])


def test_draws_a_bare_sentence() -> None:
    objective = GLoRIA(torch.nn.Identity())
    said = ["Small effusion.", "Stable.", "No focal opacity!"]
    drawn = {objective.choose_text(said, np.random.default_rng(seed)) for seed in range(30)}
    assert drawn == {"small effusion", "no focal opacity"}


def test_heads_without_words_are_refused() -> None:
    embeddings, _ = make([2, 1], 2)
    with pytest.raises(ValueError, match="words with cells"):
        GLoRIA(torch.nn.Identity()).losses(embeddings._replace(image_local=None))
