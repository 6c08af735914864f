"""Retrieval: how far down the list the right report, or the right image, stands.

Samples are the images of the test set, each with its report. Predictions:

``report`` [N]: digest of the report's text, the same for images with the same report.
``seen`` [N]: how often that text stands among the reports of the training images.
``i2t_above``, ``i2t_tied``, ``i2t_right`` [N]: where the image's report stands among the different reports of
the test set, as :class:`Places` says it; records of before tied candidates were counted keep ``i2t_rank``.
``t2i_above``, ``t2i_tied``, ``t2i_right`` [N]: where the first image with this very report stands among all
images of the test set; likewise ``t2i_rank``.
``targets`` [N, C], ``label`` [C]: the one class of each image, for the metrics by class.
``i2t_class_p``, ``i2t_class_hit`` [N, 3]: share of the first 1, 5, 10 reports that are of the image's class,
and whether any of them is.
``text_level`` [N, T], ``text_label`` [T]: order of all images for each text that asks for a class (0 is the
first, equal numbers are ties), and that class; ``image_level`` and ``image_label`` for images that ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.spec import MetricSpec, Predictions, Statistic, Values, ratio

RANKS = (1, 5, 10)
"""Lengths of the lists in which partners, and reports of a class, are looked for."""
LONG = (5, 10, 100)
"""Lengths of the lists of images of a class (ConVIRT: Zhang et al., MLHC 2022, section 4.2)."""
WAYS = ("i2t", "t2i")
PLACE = ("above", "tied", "right")
"""What is kept of where a query's first right candidate stands; see :class:`Places`."""
MOST_RANKS = 1 << 25
"""Ranks that tied candidates may leave open, over all different queries: what fits into memory."""
_LEAST = 1e-9
"""Rounding of a sum of shares that should be a half."""


@dataclass(frozen=True)
class Places:
    """Where the first right candidate of each query stands.

    Candidates at the same similarity are taken in random order, and metrics are expectations over all orders.
    So a similarity that is constant earns what chance earns, and a candidate that stands in several copies
    counts where its first copy stands.

    Attributes:
        above: candidates above the best right one, [Q].
        tied: candidates level with it, itself included, [Q].
        right: right ones among these, [Q], 1 to ``tied``.
    """

    above: NDArray[Any]
    tied: NDArray[Any]
    right: NDArray[Any]

    @classmethod
    def read(cls, way: str, predictions: Predictions) -> Places:
        """Take them from stored predictions; a rank that was stored alone is taken for certain.

        Raises:
            InputError: more candidates are right than tied.
        """
        if f"{way}_above" not in predictions:
            above = np.asarray(predictions[f"{way}_rank"], np.float64) - 1
            return cls(above, np.ones(len(above), np.int64), np.ones(len(above), np.int64))
        places = cls(*(predictions[name].astype(np.int64) for name in _places(way)))
        if (places.right > places.tied).any():
            raise InputError("more candidates are right than tied", field=f"{way}_right")
        return places

    def within(self, cut: int) -> Values:
        """Return the chance that the first right candidate stands at most at rank ``cut``, [Q]."""
        return self._each(lambda above, tied, right: 1 - _none_drawn(tied, right, int(cut - above)))

    def reciprocal(self) -> Values:
        """Return the expectation of one over the rank, [Q]."""

        def one(above: float, tied: int, right: int) -> float:
            chances = _first_of(tied, right)
            return float((chances / (above + 1 + np.arange(len(chances)))).sum())

        return self._each(one)

    def median(self) -> Statistic:
        """Return the median rank: up to it the first right one stands in half of all queries and orders.

        Raises:
            InputError: more ranks are possible, over all queries, than :data:`MOST_RANKS`.
        """
        from scipy.sparse import csr_array

        kinds, kind = self._kinds()
        if (kinds[:, 1] - kinds[:, 2] + 1).sum() > MOST_RANKS:
            raise InputError("too many candidates are tied for a median of all their orders")
        chances = [_first_of(int(tied), int(right)) for _, tied, right in kinds.tolist()]
        ranks = [above + 1 + np.arange(len(part)) for (above, *_), part in zip(kinds, chances, strict=True)]
        of = np.repeat(np.arange(len(kinds)), [len(part) for part in chances])
        values, place = np.unique(np.concatenate(ranks), return_inverse=True)
        table = csr_array((np.concatenate(chances), (place, of)), shape=(len(values), len(kinds)))
        middle = weighted_median(values)
        order = np.argsort(kind, kind="stable")
        starts = np.flatnonzero(np.diff(kind[order], prepend=-1))
        return lambda weights: middle((table @ np.add.reduceat(weights[:, order], starts, axis=1).T).T)

    def _kinds(self) -> tuple[Values, NDArray[np.intp]]:
        table = np.stack([self.above, self.tied, self.right], axis=1).astype(np.float64)
        kinds, kind = np.unique(table, axis=0, return_inverse=True)
        return kinds, kind.reshape(-1)

    def _each(self, value: Callable[[float, int, int], float]) -> Values:
        kinds, kind = self._kinds()
        found = [value(above, int(tied), int(right)) for above, tied, right in kinds.tolist()]
        return np.asarray(found, np.float64)[kind]


