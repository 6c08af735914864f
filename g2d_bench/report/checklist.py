"""What records know of a study, item by item of the reporting guidelines CLAIM and TRIPOD+AI.

CLAIM: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging, 2024 update, Radiology: AI
2024 (44 items). TRIPOD+AI: Collins et al., BMJ 2024 (27 items). Topics are in our words; what no record can
know is left to the authors, by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from g2d_bench.cards.catalogue import C, Cards, Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.kind import untrained
from g2d_bench.cards.task import TaskCard
from g2d_bench.errors import InputError
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import LEVEL, REPLICATES
from g2d_bench.readers.registry import READERS
from g2d_bench.records.cell import percent
from g2d_bench.records.record import LEGACY, PARTS, SPLIT_DEFECTS, Record
from g2d_bench.records.selection import Found
from g2d_bench.report.contamination import seen_by
from g2d_bench.report.exports.base import Number
from g2d_bench.report.model import GENERATED
from g2d_bench.report.origin import origins, sentence
from g2d_bench.report.reasons import UNTRAINED

AUTHORS = "for the authors"
"""Stands where no record knows the answer."""


@dataclass(frozen=True)
class Study:
    """What is reported.

    Attributes:
        found: the records.
        numbers: the main metric of each cell over its seeds.
        catalogue: the cards.
    """

    found: Sequence[Found]
    numbers: Sequence[Number]
    catalogue: Catalogue

    @property
    def records(self) -> list[Record]:
        """The records without their files."""
        return [one.record for one in self.found]

    def tasks(self) -> list[tuple[Record, TaskCard | None]]:
        """Return a record per task, with the task's card where it is here."""
        first = {record.cell.task: record for record in reversed(self.records)}
        return [(first[name], _card(self.catalogue.tasks, name)) for name in sorted(first)]

    def encoders(self) -> list[tuple[Record, EncoderCard | None]]:
        """Return a record per encoder, with the card that it was measured under where that is here."""
        first = {record.cell.card: record for record in reversed(self.records)}
        found: list[tuple[Record, EncoderCard | None]] = []
        for name in sorted(first):
            card = _card(self.catalogue.encoders, name)
            same = card is not None and card.digest == first[name].encoder.card_hash
            found.append((first[name], card if same else None))
        return found


def _card(cards: Cards[C], name: str) -> C | None:
    """Return a card, None where there is none that can be read."""
    try:
        return cards[name] if name in cards.names else None
    except InputError:
        return None


@dataclass(frozen=True)
class Item:
    """A topic of the guidelines.

    Attributes:
        topic: in our words.
        claim: its items in CLAIM.
        tripod: its items in TRIPOD+AI.
        answers: what records know; None where they know nothing.
        left: what is left to the authors besides.
    """

    topic: str
    claim: str
    tripod: str
    answers: Callable[[Study], Iterable[str]] | None = None
    left: str = ""


@dataclass(frozen=True)
class Answer:
    """A topic with what is known of it."""

    item: Item
    lines: tuple[str, ...]


def fill(study: Study) -> list[Answer]:
    """Answer every item as far as records and cards know."""
    made = []
    for item in ITEMS:
        known = list(dict.fromkeys(item.answers(study))) if item.answers is not None else []
        left = [f"{AUTHORS}: {item.left}"] if item.left else [] if known else [AUTHORS]
        made.append(Answer(item, (*known, *left)))
    return made


def _sources(study: Study) -> Iterable[str]:
    for record, _ in study.tasks():
        name = record.data.dataset
        if record.data.kind == "phantom":
            yield f"{name}: {GENERATED} Content hash {record.data.hash[:8]}"
        elif name in READERS:
            reader = READERS[name]
            yield f"{reader.title} ({reader.citation}); {reader.licence}; content hash {record.data.hash[:8]}"
        else:
            yield f"{name}; content hash {record.data.hash[:8]}"


