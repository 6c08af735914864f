"""Letters burned into a film, as strokes on a field four wide and six high."""

from __future__ import annotations

import numpy as np

from g2d_bench.phantom.render.strokes import Ink

# Per letter its strokes; a stroke is a row of points of two digits each: x from the left, y from the top.
_STROKES = {
    "A": "062046 1434",
    "B": "0006 0030413203 033344453606",
    "C": "413010010516363645",
    "D": "0006 003041453606",
    "E": "40000646 0333",
    "F": "400006 0333",
    "G": "413010010516364543 4323",
    "H": "0006 4046 0343",
    "I": "2026",
    "L": "000646",
    "M": "0600234046",
    "N": "06004640",
    "O": "103041453616050110",
    "P": "0600304142330333",
    "R": "06003041423303 2346",
    "S": "413010010213334445361605",
    "T": "0040 2026",
    "U": "000516364540",
    "0": "103041453616050110",
    "1": "112026",
    "2": "0110304142060646",
    "3": "014023334445361605",
    "4": "36300444",
    "5": "4000033344453605",
    "6": "301001051636454433031303",
    "7": "004016",
    "8": "103041423302011010 132334453616050413",
    "9": "432313020110304145361605",
    ".": "1516",
}
WIDTH = 4 / 6
"""A letter's width as a share of its height."""
LETTERS = frozenset(_STROKES)


def write(ink: Ink, text: str, x: float, y: float, height: float, weight: float = 1.8) -> float:
    """Add a line of text to the ink.

    Args:
        ink: collects the strokes.
        text: of :data:`LETTERS` and blanks.
        x: left edge, in image sides.
        y: top edge.
        height: of a letter.
        weight: blackness of the strokes.

    Returns:
        x where the text ends.
    """
    scale = np.array([height / 6, height / 6])
    for letter in text:
        for word in _STROKES[letter].split() if letter != " " else ():
            digits = np.array([int(digit) for digit in word], np.float64).reshape(-1, 2)
            ink.curve(digits * scale + np.array([x, y]), height * 0.07, weight)
        x += height * (WIDTH + 0.22)
    return x
