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
        image: grey values, shape [H, W]; the longer side is that asked for.
        masks: one per finding of the scene, in its order, each [H, W].
        lungs: side to the mask of that lung beside heart and mediastinum, each [H, W].
        whole_lungs: side to the mask of that lung from spine to wall, behind the heart too, each [H, W].
        heart: the mask of the heart, shape [H, W].
        middle: column of the patient's midline.
        anatomy: the curves.
    """

    image: NDArray[np.uint8]
    masks: tuple[NDArray[np.bool_], ...]
    lungs: dict[str, NDArray[np.bool_]]
    whole_lungs: dict[str, NDArray[np.bool_]]
    heart: NDArray[np.bool_]
    middle: int
    anatomy: Anatomy


def render(scene: Scene, size: int) -> Rendered:
    """Draw a scene.

    Args:
        scene: what to draw.
        size: longer side of the image in pixels, 64 or more.

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
        if decoy != bones.HEALED:
            decoys.DECOYS[decoy](canvas)
    lungs.compose_lungs(canvas)
    canvas.attenuation += canvas.ink.draw(canvas.grid)
    for number, finding in enumerate(scene.findings):
        if finding.label in devices.PAINTERS:
            devices.PAINTERS[finding.label](canvas, number, finding)
    left, top, right, bottom = (round(share * size) for share in scene.technique.cut)
    film_part = (slice(top, size - bottom), slice(left, size - right))
    empty = np.zeros(canvas.grid.shape, np.bool_)
    beside, whole = _lung_masks(canvas)
    return Rendered(
        image=film.expose(canvas)[film_part],
        masks=tuple(canvas.masks.get(number, empty)[film_part] for number in range(len(scene.findings))),
        lungs={side: mask[film_part] for side, mask in beside.items()},
        whole_lungs={side: mask[film_part] for side, mask in whole.items()},
        heart=(canvas.heart > 0.5)[film_part],
        middle=round((canvas.anatomy.middle + 0.5) * size) - left,
        anatomy=canvas.anatomy,
    )


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


def _lung_masks(canvas: Canvas) -> tuple[dict[str, NDArray[np.bool_]], dict[str, NDArray[np.bool_]]]:
    """Lungs as readers outline them, above the diaphragm: beside heart and mediastinum, and whole."""
    beside: dict[str, NDArray[np.bool_]] = {}
    whole: dict[str, NDArray[np.bool_]] = {}
    for side, field in canvas.lungs.items():
        place = (field.grid.rows, field.grid.columns)
        for masks in (beside, whole):
            masks[side] = np.zeros(canvas.grid.shape, np.bool_)
        air = field.cov > 0.5
        whole[side][place] = air
        lateral = field.lateral > np.float32(canvas.anatomy.mediastinum)
        beside[side][place] = air & lateral & (field.grid.of(canvas.heart) < 0.5)
    return beside, whole
