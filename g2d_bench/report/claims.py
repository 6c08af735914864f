"""A sentence of a paper, held against numbers: an encoder with few labels beats others with many.

Measured numbers are compared on the same drawn patients and seeds, and corrected for all comparisons of the
claim (Holm). Quoted numbers have no draws: there the printed digits are compared, within one table of one
paper, and nothing is said about certainty.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from g2d_bench.cards.kind import untrained
from g2d_bench.cards.pretraining import Sight
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import ALPHA, holm
from g2d_bench.plain import counted
from g2d_bench.records.cell import DECODER, percent
from g2d_bench.records.quoted import UNITS, Quoted
from g2d_bench.report.marks import caveats, leaks_of
from g2d_bench.report.model import SEEN
from g2d_bench.report.paired import differences
from g2d_bench.report.quoted_rows import fraction_of
from g2d_bench.report.reasons import listed
from g2d_bench.report.sampled import Sampled

Outcome = Literal["holds", "fails", "open", "untold"]
WORDS: dict[Outcome, str] = {
    "holds": "holds",
    "fails": "does not hold",
    "open": "not decided",
    "untold": "cannot be asked",
}
"""What is said of a claim in one task."""


_UNTESTED = "no test is possible"
"""Said of a number without draws: it keeps no predictions, or they give none."""


@dataclass(frozen=True)
class Rival:
    """One comparison of a claim.

    Attributes:
        name: of the other encoder.
        mean: its number.
        gap: the claimant's number minus this one, turned so that above 0 the claimant is better.
        low: lower limit of the gap's 95 % interval; NaN for quoted numbers.
        high: upper limit.
        p: corrected for all comparisons of the claim; NaN for quoted numbers.
        sight: what its pre-training saw of the data set.
    """

    name: str
    mean: float
    gap: float
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    sight: Sight = ""

    @property
    def shown(self) -> str:
        """Its name with the mark of :data:`~g2d_bench.report.model.SEEN`."""
        return self.name + SEEN[self.sight]

    @property
    def outcome(self) -> Outcome:
        """Whether the claimant beats it."""
        if math.isnan(self.p):
            return "holds" if self.gap > 0 else "fails"
        if self.p > ALPHA:
            return "open"
        return "holds" if self.gap > 0 else "fails"


@dataclass(frozen=True)
class Verdict:
    """A claim in one task.

    Attributes:
        encoder: the claimant, with or without its decoder.
        task: task name.
        metric: in which it was asked.
        where: protocol and kind of data, or paper and table.
        mean: the claimant's number with few labels; NaN where there is none.
        rivals: the others with many labels.
        reason: why it cannot be asked, "" where it can.
        remark: what must be said along, "" for nothing.
        sight: what the claimant's pre-training saw of the data set.
        leaks: the reasons for which leaks were allowed.
    """

    encoder: str
    task: str
    metric: str
    where: str
    mean: float = math.nan
    rivals: tuple[Rival, ...] = ()
    reason: str = ""
    remark: str = ""
    sight: Sight = ""
    leaks: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The claimant with the mark of :data:`~g2d_bench.report.model.SEEN`."""
        return self.encoder + SEEN[self.sight]

    @property
    def outcome(self) -> Outcome:
        """It holds if the claimant beats every rival, fails if one beats it, and is open otherwise."""
        if self.reason or not self.rivals:
            return "untold"
        there = {rival.outcome for rival in self.rivals}
        if "fails" in there:
            return "fails"
        return "open" if "open" in there else "holds"

    @property
    def words(self) -> str:
        """Say what came out, in a sentence."""
        if self.outcome == "untold":
            return self.reason or "there is nobody to compare with"
        sure = "" if math.isnan(self.rivals[0].p) else " with certainty"
        parts = []
        for outcome, text in (("holds", "better than"), ("fails", "worse than"), ("open", "not told from")):
            names = [f"{rival.shown} ({rival.gap:+.1f})" for rival in self.rivals if rival.outcome == outcome]
            parts += [f"{text} {', '.join(names)}{sure if outcome != 'open' else ''}"] if names else []
        return "; ".join(parts)


