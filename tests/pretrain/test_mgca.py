"""MGCA's losses against loops written from the formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from g2d_bench.encoders.heads.base import Embeddings
from g2d_bench.encoders.heads.mgca import MGCAHeads, clipped_shares
from g2d_bench.encoders.image import seeded_encoder
from g2d_bench.encoders.text import TextStates
from g2d_bench.pretrain.mgca import MGCA, prototype_loss, sinkhorn, token_loss

TAU = 0.1


def loop_unit(vector: Tensor) -> Tensor:
    return vector / (vector @ vector).sqrt()


def loop_cross_entropy(scores: list[Tensor], own: int) -> Tensor:
    return torch.log(torch.stack([torch.exp(score - scores[own]) for score in scores]).sum())


def loop_attended(query: Tensor, keys: list[Tensor]) -> Tensor:
    powers = [torch.exp(query @ key / TAU) for key in keys]
    shares = [power / sum(powers) for power in powers]
    return loop_unit(torch.stack([share * key for share, key in zip(shares, keys, strict=True)]).sum(dim=0))


def loop_side(queries: list[Tensor], keys: list[Tensor], weights: list[Tensor], pads: list[Tensor]) -> Tensor:
    """Return one side's loss; ``pads`` are further queries that only stand among the negatives."""
    everyone = [*queries, *pads]
    attended = [loop_attended(query, keys) for query in everyone]
    total = queries[0].new_zeros(())
    for n, weight in enumerate(weights):
        row = [everyone[n] @ attended[k] / TAU for k in range(len(everyone))]
        column = [everyone[k] @ attended[n] / TAU for k in range(len(everyone))]
        total = total + 0.5 * weight * (loop_cross_entropy(row, n) + loop_cross_entropy(column, n))
    return total


def loop_token_loss(
    words: Tensor, patches: Tensor, weights: Tensor, lengths: list[int], pads: bool
) -> Tensor:
    total = words.new_zeros(())
    for text, image, weight, length in zip(words, patches, weights, lengths, strict=True):
        if length == 0:
            continue
        said = [loop_unit(word) for word in text[:length]]
        seen = [loop_unit(patch) for patch in image]
        extra = [loop_unit(word) for word in text[length:]] if pads else []
        uniform = [torch.tensor(1 / len(seen))] * len(seen)
        total = total + loop_side(said, seen, list(weight[:length]), extra)
        total = total + loop_side(seen, said, uniform, [])
    return total / len(words)


def loop_sinkhorn(scores: Tensor) -> Tensor:
    q = np.exp(scores.detach().numpy().T / 0.05)
    q /= q.sum()
    prototypes, samples = q.shape
    for _ in range(3):
        for k in range(prototypes):
            q[k] /= q[k].sum() * prototypes
        for i in range(samples):
            q[:, i] /= q[:, i].sum() * samples
    return torch.tensor(q.T * samples)


def loop_prototype_loss(image: Tensor, text: Tensor, prototypes: Tensor) -> Tensor:
    z = []
    for side in (image, text):
        z.append(torch.stack([torch.stack([loop_unit(v) @ c for c in prototypes]) for v in side]))
    q = [loop_sinkhorn(scores) for scores in z]
    p = [[torch.exp(row / 0.2) / torch.exp(row / 0.2).sum() for row in scores] for scores in z]
    total = image.new_zeros(())
    for i in range(len(image)):
        for k in range(len(prototypes)):
            total = total - q[0][i, k] * torch.log(p[1][i][k]) - q[1][i, k] * torch.log(p[0][i][k])
    return 0.5 * total / len(image)


