"""What a library of models must be able to do, so that an encoder card can name it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from g2d_bench.cards.library import LIBRARIES, known
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_code

if TYPE_CHECKING:
    from g2d_bench.cards.encoder import EncoderCard
    from g2d_bench.encoders.checkpoint import LoadReport

LEVELS = 4
"""How many evenly spaced blocks of a transformer with tokens of one size make its pyramid."""


class TextSide(NamedTuple):
    """A text encoder and its heads, or why there is none.

    Attributes:
        text: the text encoder: a :class:`~g2d_bench.encoders.text.TextEncoder` or what stands in its place.
        heads: the projection heads: a :class:`~g2d_bench.encoders.heads.base.Heads`.
        reports: how their entries fitted, text encoder first.
        reason: why there is none, in a clause; empty if there is one.
    """

    text: Any
    heads: Any
    reports: tuple[LoadReport, ...]
    reason: str


@dataclass(frozen=True)
class Plan:
    """What is read of a model.

    Attributes:
        channels: C_k of the pyramid.
        strides: input pixels per map cell of the pyramid.
        num_features: length of the pooled vector.
        input_size: the only side that the model takes, or None where any will do.
        blocks: which of its intermediate maps make the pyramid; empty for all.
        prefix: tokens before those of the patches.
        pool: how the vector is made, in the words of a card.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    num_features: int
    input_size: int | None
    blocks: tuple[int, ...] = ()
    prefix: int = 0
    pool: str = "library"

    @property
    def tokens(self) -> bool:
        """Whether all maps are of one size, as those of a plain vision transformer are."""
        return len(set(self.strides)) == 1


class Library(ABC):
    """A library of models."""

    @abstractmethod
    def build(
        self,
        model: str,
        options: Mapping[str, Any],
        *,
        channels: int = 3,
        folder: Path | None = None,
        pretrained: bool = False,
    ) -> nn.Module:
        """Make a model with random weights, drawn from torch's default generator.

        Args:
            model: its name.
            options: what the card tells beside the name.
            channels: of its input.
            folder: where a configuration may lie beside the weights.
            pretrained: start from the library's own weights, where it has some.

        Raises:
            InputError: there is no such model, or it does not take the options.
        """

    @abstractmethod
    def plan(self, body: nn.Module, model: str, options: Mapping[str, Any], pool: str | None) -> Plan:
        """Say what is read of a model.

        Raises:
            InputError: its vector is not what the card says.
        """

    @abstractmethod
    def features(self, body: nn.Module, plan: Plan, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute the pyramid [B, C_k, H_k, W_k] and the vector [B, D] of normalised images."""

    def version(self) -> str:
        """Name the code that computes, for the keys of what is computed and kept.

        By default the source of the module that declares the library; one that stands for a package says
        that package's version, too.
        """
        return digest_code(type(self).__module__)

    def folder_of(self, file: Path) -> Path | None:
        """Return the folder with the configuration of a weights file, where the library has such folders."""
        return None

    def load(self, card: EncoderCard, image: Any, file: Path) -> LoadReport | None:
        """Load a weights file in the library's own way; None where it is matched name by name."""
        return None

    def text_side(
        self, card: EncoderCard, image: Any, file: Path, *, download: bool = False
    ) -> TextSide | None:
        """Build and load the text side of the same model; None where the library has no models with one."""
        return None


def library_of(name: str) -> Library:
    """Return a library by the name that a card has for it.

    Raises:
        InputError: it is not installed; the text says how to install it.
    """
    try:
        found: Library = LIBRARIES[known(name)]
    except ModuleNotFoundError as error:
        advice = "pip install 'g2d-bench[encoders]'"
        raise InputError(f"{name} is not installed ({error}); {advice}", field="image.library") from None
    return found


def spaced(depth: int) -> tuple[int, ...]:
    """Return :data:`LEVELS` evenly spaced blocks of ``depth``, or all of fewer; the last one is among them.

    Example:
        >>> spaced(12)
        (2, 5, 8, 11)
    """
    levels = min(LEVELS, depth)
    return tuple(depth * (k + 1) // levels - 1 for k in range(levels))


def as_map(tokens: Tensor, shape: Sequence[int], prefix: int) -> Tensor:
    """Bring tokens [B, prefix + H W, C] into the form of a map [B, C, H, W]."""
    rows, columns = shape[-2:]
    return tokens[:, prefix:].transpose(1, 2).reshape(len(tokens), -1, rows, columns)
