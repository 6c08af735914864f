"""All that the pages of a leaderboard say, gathered once."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.kind import untrained
from g2d_bench.cards.task import TaskCard
from g2d_bench.records.cell import Cell
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.quoted import Quoted
from g2d_bench.records.record import Record
from g2d_bench.records.selection import Found
from g2d_bench.report.claims import Claim, Verdict, measured, quoted
from g2d_bench.report.model import Column, Table
from g2d_bench.report.origin import Origin, origins, tags
from g2d_bench.report.paired import Difference, compare_all
from g2d_bench.report.ranks import Group, groups
from g2d_bench.report.sampled import Sampled, sample
from g2d_bench.report.site.content import Section

Words = Callable[[str], Sequence[tuple[str, str]]]
"""Takes a signature and gives its parts, each with what it means."""


@dataclass(frozen=True)
class Asked:
    """A claim with what came out.

    Attributes:
        claim: the sentence.
        measured: verdicts on measured numbers.
        quoted: verdicts on printed ones.
    """

    claim: Claim
    measured: Sequence[Verdict]
    quoted: Sequence[Verdict]

    @property
    def parts(self) -> list[tuple[str, list[Verdict]]]:
        """Heading and verdicts: of each protocol and kind of data apart, and of papers."""
        worlds: dict[str, list[Verdict]] = defaultdict(list)
        for one in self.measured:
            worlds[f"Measured here, {one.where}"].append(one)
        printed = "Quoted from papers (real data, the published models; not measured here)"
        return [*worlds.items(), *([(printed, list(self.quoted))] if self.quoted else [])]


@dataclass(frozen=True)
class Board:
    """What stands on the pages.

    Attributes:
        title: heading.
        sections: tables of all metrics.
        overview: tables of the main metrics.
        columns: main metrics with draws, one per task, fraction, protocol and kind of data.
        found: all records.
        both: records that were tested elsewhere, and those, of all there are, with their inside scores.
        roots: folders below which their files lie.
        reported: the roots whose records others sent in.
        history: earlier records of cells, the latest first.
        catalogue: the cards that are here.
        quoted: numbers of papers.
        order: encoder names in the order of rows.
        words: takes signatures apart.
    """

    title: str
    sections: Sequence[Section]
    overview: Sequence[Table]
    columns: Sequence[Sampled]
    found: Sequence[Found]
    both: Sequence[Found]
    roots: Sequence[Path]
    catalogue: Catalogue
    order: Sequence[str]
    words: Words
    quoted: Sequence[Quoted] = ()
    reported: Sequence[Path] = ()
    history: Mapping[Cell, Sequence[Record]] = field(default_factory=dict)

    @cached_property
    def groups(self) -> list[Group]:
        """Encoders ranked within kinds of tasks."""
        return groups(self.columns)

    @cached_property
    def worlds(self) -> dict[tuple[str, str], list[Sampled]]:
        """Protocol and kind of data to the columns that may stand together."""
        found: dict[tuple[str, str], list[Sampled]] = defaultdict(list)
        for one in self.columns:
            found[one.column.protocol, one.data].append(one)
        return dict(sorted(found.items()))

    @cached_property
    def pairs(self) -> dict[tuple[str, str], dict[tuple[str, str], list[Difference]]]:
        """Of each world, every two encoders to their differences."""
        return {world: compare_all(columns) for world, columns in self.worlds.items()}

    @cached_property
    def origins(self) -> dict[str, Origin]:
        """Encoder to its scale and pre-training."""
        known = origins(self.found)
        return {name: known[name] for name in self.order if name in known}

    @cached_property
    def tags(self) -> dict[str, str]:
        """Encoder to the tag behind its name, where it could be taken for another model's."""
        return tags(self.origins, generated="real" not in self.kinds_of_data)

    @cached_property
    def kinds_of_data(self) -> set[str]:
        """``phantom``, ``real``, or both."""
        return {one.record.data.kind for one in self.found}

    @cached_property
    def asked(self) -> list[Asked]:
        """Each encoder's claim to be better with the smallest share of labels than all others with all."""
        trained = {
            one.column.fraction for one in self.columns if not untrained(one.kind) and not one.column.shots
        }
        claims: list[Asked] = []
        if len(trained) > 1:
            # The last of the order is the newest method; controls come first there.
            for name in reversed(self.order):
                if name.endswith("+decoder") and name.removesuffix("+decoder") in self.order:
                    continue  # It is asked along with the encoder alone.
                claim = Claim(name, min(trained), (), max(trained))
                claims.append(Asked(claim, measured(claim, self.columns), quoted(claim, self.quoted)))
        return claims

    @cached_property
    def self_reported(self) -> set[str]:
        """Encoders with a number that others sent in."""
        return {
            one.record.cell.encoder
            for one in self.found
            if one.path is not None and any(one.path.is_relative_to(root) for root in self.reported)
        }

    def card(self, encoder: str) -> EncoderCard | None:
        """Return the card of an encoder, if it is here."""
        name = encoder.removesuffix("+decoder")
        return self.catalogue.encoders[name] if name in self.catalogue.encoders.names else None

    def task(self, name: str) -> TaskCard | None:
        """Return the card of a task, if it is here."""
        return self.catalogue.tasks[name] if name in self.catalogue.tasks.names else None

    def licence(self, encoder: str) -> str:
        """Return the licence of an encoder's weights, as far as its card says."""
        card = self.card(encoder)
        return (card.licence if card is not None else "") or "not stated"

    def scale(self, encoder: str) -> str:
        """Return ``phantom-scale``, ``full-scale`` or ``scale unknown``."""
        known = self.origins.get(encoder, Origin())
        return known.words.split(",")[0]


def sampled_columns(
    found: Sequence[Found],
    order: Sequence[str],
    main: Mapping[tuple[str, str], str],
    evidence: Evidence,
    *,
    allow_mixed: bool = False,
) -> list[Sampled]:
    """Draw the main metric of every task, fraction, protocol and kind of data.

    Args:
        found: records.
        order: encoder names in the order of rows.
        main: the main metric per task and protocol; the first of its records for one that is not there.
        evidence: where draws come from.
        allow_mixed: see :func:`g2d_bench.report.fill.fill`.
    """
    parts: dict[tuple[str, tuple[float, int], str, str], list[Found]] = defaultdict(list)
    ranks = {name: n for n, name in enumerate(order)}
    for one in sorted(found, key=lambda one: ranks.get(one.record.cell.encoder, len(ranks))):
        cell = one.record.cell
        parts[cell.task, (cell.fraction, cell.shots), cell.protocol, one.record.data.kind].append(one)
    made = []
    for (task, (fraction, shots), protocol, _), part in sorted(parts.items(), key=lambda item: item[0]):
        metric = main.get((task, protocol)) or next(iter(part[0].record.metrics))
        column = Column(task, fraction, metric, protocol, (task,), shots)
        made.append(sample(column, part, evidence, allow_mixed=allow_mixed))
    return made


def slug(name: str) -> str:
    """Make a file name of a name; two names that would share one get a number of their own.

    Example:
        >>> slug("g2d+decoder"), slug("mgca.r50")
        ('g2d+decoder', 'mgca.r50')
    """
    plain = re.sub(r"[^A-Za-z0-9.+_-]+", "-", name).strip(".-")[:80]
    return plain if plain == name else f"{plain or 'x'}-{zlib.crc32(name.encode()):08x}"
