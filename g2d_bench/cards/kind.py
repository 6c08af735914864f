"""What a kind of task is: one declaration, which everything else asks.

A module of :mod:`g2d_bench.adapters` that says ``KIND = Kind(…)`` adds a kind; packages of others add theirs
by entry points of the group ``g2d_bench.kinds``. Such a module is imported whenever a card is read, so what
is slow to import (torch, mmseg) belongs inside of its functions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Literal, get_args

from g2d_bench.cards.arrays import Rule
from g2d_bench.cards.base import Card
from g2d_bench.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Arrays = dict[str, NDArray[Any]]
    Predictions = Mapping[str, NDArray[Any]]
    Blind = tuple[str, Predictions, list[str]]

Gift = Literal["vector", "maps", "text", "cells"]
"""What an encoder may give: a pooled vector, a pyramid of maps, vectors of texts, and cells of an image that
can be compared with a text."""


def _never(task: Any, protocol: Any) -> bool:
    return False


def _no(task: Any) -> bool:
    return False


def _nothing(task: Any) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Reduced:
    """How predictions become small enough for git.

    Attributes:
        make: leaves out of predictions what no metric can tell apart; is told the metrics of the record.
        array: that is changed.
        loss: what goes, in words.
    """

    make: Callable[[Predictions, Collection[str]], Arrays]
    array: str
    loss: str


@dataclass(frozen=True)
class OneOf:
    """Several rules of a kind; a key of its table in a protocol card says which of them is meant.

    Attributes:
        key: a field of every rule, whose type is the ``Literal`` of the words that mean this rule.
        rules: the first is meant where a table does not give the key.
    """

    key: str
    rules: tuple[type[Card], ...]

    def meant(self, table: Any) -> type[Card]:
        """Return the rule by which a table is read; where its word is nobody's the first, which refuses."""
        said = table.get(self.key) if isinstance(table, dict) else getattr(table, self.key, None)
        words = ((rule, get_args(rule.model_fields[self.key].annotation)) for rule in self.rules)
        return next((rule for rule, known in words if said in known), self.rules[0])


