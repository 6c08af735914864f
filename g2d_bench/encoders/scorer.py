"""Scorers: code of others that says how well images and texts agree, where no cosine does.

KAD, CARZero, MAVL and MedKLIP ask an image by cross-attention. A package declares a scorer by an entry point
of the group ``g2d_bench.scorers``; a card that says ``scorer = "NAME"`` uses it. Its code is run as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.scorer import SCORERS
from g2d_bench.devices import Precision, half
from g2d_bench.errors import InputError, first_line
from g2d_bench.hashing import digest_code


@runtime_checkable
class Scorer(Protocol):
    """What a package declares under ``SCORER`` makes one of these: ``SCORER(card, file, device)``.

    ``heat(images, phrases) -> [B, h, w]`` may be there too, one phrase per image; grounding and phrase tasks
    need it. ``negatives = False`` says that prompts against a finding mean nothing to the method: then
    zero-shot scores are those of the positive prompts alone. ``probabilities = True`` beside it says that
    these are probabilities, so that they have a calibration.
    """

    def score(self, images: Tensor, prompts: list[str]) -> Tensor:
        """Score images [B, C, S, S], normalised as the card says, against prompts: [B, P], more is more."""


Make = Callable[[EncoderCard, Path | None, torch.device], Scorer]
"""What ``SCORER`` is: it gets the card, the weights file if there is one, and where to compute."""


def make_scorer(card: EncoderCard, file: Path | None, device: torch.device) -> Scorer:
    """Make the scorer that a card names.

    Raises:
        InputError: it cannot be made, or has no ``score``.
    """
    make: Make = SCORERS[card.scorer]
    try:
        made = make(card, file, device)
    except InputError:
        raise
    except Exception as error:  # code of others
        raise InputError(f"cannot be made: {first_line(error)}", field=f"scorer {card.scorer}") from error
    if not isinstance(made, Scorer):
        raise InputError("has no score(images, prompts)", field=f"scorer {card.scorer}")
    return made


def scores_of(
    scorer: Scorer, name: str, images: Tensor, prompts: Sequence[str], precision: Precision = "fp32"
) -> Tensor:
    """Ask for scores, [B, P] in double precision, whatever precision it computes in.

    Raises:
        InputError: it fails, gives something else, or no number.
    """
    field = f"score of {name}"
    found = _asked(scorer.score, images, prompts, field, precision)
    return _checked(found, (len(images), len(prompts)), field, "[B, P]").double()


def heat_of(
    scorer: Any, name: str, images: Tensor, phrases: Sequence[str], precision: Precision = "fp32"
) -> Tensor:
    """Ask for maps, [B, h, w]; see :func:`scores_of`."""
    field = f"heat of {name}"
    found = _asked(scorer.heat, images, phrases, field, precision)
    shape = tuple(getattr(found, "shape", ()))
    wanted = (len(images), *shape[1:]) if len(shape) == 3 else (len(images), 1, 1)
    return _checked(found, wanted, field, "[B, h, w]").float()


def code_of(name: str) -> str:
    """Hash the source of the module that declares a scorer, for records."""
    return digest_code(SCORERS.module(name))


def _asked(
    code: Callable[[Tensor, list[str]], object],
    images: Tensor,
    texts: Sequence[str],
    field: str,
    precision: Precision,
) -> object:
    try:
        with torch.no_grad(), half(images.device, precision):
            return code(images, list(texts))
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # code of others
        raise InputError(f"fails: {type(error).__name__}: {first_line(error)}", field=field) from error


def _checked(found: object, shape: tuple[int, ...], field: str, words: str) -> Tensor:
    if not isinstance(found, Tensor) or tuple(found.shape) != shape:
        given = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"must give {words}, here {list(shape)}, not {given}", field=field)
    if found.is_complex():
        raise InputError("gave complex numbers, of which none is more than another", field=field)
    if not torch.isfinite(found).all():
        raise InputError("gave NaN or infinity", field=field)
    return found.detach()
