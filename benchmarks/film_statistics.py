"""What a chest film is like, in numbers: for telling how far generated films are from real ones.

Every number is estimated the same way on both sides, from grey values and, where there is one, from the mask
of both lungs. Nothing here knows whether a film was generated. :mod:`transfer` makes table and plot of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Real = NDArray[np.float64]

SIDE = 256
"""Longest side in pixels to which a film is brought first: sharpness and noise are those of that size."""
OCTAVES = (2, 4, 8, 16, 32, 64)
"""Lower ends of the octaves of the spectrum, in cycles per film."""
DARK, BRIGHT = 12, 243
"""Grey values up to which a pixel is black and from which it is white."""

WORDS: Mapping[str, str] = {
    "aspect": "width / height",
    "mean": "mean grey",
    "sd": "standard deviation of grey",
    "black": "share of black pixels",
    "white": "share of white pixels",
    "corners above": "grey of the upper corners",
    "corners below": "grey of the lower corners",
    "sides": "grey of the left and right edge",
    "margin": "black margin, widest side, share of the film",
    "margins": "sides with a black margin",
    "text": "small bright marks in the frame, share of its pixels",
    "mirror": "likeness to the own mirror image (correlation)",
    "others": "likeness to the mean of the other films (correlation)",
    "slope": "slope of the power spectrum, 4 to 64 cycles",
    **{f"octave {low}": f"power at {low} to {2 * low} cycles, log10" for low in OCTAVES},
    "lung area": "lung mask, share of the film",
    "chest area": "from outer wall to outer wall, share of the film",
    "between": "gap between the lungs, share of the chest's width",
    "sides' ratio": "right lung to left lung, log of areas",
    "box x": "centre of the lungs' box, share of the width",
    "box y": "centre of the lungs' box, share of the height",
    "box width": "width of the lungs' box, share of the width",
    "box height": "height of the lungs' box, share of the height",
    "box left": "from the film's left edge to the lungs, share of the width",
    "box right": "from the lungs to the right edge, share of the width",
    "box top": "from the upper edge to the lungs, share of the height",
    "box bottom": "from the lungs to the lower edge, share of the height",
    "box shape": "height / width of the lungs' box",
    "tilt": "slope of the chest's midline",
    "cardiothoracic": "cardiothoracic ratio, by the estimator below",
    "lung grey": "median grey of the lungs, in sd of the film",
    "depth": "mediastinum brighter than lung, in sd of the film",
    "ribs": "rib contrast: bands across the lungs, in sd of the film",
    "texture": "fine texture of the lungs, in sd of the film",
    "diaphragm": "steepest step at the lower border of the lungs, sd of the film per pixel",
    "heart border": "step at the heart's borders, sd of the film per pixel",
}
"""What each statistic is."""

MASKED = tuple(WORDS)[tuple(WORDS).index("lung area") :]
"""Those that need the mask of the lungs."""


def statistics(grey: Grey, lungs: Mask | None = None) -> dict[str, float]:
    """Measure a film.

    Args:
        grey: grey values [H, W], bone bright, in the film's own shape (not padded to a square).
        lungs: mask of both lungs [H, W]; without it, what needs it is left out.

    Returns:
        Name (of :data:`WORDS`) to value; "others", which needs the other films, is :func:`alike`'s.
    """
    small = fitted(grey)
    height, width = small.shape
    film = small.astype(np.float64)
    spread = max(float(film.std()), 1e-6)
    corner, edge = SIDE // 10, SIDE // 25
    black = margins(small)
    found = {
        "aspect": width / height,
        "mean": float(film.mean()),
        "sd": float(film.std()),
        "black": float((small <= DARK).mean()),
        "white": float((small >= BRIGHT).mean()),
        "corners above": float(np.mean([film[:corner, :corner], film[:corner, -corner:]])),
        "corners below": float(np.mean([film[-corner:, :corner], film[-corner:, -corner:]])),
        "sides": float(
            np.mean([film[height // 3 : 2 * height // 3, s] for s in (slice(edge), slice(-edge, None))])
        ),
        "margin": max(black),
        "margins": float(sum(share > 0.01 for share in black)),
        "text": _marks(small),
        "mirror": _correlation(thumbnail(small), thumbnail(small)[:, ::-1]),
        **spectrum(small),
    }
    if lungs is not None and lungs.any():
        found |= _of_lungs(film, spread, fitted(lungs.astype(np.uint8) * 255) > 127)
    return found


def fitted(grey: Grey) -> Grey:
    """Bring the longest side to :data:`SIDE` pixels by averaging over areas."""
    import cv2

    height, width = grey.shape
    scale = SIDE / max(height, width)
    shape = (max(round(width * scale), 1), max(round(height * scale), 1))
    if shape == (width, height):
        return grey
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized: Grey = cv2.resize(grey, shape, interpolation=how)
    return resized


def thumbnail(grey: Grey) -> Real:
    """Return the film in 32 x 32 pixels, whatever its shape."""
    import cv2

    small: Real = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float64)
    return small


def alike(thumbnails: Sequence[Real]) -> list[float]:
    """Return of each film the correlation with the mean of the others."""
    films = np.stack(list(thumbnails))
    total = films.sum(0)
    return [_correlation(film, total - film) for film in films]


def margins(grey: Grey) -> tuple[float, float, float, float]:
    """Return the width of the black margins left, above, right and below, as shares of the film.

    A row or column belongs to a margin while 95 % of it are black: letters may stand in a margin.
    """
    widths = []
    for turned in (grey.T, grey, grey.T[::-1], grey[::-1]):
        black = np.percentile(turned, 95, axis=1) <= DARK
        widths.append((len(black) if black.all() else int(np.argmin(black))) / len(black))
    return widths[0], widths[1], widths[2], widths[3]


def spectrum(grey: Grey) -> dict[str, float]:
    """Return slope and octaves of the power spectrum of the film's middle square.

    The square is brought to mean 0 and standard deviation 1 and faded out towards its edges (Hann), so that
    contrast and the jump from one edge to the other do not count. Power is averaged over rings of one cycle.
    """
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = grey[top : top + side, left : left + side].astype(np.float64)
    square = (square - square.mean()) / max(float(square.std()), 1e-6)
    fade = np.hanning(side)
    power = np.abs(np.fft.fft2(square * fade[:, None] * fade)) ** 2 / side**2
    # Cycles per film, whatever the film's other side is.
    cycles = np.fft.fftfreq(side) * SIDE
    ring = np.rint(np.hypot(cycles[:, None], cycles)).astype(int)
    counts = np.bincount(ring.ravel())
    mean = np.bincount(ring.ravel(), power.ravel()) / np.maximum(counts, 1)
    log = np.log10(mean + 1e-12)
    rings = np.arange(4, min(65, len(log)))
    slope = float(np.polyfit(np.log10(rings), log[4 : 4 + len(rings)], 1)[0])
    octaves = {f"octave {low}": float(np.mean(log[low : min(2 * low, len(log))])) for low in OCTAVES}
    return {"slope": slope, **octaves}


def _marks(grey: Grey) -> float:
    """Share of bright pixels in the outer fifth of a film that stand out from all that is near: letters."""
    import cv2

    hat = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, np.ones((9, 9), np.uint8))
    marks = (hat > 60) & (grey > 150)
    frame = np.ones(grey.shape, np.bool_)
    height, width = grey.shape
    frame[height // 5 : height - height // 5, width // 5 : width - width // 5] = False
    return float(marks[frame].mean())


def _correlation(one: Real, other: Real) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float((one * other).sum() / max(float(np.sqrt((one**2).sum() * (other**2).sum())), 1e-9))


@dataclass(frozen=True)
class Chest:
    """The outer walls of the lungs, row by row; how much of the heart a mask leaves out does not matter.

    Attributes:
        rows: the rows that both lungs have.
        left: leftmost pixel of the mask per row.
        right: rightmost one.
        slope: of the midline, columns per row.
        start: the midline's column in row 0.
        width: of the chest, the widest two percent of rows left out.
    """

    rows: NDArray[np.intp]
    left: Real
    right: Real
    slope: float
    start: float
    width: float

    def midline(self, rows: NDArray[np.intp]) -> Real:
        """Return the column of the midline per row."""
        found: Real = self.start + self.slope * rows
        return found


def chest_of(lungs: Mask) -> Chest:
    """Return the outer walls of a mask that is not empty."""
    both = _two_lungs(lungs)
    rows = np.flatnonzero(both[0].any(1) & both[1].any(1))
    whole = both[0] | both[1]
    left = np.argmax(whole[rows], 1).astype(np.float64)
    right = lungs.shape[1] - 1 - np.argmax(whole[rows, ::-1], 1).astype(np.float64)
    inner = slice(len(rows) // 5, max(len(rows) * 4 // 5, len(rows) // 5 + 2))
    centre = (left + right) / 2
    slope, start = np.polyfit(rows[inner], centre[inner], 1) if len(rows) > 4 else (0.0, centre.mean())
    width = float(np.percentile(right - left + 1, 98))
    return Chest(rows, left, right, float(slope), float(start), width)


def _two_lungs(lungs: Mask) -> tuple[Mask, Mask]:
    """Return the two largest pieces of a mask; all of it twice where there are no two that share a row."""
    from scipy.ndimage import label

    pieces, count = label(lungs)
    if count > 1:
        sizes = np.bincount(pieces.ravel())[1:]
        first, second = (np.argsort(-sizes)[:2] + 1).tolist()
        both = pieces == first, pieces == second
        if sizes[second - 1] > 0.1 * sizes[first - 1] and (both[0].any(1) & both[1].any(1)).any():
            return both
    return lungs, lungs


def heart_borders(film: Real, chest: Chest) -> tuple[float, float, float]:
    """Estimate the heart's width from outer walls and grey values alone.

    In the rows at 45 to 80 % of the lungs' height, greys are smoothed along the row; from the midline
    outwards, the heart ends where they first fall below the middle between the mediastinum (median within
    4 % of the chest's width of the midline) and the lungs (lower quarter of the row). Its extent to either
    side is the 80th percentile over the rows.

    Returns:
        Extent to the left and right of the midline, in pixels, and the mean step at the borders, in grey
        values per pixel.
    """
    from scipy.ndimage import gaussian_filter1d

    extents: tuple[list[float], list[float]] = ([], [])
    steps = []
    count = len(chest.rows)
    midline = chest.midline(chest.rows)
    for place in range(int(count * 0.45), int(count * 0.8)):
        row = gaussian_filter1d(film[chest.rows[place]], 2.0)
        slope = np.gradient(row)
        first, last = int(chest.left[place]), int(chest.right[place])
        middle = int(np.clip(round(midline[place]), first, last))
        near = max(round(0.04 * chest.width), 1)
        bright = float(np.median(row[max(middle - near, 0) : middle + near + 1]))
        level = (bright + float(np.percentile(row[first : last + 1], 25))) / 2
        for side, part in enumerate((row[first : middle + 1][::-1], row[middle : last + 1])):
            below = np.flatnonzero(part < level)
            extent = int(below[0]) if below.size else len(part)
            extents[side].append(extent)
            if below.size:
                steps.append(abs(float(slope[middle + (extent if side else -extent)])))
    left, right = (float(np.percentile(side, 80)) if side else 0.0 for side in extents)
    return left, right, float(np.mean(steps)) if steps else 0.0


def _of_lungs(film: Real, spread: float, lungs: Mask) -> dict[str, float]:
    from scipy.ndimage import binary_erosion

    height, width = film.shape
    chest = chest_of(lungs)
    columns, rows = np.flatnonzero(lungs.any(0)), np.flatnonzero(lungs.any(1))
    left, right = int(columns[0]), int(columns[-1]) + 1
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    on_left = lungs & (np.arange(width) < chest.midline(np.arange(height))[:, None])
    on_right = lungs & ~on_left
    heart_left, heart_right, step = heart_borders(film, chest)
    centre = [
        film[row, max(round(m) - 3, 0) : round(m) + 4].mean()
        for row, m in zip(chest.rows, chest.midline(chest.rows), strict=True)
        if 0 <= m < width
    ]
    inside = binary_erosion(lungs, iterations=4)
    inside = inside if inside.any() else lungs
    tall = bottom - top
    # Ribs lie nearly level, some ten to a lung: smooth along them, and take what varies across.
    along = _within(film, lungs, (0, tall / 25))
    ribs = _within(along, lungs, (tall / 70, 0)) - _within(along, lungs, (tall / 22, 0))
    fine = film - _within(film, lungs, (2, 2))
    return {
        "lung area": float(lungs.mean()),
        "chest area": float((chest.right - chest.left + 1).sum()) / lungs.size,
        "between": _gap(lungs, chest),
        "sides' ratio": float(np.log(max(on_left.sum(), 1) / max(on_right.sum(), 1))),
        "box x": (left + right) / 2 / width,
        "box y": (top + bottom) / 2 / height,
        "box width": (right - left) / width,
        "box height": tall / height,
        "box left": left / width,
        "box right": 1 - right / width,
        "box top": top / height,
        "box bottom": 1 - bottom / height,
        "box shape": tall / (right - left),
        "tilt": chest.slope,
        "cardiothoracic": (heart_left + heart_right) / chest.width,
        "lung grey": float(np.median(film[lungs]) - film.mean()) / spread,
        "depth": float(np.median(centre) - np.median(film[lungs])) / spread if centre else 0.0,
        "ribs": float(ribs[inside].std()) / spread,
        "texture": float(fine[inside].std()) / spread,
        "diaphragm": _lower_step(film, lungs) / spread,
        "heart border": step / spread,
    }


def _within(film: Real, lungs: Mask, sigma: tuple[float, float]) -> Real:
    """Smooth along columns and rows within the lungs alone, so that nothing of their borders leaks in."""
    from scipy.ndimage import gaussian_filter

    weight = gaussian_filter(lungs.astype(np.float64), sigma)
    found: Real = gaussian_filter(np.where(lungs, film, 0.0), sigma) / np.maximum(weight, 1e-6)
    return found


def _gap(lungs: Mask, chest: Chest) -> float:
    """Median gap between both lungs in the lower half of their height, share of the chest's width."""
    gaps = []
    lower = chest.rows[len(chest.rows) // 2 :]
    for row, middle in zip(lower, chest.midline(lower), strict=True):
        found = np.flatnonzero(lungs[row])
        before, after = found[found < middle], found[found >= middle]
        if before.size and after.size:
            gaps.append(after[0] - before[-1] - 1)
    return float(np.median(gaps)) / chest.width if gaps else 0.0


def _lower_step(film: Real, lungs: Mask) -> float:
    """Median over columns of the steepest brightening within 6 pixels of the lungs' lower border."""
    from scipy.ndimage import gaussian_filter1d

    slope = np.gradient(gaussian_filter1d(film, 1.0, axis=0), axis=0)
    height = len(film)
    steps = []
    for column in np.flatnonzero(lungs.any(0)):
        border = height - 1 - int(np.argmax(lungs[::-1, column]))
        steps.append(float(slope[max(border - 6, 0) : border + 7, column].max()))
    return float(np.median(steps))


@dataclass(frozen=True)
class Distance:
    """How far one distribution is from another.

    Attributes:
        w1: Wasserstein-1 distance in standard deviations of the real one.
        ks: greatest difference of the two cumulative distributions (Kolmogorov-Smirnov), 0 to 1.
        auroc: with which the number alone tells real from generated, 0.5 (not at all) to 1.
    """

    w1: float
    ks: float
    auroc: float


def distance(generated: Sequence[float], real: Sequence[float]) -> Distance:
    """Compare the values of one statistic.

    Args:
        generated: of the generated films.
        real: of the real ones, two or more.
    """
    from scipy.stats import ks_2samp, mannwhitneyu, wasserstein_distance

    spread = max(float(np.std(real, ddof=1)), 1e-9)
    above = float(mannwhitneyu(real, generated).statistic) / (len(real) * len(generated))
    return Distance(
        float(wasserstein_distance(generated, real)) / spread,
        float(ks_2samp(generated, real).statistic),
        max(above, 1 - above),
    )


def histogram(films: Sequence[Grey]) -> Real:
    """Return the mean of the films' grey histograms, shape [256]: each film counts alike."""
    shares = [np.bincount(film.ravel(), minlength=256) / film.size for film in films]
    found: Real = np.mean(shares, axis=0)
    return found


def histogram_distance(generated: Real, real: Real) -> Distance:
    """Compare two grey histograms [256]; a single pixel's grey is what the AUROC goes by."""
    below = np.cumsum(generated), np.cumsum(real)
    greys = np.arange(256)
    mean = float((real * greys).sum())
    spread = max(float(np.sqrt((real * (greys - mean) ** 2).sum())), 1e-9)
    apart = np.abs(below[0] - below[1])
    above = float((real * (below[0] - generated / 2)).sum())
    return Distance(float(apart.sum()) / spread, float(apart.max()), max(above, 1 - above))


def told_apart(
    features: NDArray[Any], real: NDArray[np.bool_], groups: Sequence[str], *, seed: int = 0, folds: int = 5
) -> tuple[float, float]:
    """Return the AUROC with which a linear probe tells real from generated, and its spread over folds.

    Cross-validated by patient; the penalty is chosen within the training part of each fold, by patient, too.

    Args:
        features: [N, D].
        real: which films are real, [N].
        groups: the patient of each film.
        seed: of the folds.
        folds: how many.

    Returns:
        Mean and standard deviation over folds.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    owners = np.asarray(groups)
    penalties = (1e-3, 1e-2, 1e-1, 1.0)

    def score(train: Any, test: Any, penalty: float) -> float:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=500))
        model.fit(features[train], real[train])
        return float(roc_auc_score(real[test], model.decision_function(features[test])))

    scores = []
    outer = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    for train, test in outer.split(features, real, owners):
        inner = StratifiedGroupKFold(3, shuffle=True, random_state=seed)
        parts = list(inner.split(features[train], real[train], owners[train]))
        means = [np.mean([score(train[a], train[b], p) for a, b in parts]) for p in penalties]
        scores.append(score(train, test, penalties[int(np.argmax(means))]))
    return float(np.mean(scores)), float(np.std(scores, ddof=1))