@dataclass(frozen=True)
class Claim:
    """``label-efficiency``: an encoder with few labels is better than others with many.

    Attributes:
        encoder: the claimant's name; with quoted numbers the card or the method's name.
        at: share of the labels of the claimant.
        against: names of the others; empty for all.
        at_peers: their share of the labels.
    """

    encoder: str
    at: float
    against: tuple[str, ...] = ()
    at_peers: float = 1.0

    @property
    def sentence(self) -> str:
        """The claim in words."""
        others = listed(list(self.against)) if self.against else "every other encoder"
        return (
            f"{self.encoder} with {percent(self.at)} of the labels is better than {others} "
            f"with {percent(self.at_peers)}"
        )

    def _rivals(self, names: Iterable[str]) -> list[str]:
        family = {self.encoder.removesuffix(DECODER), self.encoder.removesuffix(DECODER) + DECODER}
        return [name for name in names if name not in family and (not self.against or name in self.against)]


def measured(claim: Claim, columns: Sequence[Sampled]) -> list[Verdict]:
    """Ask a claim of measured numbers, in every task that trains on labels.

    The encoder alone and the one with its pre-trained decoder are asked apart, where both were measured.

    Args:
        claim: what is claimed.
        columns: as :func:`g2d_bench.report.sampled.sample` makes them, with draws.

    Raises:
        InputError: nobody measured the encoder, or one of those that it shall beat.
    """
    known = list(dict.fromkeys(name for one in columns for name in one.values))
    base = claim.encoder.removesuffix(DECODER)
    forms = [name for name in (base, base + DECODER) if name in known]
    if claim.encoder.endswith(DECODER):
        forms = [name for name in forms if name == claim.encoder]
    if not forms:
        raise InputError(
            f"no record of encoder {claim.encoder}; {did_you_mean(base, known)}", field="--encoder"
        )
    for name in claim.against:
        if name not in known:
            raise InputError(f"no record of encoder {name}; {did_you_mean(name, known)}", field="--against")
    places: dict[tuple[str, str, str], dict[float, Sampled]] = {}
    for one in columns:
        if not untrained(one.kind) and not one.column.shots:
            place = (one.column.task, one.column.protocol, one.data)
            places.setdefault(place, {})[one.column.fraction] = one
    verdicts = [
        verdict
        for form in forms
        for (task, protocol, data), by_fraction in places.items()
        if (verdict := _in_task(claim, form, task, protocol, data, by_fraction)) is not None
    ]
    return _corrected(verdicts)


def _in_task(
    claim: Claim, form: str, task: str, protocol: str, data: str, by_fraction: dict[float, Sampled]
) -> Verdict | None:
    metric = next(iter(by_fraction.values())).column.metric
    kind = "generated data" if data == "phantom" else "real data"
    verdict = Verdict(form, task, metric, f"protocol {protocol}, {kind}")
    few, many = by_fraction.get(claim.at), by_fraction.get(claim.at_peers)
    if form.endswith(DECODER) and (few is None or form not in few.values):
        return None  # A pre-trained decoder has no business in this task.
    if few is None or many is None:
        lacking = percent(claim.at if few is None else claim.at_peers)
        return replace(verdict, reason=f"nothing was measured with {lacking} of the labels")
    if not few.alike(many):
        shares = f"{percent(claim.at)} and {percent(claim.at_peers)}"
        return replace(verdict, reason=f"{shares} of the labels have different signatures")
    mine = few.values.get(form)
    if mine is None or mine.missing:
        return replace(verdict, reason=f"{form}: {mine.reason or mine.missing}" if mine else f"no {form}")
    if not (few.ranked and many.ranked):
        behind = [*few.records_of(few.values), *many.records_of(many.values)]
        return replace(
            verdict,
            reason="nothing is ranked under a published protocol or by a published convention",
            remark="; ".join(caveats(behind, scale=False)),
            sight=mine.sight,
            leaks=leaks_of(behind),
        )
    if form not in few.draws:
        return replace(verdict, reason=f"{form}: {_UNTESTED}")
    names = claim._rivals(many.values)
    there = [name for name in names if not many.values[name].missing and name in many.draws]
    limits = differences(few.sign * few.draws[form], [many.sign * many.draws[name] for name in there])
    rivals, left = [], []
    tested = {name: rest for name, rest in zip(there, limits, strict=True) if not math.isnan(rest[-1])}
    for name in names:
        value = many.values[name]
        if name in tested:
            gap = few.sign * (mine.mean - value.mean)
            rivals.append(Rival(name, value.mean, gap, *tested[name], sight=value.sight))
        else:
            left.append(f"{name} ({value.reason or value.missing or _UNTESTED})")
    behind = [*few.records_of([form]), *many.records_of(tested)]
    said = [f"not compared: {'; '.join(left)}"] if left else []
    said += caveats(behind, scale=False)
    return replace(
        verdict,
        mean=mine.mean,
        rivals=tuple(rivals),
        remark="; ".join(said),
        sight=mine.sight,
        leaks=leaks_of(behind),
    )


