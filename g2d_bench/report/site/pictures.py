"""Pictures of cases: film, truth and prediction side by side; boxes; heat maps."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from g2d_bench.errors import InputError
from g2d_bench.metrics.spec import Predictions
from g2d_bench.plain import visible
from g2d_bench.progress import track
from g2d_bench.records.cases import Scored, extremes, scored, told_boxes
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found
from g2d_bench.records.shown import PLACES, map_of, mask_of
from g2d_bench.report.sampled import Sampled
from g2d_bench.report.site.board import Board
from g2d_bench.report.site.films import SIDE, Films, FilmSet, boxes_of

FOLDER = "films"
QUALITY = 82
MOST = 4000
"""Pictures of one leaderboard; beyond, cases are named without."""
CASES = 4000
"""Cases of all pairs of encoders together."""
TRUTH, GUESS = (64, 224, 208), (255, 140, 40)
"""Colours of what is true and of what was predicted."""
Colour = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A picture on a page.

    Attributes:
        src: its file, relative to the first page.
        width: pixels.
        height: pixels.
        alt: what it shows, for who cannot see it.
        told: caption.
    """

    src: str
    width: int
    height: int
    alt: str
    told: str


@dataclass(frozen=True)
class Opened:
    """A record with what is needed to draw its cases."""

    found: Found
    predictions: Predictions
    scores: Scored
    films: FilmSet
    labels: tuple[str, ...]