@dataclass(frozen=True)
class Sources:
    """Of what notes of a record follow, beside its predictions.

    Attributes:
        task: the card of the task, as the protocol measures it.
        rule: what the protocol says of the kind, None for nothing.
        encoder: its card, None where that of the record is not at hand.
        data: the :class:`~g2d_bench.data.task_data.TaskData` of the cell, None where they are not at hand.
        notes: all that the record notes, for those that follow from another.
    """

    task: Any
    rule: Any
    encoder: Any
    data: Any
    notes: Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """A kind of task.

    Attributes:
        name: as cards say it, and as the registry calls it.
        heading: in tables.
        place: among the headings of a summary; the smallest stands first.
        run: measures one cell: takes a :class:`~g2d_bench.adapters.base.Job`, gives its
            :class:`~g2d_bench.adapters.base.Outcome`.
        asks: what an encoder must give.
        trained: whether fraction and seed of a cell move its numbers.
        trivial: names of the trivial predictors beside each outcome.
        arrays: what its records keep of predictions beside ``id`` and ``patient``; those that no metric of a
            record reads may be missing. A card may ask for metrics of these arrays alone.
        lacks: those of ``arrays`` that records of a task lack whatever its metrics.
        samples: what a line of predictions is: each of the test ``images``, each of the ``positives`` among
            them, or one of the ``pairs`` of an image and what it is asked for.
        truth: arrays among the predictions that hold what is true, whatever was predicted.
        kept: arrays that a compact record holds though no metric of it reads them, beside ``id``, ``patient``
            and groups: what intervals, paired tests and trivial predictors need.
        positives: whether as many test images as the data say are positive by the predictions: ``equal``, or
            ``fewer`` where a mask or a box may be too small to be seen; empty where predictions do not tell.
        shown: which lines of predictions show a label, bool [N]; None where all do.
        expected: ids and truth of the test set, as its records keep them, from the
            :class:`~g2d_bench.data.task_data.TaskData` of a cell.
        blind: trivial predictors that predictions alone tell, from these and the names of metrics: names,
            what each predicts, and those of the metrics that this tells.
        chance: metrics of trivial predictors that predict nothing, by name, because they are expectations:
            from predictions and the names of metrics.
        learned: metrics of trivial predictors that need the training images, by name: from the data of a
            cell, what ``expected`` says, names of metrics, and the side of the encoder's input.
        noted: notes that follow from predictions, as :mod:`g2d_bench.records.notes` reads them.
        told: notes that follow from cards and images, likewise.
        probabilities: says of a record's notes whether its scores are probabilities; None where they always
            are, or where there are none.
        per_label: metrics of which records of several labels hold the value of each label, too.
        reduced: predictions without what no metric can tell apart; see :class:`Reduced`.
        drawn: the fraction of a published protocol, from ids in their order, fraction and seed.
        prompts: whether tasks ask with prompts of their card; None where some do.
        reports: says of a task whether its images need a report; those without one are left out.
        masks: whether masks of the images are read.
        one_label: whether a task has one label, such as the one of its masks.
        complete: whether an image takes part only if all of the task's labels are known, since whatever is
            not drawn counts as absent. Else one that is known is enough.
        decoder: whether a pre-trained decoder can be transferred.
        bare: whether it cannot for a task under a protocol all the same.
        rule: what a protocol card says of the kind, in the table of its name: a card, or :class:`OneOf`
            several; None for a kind that no protocol need mention.
        cost: in which order cells of a large plan are run: 0 without training, 1 for linear heads, 2 for
            what is trained step by step.
        early: place among the kinds that a run begins with, because they keep what a frozen encoder gives;
            None for those that come after.
        imports: modules that ``run`` imports late, and that take seconds.
        run_many: measures several cells of one task and protocol; the outcomes are those of one by one.
        together: whether that is cheaper for a :class:`~g2d_bench.cards.task.TaskCard` under a
            :class:`~g2d_bench.cards.protocol.Protocol`.
    """

    name: str
    heading: str
    place: int
    run: Callable[[Any], Any]
    asks: frozenset[Gift]
    trained: bool
    trivial: frozenset[str] = frozenset()
    arrays: Mapping[str, Rule] = field(default_factory=dict)
    lacks: Callable[[Any], tuple[str, ...]] = _nothing
    samples: Literal["images", "positives", "pairs"] = "images"
    truth: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    positives: Literal["", "equal", "fewer"] = ""
    shown: Callable[[Predictions], NDArray[np.bool_]] | None = None
    expected: Callable[[Any], tuple[Sequence[str], Arrays]] | None = None
    blind: Callable[[Predictions, Sequence[str]], list[Blind]] | None = None
    chance: Callable[[Predictions, Sequence[str]], dict[str, dict[str, float]]] | None = None
    learned: Callable[[Any, Arrays, Sequence[str], int], dict[str, dict[str, float]]] | None = None
    noted: Callable[[Predictions], dict[str, Any]] | None = None
    told: Callable[[Sources], dict[str, Any]] | None = None
    probabilities: Callable[[Mapping[str, Any]], bool] | None = None
    per_label: tuple[str, ...] = ()
    reduced: Reduced | None = None
    drawn: Callable[[tuple[str, ...], float, int], tuple[str, ...]] | None = None
    prompts: bool | None = False
    reports: Callable[[Any], bool] = _no
    masks: bool = False
    one_label: bool = False
    complete: bool = False
    decoder: bool = False
    bare: Callable[[Any, Any], bool] = _never
    rule: type[Card] | OneOf | None = None
    cost: int = 2
    early: int | None = None
    imports: tuple[str, ...] = ()
    run_many: Callable[[Sequence[Any]], list[Any]] | None = None
    together: Callable[[Any, Any], bool] = _never

    def rule_of(self, table: Any) -> type[Card] | None:
        """Return the card as which a table of the kind's name in a protocol card is read."""
        return self.rule.meant(table) if isinstance(self.rule, OneOf) else self.rule

    @property
    def rule_type(self) -> Any:
        """What such a table may be: a card, a union of cards, or None."""
        return reduce(or_, self.rule.rules) if isinstance(self.rule, OneOf) else self.rule


KINDS: Registry[Kind] = Registry("kind", package="g2d_bench.adapters", mark="KIND", group="g2d_bench.kinds")
"""Kinds of task by name."""


def known_kind(name: str) -> Kind | None:
    """Return the kind of a name, None where nobody knows it, as in a record of somebody's own."""
    return KINDS[name] if name in KINDS else None  # noqa: SIM401 - a registry has no get


def untrained(name: str) -> bool:
    """Say whether cells of a kind train nothing; one that nobody knows is taken to train."""
    return name in KINDS and not KINDS[name].trained
