from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders import features as features_module
from g2d_bench.encoders.features import (
    BATCH,
    features_key,
    frozen_hash,
    pooled_features,
    pyramid_bytes,
    pyramid_features,
    pyramid_shapes,
)
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_package
from g2d_bench.paths import PACKAGE

MakeCard = Callable[[str], EncoderCard]


@pytest.fixture(scope="module")
def encoder(small_card: MakeCard) -> Encoder:
    return load_encoder(small_card("random"), seed=3)


@pytest.fixture(scope="module")
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3 * BATCH + 5, 32, 32), dtype=np.uint8)


def one_by_one(encoder: Encoder, pixels: NDArray[np.uint8], rows: Any) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.concatenate(
            [
                encoder.image(encoder.preprocess(torch.from_numpy(pixels[row : row + 1]))).pooled.numpy()
                for row in rows
            ]
        )


def test_pooled_features_are_the_encoders(
    encoder: Encoder, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    rows = [7, 2, 2, 40]
    got = pooled_features(encoder, pixels, rows, content="c", folder=tmp_path)
    assert got.dtype == np.float32
    assert got.shape == (4, encoder.image.num_features)
    np.testing.assert_allclose(got, one_by_one(encoder, pixels, rows), atol=1e-5)


@pytest.mark.parametrize("name", ["random", "mgca.vit-b16"])
def test_numbers_do_not_depend_on_the_company(
    name: str, small_card: MakeCard, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    card = small_card(name).model_copy(update={"weights": "none"})
    encoder = load_encoder(card, seed=3)
    together = pooled_features(encoder, pixels, range(len(pixels)), content="a", folder=tmp_path)
    for part in ([50], [50, 3], range(49, 60), range(len(pixels) - 1, 20, -1)):
        alone = pooled_features(encoder, pixels, list(part), content=f"b{len(part)}", folder=tmp_path)
        assert np.array_equal(alone, together[list(part)])
    levels, some = (pyramid_features(encoder, pixels, rows) for rows in (range(len(pixels)), [9, 50]))
    for level, two in zip(levels, some, strict=True):
        assert torch.equal(level[[9, 50]], two)


def test_vectors_that_are_no_numbers_are_refused_and_not_kept(
    small_card: MakeCard, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    encoder = load_encoder(small_card("random"), seed=3)
    sick = pixels.copy()
    sick[[2, 40]] = 255

    def of_white(_: nn.Module, images: tuple[torch.Tensor], found: Any) -> Any:
        white = images[0].amin(dim=(1, 2, 3)) == images[0].amax(dim=(1, 2, 3))
        return found._replace(pooled=found.pooled.masked_fill(white[:, None], float("inf")))

    hook = encoder.image.register_forward_hook(of_white)
    for _ in range(2):
        with pytest.raises(
            InputError, match=r"^random: gives NaN or infinity for 2 of 50 images; vectors of"
        ):
            pooled_features(encoder, sick, range(50), content="sick", folder=tmp_path)
    hook.remove()
    found = pooled_features(encoder, sick, range(50), content="sick", folder=tmp_path)
    assert np.isfinite(found).all()


def test_key_holds_all_that_moves_the_numbers(
    encoder: Encoder, small_card: MakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = encoder.card
    seen = {"as it is": features_key(encoder, "c")}

    def changed(what: str, other: Encoder, content: str = "c") -> None:
        key = features_key(other, content)
        assert key not in seen.values(), what
        seen[what] = key

    changed("data", encoder, "d")
    changed("initialisation", load_encoder(card, seed=4))
    weight = load_encoder(card, seed=3)
    with torch.no_grad():
        next(weight.image.parameters()).view(-1)[0] += 1e-6
    changed("one weight", weight)
    statistic = load_encoder(card, seed=3)
    norm = next(module for module in statistic.image.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.running_var is not None
    norm.running_var[0] += 1e-6
    changed("one statistic", statistic)
    for key, value in {"mean": 0.4, "std": 0.4, "size": 48, "resize_inside": 40}.items():
        image = card.image.model_copy(update={key: value})
        changed(key, load_encoder(card.model_copy(update={"image": image}), seed=3))
    for name in features_module.CODE:
        with monkeypatch.context() as patch:
            patch.setattr(
                features_module,
                "digest_package",
                lambda folder, name=name: f"{name} edited" if folder.name == name else "as it is",
            )
            changed(name, encoder)
    # A configuration beside the weights has no tensor: the digest of the files alone tells of it.
    changed("files", replace(encoder, weights_hash="other"))
    for library in ("torch", "timm"):
        with monkeypatch.context() as patch:
            patch.setattr(f"{library}.__version__", "0.0.1")
            changed(library, encoder)
    for library in ("transformers", "open_clip"):
        image = card.image.model_copy(update={"library": library})
        of_library = replace(encoder, card=card.model_copy(update={"image": image}))
        changed(f"of {library}", of_library)
        with monkeypatch.context() as patch:
            patch.setattr(f"{library}.__version__", "0.0.1")
            changed(f"another {library}", of_library)
    assert features_key(load_encoder(card, seed=3), "c") == seen["as it is"]


def test_no_room_of_the_key_can_go_unseen() -> None:
    with pytest.raises(FileNotFoundError, match="no package"):
        digest_package(PACKAGE / "room_that_went")
    assert all(digest_package(PACKAGE / name) for name in features_module.CODE)


def test_default_folder_is_the_cache(
    encoder: Encoder, pixels: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path))
    pooled_features(encoder, pixels, [0], content="c")
    assert (tmp_path / "features" / f"{features_key(encoder, 'c')}.npy").is_file()


def test_no_rows_and_wrong_rows(encoder: Encoder, pixels: NDArray[np.uint8], tmp_path: Path) -> None:
    assert pooled_features(encoder, pixels, [], content="c", folder=tmp_path).shape == (
        0,
        encoder.image.num_features,
    )
    for rows in ([-1], [len(pixels)]):
        with pytest.raises(IndexError, match=r"rows must lie in"):
            pooled_features(encoder, pixels, rows, content="c", folder=tmp_path)


def test_pyramid_features_and_their_room(encoder: Encoder, pixels: NDArray[np.uint8]) -> None:
    shapes = pyramid_shapes(encoder)
    assert [shape[1:] for shape in shapes] == [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]
    rows = [5, 80, 5]
    levels = pyramid_features(encoder, pixels, rows)
    assert pyramid_bytes(encoder) * len(rows) == sum(4 * level.numel() for level in levels)
    with torch.inference_mode():
        expected = encoder.image(encoder.preprocess(torch.from_numpy(pixels[rows]))).pyramid
    for level, reference in zip(levels, expected, strict=True):
        assert level.dtype == torch.float32
        torch.testing.assert_close(level, reference, atol=1e-5, rtol=1e-5)
        assert not level.requires_grad
        assert not level.is_inference(), "an inference tensor could not take part in training"


def test_batchnorm_stays_put_even_in_training_mode(
    small_card: MakeCard, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    encoder = load_encoder(small_card("random"), seed=3)
    before = frozen_hash(encoder.image)
    encoder.image.train()
    pooled_features(encoder, pixels, [0, 1], content="c", folder=tmp_path)
    pyramid_shapes(encoder)
    assert frozen_hash(encoder.image) == before
    assert encoder.image.training, "the mode is given back as it was"
    with torch.no_grad():
        encoder.image(encoder.preprocess(torch.from_numpy(pixels[:2])))
    assert frozen_hash(encoder.image) != before, "BatchNorm statistics are part of the hash"


def test_an_encoder_that_moves_is_found_out(
    small_card: MakeCard, pixels: NDArray[np.uint8], tmp_path: Path
) -> None:
    encoder = load_encoder(small_card("random"), seed=3)
    norm = next(module for module in encoder.image.modules() if isinstance(module, nn.BatchNorm2d))

    def leak(*_: object) -> None:
        assert norm.running_mean is not None
        norm.running_mean.add_(1e-3)

    norm.register_forward_hook(leak)
    with pytest.raises(RuntimeError, match="changed while its features were computed"):
        pooled_features(encoder, pixels, [0], content="c", folder=tmp_path)
