"""ConVIRT's loss against a loop written from the paper's equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from g2d_bench.encoders.heads.base import Embeddings
from g2d_bench.encoders.image import ImageEncoder, ImageFeatures
from g2d_bench.encoders.text import TextEncoder, TextStates
from g2d_bench.encoders.tokenizer import train_tokenizer
from g2d_bench.encoders.words import bare_sentences
from g2d_bench.pretrain.convirt import ConVIRT, convirt_loss
from g2d_bench.pretrain.objective import Batch, alignment_loss, make_objective


def loop_loss(image: Tensor, text: Tensor, tau: float = 0.1, lam: float = 0.75) -> Tensor:
    count = len(image)
    v = [vector / (vector @ vector).sqrt() for vector in image]
    u = [vector / (vector @ vector).sqrt() for vector in text]
    cosine = [[v[i] @ u[k] for k in range(count)] for i in range(count)]
    total = image.new_zeros(())
    for i in range(count):
        down_row = sum(torch.exp(cosine[i][k] / tau) for k in range(count))
        down_column = sum(torch.exp(cosine[k][i] / tau) for k in range(count))
        own = torch.exp(cosine[i][i] / tau)
        total = total - lam * torch.log(own / down_row) - (1 - lam) * torch.log(own / down_column)
    return total / count


def _pair(count: int, width: int, scale: float = 1.0, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image, text = scale * torch.randn(2, count, width, generator=generator, dtype=torch.float64)
    return image.requires_grad_(), text.requires_grad_()


@pytest.mark.parametrize(("count", "width"), [(2, 3), (5, 4), (9, 16)])
def test_value_and_gradient_of_the_loop(count: int, width: int) -> None:
    image, text = _pair(count, width)
    expected = loop_loss(image, text)
    gradients = torch.autograd.grad(expected, [image, text])
    loss = convirt_loss(image, text)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(loss, [image, text]), gradients)


def test_single_precision_of_half_precision_sized_numbers() -> None:
    image, text = _pair(6, 8, scale=2e4)
    loss = convirt_loss(image.half(), text.half())
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), loop_loss(image, text), rtol=2e-2, atol=0)


def test_equal_embeddings_give_log_n() -> None:
    same = torch.ones(7, 4)
    assert convirt_loss(same, same).item() == pytest.approx(math.log(7), rel=1e-6)


def test_zero_embedding_gives_no_nan() -> None:
    image, text = _pair(3, 4)
    image = (image.detach() * torch.tensor([[0.0], [1.0], [1.0]])).requires_grad_()
    (gradient,) = torch.autograd.grad(convirt_loss(image, text), [image])
    assert gradient.isfinite().all()


def test_directions_are_weighed_three_to_one() -> None:
    image, text = _pair(4, 3)
    forward, backward = convirt_loss(image, text), convirt_loss(text, image)
    assert forward.item() != pytest.approx(backward.item(), rel=1e-6)
    both = alignment_loss(image, text, temperature=0.1)
    torch.testing.assert_close(forward + backward, both)
    torch.testing.assert_close(both, alignment_loss(text, image, temperature=0.1))


def test_draws_one_sentence_and_all_of_them_in_time() -> None:
    objective = ConVIRT(torch.nn.Identity())
    said = ["No effusion.", "Heart normal.", "Lungs clear."]
    drawn = [objective.choose_text(said, np.random.default_rng(seed)) for seed in range(40)]
    assert set(drawn) == set(said)
    assert drawn == [objective.choose_text(said, np.random.default_rng(seed)) for seed in range(40)]


def test_bare_sentences() -> None:
    assert bare_sentences(["Heart is Normal.", "Clear.", "..."]) == ["heart is normal"]
    assert bare_sentences(["Clear.", "--"]) == ["clear"]
    assert bare_sentences(["--"]) == [""]


class _Given(torch.nn.Module):
    def __init__(self, embeddings: Embeddings) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, *_: object) -> Embeddings:
        return self.embeddings


def test_losses_outside_of_autocast() -> None:
    image, text = _pair(4, 8)
    objective = ConVIRT(torch.nn.Identity())
    expected = objective.losses(Embeddings(image.float(), None, text.float()))["loss"]
    objective.heads = _Given(Embeddings(image.float(), None, text.float()))
    features, states = ImageFeatures([], image), TextStates((), None, text)
    with torch.autocast("cpu", torch.bfloat16):
        loss = objective(Batch(torch.zeros(4, 1, 2, 2), {}), features, states)["loss"]
    assert loss.item() == expected.item()


@pytest.mark.parametrize("name", ["convirt", "gloria", "mgca"])
@pytest.mark.parametrize("variant", ["paper", "released"])
def test_whole_objective_moves_every_parameter(name: str, variant: str) -> None:
    torch.manual_seed(0)
    said = ["small left effusion", "no pneumothorax is seen", "clear", "heart size is normal today"]
    tokenizer = train_tokenizer(said * 3, vocabulary=120)
    text = TextEncoder.small(tokenizer, hidden=16, layers=2, heads=2, intermediate=8)
    image = ImageEncoder("resnet18", options={"channels": (8, 8, 8, 16)})
    options: dict[str, Any] = {"heads": {"hidden": 12, "dim": 8}, "prototypes": 5} if name == "mgca" else {}
    objective = make_objective(
        name,
        variant=variant,
        channels=image.channels,
        strides=image.strides,
        num_features=image.num_features,
        text_width=text.width,
        **options,
    )
    objective.at(step=9, epoch=1)
    batch = Batch(torch.rand(4, 1, 64, 64), text.tokenize(said))
    parts = objective(batch, image(batch.grey.expand(-1, 3, -1, -1)), text(batch.tokens))
    assert all(value.ndim == 0 and value.isfinite() for value in parts.values())
    torch.autograd.backward(parts["loss"])
    still = [key for key, value in objective.named_parameters() if value.grad is None or not value.grad.any()]
    # A shift before a batch normalisation, and of all positions of a softmax, moves nothing but rounding.
    assert [key for key in still if not key.endswith("bias")] == []
    for encoder in (image, text):
        first = next(encoder.parameters())
        assert first.grad is not None
        assert first.grad.any()


def test_wrong_names() -> None:
    shape: dict[str, Any] = {"channels": (4, 4), "strides": (2, 4), "num_features": 4, "text_width": 4}
    with pytest.raises(Exception, match="did you mean 'gloria'"):
        make_objective("glorai", **shape)
    with pytest.raises(Exception, match="did you mean 'released'"):
        make_objective("convirt", variant="relased", **shape)
