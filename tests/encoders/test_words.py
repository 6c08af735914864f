"""Words of a text and their tokens."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer
from torch import Tensor

from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.tokenizer import train_tokenizer
from g2d_bench.encoders.words import word_counts, word_index, word_sums

SAID = [
    "There is a small right pleural effusion.",
    "",
    "Cardiomegaly, 日 and pneumothorax are not seen in this examination of the chest.",
]
SHAPE = {"hidden": 16, "layers": 3, "heads": 2, "intermediate": 24, "positions": 40}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([*SAID[::2], "heart effusion size"], vocabulary=90, min_frequency=1)


@pytest.fixture
def encoder(tokenizer: Tokenizer) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder.small(tokenizer, **SHAPE).eval()


def walk(pieces: list[str], vectors: Tensor) -> list[Tensor]:
    """Sum pieces to words as the released code describes: token by token, up to [SEP]."""
    words: list[Tensor] = []
    for piece, vector in zip(pieces, vectors, strict=True):
        if piece == "[PAD]":
            break
        if piece.startswith("##"):
            words[-1] = words[-1] + vector
        else:
            words.append(vector)
    return words


def test_words_are_those_of_the_walk(encoder: TextEncoder) -> None:
    tokens = encoder.tokenize(SAID)
    values = torch.randn(*tokens["input_ids"].shape, 5, dtype=torch.float64)
    sums = word_sums(values, tokens["word_index"])
    flat = word_sums(values[..., 0], tokens["word_index"])
    counts = word_counts(tokens["word_index"])
    assert counts[1] == 2
    for row, (ids, vectors) in enumerate(zip(tokens["input_ids"], values, strict=True)):
        expected = walk([encoder.tokenizer.id_to_token(number) or "" for number in ids.tolist()], vectors)
        assert counts[row] == len(expected)
        torch.testing.assert_close(sums[row, : len(expected)], torch.stack(expected))
        torch.testing.assert_close(flat[row], sums[row, :, 0])
        assert not sums[row, len(expected) :].any()
    assert any(piece.startswith("##") for piece in encoder.tokenizer.encode(SAID[2]).tokens)


def test_more_words_than_there_are_are_zero(encoder: TextEncoder) -> None:
    tokens = encoder.tokenize(SAID)
    values = torch.randn(*tokens["input_ids"].shape, 5)
    sums, width = word_sums(values, tokens["word_index"]), tokens["word_index"].shape[1]
    wide = word_sums(values, tokens["word_index"], width)
    assert wide.shape[1] == width > sums.shape[1]
    assert torch.equal(wide[:, : sums.shape[1]], sums)
    assert not wide[:, sums.shape[1] :].any()


def test_word_sums_have_the_gradient_of_a_sum() -> None:
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    index = word_index(torch.tensor([[True, True, False, True], [True, True, True, True]]), mask)
    assert index.tolist() == [[0, 1, 1, 2], [0, 1, -1, -1]]
    values = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: word_sums(v, index), [values])
