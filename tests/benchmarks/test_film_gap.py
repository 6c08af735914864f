"""Generated films beside real ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from film_gap import QUANTILES, Film, as_shown, boxed, features, gap, generated_films, probed, real_films
from film_statistics import statistics

from g2d_bench import Catalogue, load_encoder
from g2d_bench.errors import InputError
from g2d_bench.phantom import ensure


def films(side: str, count: int, brightness: float, *, lungs: bool = True) -> list[Film]:
    rng = np.random.default_rng(len(side))
    made = []
    for number in range(count):
        grey = np.clip(rng.normal(brightness, 20, (64, 64)), 0, 255).astype(np.uint8)
        mask = np.zeros(grey.shape, np.bool_)
        mask[10:50, 10:30] = mask[10:50, 34:54] = True
        mask = mask if lungs else np.zeros_like(mask)
        made.append(Film(grey, mask if lungs else None, f"{side} {number // 2}", statistics(grey, mask)))
    return made


def test_the_gap_is_of_the_numbers() -> None:
    found = gap(films("generated", 12, 80), films("real", 16, 160))
    assert found["films"] == {"generated": 12, "real": 16}
    mean = found["statistics"]["mean"]
    assert (mean["generated"]["count"], mean["real"]["count"]) == (12, 16)
    assert mean["generated"]["mean"] == pytest.approx(80, abs=2)
    assert mean["real"]["mean"] == pytest.approx(160, abs=2)
    assert (mean["ks"], mean["auroc"]) == (1, 1)
    assert len(mean["real"]["quantiles"]) == len(QUANTILES)
    assert found["statistics"]["box width"]["w1"] == 0
    assert found["histogram"]["ks"] > 0.9
    assert sum(found["histogram"]["real"]) == pytest.approx(1, abs=1e-3)


def test_without_masks_lungs_are_not_compared() -> None:
    found = gap(films("generated", 6, 80), films("real", 6, 160, lungs=False))
    assert "lung area" not in found["statistics"]
    assert {"mean", "others"} <= set(found["statistics"])


def test_the_square_around_the_lungs() -> None:
    grey = np.arange(40 * 60, dtype=np.int64).reshape(40, 60).astype(np.uint8)
    lungs = np.zeros(grey.shape, np.bool_)
    lungs[0:10, 20:40] = True
    square = boxed(Film(grey, lungs, "", {}))
    assert square is not None
    assert square.shape == (20, 20)
    # The box is 10 rows high and touches the upper edge: five rows above it are outside of the film.
    assert not square[:5].any()
    assert np.array_equal(square[5:], grey[:15, 20:40])
    assert boxed(Film(grey, None, "", {})) is None


def test_features_are_those_of_the_letterboxed_film() -> None:
    encoder = load_encoder(Catalogue.open().encoders["random"])
    size = encoder.card.image.size
    wide = np.full((size // 2, size), 90, np.uint8)
    padded = np.zeros((size, size), np.uint8)
    padded[size // 4 : -size // 4] = 90
    found = features(encoder, [wide, padded])
    assert found.shape == (2, 192)
    assert np.allclose(found[0], found[1], atol=1e-5)


def test_a_probe_per_encoder_and_view_of_the_film() -> None:
    encoders = {"random 0": load_encoder(as_shown(Catalogue.open().encoders["random"]))}
    found = list(probed(films("generated", 30, 80), films("real", 30, 200), encoders))
    assert [(name, saw) for name, saw, _ in found] == [
        ("–", "numbers"),
        ("random 0", "film"),
        ("random 0", "chest"),
    ]
    assert all(auroc > 0.95 for _, _, (auroc, _) in found)


def test_generated_films_are_those_of_the_data_set() -> None:
    made = generated_films("covid-cxr", 10)
    assert len(made) == 10
    assert all(film.patient.startswith("generated ") for film in made)
    masked = [film for film in made if film.lungs is not None]
    assert 0 < len(masked) < 10
    assert all("lung area" in film.numbers for film in masked)


def test_generated_films_are_no_real_ones(tmp_path: Path) -> None:
    ensure("covid-cxr", root=tmp_path, count=4, size=64)
    with pytest.raises(InputError, match="--real: these films are generated"):
        real_films("covid-cxr", tmp_path)