def first_places(scores: NDArray[np.floating], right: NDArray[np.bool_]) -> Places:
    """Find the first right candidate of each query.

    Args:
        scores: [Q, G], row = query, column = candidate.
        right: [Q, G], at least one per row.

    Raises:
        InputError: a query without a right candidate, or a score that is not a number.

    Example:
        >>> scores = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.5]])
        >>> places = first_places(scores, np.array([[False, True, False], [False, True, False]]))
        >>> places.within(2).tolist()
        [1.0, 0.5]
    """
    if np.isnan(scores).any():
        raise InputError("a similarity is not a number", field="scores")
    if not right.any(axis=1).all():
        raise InputError("a query has no right candidate", field="right")
    best = np.where(right, scores, -np.inf).max(axis=1, keepdims=True)
    tied = scores == best
    return Places((scores > best).sum(axis=1), tied.sum(axis=1), (tied & right).sum(axis=1))


def class_hits(
    scores: NDArray[np.floating], right: NDArray[np.bool_], cuts: Sequence[int] = RANKS
) -> tuple[Values, Values]:
    """Return the share of right candidates among the first ones, and the chance that any is right.

    Level candidates are taken in random order: what is returned is the expectation (for lists without ties,
    GLoRIA's Prec@K, Huang et al., ICCV 2021, and BenchX's Hit@K, Zhou et al., NeurIPS 2024).

    Args:
        scores: [Q, G].
        right: [Q, G].
        cuts: lengths of the list; one longer than G is the whole list.

    Returns:
        Two tables [Q, K].
    """
    shares, any_right = np.empty((len(scores), len(cuts))), np.empty((len(scores), len(cuts)))
    for row, (line, good) in enumerate(zip(scores, right, strict=True)):
        for column, cut in enumerate(cuts):
            length = min(cut, len(line))
            last = np.partition(line, -length)[-length]
            above, level = line > last, line == last
            left = length - int(above.sum())
            sure, among, size = int(good[above].sum()), int(good[level].sum()), int(level.sum())
            shares[row, column] = (sure + left * among / size) / length
            any_right[row, column] = 1.0 if sure else 1 - _none_drawn(size, among, left)
    return shares, any_right


def levels(scores: NDArray[np.floating]) -> NDArray[np.uint32]:
    """Turn scores [N, Q] into each query's order: 0 for the highest of a column, equal ones the same."""
    columns = [np.unique(-scores[:, q], return_inverse=True)[1] for q in range(scores.shape[1])]
    shape = (len(scores), scores.shape[1])
    return np.stack(columns, axis=1).astype(np.uint32) if columns else np.empty(shape, np.uint32)


def _none_drawn(size: int, right: int, drawn: int) -> float:
    """Return the chance that none of ``right`` among ``size`` is among ``drawn``: C(s-r, d) / C(s, d)."""
    if drawn > size - right:
        return 0.0
    steps = np.arange(drawn)
    return float(np.prod((size - right - steps) / (size - steps)))


def _first_of(size: int, right: int) -> Values:
    """Return the chances that the first right one of ``size`` in random order is the 1st, 2nd, ... of all.

    It is 1 - C(s-r, d) / C(s, d) that it is one of the first d (negative hypergeometric distribution).
    """
    steps = np.arange(size - right + 1)
    missed = np.cumprod(np.append(1.0, (size - right - steps) / (size - steps)))
    return np.asarray(-np.diff(missed), np.float64)