def _criteria(study: Study) -> Iterable[str]:
    for record, card in study.tasks():
        if card is None:
            yield f"{record.cell.task}: its card is not here"
        elif card.where:
            chosen = ", ".join(f"{key} = {value}" for key, value in card.where.items())
            yield f"{card.name}: only images with {chosen}"
        else:
            yield f"{card.name}: all images of the release that have the labels"


def _preparation(study: Study) -> Iterable[str]:
    yield "images are decoded to 8 bits of grey, as docs/data.md describes field by field"
    for record, card in study.encoders():
        if card is not None:
            yield f"{record.cell.card}: {card.image.size} x {card.image.size} pixels"


def _subsets(study: Study) -> Iterable[str]:
    trained, without = _trained(study)
    yield from without
    if not trained:
        return
    drawn = sorted({(record.cell.shots, record.cell.fraction) for record in trained})
    shares = [percent(fraction) for shots, fraction in drawn if not shots]
    images = [str(shots) for shots, _ in drawn if shots]
    amounts = [f"{', '.join(shares)} of the labels"] if shares else []
    amounts += [f"{', '.join(images)} images per class"] if images else []
    seeds = sorted({record.cell.seed for record in trained})
    yield (
        f"training on {' and '.join(amounts)}; these are nested, stratified "
        f"and by patient, drawn by hashing patient ids, seeds {', '.join(map(str, seeds))}"
    )


def _trained(study: Study) -> tuple[list[Record], list[str]]:
    """Return the records of tasks that train, and a line that names the others."""
    rest = sorted({record.cell.task for record in study.records if untrained(record.kind)})
    without = [f"{', '.join(rest)}: {UNTRAINED}"] if rest else []
    return [record for record in study.records if not untrained(record.kind)], without


def _missing(study: Study) -> Iterable[str]:
    for record, card in study.tasks():
        if card is not None and record.kind in ("classification", "zero-shot"):
            rules = [f"{label} uncertain: {value}" for label, value in card.uncertain.items()]
            yield f"{card.name}: {'; '.join([*rules, f'label not mentioned: {card.unmentioned}'])}"


def _reference(study: Study) -> Iterable[str]:
    for record, card in study.tasks():
        labels = f": {', '.join(card.labels)}" if card is not None else ""
        yield f"{record.cell.task}: labels of the release of {record.data.dataset}{labels}"


def _partitions(study: Study) -> Iterable[str]:
    for record, card in study.tasks():
        parts = ", ".join(f"{record.data.images[part]} {part}" for part in PARTS if part != "train")
        rule = ""
        if card is not None:
            protocol = _card(study.catalogue.protocols, record.cell.protocol)
            split = protocol.split if protocol is not None else "clean"
            one = card.split.get(split)
            # Lists are of the public releases; generated images have other ids.
            if one is not None and one.ids is not None and record.data.kind == "real":
                rule = f"by the list {one.ids.name}"
            elif one is not None and one.ratios is not None:
                rule = f"at random in the ratio {' : '.join(f'{share:g}' for share in one.ratios)}"
            elif one is not None:
                rule = "as the release assigns" if one.official else "as published work did"
        how = f"images{f', {rule}' if rule else ''}"
        yield f"{record.cell.task}: {parts} {how}; hash {record.data.split_hash[:8]}"
        yield from (f"{record.cell.task}: {text}" for text in record.notes.get(SPLIT_DEFECTS, ()))


def _disjoint(study: Study) -> Iterable[str]:
    leaks = sorted({record.data.leaks for record in study.records} - {""})
    if leaks:
        yield from (f"NOT disjoint: {text}" for text in leaks)
    else:
        yield "by patient; patients, images and near-duplicates across parts were looked for, none was found"


def _sample(study: Study) -> Iterable[str]:
    for record, _ in study.tasks():
        images, positive = record.data.images["test"], record.data.positive["test"]
        yield f"{record.cell.task}: {images} test images, {positive} of them positive"