@dataclass
class Gallery:
    """Draws cases; without films it draws nothing and says why.

    Attributes:
        films: where films come from.
        files: pictures that were drawn, by their path in the site.
    """

    films: Films = field(default_factory=Films)
    files: dict[str, bytes | Path] = field(default_factory=dict)
    _open: tuple[str, Opened | str] = ("", "")
    _labels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def know(self, board: Board) -> None:
        """Take the labels of the board's tasks: masks are drawn of the first."""
        for name in {one.column.task for one in board.columns}:
            card = board.task(name)
            self._labels[name] = card.labels if card is not None else ()

    @classmethod
    def of(cls, phantom: Path, root: Path | None) -> Gallery:
        """Draw films that are generated already, and real ones that may be shown.

        Args:
            phantom: the folder under which generated data are kept.
            root: the user's folder of real data, or None.
        """
        return cls(Films(phantom, root))

    def cases(self, found: Found, metric: str) -> tuple[list[Picture], str]:
        """Draw the best, the median and the worst case of a record.

        Args:
            found: the record.
            metric: its main metric.

        Returns:
            Pictures, and what is to be said of them, or why there are none.
        """
        opened = self._opened(found, metric)
        if isinstance(opened, str):
            return [], opened
        chosen = extremes(opened.scores.values)
        drawn = [self._draw(opened, place, name) for name, place in chosen.items()]
        pictures = [picture for picture in drawn if picture is not None]
        lacks = _lacking(found.record.kind, opened.predictions)
        licence = f" Films: {opened.films.licence}." if opened.films.licence else " The films are generated."
        regions = "scores" not in opened.predictions
        drawn_so = " Blue-green: what is true; orange: what was predicted." if regions else ""
        return pictures, (
            f"Test cases by {opened.scores.measure}: best, median, worst.{drawn_so}{licence}{lacks}"
        )

    def examples(self, board: Board, task: str) -> tuple[list[Picture], str]:
        """Draw some test cases of a task with what is true of them.

        Args:
            board: everything.
            task: task name.
        """
        for one in board.columns:
            if one.column.task != task:
                continue
            for found in (found for row in one.records.values() for found in row.values()):
                opened = self._opened(found, one.column.metric)
                if isinstance(opened, Opened):
                    known = np.flatnonzero(~np.isnan(opened.scores.values))
                    places = known[np.linspace(0, len(known) - 1, min(4, len(known))).astype(int)]
                    drawn = [self._draw(opened, int(place), "", truth_only=True) for place in places]
                    licence = opened.films.licence or "generated"
                    return [
                        p for p in drawn if p
                    ], f"Test cases; blue-green: what is true, where it has a place. Films: {licence}."
        return [], ""

    def differences(self, board: Board) -> dict[tuple[str, str], dict[tuple[str, str], list[dict[str, Any]]]]:
        """Find, for every two encoders, the cases of each task in which one did better than the other most.

        They are looked for at the smallest share of the labels, in the first seed.

        Args:
            board: everything.
        """
        made: dict[tuple[str, str], dict[tuple[str, str], list[dict[str, Any]]]] = {}
        budget = CASES
        for world, columns in board.worlds.items():
            first = {}
            for one in sorted(columns, key=lambda one: one.column.fraction, reverse=True):
                first[one.column.task] = one
            for one in track(first.values(), "cases", unit="task"):
                openings = self._first_seeds(one)
                for pair in combinations(openings, 2):
                    if budget <= 0:
                        return made
                    found = self._differ(one, *(openings[name] for name in pair))
                    budget -= len(found)
                    made.setdefault(world, {}).setdefault(pair, []).extend(found)
        return made

    def _first_seeds(self, one: Sampled) -> dict[str, Opened]:
        openings = {}
        for name, row in one.records.items():
            opened = self._opened(next(iter(row.values())), one.column.metric)
            if isinstance(opened, Opened):
                openings[name] = opened
        return openings

    def _differ(self, one: Sampled, first: Opened, second: Opened) -> list[dict[str, Any]]:
        mine, theirs = first.scores.values, second.scores.values
        if len(mine) != len(theirs) or list(first.predictions["id"]) != list(second.predictions["id"]):
            return []
        gap = mine - theirs
        known = np.flatnonzero(~np.isnan(gap))
        if not len(known):
            return []
        places = dict.fromkeys(int(known[pick(gap[known])]) for pick in (np.argmax, np.argmin))
        cases = []
        for place in places:
            pictures = [self._draw(opened, place, "") for opened in (first, second)]
            if pictures[0] is not None and pictures[1] is not None and pictures[0].src == pictures[1].src:
                pictures[1] = None
            cases.append(
                {
                    "task": one.column.task,
                    "kind": one.kind,
                    "labels": one.share,
                    "measure": first.scores.measure,
                    "scores": [first.scores.show(place), second.scores.show(place)],
                    "pictures": [
                        None
                        if p is None
                        else {"src": p.src, "width": p.width, "height": p.height, "alt": p.alt}
                        for p in pictures
                    ],
                }
            )
        return cases

    def _opened(self, found: Found, metric: str) -> Opened | str:
        key = f"{found.record.key} {found.path}"
        if self._open[0] != key:
            self._open = (key, self._look(found, metric))
        return self._open[1]

    def _look(self, found: Found, metric: str) -> Opened | str:
        record = found.record
        films = self.films.of(record.data)
        if isinstance(films, str):
            return films
        if found.path is None or record.predictions is None:
            return ""
        predictions = read_predictions(found.path, record)
        scores = scored(record.kind, metric, predictions)
        if scores is None:
            return "No pictures: cases of this task have no score of their own."
        return Opened(found, predictions, scores, films, self._labels.get(record.cell.task, ()))

    def _draw(self, opened: Opened, place: int, name: str, *, truth_only: bool = False) -> Picture | None:
        image = str(opened.predictions["id"][place])
        record = opened.found.record
        with suppress(InputError, OSError, KeyError, IndexError, ValueError):
            film = opened.films.film(image)
            panes, shown = _panes(opened, image, place, film, truth_only=truth_only)
            content = _jpeg(np.concatenate(panes, axis=1))
            src = f"{FOLDER}/{hashlib.sha256(content).hexdigest()[:20]}.jpg"
            if src not in self.files and len(self.files) >= MOST:
                return None
            self.files[src] = content
            score = "" if truth_only else f"{opened.scores.measure}: {opened.scores.show(place)}"
            kind = "generated film" if record.data.kind == "phantom" else "film"
            facts = _facts(opened, place, scores=not truth_only)
            told = visible("; ".join(part for part in (name, score, *facts, shown) if part))
            alt = visible(f"{kind} {image}: {told}")
            return Picture(src, SIDE * len(panes), SIDE, alt, told)
        return None


def _lacking(kind: str, predictions: Predictions) -> str:
    """Say what a compact record does not keep of its predictions and the pictures therefore do not show."""
    if kind in ("segmentation", "grounding", "phrase") and not {"mask", "heat", PLACES} & set(predictions):
        return " This compact record keeps no predicted masks or maps; measured again, it has them."
    # Their coordinates are zero.
    if kind == "detection" and (np.asarray(predictions["box"]).reshape(-1, 4)[:, 2:] == 0).any():
        return " This compact record keeps no boxes that hit nothing; measured again, it has them."
    return ""


