"""Task and protocol cards: what they may say, where they lie, how they are found."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Generic, TypeVar

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.paths import shipped
from g2d_bench.registry import points

C = TypeVar("C", TaskCard, Protocol, EncoderCard)


def _folders(what: str, extra: tuple[Path, ...], *, packages: bool) -> Iterator[Path]:
    """Shipped cards first, then those of installed packages, then the user's own folders."""
    yield shipped("tasks") / "protocols" if what == "protocols" else shipped(_SHIPPED.get(what, what))
    for point in points(f"g2d_bench.{what}") if packages else ():
        yield Path(str(files(point.value)))
    for folder in extra:
        if not folder.is_dir():
            raise InputError("no such folder", file=folder, field=what)
        yield folder


_SHIPPED = {"encoders": "baselines"}


class Cards(Generic[C]):
    """All cards of one sort that a run can see; a card is read when it is asked for.

    Args:
        what: ``tasks``, ``encoders`` or ``protocols``.
        model: the card's model.
        extra: the user's own folders; a card there may not take a name that exists.
        packages: whether those of installed packages are seen.
    """

    def __init__(
        self, what: str, model: type[C], extra: tuple[Path, ...] = (), *, packages: bool = True
    ) -> None:
        self._what = what
        self._model: type[C] = model
        self._paths: dict[str, Path] = {}
        self._loaded: dict[str, C] = {}
        for folder in _folders(what, extra, packages=packages):
            for path in sorted(folder.glob("*.toml")):
                taken = self._paths.setdefault(path.stem, path)
                if taken != path:
                    raise InputError(
                        f"the name {path.stem!r} is taken by {taken}; rename the file", file=path
                    )

    @property
    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._paths)

    def __getitem__(self, name: str) -> C:
        """Read one card.

        Raises:
            InputError: no card has this name (the nearest one is named), or the card is wrong.
        """
        if name not in self._paths:
            raise InputError(f"unknown {self._what[:-1]} {name!r}; {did_you_mean(name, self.names)}")
        if name not in self._loaded:
            self._loaded[name] = load_card(self._paths[name], self._model)
        return self._loaded[name]

    def adding(self, card: C) -> Cards[C]:
        """Return these cards and one that has no file.

        Raises:
            InputError: its name is taken.
        """
        if card.name in self._paths:
            taken = self._paths[card.name]
            raise InputError(f"the name {card.name!r} is taken by {taken}; give another", field="name")
        more: Cards[C] = copy(self)
        more._paths = {**self._paths, card.name: Path(f"{card.name}.toml")}
        more._loaded = {**self._loaded, card.name: card}
        return more

    def __iter__(self) -> Iterator[C]:
        """Read all cards, by name."""
        return (self[name] for name in self.names)


FAST = "+fast"
"""Suffix of a protocol's name under which it computes in ``fast`` precision."""


class Protocols(Cards[Protocol]):
    """All protocols; any of them also under its name with :data:`FAST` behind it."""

    def __getitem__(self, name: str) -> Protocol:
        """Read one card.

        Raises:
            InputError: no card has this name (the nearest one is named), or the card is wrong.
        """
        card = super().__getitem__(name.removesuffix(FAST))
        return card.model_copy(update={"name": name, "precision": "fast"}) if name.endswith(FAST) else card


@dataclass(frozen=True)
class Catalogue:
    """The cards of one run."""

    tasks: Cards[TaskCard]
    encoders: Cards[EncoderCard]
    protocols: Protocols

    @classmethod
    def open(
        cls,
        task_dirs: tuple[Path, ...] = (),
        encoder_dirs: tuple[Path, ...] = (),
        protocol_dirs: tuple[Path, ...] = (),
    ) -> Catalogue:
        """Find the shipped cards, those of installed packages and those in the user's folders."""
        return cls(
            Cards("tasks", TaskCard, task_dirs),
            Cards("encoders", EncoderCard, encoder_dirs),
            Protocols("protocols", Protocol, protocol_dirs),
        )

    @classmethod
    def of_the_suite(cls) -> Catalogue:
        """Find the shipped cards alone: the same for everybody, whatever packages are installed."""
        return cls(
            Cards("tasks", TaskCard, packages=False),
            Cards("encoders", EncoderCard, packages=False),
            Protocols("protocols", Protocol, packages=False),
        )

    def with_encoder(self, card: EncoderCard) -> Catalogue:
        """Return the same cards and one of an encoder that is in memory."""
        return replace(self, encoders=self.encoders.adding(card))
