from __future__ import annotations

import torch
from torch import Tensor, nn

from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.pair import Matrix, PairHeads, PairText, Pooled


class Tower(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(9, 4)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.table(ids).mean(1)
        return found


def text() -> PairText:
    def tokenize(texts: list[str]) -> dict[str, Tensor]:
        return {"ids": torch.tensor([[len(one) % 9, 1] for one in texts])}

    return PairText(Tower(), tokenize, {"a": 1}, dim=4, layers=2, source="here")


def test_a_text_is_one_state_its_vector() -> None:
    side = text()
    heads = PairHeads(nn.Identity(), None, dim=4)
    tokens = side.tokenize(["some", "words"])
    states = side(tokens)
    assert states.mask.shape == (2, 1)
    assert torch.equal(heads.embed_text(states, tokens).vector, side.bert(**tokens))
    assert side.tokenizer.get_vocab(with_added_tokens=True) == {"a": 1}
    assert side.bert.config.num_hidden_layers == 2
    assert not heads.has_cells


def test_cells_are_projected_as_an_image_of_one_patch_would_be() -> None:
    project = Matrix(4, 3)
    nn.init.normal_(project.weight)
    heads = PairHeads(project, project, dim=3)
    features = ImageFeatures([torch.randn(2, 4, 2, 3)], torch.randn(2, 4))
    got = heads.embed_image(features)
    assert torch.equal(got.vector, features.pooled @ project.weight)
    assert got.cells is not None
    assert got.cells.shape == (2, 3, 2, 3)
    torch.testing.assert_close(got.cells[1, :, 1, 2], features.pyramid[0][1, :, 1, 2] @ project.weight)


def test_an_attention_pooling_is_asked_about_one_patch() -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[1] == 1
            return x.mean(1)

    x = torch.randn(5, 4)
    assert torch.equal(Pooled(Mean())(x), x)
    assert Pooled(Mean(), nn.Linear(4, 2))(x).shape == (5, 2)