def _panes(
    opened: Opened, image: str, place: int, film: NDArray[np.uint8], *, truth_only: bool
) -> tuple[list[Colour], str]:
    """Draw the panes of a case, and say what they show from left to right."""
    plain = np.repeat(film[..., None], 3, axis=2)
    kind, predictions = opened.found.record.kind, opened.predictions
    if kind == "segmentation":
        truth = opened.films.mask(image, opened.labels[0]) if opened.labels else np.zeros((SIDE, SIDE), bool)
        panes, words = [plain, outlined(plain, truth, TRUTH)], ["film", "truth"]
        mask = None if truth_only else mask_of(predictions, place)
        if mask is not None:
            panes.append(outlined(panes[1], _resized(mask), GUESS, fill=True))
            words.append("prediction")
        return panes, ", ".join(words)
    if kind == "detection":
        mine = np.asarray(predictions["true_image"]) == place
        truth_boxes = np.asarray(predictions["true_box"], np.float64).reshape(-1, 4)[mine]
        drawn = boxed(plain, opened.films.placed(image, truth_boxes), TRUTH)
        if not truth_only:
            drawn = boxed(drawn, opened.films.placed(image, told_boxes(predictions, place)), GUESS)
        return [plain, drawn], "film, boxes"
    if kind in ("grounding", "phrase"):
        truth = _region(opened, image, place)
        panes, words = [plain, outlined(plain, truth, TRUTH)], ["film", "what was asked for"]
        heat = None if truth_only else map_of(predictions, place)
        if heat is not None:
            panes.append(outlined(heated(plain, heat), truth, TRUTH))
            words.append("heat map")
        return panes, ", ".join(words)
    return [plain], ""


def _region(opened: Opened, image: str, place: int) -> NDArray[np.bool_]:
    """Return where a phrase or a finding lies."""
    if opened.found.record.kind == "grounding":
        return opened.films.mask(image, opened.labels[0])
    sample, predictions = opened.films.sample(image), opened.predictions
    category = str(predictions["category"][place])
    text = str(predictions["text"][place]) if "text" in predictions else ""
    phrases = [p for p in sample.phrases if p.boxes and p.boxes[0].label == category and text in ("", p.text)]
    boxes = phrases[0].boxes if phrases else tuple(box for box in sample.boxes if box.label == category)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    for left, top, width, height in opened.films.placed(image, boxes_of(tuple(boxes))):
        mask[
            max(0, round(top)) : max(0, round(top + height)),
            max(0, round(left)) : max(0, round(left + width)),
        ] = True
    return mask


def _facts(opened: Opened, place: int, *, scores: bool) -> Iterable[str]:
    """Say what is true of a case and, with ``scores``, what was said of it, where no regions are drawn."""
    predictions = opened.predictions
    if "scores" in predictions and "targets" in predictions:
        names = [str(name) for name in predictions["label"]]
        targets, said = (np.asarray(predictions[part], np.float64)[place] for part in ("targets", "scores"))
        true = [name for name, target in zip(names, targets, strict=True) if target == 1]
        yield f"true: {', '.join(true) or 'no finding'}"
        if scores:
            yield "score " + ", ".join(f"{names[k]} {said[k]:.2f}" for k in np.argsort(-said)[:2])
    if "category" in predictions:
        text = (
            str(predictions["text"][place]) if "text" in predictions else str(predictions["category"][place])
        )
        yield f"asked: “{text[:120]}”"


def _resized(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Bring a predicted mask to the size of the picture."""
    import cv2

    large = cv2.resize(mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(large >= 0.5, np.bool_)


def outlined(
    film: Colour, mask: NDArray[np.bool_], colour: tuple[int, int, int], *, fill: bool = False
) -> Colour:
    """Draw the edge of a mask into a copy of a film, [S, S, 3]; with ``fill`` its inside shines through."""
    import cv2

    made = film.copy()
    if fill and mask.any():
        made[mask] = (0.65 * made[mask] + 0.35 * np.array(colour)).astype(np.uint8)
    edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(made, edges, -1, colour, 1)
    return np.asarray(made, np.uint8)


def boxed(film: Colour, boxes: NDArray[np.float64], colour: tuple[int, int, int]) -> Colour:
    """Draw boxes [N, 4] (left, top, width, height) into a copy of a film."""
    import cv2

    made = film.copy()
    for left, top, width, height in np.clip(boxes, -SIDE, 2 * SIDE):
        cv2.rectangle(
            made,
            (round(left), round(top)),
            (round(left + width), round(top + height)),
            colour,
            1,
            cv2.LINE_AA,
        )
    return np.asarray(made, np.uint8)


def heated(film: Colour, heat: NDArray[Any]) -> Colour:
    """Lay a map over a film, from its lowest value (nothing) to its highest (orange).

    Raises:
        ValueError: it is no map.
    """
    import cv2

    values = np.asarray(heat, np.float32)
    if values.ndim != 2 or not np.isfinite(values).all() or min(values.shape) < 1:
        raise ValueError("no map")
    low, high = float(values.min()), float(values.max())
    share = cv2.resize((values - low) / ((high - low) or 1.0), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    weight = 0.7 * np.clip(share, 0, 1)[..., None] ** 1.5
    return np.asarray((1 - weight) * film + weight * np.array(GUESS), np.uint8)


def _jpeg(picture: Colour) -> bytes:
    import cv2

    done, content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise ValueError("cannot be written as JPEG")
    return bytes(content)
