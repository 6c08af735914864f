"""Arithmetic whose every bit is fixed: by IEEE 754 and the order written here, by nothing else.

numpy, scipy and the C library choose their exponentials, sines and powers by processor and build, and some
compilers fuse a product with a sum; each choice rounds another way, and up to one film in ten then has
another grey value. What draws a film, a mask or a word therefore takes such functions from here. They are
made of +, -, *, /, square roots, rounding to whole numbers and table look-ups, element by element, and sums
run in one order.
"""

from __future__ import annotations

from g2d_bench.phantom.arithmetic.double import arctan2, cos, exp, log, power, sin, sin_cos
from g2d_bench.phantom.arithmetic.simple import (
    between,
    cube,
    deviation,
    even,
    hypot,
    interpolate,
    slope,
    square,
    sums_between,
    total,
)
from g2d_bench.phantom.arithmetic.smoothing import gaussian, periodic_spline

__all__ = [
    "arctan2",
    "between",
    "cos",
    "cube",
    "deviation",
    "even",
    "exp",
    "gaussian",
    "hypot",
    "interpolate",
    "log",
    "periodic_spline",
    "power",
    "sin",
    "sin_cos",
    "slope",
    "square",
    "sums_between",
    "total",
]