def _model(study: Study) -> Iterable[str]:
    for record, card in study.encoders():
        if card is None:
            yield f"{record.cell.card}: its card is not here"
            continue
        scale = "small, not the published model" if card.scale == "phantom" else "of published size"
        paper = f" ({card.paper})" if card.paper else ""
        what = f"{card.title}{paper}; {card.image.model}, {scale}, objective {card.objective}"
        yield f"{record.cell.card}: {what}"


def _initial(study: Study) -> Iterable[str]:
    yield sentence(origins(study.found))
    weights: dict[str, set[str]] = defaultdict(set)
    for record in study.records:
        weights[record.cell.card].add(record.encoder.weights)
    for name, digests in sorted(weights.items()):
        known = {"drawn by seed" if digest.startswith("init:") else digest[:16] for digest in digests}
        yield f"{name}: weights {', '.join(sorted(known))}"


def _training(study: Study) -> Iterable[str]:
    protocols: dict[str, set[str]] = defaultdict(set)
    steps: dict[str, set[int]] = defaultdict(set)
    trained, without = _trained(study)
    yield from without
    for record in trained:
        protocols[record.cell.protocol].add(record.kind)
        if isinstance(count := record.notes.get("steps"), int):
            steps[record.cell.task].add(count)
    for name, kinds in sorted(protocols.items()):
        yield f"protocol {name} ({', '.join(sorted(kinds))}): g2d-bench show {name}"
    for task, counts in sorted(steps.items()):
        yield f"{task}: {min(counts)} to {max(counts)} steps"


def _selection(study: Study) -> Iterable[str]:
    legacy = sorted({r.cell.protocol for r in study.records if r.cell.protocol.startswith(LEGACY)})
    yield "checkpoints, regularisation and thresholds are chosen on the validation part"
    yield from (
        f"protocol {name} repeats what published code did, choices on the test part included"
        for name in legacy
    )


def _metrics(study: Study) -> Iterable[str]:
    for name in sorted(
        {metric for record in study.records for metric in record.metrics if "/" not in metric}
    ):
        try:
            yield f"{name}: {metric_spec(name).description}"
        except InputError:
            yield name


def _uncertainty(study: Study) -> Iterable[str]:
    yield (
        f"{LEVEL:.0%} percentile intervals of {REPLICATES} bootstrap draws of test patients; differences "
        "between encoders on the same draws (paired), p corrected by Holm; standard deviation over seeds"
    )


def _external(study: Study) -> Iterable[str]:
    known = origins(study.found)
    for name, one in known.items():
        if one.pretraining is None:
            yield f"{name}: what it was pre-trained on is not known"
    seen: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for found in study.found:
        if saw := seen_by(found):
            seen[found.cell.encoder, "images and labels" if saw == "labels" else "images"][
                found.record.tested_on
            ] = None
    for (name, what), sets in seen.items():
        yield f"{name} has seen {what} of {', '.join(sets)} in pre-training: not external there"
    if all(record.data.kind == "phantom" for record in study.records):
        yield "no number is on real data"


def _imbalance(study: Study) -> Iterable[str]:
    for record, _ in study.tasks():
        shares = ", ".join(
            f"{part} {record.data.positive[part]}/{record.data.images[part]}" for part in ("val", "test")
        )
        yield f"{record.cell.task}: positive images: {shares}"


def _performance(study: Study) -> Iterable[str]:
    for number in study.numbers:
        record, digits = number.found[0].record, 1 if number.spec.share else 3
        limits = "" if number.low != number.low else f" [{number.low:.{digits}f}, {number.high:.{digits}f}]"
        unit = " %" if number.spec.share else ""
        drawn = UNTRAINED if untrained(record.kind) else record.cell.amount
        where = f"{record.cell.task}, {drawn}, {record.cell.protocol}"
        yield f"{where}: {number.encoder} {number.metric} {number.value:.{digits}f}{limits}{unit}"


