"""Pixels and masks: determinism, scale, and that findings look like what they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.phantom import PROFILES, Finding, Phantom, Scene, generate, realise
from g2d_bench.phantom.anatomy import make_anatomy
from g2d_bench.phantom.generate import mask_box
from g2d_bench.phantom.labels import DEVICES, DRAWN, OBJECT
from g2d_bench.phantom.render.raster import Grid, Ink, cover, disc, noise, splat
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.seeds import stream

SIZE = 128
Mask = NDArray[np.bool_]


def cardiothoracic_ratio(scene: Scene) -> float:
    """Width of the heart over the inner width of the thorax."""
    anatomy = make_anatomy(scene)
    return 2 * anatomy.heart_half / (anatomy.lungs["right"].width + anatomy.lungs["left"].width)


def with_findings(scene: Scene, findings: tuple[Finding, ...]) -> Scene:
    """The same patient and technique with other findings."""
    return replace(scene, findings=findings, decoys=(), resolved=())


@pytest.fixture(scope="module")
def healthy() -> Scene:
    """A patient, upright, without findings, noise, collimation or marker."""
    scene = sample_scene("test", 3, seed=0, profile=PROFILES["siim"])
    technique = replace(
        scene.technique,
        view="PA",
        noise=0.0,
        collimation=(0, 0, 0, 0),
        marker="",
        contrast=1.0,
        exposure=0.0,
        zoom=1.0,
    )
    return replace(with_findings(scene, ()), technique=technique)


def draw(scene: Scene, *findings: Finding, size: int = SIZE) -> Phantom:
    return realise(with_findings(scene, findings), size)


def mean_change(scene: Scene, finding: Finding) -> tuple[float, float]:
    """Mean difference to the healthy film inside the mask, and mean absolute one far from it."""
    from scipy.ndimage import binary_dilation

    without, with_it = draw(scene), draw(scene, finding)
    difference = with_it.image.astype(float) - without.image
    mask = with_it.finding_masks[0]
    far = ~binary_dilation(mask, iterations=6)
    return float(difference[mask].mean()), float(np.abs(difference[far]).mean())


def test_same_arguments_same_bytes() -> None:
    def image(index: int, seed: int = 0) -> NDArray[np.uint8]:
        return generate("siim", index, seed=seed, size=96, profile=PROFILES["siim"]).image

    first = image(5)
    image(6)
    assert first.dtype == np.uint8
    assert first.shape == (96, 96)
    assert np.array_equal(image(5), first)
    assert not np.array_equal(image(5, seed=1), first)


def test_looks_like_a_chest(healthy: Scene) -> None:
    picture = draw(healthy, size=256)
    image = picture.image.astype(float)
    lungs = picture.lungs["right"] | picture.lungs["left"]
    middle = round(256 * (0.5 + healthy.technique.shift[0]))
    assert 0.2 < lungs.mean() < 0.45
    assert image[lungs].mean() < 0.6 * image[150:200, middle - 6 : middle + 6].mean()
    assert image[240:, 100:156].mean() > 1.8 * image[lungs].mean()
    assert image[:12, :12].mean() < 15
    # The heart lies left of the midline: on the right of the image.
    assert picture.lungs["right"][:, :middle].sum() > picture.lungs["left"][:, middle:].sum()
    # Ribs are bright bands across the lung: its rows vary more than smooth tissue would.
    column = image[:, middle - 50][picture.lungs["right"][:, middle - 50]]
    assert np.abs(np.diff(column, 2)).mean() > 0.5


def test_same_anatomy_at_any_size(healthy: Scene) -> None:
    finding = Finding("Mass", "right", "mid", 0.7, False, "lobulated", 5)
    small, large = (draw(healthy, finding, size=size) for size in (128, 512))
    shrunk = large.image.reshape(128, 4, 128, 4).mean((1, 3))
    assert np.abs(shrunk - small.image).mean() < 4.0
    assert np.corrcoef(shrunk.ravel(), small.image.ravel())[0, 1] > 0.99
    ratio = large.finding_masks[0].mean() / small.finding_masks[0].mean()
    assert 0.9 < ratio < 1.1


@pytest.mark.parametrize(
    ("finding", "least"),
    [
        (Finding("Consolidation", "right", "lower", 0.6, False, "round", 1), 15),
        (Finding("Pneumonia", "left", "mid", 0.6, False, "lobar", 2), 10),
        (Finding("Infiltration", "right", "upper", 0.6, False, "", 3), 5),
        (Finding("Effusion", "left", "basal", 0.6, False, "meniscus", 4), 25),
        (Finding("Effusion", "right", "basal", 0.6, False, "layering", 4), 6),
        (Finding("Mass", "left", "upper", 0.6, False, "spiculated", 5), 25),
        (Finding("Nodule", "right", "mid", 0.8, False, "", 6), 15),
        (Finding("Edema", "bilateral", "perihilar", 0.6, False, "", 7), 8),
        (Finding("COVID-19", "bilateral", "peripheral", 0.6, False, "", 8), 8),
        (Finding("Pleural_Thickening", "right", "lateral", 0.9, False, "", 9), 15),
        (Finding("Atelectasis", "right", "lower", 0.6, False, "plate", 10), 12),
        (Finding("Atelectasis", "right", "basal", 0.6, False, "basal", 10), 10),
        (Finding("Atelectasis", "left", "retrocardiac", 0.6, False, "retrocardiac", 10), 4),
        (Finding(DEVICES, "right", "", 0.5, False, "chest tube", 11), 10),
        (Finding(OBJECT, "", "", 0.5, False, "coin", 12), 40),
    ],
    ids=lambda value: f"{value.label}-{value.pattern}" if isinstance(value, Finding) else "",
)
def test_opacities_brighten_their_mask(healthy: Scene, finding: Finding, least: float) -> None:
    inside, far = mean_change(healthy, finding)
    assert inside > least
    assert inside > 3 * far


@pytest.mark.parametrize("pattern", ["apical", "lateral", "basal", "tension"])
def test_pneumothorax_is_dark_bounded_and_without_vessels(healthy: Scene, pattern: str) -> None:
    finding = Finding("Pneumothorax", "left", "", 0.7, False, pattern, 4)
    without, with_it = draw(healthy, size=256), draw(healthy, finding, size=256)
    mask = with_it.finding_masks[0]
    assert 0.008 < mask.mean() < 0.25
    inside = with_it.image[mask].astype(float).mean() - without.image[mask].astype(float).mean()
    assert inside < -3
    assert mask[:, 128:].sum() > 0.98 * mask.sum()
    # It lies between the lung and the chest wall: within the lung's outline.
    assert (mask & ~(without.lungs["left"] | without.lungs["right"])).sum() < 0.2 * mask.sum()


def test_severity_grows_the_mask(healthy: Scene) -> None:
    for label, pattern in (("Pneumothorax", "apical"), ("Effusion", "meniscus"), ("Consolidation", "round")):
        small, large = (
            draw(healthy, Finding(label, "right", "lower", severity, False, pattern, 4))
            .finding_masks[0]
            .sum()
            for severity in (0.2, 0.9)
        )
        assert large > 1.4 * small, label


def test_cardiomegaly_widens_the_heart(healthy: Scene) -> None:

    assert cardiothoracic_ratio(healthy) < 0.5
    sick = with_findings(healthy, (Finding("Cardiomegaly", "", "", 0.4),))
    assert cardiothoracic_ratio(sick) > 0.54
    box = draw(healthy, *sick.findings).boxes[0]
    assert box.w > 0.4 * SIZE * 0.75


def test_emphysema_darkens_and_enlarges_the_lungs(healthy: Scene) -> None:
    finding = Finding("Emphysema", "bilateral", "", 0.9, False, "", 3)
    without, with_it = draw(healthy), draw(healthy, finding)
    lungs = [p.lungs["right"] | p.lungs["left"] for p in (without, with_it)]
    assert lungs[1].sum() > 1.1 * lungs[0].sum()
    assert with_it.image[lungs[1]].mean() < without.image[lungs[0]].mean()


@pytest.mark.parametrize("index", range(0, 60, 7))
def test_everything_drawn_has_mask_box_and_phrase(index: int) -> None:
    picture = generate("mimic-cxr", index, seed=1, size=SIZE, profile=PROFILES["mimic-cxr"])
    assert len(picture.finding_masks) == len(picture.scene.findings) == len(picture.finding_boxes)
    for finding, mask, boxes in zip(
        picture.scene.findings, picture.finding_masks, picture.finding_boxes, strict=True
    ):
        assert finding.label in DRAWN
        union = np.zeros_like(mask)
        for box in boxes:
            assert box.label == finding.label
            assert 0 <= box.x < box.x + box.w <= SIZE
            assert 0 <= box.y < box.y + box.h <= SIZE
            union[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)] = True
        assert not (mask & ~union).any()
        assert len(boxes) <= 2
    assert picture.report is not None
    told = [f for f in picture.scene.findings if f.label not in (DEVICES, OBJECT)]
    assert len(picture.phrases) <= len(told)


def test_every_device_and_object_is_seen(healthy: Scene) -> None:
    from g2d_bench.phantom.sampling import _DEVICES, _OBJECTS

    for kind in (*_DEVICES, "chest tube"):
        assert draw(healthy, Finding(DEVICES, "left", "", 0.5, False, kind, 3)).finding_masks[0].any(), kind
    for kind in _OBJECTS:
        assert draw(healthy, Finding(OBJECT, "", "", 0.5, False, kind, 3)).finding_masks[0].any(), kind


@pytest.mark.parametrize("label", ["Hernia", "Fibrosis", "Fracture", "Enlarged Cardiomediastinum"])
def test_other_findings_change_the_picture(healthy: Scene, label: str) -> None:
    side = {"Fibrosis": "bilateral", "Fracture": "right"}.get(label, "")
    finding = Finding(label, side, "lower", 0.8, False, "", 5)
    without, with_it = draw(healthy), draw(healthy, finding)
    mask = with_it.finding_masks[0]
    assert mask.any()
    assert np.abs(with_it.image[mask].astype(float) - without.image[mask]).mean() > 3


@pytest.mark.parametrize("decoy", ["skin fold", "companion shadow", "nipple", "overlap"])
def test_look_alikes_change_pixels_but_no_mask(healthy: Scene, decoy: str) -> None:
    plain = draw(healthy)
    picture = realise(replace(healthy, decoys=(decoy,)), SIZE)
    assert not picture.masks
    assert np.abs(picture.image.astype(int) - plain.image).max() >= 3


def test_view_decides_collimation_marker_and_noise(healthy: Scene) -> None:
    plain = draw(healthy)
    framed = realise(
        replace(
            healthy, technique=replace(healthy.technique, collimation=(0.05,) * 4, marker="L", noise=0.03)
        ),
        SIZE,
    )
    assert framed.image[:4].max() < 20
    assert framed.image[:, :4].max() < 20
    # The letter lies on the patient's left.
    assert framed.image[8:30, 95:].max() > plain.image[8:30, 95:].max() + 25
    assert np.std(framed.image[100:, 60:68].astype(float)) > np.std(plain.image[100:, 60:68].astype(float))


@pytest.mark.parametrize("size", [63, 4096, 0])
def test_size_out_of_range(size: int) -> None:
    with pytest.raises(InputError, match="size"):
        generate("siim", 0, seed=0, size=size, profile=PROFILES["siim"])


def test_mask_box() -> None:
    mask: Mask = np.zeros((8, 9), np.bool_)
    assert mask_box(mask, "a") is None
    mask[2:4, 5] = True
    box = mask_box(mask, "a")
    assert box is not None
    assert (box.x, box.y, box.w, box.h) == (5, 2, 1, 2)


@pytest.mark.parametrize("sigma", [0.0008, 0.004, 0.02])
def test_splat_equals_a_plain_loop(sigma: float) -> None:
    grid = Grid(64, slice(8, 60), slice(4, 50))
    rng = np.random.default_rng(3)
    x, y = rng.uniform(-0.6, 0.6, 30), rng.uniform(-0.1, 1.1, 30)
    weight = rng.uniform(0.1, 1, 30)
    expected = np.zeros(grid.shape)
    wide = np.sqrt((sigma * 64) ** 2 + 0.2)
    for cx, cy, w in zip(x, y, weight, strict=True):
        dx = (np.arange(4, 50) + 0.5) - (cx + 0.5) * 64
        dy = (np.arange(8, 60) + 0.5) - cy * 64
        dot = np.exp(-0.5 * (dx[None] ** 2 + dy[:, None] ** 2) / wide**2)
        expected += w * (sigma * 64 / wide) ** 2 * dot
    arrays = (np.asarray(a, np.float32) for a in (x, y, np.full(30, sigma), weight))
    drawn = splat(grid, *arrays)
    # Dots are cut off at 2.5 standard deviations.
    assert np.abs(drawn - expected).max() < 0.06 * max(expected.max(), 1e-3)


@pytest.mark.parametrize("size", [64, 128, 512])
def test_curve_keeps_its_density_at_any_size(size: int) -> None:
    ink = Ink(size)
    ink.curve(np.array([[-0.4, 0.5], [0.4, 0.5]]), 0.012, 0.5)
    drawn = ink.draw(Grid.full(size))
    across = drawn[:, size // 4 : 3 * size // 4].sum(0) / size
    assert np.allclose(across, 0.5 * np.sqrt(2 * np.pi) * 0.012, rtol=0.03)


def test_coverage_is_a_ramp_around_the_edge() -> None:
    grid = Grid.full(256)
    inside = cover((1 - disc(grid, 0.0, 0.5, 0.25, 0.25)) * np.float32(0.25))
    assert inside.min() == 0
    assert inside.max() == 1
    assert inside.mean() == pytest.approx(np.pi / 16, rel=0.005)


def test_noise_is_one_texture_at_all_sizes() -> None:
    windows = [noise(Grid.full(size), "cloud", stream("w")) for size in (64, 256)]
    coarse = windows[1].reshape(64, 4, 64, 4).mean((1, 3))
    assert np.corrcoef(coarse.ravel(), windows[0].ravel())[0, 1] > 0.97
    assert 0.5 < windows[1].std() < 1.5
