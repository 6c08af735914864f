"""Statistics of films: pictures whose right value is known."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_chest import chest
from film_statistics import (
    MASKED,
    SIDE,
    WORDS,
    Grey,
    alike,
    chest_of,
    distance,
    fitted,
    histogram,
    histogram_distance,
    margins,
    spectrum,
    statistics,
    thumbnail,
    told_apart,
)
from numpy.typing import NDArray


def noise(slope: float, seed: int = 0) -> Grey:
    """A picture whose power falls with the given power of the frequency."""
    rng = np.random.default_rng(seed)
    cycles = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)) * SIDE
    cycles[0, 0] = 1
    picture = np.fft.ifft2(np.fft.fft2(rng.normal(size=(SIDE, SIDE))) * cycles ** (slope / 2)).real
    grey: Grey = np.clip(128 + 40 * picture / picture.std(), 0, 255).astype(np.uint8)
    return grey


def test_every_statistic_has_words_and_a_number() -> None:
    found = statistics(*chest())
    assert set(found) | {"others"} == set(WORDS)
    assert all(np.isfinite(value) for value in found.values())


def test_without_lungs_what_needs_them_is_left_out() -> None:
    grey, _ = chest()
    assert set(WORDS) - set(statistics(grey)) == {*MASKED, "others"}
    assert statistics(grey, np.zeros(grey.shape, np.bool_)) == statistics(grey)


def test_greys() -> None:
    grey = np.zeros((SIDE, SIDE), np.uint8)
    grey[:, SIDE // 2 :] = 250
    found = statistics(grey)
    assert found["mean"] == pytest.approx(125)
    assert found["sd"] == pytest.approx(125)
    assert found["black"] == found["white"] == pytest.approx(0.5)
    assert found["corners above"] == found["corners below"] == found["sides"] == pytest.approx(125)
    assert found["mirror"] == pytest.approx(-1)


def test_aspect_and_size_of_a_film() -> None:
    wide = np.repeat(np.repeat(noise(-3)[:200], 2, 0), 2, 1)
    assert fitted(wide).shape == (200, SIDE)
    assert statistics(wide)["aspect"] == pytest.approx(SIDE / 200)
    assert np.array_equal(fitted(wide), noise(-3)[:200])


def test_margins_are_measured_where_letters_stand_in_them() -> None:
    grey = np.full((200, 100), 90, np.uint8)
    grey[:, :10], grey[180:] = 0, 5
    grey[50:55, 2:5] = 255
    assert margins(grey) == pytest.approx((0.1, 0, 0, 0.1))
    assert margins(np.zeros((50, 50), np.uint8)) == (1, 1, 1, 1)
    found = statistics(grey)
    assert found["margin"] == pytest.approx(0.1, abs=0.01)
    assert found["margins"] == 2


def test_letters_are_marks_and_a_bright_field_is_none() -> None:
    grey = np.full((SIDE, SIDE), 60, np.uint8)
    assert statistics(grey)["text"] == 0
    grey[10:16, 10:13] = 250
    frame = SIDE**2 - (SIDE - 2 * (SIDE // 5)) ** 2
    assert statistics(grey)["text"] == pytest.approx(18 / frame)
    grey[120:124, 120:124] = 250
    grey[200:, 200:] = 250
    assert statistics(grey)["text"] == pytest.approx(18 / frame)


@pytest.mark.parametrize("slope", [-2.0, -3.0])
def test_slope_of_the_spectrum(slope: float) -> None:
    found = np.mean([spectrum(noise(slope, seed))["slope"] for seed in range(4)])
    assert found == pytest.approx(slope, abs=0.15)


def test_a_wave_lies_in_its_octave() -> None:
    wave = 128 + 100 * np.sin(2 * np.pi * 24 * np.arange(SIDE) / SIDE)
    found = spectrum(np.tile(wave, (SIDE, 1)).astype(np.uint8))
    octaves = {name: value for name, value in found.items() if name.startswith("octave")}
    assert max(octaves, key=lambda name: octaves[name]) == "octave 16"


def test_contrast_does_not_move_the_spectrum() -> None:
    grey = noise(-3)
    flat = (64 + grey.astype(float) / 2).astype(np.uint8)
    assert spectrum(flat)["octave 8"] == pytest.approx(spectrum(grey)["octave 8"], abs=0.02)


def test_where_lungs_lie() -> None:
    grey, lungs = chest(gap=40, shift=8)
    found = statistics(grey, lungs)
    assert found["lung area"] == pytest.approx(200 * 160 / SIDE**2)
    assert found["chest area"] == pytest.approx(200 * 200 / SIDE**2)
    assert found["between"] == pytest.approx(40 / 200)
    assert found["sides' ratio"] == pytest.approx(0, abs=0.02)
    assert (found["box x"], found["box y"]) == pytest.approx((136 / SIDE, 120 / SIDE))
    assert (found["box width"], found["box height"]) == pytest.approx((200 / SIDE, 200 / SIDE))
    edges = [found[f"box {side}"] * SIDE for side in ("left", "right", "top", "bottom")]
    assert edges == pytest.approx([36, 20, 20, 36])
    assert found["box shape"] == pytest.approx(1)
    assert found["tilt"] == pytest.approx(0, abs=1e-9)


def test_a_smaller_lung_and_a_tilted_chest() -> None:
    grey, lungs = chest(gap=40)
    lungs[120:220, 148:] = False
    found = statistics(grey, lungs)
    assert found["sides' ratio"] == pytest.approx(np.log(2), abs=0.02)
    assert found["tilt"] == pytest.approx(0, abs=1e-9)
    assert found["box height"] == pytest.approx(200 / SIDE)
    _, lungs = chest()
    leaning = np.stack([np.roll(row, round(0.1 * (y - 128))) for y, row in enumerate(lungs)])
    assert chest_of(leaning).slope == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("behind", [False, True])
def test_the_heart_is_measured_whether_or_not_masks_leave_it_out(behind: bool) -> None:
    grey, lungs = chest(gap=20, heart=(30, 50))
    if not behind:
        lungs[100:220, 98:178] = False
    assert statistics(grey, lungs)["cardiothoracic"] == pytest.approx(80 / 200, abs=0.02)


def test_the_heart_of_generated_films_is_followed() -> None:
    from g2d_bench.phantom import generate, profile_of
    from g2d_bench.phantom.anatomy import make_anatomy

    known, found = [], []
    for index in range(24):
        film = generate("jsrt", index, seed=0, size=128, profile=profile_of("jsrt"))
        anatomy = make_anatomy(film.scene)
        known.append(anatomy.heart_half / anatomy.lungs["right"].width)
        lungs = np.logical_or(film.lungs["right"], film.lungs["left"])
        found.append(statistics(film.image, lungs)["cardiothoracic"])
    # Turned and leaning chests cost the estimator some of it.
    assert np.corrcoef(known, found)[0, 1] > 0.7


def test_soft_borders_are_softer() -> None:
    from scipy.ndimage import gaussian_filter

    grey, lungs = chest()
    hard, soft = statistics(grey, lungs), statistics(gaussian_filter(grey, 6), lungs)
    assert soft["diaphragm"] < hard["diaphragm"] / 2
    assert soft["heart border"] < hard["heart border"] / 2


def test_what_the_lungs_show() -> None:
    grey, lungs = chest(heart=(10, 10))
    plain = statistics(grey, lungs)
    assert plain["ribs"] == pytest.approx(0, abs=1e-6)
    assert plain["texture"] == pytest.approx(0, abs=1e-6)
    assert plain["depth"] == pytest.approx(140 / grey.std(), rel=1e-3)
    assert plain["lung grey"] == pytest.approx((60 - grey.mean()) / grey.std(), rel=1e-3)
    banded = grey.copy()
    bands = 60 + 20 * np.sin(2 * np.pi * np.arange(SIDE) / 20)
    banded[lungs] = np.tile(bands[:, None], SIDE)[lungs]
    found = statistics(banded, lungs)
    # A band of ten periods to the lungs' height passes nearly whole; its deviation is 20 / sqrt(2).
    assert 0.6 < found["ribs"] * banded.std() / (20 / np.sqrt(2)) < 1
    grainy = np.clip(grey + np.random.default_rng(0).normal(0, 10, grey.shape), 0, 255).astype(np.uint8)
    assert statistics(grainy, lungs)["texture"] * grainy.std() == pytest.approx(10, rel=0.05)
    assert statistics(grainy, lungs)["ribs"] < found["ribs"] / 3


def test_lungs_that_touch_are_one_piece() -> None:
    grey, lungs = chest(gap=40)
    lungs[60:70, 100:160] = True
    found = statistics(grey, lungs)
    assert found["cardiothoracic"] == pytest.approx(80 / 200, abs=0.02)
    assert found["between"] == pytest.approx(40 / 200)


def test_likeness_to_the_others() -> None:
    film = thumbnail(noise(-3))
    assert alike([film, 2 * film + 3, film]) == pytest.approx([1, 1, 1])
    assert alike([film, film, -film])[2] == pytest.approx(-1)


def test_distances_of_numbers() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=200).tolist()
    spread = float(np.std(real, ddof=1))
    same = distance(real, real)
    assert (same.w1, same.ks, same.auroc) == (0, 0, 0.5)
    moved = distance([value + 2 * spread for value in real], real)
    assert moved.w1 == pytest.approx(2)
    apart = distance([0.0, 1.0], [5.0, 6.0, 7.0])
    assert (apart.ks, apart.auroc) == (1, 1)


def test_distances_of_histograms() -> None:
    dark, bright = np.zeros((4, 4), np.uint8), np.full((4, 4), 100, np.uint8)
    half = histogram([dark, bright])
    assert (half[0], half[100], half.sum()) == (0.5, 0.5, 1)
    same = histogram_distance(half, half)
    assert (same.w1, same.ks, same.auroc) == (0, 0, 0.5)
    found = histogram_distance(histogram([bright]), half)
    # Half of the weight moves by 100 greys, and the real greys deviate by 50.
    assert (found.w1, found.ks, found.auroc) == pytest.approx((1, 0.5, 0.75))


def sides(count: int) -> NDArray[np.bool_]:
    even: NDArray[np.bool_] = np.arange(count) % 2 == 0
    return even


def test_a_probe_tells_what_can_be_told() -> None:
    rng = np.random.default_rng(0)
    real = sides(120)
    features = rng.normal(size=(120, 8))
    people = [str(number) for number in range(120)]
    assert told_apart(features, real, people)[0] == pytest.approx(0.5, abs=0.15)
    features[:, 3] += 8 * real
    assert told_apart(features, real, people)[0] == pytest.approx(1, abs=0.01)


def test_a_probe_knows_no_patient_again() -> None:
    rng = np.random.default_rng(0)
    # Each patient looks like nobody else, in six films that are the same.
    looks = rng.normal(size=(30, 60))
    people = np.repeat(np.arange(30), 6)
    found, _ = told_apart(looks[people], sides(30)[people], [str(one) for one in people])
    assert found < 0.75
