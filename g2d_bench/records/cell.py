"""The unit of work, of caching and of failure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

DECODER = "+decoder"
"""Suffix of an encoder's name that asks for its pre-trained decoder, too."""


@dataclass(frozen=True, order=True)
class Cell:
    """The unit of work, of caching and of failure."""

    task: str
    fraction: float
    protocol: str
    seed: int
    encoder: str
    """Card name, with ``+decoder`` where the pre-trained decoder is transferred."""

    @property
    def card(self) -> str:
        """The encoder's card."""
        return self.encoder.removesuffix(DECODER)

    @property
    def with_decoder(self) -> bool:
        """Whether the pre-trained decoder is transferred."""
        return self.encoder.endswith(DECODER)

    def __str__(self) -> str:
        return f"{self.task} · {self.encoder} · {percent(self.fraction)} · seed {self.seed} · {self.protocol}"

    def as_dict(self) -> dict[str, Any]:
        """Return the cell as JSON."""
        return asdict(self)


def percent(fraction: float) -> str:
    """Write a fraction as the field does: ``1 %``."""
    return f"{100 * fraction:g} %"


_CONTROLS_FIRST = ("random", "imagenet", "convirt", "gloria", "mgca", "g2d")


def encoder_order(name: str) -> tuple[int, str]:
    """Sort key of encoder names: controls first, then as the field published them."""
    family = name.removesuffix(DECODER).split(".")[0]
    known = _CONTROLS_FIRST.index(family) if family in _CONTROLS_FIRST else len(_CONTROLS_FIRST)
    return known, name
