"""How far the text of generated reports has the variety of real ones: one table, the same rules for all.

    python benchmarks/report_statistics.py --real FOLDER [--count 3900] [--before FILE.json] [--out FILE.json]

FOLDER holds ``annotations/nlmcxr/NLMCXR_reports.tgz``, the reports of the Indiana University collection
(Open-i). Findings and impression are read, cut into sentences and words as encoders in training read them.
What is there is known of generated reports from their scene, of real ones from the headings of their
indexers; how a name is meant (stated, hedged, denied) is told by the words before it, for all alike.

``--out`` keeps the figures, ``--before`` shows those kept earlier beside the new ones. Nothing of a real
report is kept or printed but counts; ``--copied`` prints the generated sentences that stand in real reports.
"""

from __future__ import annotations

import argparse
import json
import lzma
import random
import re
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from g2d_bench.errors import InputError
from g2d_bench.phantom import PROFILES
from g2d_bench.phantom.labels import COVID, DEVICES, OBJECT
from g2d_bench.phantom.reports import write_report
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.writers import openi
from g2d_bench.readers.reports import Report, read_nlmcxr, split_sentences

NAMED = ("mimic-cxr", "openi")
ARCHIVE = Path("annotations") / "nlmcxr" / "NLMCXR_reports.tgz"
SECTIONS = ("findings", "impression")
LONG = 6
"""Words from which on a sentence is more than a formula."""

_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*|\d+(?:\.\d+)?")
_DENIED = re.compile(
    r"\b(?:no|not|nothing|without|free of|clear of|negative for|absent|nor|neither|resolved|resolution|"
    r"clearing|rather than|exclude an?|w/o)\b"
)
_NEITHER = re.compile(
    r"\bno (?:\w+ ){0,2}change|\bnot (?:significantly|definitely|be|entirely)\b|\bnot there on\b"
)
"""What sounds like a denial of something and is none."""
_HEDGED = re.compile(
    r"\b(?:may|might|could|possibl[ey]|probabl[ey]|questionable|suspected|suspicious|exclude[d]?|likely|versus|"
    r"vs|perhaps|suggest\w*|concern\w*|equivocal|appears?|borderline)\b|\?"
)
_ENDS = re.compile(r"\b(?:but|however|although|though|except|otherwise|aside from)\b|;")
_SIDES = ("left", "right", "bilateral", "bilaterally", "both", "left-sided", "right-sided", "bibasilar")
_ABBREVIATED = re.compile(r"\b[A-Z]{2,5}s?\b")
_MARK = re.compile(r"X{4,}|_{3,}")

NAMES = {
    "Pneumonia": r"pneumonias?|pneumonic",
    "Pneumothorax": r"pneumothora\w+|ptx",
    "Effusion": r"effusions?",
    "Consolidation": r"consolidations?",
    "Edema": r"(?:o?edema)",
    "Cardiomegaly": r"cardiomegaly|(?:heart|cardiac)(?: \w+){0,4} enlarge\w*"
    r"|enlarge\w*(?: \w+){0,3} (?:heart|cardiac)",
    "Atelectasis": r"atelecta\w+",
    "Infiltration": r"infiltrat\w+",
    "Mass": r"mass(?:es)?",
    "Nodule": r"nodul\w+",
    "Emphysema": r"emphysem\w+",
    "Fibrosis": r"fibro\w+",
    "Hernia": r"hernia\w*",
    "Fracture": r"fractur\w+",
    "Pleural_Thickening": r"pleural thickening|thickening of the pleura",
}
"""Label to the words that name it."""

HEADINGS = {
    "Effusion": "pleural effusion",
    "Edema": "pulmonary edema",
    "Atelectasis": "pulmonary atelectasis",
    "Infiltration": "infiltrate",
    "Emphysema": "pulmonary emphysema",
    "Fibrosis": "pulmonary fibrosis",
    "Hernia": "hernia",
    "Fracture": "fractures, bone",
    "Pleural_Thickening": "thickening",
}
"""Label to the start of the indexers' heading; of the others it is the label itself."""
_FIND = {label: re.compile(rf"\b(?:{names})\b") for label, names in NAMES.items()}


@dataclass(frozen=True)
class Told:
    """One report: its two sections as written, and the labels that are there."""

    sections: tuple[str, str]
    present: frozenset[str]
    normal: bool

    @property
    def sentences(self) -> tuple[list[str], list[str]]:
        """Sentences of findings and of impression."""
        return split_sentences(self.sections[0]), split_sentences(self.sections[1])


def words_of(text: str) -> list[str]:
    """Cut text into small words and numbers."""
    return _WORD.findall(text.lower())


