"""The unit of work, of caching and of failure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field

from g2d_bench.plain import counted

DECODER = "+decoder"
"""Suffix of an encoder's name that asks for its pre-trained decoder, too."""


def _one_name(name: str) -> str:
    if "/" in name or "\0" in name or name in (".", ".."):
        raise ValueError("must be a name, without a folder")
    return name


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_one_name)]
"""Names of tasks, encoders and the like are those of folders, too."""
Count = Annotated[int, Field(ge=0, lt=1 << 53, strict=True)]


@dataclass(frozen=True, order=True)
class Cell:
    """The unit of work, of caching and of failure."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=False)

    task: Name
    fraction: Annotated[float, Field(ge=1e-9, le=1, strict=True)]
    protocol: Name
    seed: Count
    encoder: Name
    """Card name, with ``+decoder`` where the pre-trained decoder is transferred."""
    shots: Count = 0
    """Training images per class, in the place of a fraction, which is then 1; 0 where the fraction counts."""

    def __post_init__(self) -> None:
        if self.shots and self.fraction != 1:
            raise ValueError("shots are drawn from all training images: fraction must be 1")

    @property
    def card(self) -> str:
        """The encoder's card."""
        return self.encoder.removesuffix(DECODER)

    @property
    def with_decoder(self) -> bool:
        """Whether the pre-trained decoder is transferred."""
        return self.encoder.endswith(DECODER)

    @property
    def drawn(self) -> tuple[float, int]:
        """How its training images are drawn, fraction and shots: the same for all cells of a column."""
        return self.fraction, self.shots

    @property
    def amount(self) -> str:
        """The amount of training labels: ``1 %``, ``16 shots``."""
        return amount(self.fraction, self.shots)

    @property
    def stem(self) -> str:
        """How the names of its files begin: ``0.01-s0``, ``16shots-s0``."""
        return f"{f'{self.shots}shots' if self.shots else f'{self.fraction:g}'}-s{self.seed}"

    @property
    def options(self) -> list[str]:
        """The words of the command line that choose this cell."""
        drawn = ["--shots", str(self.shots)] if self.shots else ["--fraction", repr(self.fraction)]
        words = ["--task", self.task, "--encoder", self.encoder, *drawn]
        return [*words, "--seed", str(self.seed), "--protocol", self.protocol]

    def __str__(self) -> str:
        return f"{self.task} · {self.encoder} · {self.amount} · seed {self.seed} · {self.protocol}"

    def as_dict(self) -> dict[str, Any]:
        """Return the cell as JSON; without shots where there are none, so that older keys hold."""
        return {name: value for name, value in asdict(self).items() if name != "shots" or value}


def percent(fraction: float) -> str:
    """Write a fraction as the field does: ``1 %``."""
    return f"{100 * fraction:g} %"


def amount(fraction: float, shots: int = 0) -> str:
    """Write an amount of training labels: a share of them, or images per class."""
    if shots:
        return counted(shots, "shot")
    return percent(fraction)


def labels_of(cell: Cell) -> str:
    """Say what a cell was trained with: ``1 % of the training labels``, ``16 shots per class``."""
    return f"{cell.amount} {'per class' if cell.shots else 'of the training labels'}"


_CONTROLS_FIRST = ("random", "imagenet", "convirt", "gloria", "mgca", "g2d")


def encoder_order(name: str) -> tuple[int, str]:
    """Sort key of encoder names: controls first, then as the field published them."""
    family = name.removesuffix(DECODER).split(".")[0]
    known = _CONTROLS_FIRST.index(family) if family in _CONTROLS_FIRST else len(_CONTROLS_FIRST)
    return known, name