def make(
    lengths: list[int], longest: int, scale: float = 1.0, width: int = 4
) -> tuple[Embeddings, list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(5)

    def draw(*shape: int) -> Tensor:
        return (scale * torch.randn(*shape, generator=generator, dtype=torch.float64)).requires_grad_()

    count = len(lengths)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    weights = torch.rand(count, longest, generator=generator, dtype=torch.float64) * mask
    weights = weights / weights.sum(dim=1, keepdim=True).clamp(min=1e-300)
    leaves = [draw(count, width), draw(count, width, 2, 3), draw(count, width), draw(count, longest, width)]
    image, cells, text, words = leaves
    return Embeddings(image, cells, text, words, mask, weights), leaves, weights


def objective(**options: object) -> MGCA:
    heads = nn.Module()
    heads.dim = 4  # type: ignore[assignment]
    made = MGCA(heads, prototypes=5, **options)  # type: ignore[arg-type]
    return made.double()


CASES = {
    "one word, full length, pads": ([1, 4, 2, 3], 4),
    "batch of two": ([2, 1], 3),
    "all full": ([3, 3], 3),
    "no word": ([0, 2, 1], 3),
}


@pytest.mark.parametrize("pads", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_tokens_value_and_gradient_of_the_loop(case: str, pads: bool) -> None:
    lengths, longest = CASES[case]
    embeddings, (_, cells, _, words), weights = make(lengths, longest)
    assert embeddings.text_mask is not None
    patches = cells.flatten(2).transpose(1, 2)
    loss = token_loss(words, patches, embeddings.text_mask, weights, pads=pads)
    expected = loop_token_loss(words, patches, weights, lengths, pads)
    torch.testing.assert_close(loss, expected)
    gradients = torch.autograd.grad(loss, [cells, words])
    torch.testing.assert_close(gradients, torch.autograd.grad(expected, [cells, words]))


def test_given_patch_weights_take_the_place_of_uniform_ones() -> None:
    embeddings, (_, cells, _, words), weights = make([2, 3], 3)
    mask = embeddings.text_mask
    assert mask is not None
    patches = cells.flatten(2).transpose(1, 2)
    uniform = token_loss(words, patches, mask, weights)
    given = token_loss(words, patches, mask, weights, patch_weights=torch.full((2, 6), 1 / 6))
    torch.testing.assert_close(given, uniform, rtol=1e-6, atol=1e-6)
    first = torch.zeros(2, 6, dtype=torch.float64)
    first[:, 0] = 1
    expected = words.new_zeros(())
    for i, length in enumerate([2, 3]):
        said, seen = [loop_unit(w) for w in words[i, :length]], [loop_unit(p) for p in patches[i]]
        expected = expected + loop_side(said, seen, list(weights[i, :length]), []) / 2
        expected = expected + loop_side(seen, said, list(first[i]), []) / 2
    torch.testing.assert_close(token_loss(words, patches, mask, weights, patch_weights=first), expected)


def test_sinkhorn_is_the_loop_and_balances() -> None:
    scores = torch.rand(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.2
    torch.testing.assert_close(sinkhorn(scores), loop_sinkhorn(scores))
    balanced = sinkhorn(scores, iterations=200)
    torch.testing.assert_close(balanced.sum(dim=1), torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(balanced.sum(dim=0), torch.full((4,), 3.0, dtype=torch.float64))


def test_sinkhorn_of_large_scores_stays_finite() -> None:
    q = sinkhorn(torch.tensor([[300.0, -300.0], [300.0, 299.0]]))
    torch.testing.assert_close(q.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("count", [2, 5])
def test_prototypes_value_and_gradient_of_the_loop(count: int) -> None:
    _, (image, _, text, _), _ = make([1] * count, 1)
    generator = torch.Generator().manual_seed(1)
    prototypes = nn.functional.normalize(torch.randn(6, 4, generator=generator, dtype=torch.float64), dim=1)
    prototypes.requires_grad_()
    leaves = [image, text, prototypes]
    loss, expected = prototype_loss(*leaves), loop_prototype_loss(*leaves)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, leaves), torch.autograd.grad(expected, leaves))
    torch.testing.assert_close(loss, prototype_loss(text, image, prototypes))


def test_total_is_the_weighted_sum() -> None:
    made = objective(weights=(1.0, 0.7, 0.5)).eval()
    parts = made.losses(make([2, 1, 3], 3)[0])
    expected = parts["ita"] + 0.7 * parts["cta"] + 0.5 * parts["cpa"]
    torch.testing.assert_close(parts["loss"], expected)
    one = objective().eval()
    one.load_state_dict(made.state_dict())
    torch.testing.assert_close(one.losses(make([2, 1, 3], 3)[0])["loss"], sum(list(parts.values())[1:]))


def test_ita_is_the_sum_of_both_directions() -> None:
    embeddings, (image, _, text, _), _ = make([2, 1, 3], 3)
    z = torch.stack([torch.stack([loop_unit(v) @ loop_unit(t) / 0.07 for t in text]) for v in image])
    rows = sum(loop_cross_entropy(list(z[i]), i) for i in range(3)) / 3
    columns = sum(loop_cross_entropy(list(z[:, i]), i) for i in range(3)) / 3
    torch.testing.assert_close(objective().losses(embeddings)["ita"], rows + columns)


def test_identical_pairs() -> None:
    embeddings, _, weights = make([3, 3], 3)
    same = Embeddings(*(torch.ones_like(part) if part is not None else None for part in embeddings))  # type: ignore[arg-type]
    parts = objective().losses(same._replace(text_weights=weights))
    assert parts["ita"].item() == pytest.approx(2 * math.log(2))
    assert parts["cta"].item() == pytest.approx(math.log(3) + math.log(6))


def test_prototypes_are_normalised_and_rest_in_epoch_0() -> None:
    made, (embeddings, _, _) = objective(), make([2, 1], 2)
    with torch.no_grad():
        made.prototypes.mul_(7)
    made.at(step=0, epoch=0)
    torch.autograd.backward(made.losses(embeddings)["loss"])
    assert made.prototypes.grad is None
    torch.testing.assert_close(made.prototypes.norm(dim=1), torch.ones(5, dtype=torch.float64))
    made.at(step=5, epoch=1)
    (gradient,) = torch.autograd.grad(made.losses(embeddings)["loss"], [made.prototypes])
    assert gradient.any()


def test_evaluation_leaves_prototypes_alone() -> None:
    made = objective().eval()
    with torch.no_grad():
        made.prototypes.mul_(2)
    before = made.prototypes.detach().clone()
    made.losses(make([2, 1], 2)[0])
    assert torch.equal(before, made.prototypes)


def test_half_precision_sized_numbers_stay_finite() -> None:
    embeddings, leaves, weights = make([1, 4, 0], 4, scale=6e4)
    image, cells, text, words = (leaf.float() for leaf in leaves)
    single = Embeddings(image, cells, text, words, embeddings.text_mask, weights.float())
    loss = objective().float().losses(single)["loss"]
    gradients = torch.autograd.grad(loss, leaves)
    assert loss.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_pads_change_nothing_unless_released() -> None:
    embeddings, (_, cells, _, words), weights = make([1, 3, 2], 4)
    mask = embeddings.text_mask
    assert mask is not None
    patches = cells.flatten(2).transpose(1, 2)
    filled = torch.where(mask[..., None], words, torch.tensor([5.0, -2.0, 0.0, 1.0], dtype=torch.float64))
    plain = [token_loss(w, patches, mask, weights).item() for w in (words, filled)]
    released = [token_loss(w, patches, mask, weights, pads=True).item() for w in (words, filled)]
    assert plain[0] == pytest.approx(plain[1], rel=1e-12)
    assert released[0] != pytest.approx(released[1], rel=1e-3)


def test_joins_bare_sentences() -> None:
    text = objective().choose_text(["No Effusion.", "Clear.", "Heart is big!"], np.random.default_rng(0))
    assert text == "no effusion heart is big"


def test_heads_without_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="weighted words"):
        objective().losses(make([2, 1], 2)[0]._replace(text_weights=None))


# A ViT under the released variant.


def loop_vit_patches(words: Tensor, patches: Tensor, attended: Tensor, lengths: list[int]) -> Tensor:
    """The released patch side of a ViT: what is read keeps its length, weights are clipped attention."""
    total = words.new_zeros(())
    for text, image, paid, length in zip(words, patches, attended, lengths, strict=True):
        said = [loop_unit(word) for word in text[:length]]
        seen = [loop_unit(patch) for patch in image]
        low, high = (float(np.quantile(paid.numpy(), share)) for share in (0.1, 0.9))
        clipped = [min(max(float(value), low), high) for value in paid]
        read = []
        for patch in seen:
            powers = [torch.exp(patch @ word / TAU) for word in said]
            read.append(sum((p / sum(powers) * w for p, w in zip(powers, said, strict=True)), 0 * patch))
        for n, weight in enumerate(clipped):
            row = [seen[n] @ one / TAU for one in read]
            column = [one @ read[n] / TAU for one in seen]
            loss = loop_cross_entropy(row, n) + loop_cross_entropy(column, n)
            total = total + 0.5 * weight / sum(clipped) * loss
    return total / len(words)


def test_patches_of_a_vit_are_weighed_by_attention_and_read_as_it_is() -> None:
    embeddings, (_, cells, _, words), weights = make([3, 2], 4)
    patches = cells.flatten(2).transpose(1, 2)
    mask = embeddings.text_mask
    assert mask is not None
    attended = torch.rand(2, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    made = objective(patch_attention=True)
    made._attended = attended
    both = made.losses(embeddings)["cta"]
    shares = clipped_shares(attended, torch.ones_like(attended, dtype=torch.bool))
    plain = token_loss(words, patches, mask, weights, patch_weights=shares)
    word_side = token_loss(words, patches, mask, weights, patch_weights=0 * shares)
    expected = loop_vit_patches(words, patches, attended, [3, 2])
    assert float((both - word_side).detach()) == pytest.approx(float(expected.detach()), rel=1e-9)
    assert float(both.detach()) != pytest.approx(float(plain.detach()), rel=1e-3)


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_the_attention_is_that_of_the_last_block(variant: str) -> None:
    options = {"embed_dim": 12, "num_heads": 2, "img_size": 32, "depth": 4}
    image = seeded_encoder("vit_base_patch16_224", seed=0, options=options).eval()
    made = MGCA.build(
        variant=variant,  # type: ignore[arg-type]
        channels=image.channels,
        strides=image.strides,
        num_features=image.num_features,
        text_width=8,
        heads={"dim": 4, "hidden": 6},
    )
    made.watch(image)
    image(torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    if variant == "paper":
        assert made._attended is None
        return
    assert made._attended is not None
    assert made._attended.shape == (3, 4)
    # The same by hand, head by head, for one image.
    block: Any = image.body.blocks[-1]  # type: ignore[index]
    block.attn.fused_attn = False
    kept: list[Tensor] = []
    block.attn.attn_drop.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    image(torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(made._attended, kept[0][:, :, 0, 1:].mean(dim=1))


def test_a_resnet_has_no_attention_to_read() -> None:
    image = seeded_encoder("resnet18", seed=0, options={"channels": [8, 8, 8, 8]}).eval()
    made = objective(patch_attention=True)
    made.watch(image)
    image(torch.zeros(1, 3, 32, 32))
    assert made._attended is None


def test_released_texts_are_padded_to_the_longest_allowed() -> None:
    """Six short texts: what stands among the negatives is 111 places, however short the texts are."""
    torch.manual_seed(0)
    index = torch.tensor([[0, 1, 2, 3], [0, 1, 2, -1]])
    states = TextStates((torch.randn(2, 4, 8),), torch.rand(2, 2, 4, 4), index >= 0)
    tokens = {"word_index": index}
    losses = {}
    for length in (5, 112):
        torch.manual_seed(1)
        heads = MGCAHeads(
            6, 8, 6, dim=4, hidden=6, word_weights="shifted", pads=True, max_length=length
        ).eval()
        text = heads.embed_text(states, tokens)
        assert text.words is not None
        assert text.mask is not None
        assert text.weights is not None
        assert text.words.shape[1] == length - 1
        patches = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(3))
        losses[length] = float(token_loss(text.words, patches, text.mask, text.weights, pads=True).detach())
    # More words among the negatives: as published, the loss is the larger one.
    assert losses[112] > losses[5] + 0.5
