from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.parts import HeadsOptions
from g2d_bench.encoders import embeddings as module
from g2d_bench.encoders import features
from g2d_bench.encoders.embeddings import embeddings_key, image_embeddings
from g2d_bench.encoders.features import BATCH, pooled_features
from g2d_bench.encoders.heads.base import ImageEmbedding
from g2d_bench.encoders.heads.mgca import MGCAHeads
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.paths import shipped

SIDE = 32


def make(card: EncoderCard, seed: int = 0) -> Encoder:
    encoder = load_encoder(card, seed=3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        image = encoder.image
        heads = MGCAHeads(image.num_features, 8, image.channels[-2], dim=6, hidden=16)
    return Encoder(encoder.card, encoder.image, "some", None, heads.eval())


@pytest.fixture
def encoder(small_card: Callable[[str], EncoderCard]) -> Encoder:
    return make(small_card("random"))


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (2 * BATCH + 5, SIDE, SIDE), dtype=np.uint8)


@pytest.fixture
def seen(forwarded: Callable[[ModuleType], list[int]]) -> list[int]:
    return forwarded(module)


def joined(
    encoder: Encoder, pixels: NDArray[np.uint8], rows: Any, folder: Path, *, cells: bool, content: str = "c"
) -> ImageEmbedding:
    parts = list(image_embeddings(encoder, pixels, rows, content=content, cells=cells, folder=folder))
    assert [place.start for place, _ in parts] == list(range(0, len(rows), BATCH))
    vector = torch.cat([part.vector for _, part in parts])
    if not cells:
        assert all(part.cells is None for _, part in parts)
        return ImageEmbedding(vector)
    return ImageEmbedding(vector, torch.cat([cast(torch.Tensor, part.cells) for _, part in parts]))


def test_they_are_what_the_heads_make_of_the_features(
    encoder: Encoder, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    rows = [5, 60, 5, 2, *range(40)]
    got = joined(encoder, pixels, rows, tmp_path, cells=True)
    assert got.cells is not None
    assert encoder.heads is not None
    for place, row in enumerate(rows):
        with torch.no_grad():
            image = encoder.preprocess(torch.from_numpy(pixels[row : row + 1]))
            vector, cells = encoder.heads.embed_image(encoder.image.eval()(image))
        assert cells is not None
        torch.testing.assert_close(got.vector[place], vector[0], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(got.cells[place], cells[0], atol=1e-5, rtol=1e-4)


def test_each_image_passes_the_encoder_once_for_all_tasks(
    encoder: Encoder, pixels: NDArray[np.uint8], tmp_path: Path, seen: list[int]
) -> None:
    grounding = joined(encoder, pixels, [4, 9, 2], tmp_path, cells=True)
    zero_shot = joined(encoder, pixels, [9, 1, 4], tmp_path, cells=False)
    assert seen == [2, 4, 9, 1]
    assert torch.equal(zero_shot.vector[[0, 2]], grounding.vector[[1, 0]])
    # The linear heads find what they need beside it.
    mine = pooled_features(encoder, pixels, [1, 2, 4, 9], content="c", folder=tmp_path)
    alone = pooled_features(encoder, pixels, [1, 2, 4, 9], content="c", folder=tmp_path / "other")
    assert np.array_equal(mine, alone)
    marks = np.load(next(path for path in tmp_path.glob("*.done.npy") if path.name.count(".") == 2))
    assert np.flatnonzero(marks).tolist() == [1, 2, 4, 9]
    again = joined(encoder, pixels, [4, 9, 2, 1], tmp_path, cells=False)
    assert torch.equal(again.vector[:3], grounding.vector)
    assert len(seen) == 4
    # Cells that nobody asked for were not kept.
    joined(encoder, pixels, [1], tmp_path, cells=True)
    joined(encoder, pixels, [1], tmp_path, cells=False, content="other data")
    assert seen[4:] == [1, 1]


@pytest.mark.parametrize("name", ["convirt", "gloria", "mgca", "g2d"])
def test_no_image_depends_on_its_company(name: str, tmp_path: Path) -> None:
    """To the last bit, of the shipped encoders: what is left for a small batch is computed in a whole one."""
    card = load_card(shipped("baselines") / f"{name}.toml", EncoderCard)
    encoder = load_encoder(card, text=True)
    side, count = card.image.size, BATCH + 8
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side), dtype=np.uint8)
    whole = joined(encoder, pixels, range(count), tmp_path / "whole", cells=True)
    assert whole.cells is not None
    # Three, five and then the rest: other batches, and none of them full.
    for part in ([39, 2, 30], [38, 31, 4, 9, 1], range(count)):
        found = joined(encoder, pixels, list(part), tmp_path / "bit by bit", cells=True)
        assert found.cells is not None
        assert torch.equal(found.vector, whole.vector[list(part)])
        assert torch.equal(found.cells, whole.cells[list(part)])


def test_beyond_the_room_for_cells_they_are_the_same_and_not_kept(
    encoder: Encoder,
    pixels: NDArray[np.uint8],
    tmp_path: Path,
    seen: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [*range(40), 3]
    kept = joined(encoder, pixels, rows, tmp_path / "a", cells=True)
    monkeypatch.setattr(module, "CELLS_BYTES", 1)
    assert kept.cells is not None
    for _ in range(2):
        direct = joined(encoder, pixels, rows, tmp_path / "b", cells=True)
        assert direct.cells is not None
        assert torch.equal(direct.cells, kept.cells)
        assert torch.equal(direct.vector, kept.vector)
    assert len(seen) == 40 + 2 * 41
    assert not (tmp_path / "b").exists()


def test_key_holds_the_heads_and_what_names_the_features(
    encoder: Encoder, small_card: Callable[[str], EncoderCard], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [
        embeddings_key(encoder, "c"),
        embeddings_key(encoder, "d"),
        embeddings_key(make(small_card("random"), seed=1), "c"),
    ]
    other = load_encoder(small_card("random"), seed=4)
    keys.append(embeddings_key(Encoder(other.card, other.image, "some", None, encoder.heads), "c"))
    for said in (HeadsOptions(method="clip"), HeadsOptions(options={"activation": "gelu"})):
        card = encoder.card.model_copy(update={"heads": said})
        keys.append(embeddings_key(replace(encoder, card=card), "c"))
    for home, function in ((module, "digest_code"), (features, "digest_package")):
        with monkeypatch.context() as patch:
            patch.setattr(home, function, lambda *names: "edited")
            keys.append(embeddings_key(encoder, "c"))
    assert len(set(keys)) == len(keys)
    assert embeddings_key(make(small_card("random")), "c") == keys[0]


def test_heads_without_cells_and_encoders_without_heads(
    encoder: Encoder, pixels: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Encoder(encoder.card, encoder.image, "some", None, None)
    with pytest.raises(ValueError, match="no heads"):
        joined(bare, pixels, [0], tmp_path, cells=False)
    assert encoder.heads is not None
    embed = encoder.heads.embed_image
    monkeypatch.setattr(encoder.heads, "embed_image", lambda features: embed(features)._replace(cells=None))
    with pytest.raises(ValueError, match="projects no cells"):
        joined(encoder, pixels, [0], tmp_path, cells=True)
    assert len(joined(encoder, pixels, [0], tmp_path, cells=False).vector) == 1
