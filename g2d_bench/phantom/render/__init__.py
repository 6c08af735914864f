"""From a scene to pixels and masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.anatomy import Anatomy, make_anatomy
from g2d_bench.phantom.render import bones, decoys, devices, film, lungs, opacities, pleura, thorax
from g2d_bench.phantom.render.canvas import Canvas, make_canvas
from g2d_bench.phantom.scene import Scene
from g2d_bench.phantom.seeds import stream


@dataclass(frozen=True)
class Rendered:
    """A drawn scene.

    Attributes:
        image: grey values, shape [S, S].
        masks: one per finding of the scene, in its order, each [S, S].
        lungs: side to the mask of that lung, without what findings or heart hide, each [S, S].
        heart: the mask of the heart, shape [S, S].
        anatomy: the curves.
    """

    image: NDArray[np.uint8]
    masks: tuple[NDArray[np.bool_], ...]
    lungs: dict[str, NDArray[np.bool_]]
    heart: NDArray[np.bool_]
    anatomy: Anatomy


def render(scene: Scene, size: int) -> Rendered:
    """Draw a scene.

    Args:
        scene: what to draw.
        size: side of the square image in pixels, 64 or more.

    Returns:
        The same bytes for the same arguments; the same anatomy for every size.
    """
    canvas = make_canvas(scene, make_anatomy(scene), size)
    thorax.draw_body(canvas)
    thorax.draw_abdomen(canvas)
    thorax.draw_breasts(canvas)
    thorax.draw_mediastinum(canvas)
    bones.draw_spine(canvas)
    bones.draw_ribs(canvas)
    bones.draw_shoulders(canvas)
    lungs.draw_vessels(canvas)
    _draw_findings(canvas)
    for decoy in scene.decoys:
        decoys.DECOYS[decoy](canvas)
    lungs.compose_lungs(canvas)
    canvas.attenuation += canvas.ink.draw(canvas.grid)
    for number, finding in enumerate(scene.findings):
        if finding.label in devices.PAINTERS:
            devices.PAINTERS[finding.label](canvas, number, finding)
    empty = np.zeros(canvas.grid.shape, np.bool_)
    masks = tuple(canvas.masks.get(number, empty) for number in range(len(scene.findings)))
    return Rendered(film.expose(canvas), masks, _lung_masks(canvas), canvas.heart > 0.5, canvas.anatomy)


def _draw_findings(canvas: Canvas) -> None:
    """Draw what changes the lungs; masses before fluid, so that fluid may hide them."""
    for number, finding in enumerate(canvas.scene.findings):
        if finding.label == "Emphysema":
            for place, field in enumerate(canvas.lungs.values()):
                lungs.draw_emphysema(field, finding.severity, stream("emphysema", finding.key, place), canvas)
                canvas.mark(number, field.grid, field.cov)
        elif finding.label in opacities.PAINTERS:
            opacities.PAINTERS[finding.label](canvas, number, finding)
    for label, draw in pleura.PAINTERS.items():
        for number, finding in enumerate(canvas.scene.findings):
            if finding.label == label:
                draw(canvas, number, finding)


def _lung_masks(canvas: Canvas) -> dict[str, NDArray[np.bool_]]:
    """Lungs as a reader would outline them: above the diaphragm, beside heart and mediastinum."""
    masks: dict[str, NDArray[np.bool_]] = {}
    for side, field in canvas.lungs.items():
        mask: NDArray[np.bool_] = np.zeros(canvas.grid.shape, np.bool_)
        beside = field.lateral > np.float32(canvas.anatomy.mediastinum)
        mask[field.grid.rows, field.grid.columns] = (
            (field.cov > 0.5) & beside & (field.grid.of(canvas.heart) < 0.5)
        )
        masks[side] = mask
    return masks
