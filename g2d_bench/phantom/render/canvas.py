"""What the drawing functions share: the chest's curves as pixel fields, and what has been added to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.anatomy import SIGNS, Anatomy, Lung
from g2d_bench.phantom.arithmetic import slope, square
from g2d_bench.phantom.render.raster import Array, Grid, bulge, cover, smooth
from g2d_bench.phantom.render.strokes import Ink
from g2d_bench.phantom.scene import Finding, Scene
from g2d_bench.phantom.seeds import Stream, stream

FIELDS = 24
"""About as many fields as live at once while a film is drawn."""
MOST_KEPT = (32 << 20) // 4 - 1024
"""Singles in the largest array that glibc learns from, 32 MiB with its head."""


@dataclass
class LungField:
    """One lung as fields on its part of the image; all arrays have the shape of ``grid``.

    Attributes:
        lung: its curves.
        grid: its part of the image.
        lateral: distance from the midline, positive towards this lung's wall.
        to_wall: distance to the chest wall, positive inside.
        to_floor: distance to the diaphragm, positive above it.
        cov: coverage by lung, 0..1, before any finding.
        depth: thickness of the air, 0..1.
        u: 0 at the spine, 1 at the wall.
        v: 0 at the apex, 1 at the diaphragm.
        aeration: share of the air that is left; findings multiply it.
        vessels: share of the vessels' contrast that is left.
        added: attenuation added by findings inside the lung's part of the image.
        ink: curves that are only visible inside the lung.
    """

    lung: Lung
    grid: Grid
    lateral: Array
    to_wall: Array
    to_floor: Array
    cov: Array
    depth: Array
    u: Array
    v: Array
    aeration: Array
    vessels: Array
    added: Array
    ink: Ink

    def point(self, anatomy: Anatomy, u: float, v: float) -> tuple[float, float]:
        """Map lung coordinates to x and y on the image."""
        lateral, y = self.lung.place(u, v)
        return anatomy.midline(y) + self.lung.sign * lateral, y

    def fill(self, coverage: Array, density: float | Array) -> None:
        """Replace air by fluid or tissue: the lung turns opaque, its vessels vanish in it."""
        left = np.float32(1.0) - coverage * np.asarray(density, np.float32)
        self.aeration *= left
        self.vessels *= left


@dataclass
class Canvas:
    """The image while it is made.

    Attributes:
        scene: what to draw.
        anatomy: its curves.
        grid: all pixels.
        lateral: distance from the midline, positive towards the patient's left, shape [S, S].
        attenuation: shape [S, S], added up along the beam.
        lungs: both lungs, by side.
        ink: curves drawn over everything.
        body: coverage of the body, shape [S, S], once it is drawn.
        shadow: coverage of heart and mediastinum, shape [S, S], once they are drawn.
        heart: coverage of the heart, shape [S, S], once it is drawn.
        masks: number of the finding to its mask [S, S].
    """

    scene: Scene
    anatomy: Anatomy
    grid: Grid
    lateral: Array
    attenuation: Array
    lungs: dict[str, LungField]
    ink: Ink
    body: Array = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    shadow: Array = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    heart: Array = field(default_factory=lambda: np.zeros((1, 1), np.float32))
    masks: dict[int, NDArray[np.bool_]] = field(default_factory=dict)

    def rng(self, *parts: str | int) -> Stream:
        """A stream of this image's own."""
        return stream("render", self.scene.namespace, self.scene.seed, self.scene.index, *parts)

    def mark_rng(self, kind: str) -> Stream:
        """A stream of an old mark of the patient's: the same on all their films."""
        scene = self.scene
        return stream("mark", scene.namespace, scene.seed, scene.patient.number, kind)

    def sides(self, finding: Finding) -> list[LungField]:
        """The lungs that a finding lies in."""
        return [self.lungs[side] for side in SIGNS if finding.side in (side, "bilateral")]

    def mark(self, number: int, grid: Grid, coverage: Array, threshold: float = 0.5) -> None:
        """Add the pixels covered by a finding to its mask."""
        mask = self.masks.setdefault(number, np.zeros(self.grid.shape, np.bool_))
        mask[grid.rows, grid.columns] |= coverage > threshold


def make_canvas(scene: Scene, anatomy: Anatomy, size: int) -> Canvas:
    """Lay out the fields of an image."""
    _keep_memory(size)
    grid = Grid.full(size)
    lateral = (grid.x - anatomy.midline(grid.y.astype(np.float64))).astype(np.float32)
    lungs = {side: _lung_field(anatomy, lung, grid, lateral) for side, lung in anatomy.lungs.items()}
    return Canvas(scene, anatomy, grid, lateral, np.zeros(grid.shape, np.float32), lungs, Ink(size))


@lru_cache(maxsize=8)
def _keep_memory(size: int) -> None:
    """Have the C library keep what a film's fields take, in the place of asking for it anew film by film.

    glibc gives memory back once more is free than twice the largest array that it got back so far.
    """
    np.empty((min(FIELDS * size * size, MOST_KEPT),), np.float32)


def _lung_field(anatomy: Anatomy, lung: Lung, grid: Grid, from_midline: Array) -> LungField:
    middle = anatomy.middle
    slack = abs(anatomy.tilt) * 0.5 + abs(anatomy.bend) + 0.01
    left, right = (0.0, lung.width + slack) if lung.sign > 0 else (-lung.width - slack, 0.0)
    part = grid.part(middle + left, lung.apex - 0.01, middle + right, lung.bottom + 0.02)
    y = part.y.astype(np.float64)
    wall = lung.wall(y)
    # The wall is a function of height; near the apex it runs flat, so scale to a true distance.
    steepness = slope(wall[:, 0], 1.0 / part.size)[:, None]
    steep = (1 / np.sqrt(1 + square(np.minimum(steepness, 6.0)))).astype(np.float32)
    lateral = np.float32(lung.sign) * part.of(from_midline)
    to_wall = (wall.astype(np.float32) - lateral) * steep
    columns = lung.sign * (part.x.astype(np.float64) - anatomy.midline(lung.dome))
    floor = lung.floor(columns)
    steepness = slope(floor[0], 1.0 / part.size)[None, :]
    to_floor = (floor - y).astype(np.float32) / np.sqrt(
        1 + square(np.minimum(np.abs(steepness), 4.0))
    ).astype(np.float32)
    to_spine = lateral - np.float32(lung.inner)
    cov = cover(np.minimum(np.minimum(to_wall, to_floor), to_spine))
    # Air is thin where the beam grazes the wall or the spine, thick in the middle of the lung.
    depth = cov * (
        (np.float32(0.42) + np.float32(0.58) * bulge(to_wall * np.float32(1 / 0.11)))
        * smooth(to_spine, -0.01, 0.13)
        * (np.float32(0.25) + np.float32(0.75) * bulge(to_floor * np.float32(1 / 0.13)))
    )
    span = (wall - lung.inner).clip(0.02).astype(np.float32)
    u = (to_spine / span).clip(0, 1.2)
    height = (floor - lung.apex).clip(0.05).astype(np.float32)
    v = ((part.y - np.float32(lung.apex)) / height).clip(0, 1.2)
    ones = np.ones(part.shape, np.float32)
    zero = np.zeros(part.shape, np.float32)
    return LungField(
        lung, part, lateral, to_wall, to_floor, cov, depth, u, v, ones, ones.copy(), zero, Ink(grid.size)
    )