def _corrected(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Correct p values for all comparisons of the claim."""
    adjusted = iter(holm([rival.p for verdict in verdicts for rival in verdict.rivals]))
    return [
        replace(verdict, rivals=tuple(replace(rival, p=next(adjusted)) for rival in verdict.rivals))
        for verdict in verdicts
    ]


def quoted(claim: Claim, cells: Sequence[Quoted]) -> list[Verdict]:
    """Ask a claim of printed numbers: within one column of one table of one paper.

    Args:
        claim: what is claimed; the encoder is the family of the card or a method's printed name.
        cells: of papers; flagged ones are not used.
    """
    usable = [one for one in cells if one.usable and one.fraction != "zero"]
    places: dict[tuple[str, ...], list[Quoted]] = {}
    for one in usable:
        place = (one.paper, one.table, one.published, one.metric, one.label)
        places.setdefault(place, []).append(one)
    verdicts = []
    for (paper, table, published, metric, label), mine in places.items():
        few = [c for c in mine if fraction_of(c) == claim.at and _is(claim.encoder, c)]
        many = [c for c in mine if fraction_of(c) == claim.at_peers and not _is(claim.encoder, c)]
        many = [c for c in many if not claim.against or any(_is(name, c) for name in claim.against)]
        # A column per finding says the same as its mean, fourteen times over.
        if not few or label:
            continue
        sign = 1.0 if _higher(few[0].convention) else -1.0
        for one in few:
            scale = UNITS[one.unit]
            rivals = tuple(
                Rival(c.method, scale * c.number, sign * scale * (one.number - c.number)) for c in many
            )
            task = one.task if one.task != "-" else published
            verdict = Verdict(one.method, task, metric, f"{paper}, {table}", scale * one.number, rivals)
            reason = (
                "" if rivals else f"no other number with {percent(claim.at_peers)} of the labels is printed"
            )
            verdicts.append(replace(verdict, reason=reason, remark=one.remark))
    return verdicts


def _is(name: str, cell: Quoted) -> bool:
    """Say whether a name of ours, or the printed one, is that of a quoted row."""
    family = name.removesuffix(DECODER).split(".")[0].lower()
    method = cell.method.lower()
    if name.endswith(DECODER) and "decoder" not in method:
        return False
    return family == cell.encoder.split(".")[0] or method == name.lower() or method.split(" (")[0] == family


def _higher(convention: str) -> bool:
    try:
        return metric_spec(convention).higher_is_better
    except InputError:
        return True


def summary(verdicts: Sequence[Verdict]) -> str:
    """Count what came out, in a sentence."""
    counts = {outcome: sum(v.outcome == outcome for v in verdicts) for outcome in WORDS}
    said = [f"{WORDS[outcome]} in {count}" for outcome, count in counts.items() if count]
    return (
        f"of {counted(len(verdicts), 'verdict')}: {', '.join(said)}" if verdicts else "no task to ask it in"
    )