def _software(study: Study) -> Iterable[str]:
    versions: dict[str, set[str]] = defaultdict(set)
    for record in study.records:
        for name, version in record.versions.items():
            versions[name].add(version)
    yield "; ".join(f"{name} {', '.join(sorted(found))}" for name, found in sorted(versions.items()))


def _hardware(study: Study) -> Iterable[str]:
    machines = {
        f"{r.hardware.get('processor') or r.hardware.get('machine', '?')}, "
        f"{r.hardware.get('accelerator', 'no accelerator')}"
        for r in study.records
    }
    hours = sum(sum(record.seconds.values()) for record in study.records) / 3600
    yield f"{'; '.join(sorted(machines))}; {hours:.1f} hours for {len(study.found)} cells"


def _available(study: Study) -> Iterable[str]:
    commits = sorted({record.commit for record in study.records} - {""})
    yield f"g2d-bench, Apache-2.0, commits {', '.join(commits)}; each record holds the command to repeat it"
    for record, card in study.encoders():
        if card is not None:
            yield f"weights of {record.cell.card}: {card.licence or 'licence not stated'}"
    yield "records with predictions: g2d-bench submit"


ITEMS = (
    Item("what kind of study it is, in title and abstract", "1-2", "1-2"),
    Item("background, clinical role, aims", "3-4", "3a-c, 4"),
    Item(
        "retrospective or prospective, goal",
        "5-6",
        "5a",
        lambda _: ["retrospective: a comparison on released data sets"],
    ),
    Item("sources of data", "7", "5a-b", _sources, "dates and places of the examinations"),
    Item("who and what is included", "8", "6a-c", _criteria, "as the releases describe it"),
    Item("preparation of data", "9", "7, 12b", _preparation),
    Item("subsets of data", "10", "12a", _subsets),
    Item("de-identification", "11", "", None, "as the releases describe it"),
    Item("missing and uncertain labels", "12", "11", _missing),
    Item("acquisition of images", "13", "9a-c", None, "views and devices, as the releases describe them"),
    Item(
        "reference standard",
        "14-16",
        "8a-c",
        _reference,
        "how the release's labels came about, and why they serve",
    ),
    Item(
        "annotation of the test set, agreement of readers",
        "17-18",
        "8b-c",
        None,
        "as the releases describe it",
    ),
    Item("assignment to training, validation and test", "19", "12a", _partitions),
    Item("at which level these are disjoint", "20", "12a", _disjoint),
    Item("size of the test set", "21", "10", _sample),
    Item("model", "22", "12c, 22", _model),
    Item("software that makes the predictions", "23", "12g", _software),
    Item("initialisation and pre-training", "24", "12c", _initial),
    Item("training", "25", "12c", _training),
    Item("choice of the final model, thresholds", "26", "12c, 15", _selection),
    Item("ensembles", "27", "12c", lambda _: ["none: one model per seed"]),
    Item("imbalance of classes", "", "13", _imbalance),
    Item("fairness, subgroups", "", "14", None, "which groups were looked at, and which not"),
    Item("measures of performance", "28", "12e", _metrics),
    Item("uncertainty and significance", "29", "12e", _uncertainty),
    Item("robustness", "30", "12d"),
    Item("explanation of decisions", "31", ""),
    Item("internal and external test data, contamination", "32-33", "16", _external),
    Item("registration, ethics, protocol", "34, 42", "17, 18c-d"),
    Item(
        "numbers included, characteristics of each part", "35-36", "20a-c, 21", _sample, "age, sex, severity"
    ),
    Item("performance with its uncertainty", "37-38", "23a-b", _performance),
    Item("updating of models after the test", "", "12f, 24", lambda _: ["none"]),
    Item("analysis of failures", "39", ""),
    Item("limitations, implications, use", "40-41", "25-27"),
    Item("availability of code, weights, data", "43", "18e-f", _available),
    Item("machines and time", "", "", _hardware),
    Item("funding, conflicts, involvement of patients", "44", "18a-b, 19"),
)
"""All items of both guidelines, in the order of CLAIM."""
