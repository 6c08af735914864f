"""A chest of a few rectangles, of which everything is known."""

from __future__ import annotations

import numpy as np
from film_statistics import SIDE, Grey, Mask


def chest(gap: int = 40, heart: tuple[int, int] = (30, 50), shift: int = 0) -> tuple[Grey, Mask]:
    """Two lungs of 200 rows and 200 columns in all, dark on bright, with a heart between them.

    Args:
        gap: columns between the lungs.
        heart: how far it goes from the midline to the left and right, in pixels.
        shift: of all, to the right.
    """
    grey = np.full((SIDE, SIDE), 200, np.uint8)
    lungs = np.zeros((SIDE, SIDE), np.bool_)
    middle = 128 + shift
    lungs[20:220, middle - 100 : middle - gap // 2] = True
    lungs[20:220, middle + gap // 2 : middle + 100] = True
    grey[lungs] = 60
    grey[100:220, middle - heart[0] : middle + heart[1]] = 200
    return grey, lungs
