"""What opacities are made of: masks inside the lung, silhouettes, fissures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from g2d_bench.phantom import Finding, Scene
from g2d_bench.phantom.anatomy import make_anatomy
from g2d_bench.phantom.render import lesion, render, thorax
from g2d_bench.phantom.render.canvas import Canvas, make_canvas
from g2d_bench.phantom.seeds import stream

SIZE = 256


@pytest.fixture
def canvas(healthy: Scene) -> Canvas:
    drawn = make_canvas(healthy, make_anatomy(healthy), SIZE)
    thorax.draw_body(drawn)
    thorax.draw_mediastinum(drawn)
    return drawn


def test_parts_have_the_field_s_shape_and_range(canvas: Canvas) -> None:
    for field in canvas.lungs.values():
        area = lesion.patch(field, stream("a"), *field.point(canvas.anatomy, 0.5, 0.5), 0.1, 0.1, 0.0, 0.3)
        assert area.shape == field.grid.shape
        assert area.min() == 0
        assert 0.8 < area.max() <= 1
        texture = lesion.textured(field, stream("b"), 0.9)
        assert 0.09 < texture.min() < texture.max() <= 1
        assert 0.6 < texture.mean() < 0.8
        outside = field.grid.of(canvas.shadow) < 0.1
        assert abs(float(lesion.net(canvas, field, stream("c"))[outside].mean())) < 0.1
        both = lesion.join(area, area)
        assert np.all(both >= area)
        assert both.max() <= 1


def test_filling_takes_air_and_leaves_vessels_in_haze(canvas: Canvas) -> None:
    field = canvas.lungs["left"]
    area = field.cov.copy()
    lesion.fill(field, area, 0.5, 0.2)
    assert field.aeration.min() == pytest.approx(0.5)
    assert field.vessels.min() == pytest.approx(0.9 * (1 - 0.6), abs=0.02)


def test_lobes_meet_at_the_minor_fissure(canvas: Canvas) -> None:
    right, left = canvas.lungs["right"], canvas.lungs["left"]
    for field, sharp in ((right, True), (left, False)):
        upper = lesion.lobe(field, stream("fissure"), "upper")
        edge = np.abs(np.diff(upper, axis=0)).max()
        assert (edge > 0.1) == sharp
        lower = lesion.lobe(field, stream("fissure"), "lower")
        assert upper[field.v < 0.2].mean() > 0.9
        assert lower[(field.v > 0.8) & (field.cov > 0.5)].mean() > 0.9


def contrast(image: NDArray[np.uint8], inside: NDArray[np.bool_], outside: NDArray[np.bool_]) -> float:
    return float(image[inside].mean()) - float(image[outside].mean())


def test_an_opacity_erases_the_border_that_it_touches(healthy: Scene) -> None:
    """Middle lobe and lingula: the heart's; lower lobe: the diaphragm's, while the heart's stays."""
    from scipy.ndimage import binary_dilation, binary_erosion

    plain = render(healthy, SIZE)
    heart = plain.heart
    rows = np.arange(SIZE)[:, None] / SIZE
    a = plain.anatomy
    beside = (rows > a.heart[1] - 0.03) & (rows < a.heart[1] + 0.05)
    columns = np.arange(SIZE)[None, :] / SIZE - 0.5 > a.middle
    rim_in = heart & ~binary_erosion(heart, iterations=5) & beside & columns
    rim_out = binary_dilation(heart, iterations=5) & ~heart & beside & columns
    lung = plain.lungs["left"]
    base_in = binary_dilation(lung, iterations=5) & ~binary_dilation(lung, iterations=1) & ~heart
    floor = (rows > a.lungs["left"].dome - 0.02) & (
        np.abs(np.arange(SIZE)[None, :] / SIZE - 0.5 - a.middle - 0.25) < 0.04
    )
    base_in &= floor & ~lung
    base_out = lung & ~binary_erosion(lung, iterations=5) & floor

    def borders(zone: str) -> tuple[float, float]:
        # Over several shapes, because where a cloud lies is chance.
        ill = [Finding("Consolidation", "left", zone, 0.9, False, "lobar", key) for key in range(6)]
        images = [render(replace(healthy, findings=(finding,)), SIZE).image for finding in ill]
        steps = [(contrast(i, rim_in, rim_out), contrast(i, base_in, base_out)) for i in images]
        heart_step, floor_step = np.mean(steps, axis=0)
        return float(heart_step), float(floor_step)

    before = contrast(plain.image, rim_in, rim_out), contrast(plain.image, base_in, base_out)
    lingula, base = borders("mid"), borders("lower")
    assert before[0] > 25
    assert before[1] > 25
    assert lingula[0] < 0.55 * before[0]
    assert base[1] < 0.55 * before[1]
    # Which border is lost tells where the opacity lies.
    assert lingula[1] > base[1]
    assert base[0] > lingula[0]