def real_reports(folder: Path) -> list[Told]:
    """Read Open-i's reports with their headings.

    Raises:
        InputError: there are none.
    """
    archive = folder / ARCHIVE
    if not archive.is_file():
        raise InputError("not there; it holds the real reports", file=archive)
    reports: dict[str, Report] = {report.id: report for report in read_nlmcxr(archive)}
    found = []
    with tarfile.open(archive) as files:
        for member in files:
            content = files.extractfile(member) if member.name.endswith(".xml") else None
            if content is None:
                continue
            root = ElementTree.fromstring(content.read())
            report = reports.get(next((uid.get("id", "") for uid in root.iter("uId")), ""))
            if report is None or not (report["findings"] or report["impression"]):
                continue
            headings = [(major.text or "").strip().lower() for major in root.iter("major")]
            present = frozenset(
                label
                for label in NAMES
                if any(heading.startswith(HEADINGS.get(label, label.lower())) for heading in headings)
            )
            found.append(Told((report["findings"], report["impression"]), present, headings == ["normal"]))
    return found


def generated_reports(name: str, count: int) -> tuple[list[Told], float]:
    """Write reports; also return the microseconds that one takes."""
    scenes = [sample_scene(name, index, seed=0, profile=PROFILES[name]) for index in range(count)]
    start = time.process_time()
    reports = [write_report(scene) for scene in scenes]
    spent = 1e6 * (time.process_time() - start) / count
    found = []
    for scene, report in zip(scenes, reports, strict=True):
        labels = scene.labels - {DEVICES, OBJECT}
        present = {"Pneumonia" if label == COVID else label for label in labels}
        sections = tuple(report.sections.get(section, "") for section in SECTIONS)
        if name == "openi":
            sections = tuple(openi.masked(scene, text) for text in sections)
        found.append(Told((sections[0], sections[1]), frozenset(present & set(NAMES)), not labels))
    return found, spent


def meaning(sentence: str, start: int, end: int) -> str:
    """Say how a name that stands there is meant: "denied", "hedged" or "stated"."""
    ends = [match.end() for match in _ENDS.finditer(sentence[:start])]
    scope = _NEITHER.sub("", sentence[ends[-1] if ends else 0 : end])
    after = _NEITHER.sub("", sentence[end:])
    if _DENIED.search(scope) or re.search(
        r"\b(?:is|are|has|have) (?:not|resolved|absent|gone|cleared)\b|\bno longer\b", after
    ):
        return "denied"
    return "hedged" if _HEDGED.search(sentence) else "stated"


def meanings(sentences: Iterable[str]) -> dict[str, set[str]]:
    """Label to the ways in which one report names it."""
    found: dict[str, set[str]] = {}
    for sentence in sentences:
        small = sentence.lower()
        for label, pattern in _FIND.items():
            for match in pattern.finditer(small):
                found.setdefault(label, set()).add(meaning(small, *match.span()))
    return found


def mistyped(counts: Counter[str]) -> int:
    """Count words that a common one becomes by a letter left out, doubled or swapped with its neighbour."""
    wrong: set[str] = set()
    for word, count in counts.items():
        if count >= 40 and len(word) >= 6 and word.isalpha():
            for place in range(1, len(word) - 1):
                wrong.add(word[:place] + word[place + 1 :])
                wrong.add(word[:place] + word[place] + word[place:])
                wrong.add(word[:place] + word[place + 1] + word[place] + word[place + 2 :])
    return sum(count for word, count in counts.items() if word in wrong and count <= 12)