def weighted_median(values: Values) -> Statistic:
    """Return the median of values [N] that count by weight; the middle of two where the half lies between."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]

    def statistic(weights: Values) -> Values:
        sums = np.cumsum(weights[:, order], axis=1)
        half, least = sums[:, -1:] / 2, _LEAST * sums[:, -1:]
        low, high = (sums >= half - least).argmax(axis=1), (sums > half + least).argmax(axis=1)
        middle = (ordered[low] + ordered[high]) / 2
        return np.where(half[:, 0] > 0, middle, np.nan)

    return statistic


def _recall(way: str, cut: int) -> Callable[[Predictions], Values]:
    return lambda predictions: Places.read(way, predictions).within(cut)


def _reciprocal(way: str) -> Callable[[Predictions], Values]:
    return lambda predictions: Places.read(way, predictions).reciprocal()


def _median(way: str) -> Callable[[Predictions], Statistic]:
    return lambda predictions: Places.read(way, predictions).median()


def _column(name: str, column: int) -> Callable[[Predictions], Values]:
    return lambda predictions: np.asarray(predictions[name][:, column], np.float64)


def classes(predictions: Predictions) -> NDArray[np.intp]:
    """Return the one class of each sample [N].

    Raises:
        InputError: an image shows none of the classes, or several.
    """
    targets = np.asarray(predictions["targets"], np.float64)
    if not np.isin(targets, (0, 1)).all() or not (targets.sum(axis=1) == 1).all():
        raise InputError("retrieval by class needs exactly one 1 per sample", field="targets")
    return np.asarray(targets.argmax(axis=1), np.intp)


def _by_query(query: str, cut: int) -> Callable[[Predictions], Statistic]:
    """Return the mean over queries of the share of right images among the first ``cut``.

    An image that is drawn twice takes two places of the list.
    """

    def prepared(predictions: Predictions) -> Statistic:
        order, wanted = predictions[f"{query}_level"], predictions[f"{query}_label"]
        of_class = classes(predictions)
        lists = []
        for place, label in enumerate(wanted.tolist()):
            column = order[:, place]
            rows = np.argsort(column, kind="stable")
            starts = np.flatnonzero(np.diff(column[rows].astype(np.int64), prepend=-1))
            lists.append((rows, starts, (of_class[rows] == label).astype(np.float64)))

        def statistic(weights: Values) -> Values:
            length = np.minimum(weights.sum(axis=1), cut)
            total = np.zeros(len(weights))
            for rows, starts, right in lists:
                drawn = weights[:, rows]
                size = np.add.reduceat(drawn, starts, axis=1)
                good = np.add.reduceat(drawn * right, starts, axis=1)
                before = np.cumsum(size, axis=1) - size
                taken = np.clip(length[:, None] - before, 0, size)
                total += (taken * good / np.maximum(size, 1)).sum(axis=1)
            return ratio(total / max(len(lists), 1), length)

        return statistic

    return prepared


_WORDS = {
    "i2t": ("report", "the image's report among the different reports of the test set"),
    "t2i": ("image", "an image with the very report among all images of the test set"),
}
_ASKED = {
    "text": ("t2i", "texts that ask for a class (ConVIRT's text-image retrieval)"),
    "image": ("i2i", "validation images of a class (ConVIRT's image-image retrieval)"),
}


def _places(way: str) -> tuple[str, ...]:
    return tuple(f"{way}_{part}" for part in PLACE)


METRICS = {
    spec.name: spec
    for spec in (
        *(
            MetricSpec(
                f"{way}_r{cut}",
                f"recall at {cut}: share of queries that have {_WORDS[way][1]} up to rank {cut}; any image "
                "with the same report is right",
                reads=_places(way),
                per_sample=_recall(way, cut),
            )
            for way in WAYS
            for cut in RANKS
        ),
        *(
            MetricSpec(
                f"{way}_median",
                f"median rank of {_WORDS[way][1]}; 1 is the best",
                reads=_places(way),
                higher_is_better=False,
                share=False,
                bounds=(1.0, np.inf),
                prepared=_median(way),
            )
            for way in WAYS
        ),
        *(
            MetricSpec(
                f"{way}_mrr",
                f"mean reciprocal rank of {_WORDS[way][1]}",
                reads=_places(way),
                per_sample=_reciprocal(way),
            )
            for way in WAYS
        ),
        *(
            MetricSpec(
                f"i2t_class_{short}{cut}",
                f"{words} the first {cut} reports that are of the image's class ({whose})",
                reads=(f"i2t_class_{short}",),
                per_sample=_column(f"i2t_class_{short}", column),
            )
            for short, words, whose in (
                ("p", "share of", "GLoRIA's Prec@K"),
                ("hit", "share of images with any among", "BenchX's Hit@K"),
            )
            for column, cut in enumerate(RANKS)
        ),
        *(
            MetricSpec(
                f"{way}_class_p{cut}",
                f"share of the first {cut} images that are of the class, mean over {whose}",
                reads=("targets", f"{query}_level", f"{query}_label"),
                prepared=_by_query(query, cut),
            )
            for query, (way, whose) in _ASKED.items()
            for cut in LONG
        ),
    )
}