def statistics(told: Sequence[Told]) -> dict[str, float]:
    """Measure all that the table shows; shares in percent."""
    parts = [report.sentences for report in told]
    both = [[*findings, *impression] for findings, impression in parts]
    flat = [sentence for one in both for sentence in one]
    cut = [words_of(sentence) for sentence in flat]
    tokens = [word for sentence in cut for word in sentence]
    counts = Counter(tokens)
    raw = [" ".join(report.sections) for report in told]
    found: dict[str, float] = {"reports": len(told)}

    def share(name: str, part: float, whole: float) -> None:
        found[name] = 100 * part / whole if whole else float("nan")

    for place, section in enumerate(SECTIONS):
        lengths = sorted(len(words_of(" ".join(one[place]))) for one in parts if one[place])
        share(f"{section}: there", len(lengths), len(told))
        found[f"{section}: words"] = sum(lengths) / len(lengths)
        for part in (10, 50, 90):
            found[f"{section}: words, {part}th percentile"] = lengths[len(lengths) * part // 100]
        found[f"{section}: sentences"] = sum(len(one[place]) for one in parts) / len(lengths)
    sizes = sorted(map(len, cut))
    found["words per sentence"] = len(tokens) / len(cut)
    found["words per sentence, 90th percentile"] = sizes[len(sizes) * 9 // 10]
    for many in (10_000, 50_000):
        found[f"vocabulary at {many:,} words"] = len(set(tokens[:many]))
    first = Counter(tokens[:50_000])
    share("words seen once, of the vocabulary", sum(n == 1 for n in first.values()), len(first))
    pairs = [pair for one in cut for pair in pairwise(one)][:40_000]
    share("distinct pairs of words", len(set(pairs)), len(pairs))
    text = " ".join(" ".join(one) for one in cut)[:250_000].encode()
    share("size when compressed", len(lzma.compress(text)), len(text))
    share("distinct sentences", len(set(map(tuple, cut))), len(cut))
    long = [tuple(one) for one in cut if len(one) >= LONG]
    share(f"distinct sentences of {LONG} words and more", len(set(long)), len(long))
    whole = Counter(" ".join(words_of(" ".join(one))) for one in both)
    share("reports that another repeats", sum(n for n in whole.values() if n > 1), len(told))
    share("sentences that deny", sum(bool(_DENIED.search(one.lower())) for one in flat), len(flat))
    share("sentences that hedge", sum(bool(_HEDGED.search(one.lower())) for one in flat), len(flat))
    share("normal", sum(report.normal for report in told), len(told))
    share("words of side", sum(counts[word] for word in _SIDES), len(tokens))
    share("numbers", sum(n for word, n in counts.items() if word[0].isdigit()), len(tokens))
    short = sum(len(_ABBREVIATED.findall(_MARK.sub("", one))) for one in raw if not one.isupper())
    found["abbreviations in 1,000 words"] = 1000 * short / len(tokens)
    found["marks in 1,000 words"] = 1000 * sum(len(_MARK.findall(one)) for one in raw) / len(tokens)
    found["mistyped in 10,000 words"] = 1e4 * mistyped(counts) / len(tokens)
    ways = [meanings(one) for one in both]
    apart = [
        (report, meanings([sentence])) for report, one in zip(told, both, strict=True) for sentence in one
    ]
    for label in NAMES:
        named = [(report, way[label]) for report, way in zip(told, ways, strict=True) if label in way]
        there = [
            way.get(label, set()) for report, way in zip(told, ways, strict=True) if label in report.present
        ]
        share(f"{label}: present", len(there), len(told))
        share(f"{label}: named", len(named), len(told))
        share(f"{label}: named in denials only", sum(way == {"denied"} for _, way in named), len(told))
        share(f"{label}: stated by name, where present", sum("stated" in way for way in there), len(there))
        share(
            f"{label}: named but to deny, where present",
            sum(bool(way - {"denied"}) for way in there),
            len(there),
        )
        alone = [(report, way[label]) for report, way in apart if label in way]
        share(
            f"{label}: denied, of sentences that name it", sum(w == {"denied"} for _, w in alone), len(alone)
        )
        share(
            f"{label}: present, of sentences that name it",
            sum(label in report.present for report, _ in alone),
            len(alone),
        )
        for title, want in (
            ("named", lambda way: True),
            ("stated", lambda way: "stated" in way),
            ("hedged only", lambda way: "stated" not in way and "hedged" in way),
            ("denied only", lambda way: way == {"denied"}),
        ):
            chosen = [report for report, way in named if want(way)]
            share(
                f"{label}: present, where {title}",
                sum(label in report.present for report in chosen),
                len(chosen),
            )
    return found


def copied(told: Sequence[Told], real: Sequence[Told]) -> tuple[dict[str, float], list[str]]:
    """Share of generated sentences that stand word by word in real reports, and the longer of them."""
    known = {tuple(words_of(one)) for report in real for part in report.sentences for one in part}
    mine = [tuple(words_of(one)) for report in told for part in report.sentences for one in part]
    found: dict[str, float] = {}
    for least in (1, LONG, 8, 10):
        long = [one for one in mine if len(one) >= least]
        kinds = set(long)
        found[f"standing in real reports, of sentences of {least} words and more"] = (
            100 * sum(one in known for one in long) / max(1, len(long))
        )
        found[f"the same, each sentence once, {least} words and more"] = (
            100 * sum(one in known for one in kinds) / max(1, len(kinds))
        )
    often = Counter(" ".join(one) for one in mine if len(one) >= LONG and one in known)
    return found, [f"{count:5} {one}" for one, count in often.most_common()]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--real", type=Path, required=True)
    options.add_argument("--count", type=int, default=3900)
    options.add_argument("--before", type=Path)
    options.add_argument("--out", type=Path)
    options.add_argument("--copied", action="store_true")
    given = options.parse_args()
    try:
        real = real_reports(given.real)
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
    random.Random(0).shuffle(real)
    table = {"real": statistics(real)}
    for name in NAMED:
        told, spent = generated_reports(name, given.count)
        figures, repeated = copied(told, real)
        table[name] = statistics(told) | figures | {"microseconds per report": spent}
        if given.copied:
            print("\n".join((f"{name}:", *repeated)))
    if given.before is not None:
        before = json.loads(given.before.read_text())
        columns = {"real": table["real"]}
        for name in NAMED:
            columns |= {f"{name} before": before[name], name: table[name]}
    else:
        columns = table
    print(f"| | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for row in table[NAMED[0]]:
        values = (column.get(row, float("nan")) for column in columns.values())
        shown = ("–" if value != value else f"{value:,.1f}" for value in values)
        print(f"| {row} | {' | '.join(shown)} |")
    if given.out is not None:
        given.out.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
