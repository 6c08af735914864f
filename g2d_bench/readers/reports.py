"""Free-text radiology reports: sections, sentences, de-identification marks.

Reports are typed by people: headings come in capitals or not, with a colon or without one, on a line of
their own or in the middle of it; sections are missing, merged or repeated. The rules here were read off the
layouts of MIMIC-CXR (text files with headings and blank lines) and of the Indiana University collection
(one XML element per section), and they fall back to the unheaded paragraphs where a report has no findings
and no impression.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from g2d_bench.errors import InputError
from g2d_bench.readers.report_files import parse_xml, report_bytes, xml_files
from g2d_bench.readers.report_markup import decode, plain
from g2d_bench.readers.scripts import QUOTES, STOPS, WORD, WORDS, tells

SECTIONS: Mapping[str, tuple[str, ...]] = {
    "findings": (
        "findings and impression",
        "findings/impression",
        "findings / impression",
        "impression and findings",
        "impression/findings",
        "findings",
        "finding",
    ),
    "impression": ("impressions", "impression", "conclusions", "conclusion", "opinion", "summary"),
    "indication": (
        "indications",
        "indication",
        "clinical information",
        "clinical history",
        "clinical indications",
        "clinical indication",
        "clinical data",
        "clinical details",
        "clinical question",
        "clinical background",
        "patient history",
        "history",
        "reason for examination",
        "reason for exam",
        "reason for the exam",
        "reason for the examination",
        "reason for this examination",
        "reason for referral",
        "reason for study",
    ),
    "comparison": ("comparisons", "comparison", "comparison studies", "comparison study", "comparison exam"),
    "technique": ("techniques", "technique", "procedure", "views"),
    "examination": ("examination", "exam", "study", "type of examination", "type of exam", "exam date"),
    "wet read": ("wet read", "preliminary report", "preliminary read"),
    "addendum": ("final addendum", "addendum"),
    "recommendation": ("recommendations", "recommendation(s)", "recommendation"),
    "notification": ("notifications", "notification"),
}
"""Section names and the headings, in lower case, that open them. A combined section counts as findings."""

BODY = "body"
"""The section of text under no heading; the text of reports without findings and impression."""

MIN_WORDS = 2
"""Sentences with fewer words are dropped where longer ones are left (MGCA drops those of one token)."""

_NAME_OF = {alias: name for name, aliases in SECTIONS.items() for alias in aliases}
_LONGEST_FIRST = sorted(_NAME_OF, key=len, reverse=True)
_ANY = "|".join(re.escape(alias).replace(r"\ ", r"[ \t]+") for alias in _LONGEST_FIRST)
_CAPS = "|".join(re.escape(alias.upper()).replace(r"\ ", r"[ \t]+") for alias in _LONGEST_FIRST)
_HEADINGS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        # With a colon: at the start of a line in any case; after a sentence or a heading only with
        # a capital, since "..., comparison: none" is prose.
        rf"^[ \t]*(?P<name>(?i:{_ANY}))[ \t]*:",
        rf"(?<=[.!?:\])])[ \t]+(?=[A-Z])(?P<name>(?i:{_ANY}))[ \t]*:",
        # Without one: alone on its line; or in capitals at the head of a paragraph.
        rf"^[ \t]*(?P<name>(?i:{_ANY}))[ \t]*$",
        rf"(?:\A|\n[ \t]*\n)[ \t]*(?P<name>{_CAPS})[ \t]+(?!(?:WERE|ARE|HAVE|HAS|WAS|IS|OF)\b)(?=[A-Z0-9_])",
        # "PORTABLE AP CHEST:" opens the findings in older reports.
        r"^[ \t]*(?P<view>[A-Z][A-Z0-9 ,/()&-]{0,150}\b(?:CHEST|VIEWS?|RADIOGRAPHS?|PORTABLE|LATERAL)\b"
        r"[A-Z0-9 ,/()&-]{0,150}):",
        # A rule, or the line that starts the signed report, ends whatever section stands above it.
        r"^[ \t]*(?P<end>_{10,}|FINAL REPORT)[ \t]*$",
    )
)
# Sections of a line or two, after which an unheaded paragraph is the report itself.
_SHORT = ("indication", "comparison", "technique", "examination")

# Whatever is repeated here is taken whole and once: many unfinished marks would take hours.
_MARK = r"(?:_{2,}|\[\*\*[^\[\]]*+(?<=[^\[]\*\*)\]|X{4,})"
# A mark goes with what it leaves hanging: the title before it, the suffix glued to it, and, where the clause
# ends with it, the preposition ("compared to the radiograph of ___.").
_MARKED = re.compile(
    rf"(?:\b(?:Drs?|Mrs?|Ms)\.?[ \t]+)?[-/]?{_MARK}(?:['’]\w{{0,2}}|[-/]|(?:AM|PM|[ap]\.?m\.?)\b)*"
)
_HANGING = re.compile(
    r"(?<!\s)(?:\s++(?:\0|(?:on|dated|at|from|since|of|by|to|in|with|and|the|a|an|for)(?=\s)))++"
)
_CLAUSE_ENDS = re.compile(r"\s*+(?:[.,;:)]|$)")
_FUNCTION_WORDS = re.compile(
    r"the|an|is|are|was|were|be|been|ha[sd]|have|and|or|of|on|in|at|to|by|with|for|from|as|no|not|there|this|that"
    r"|its?|seen|noted|also|again|grossly|normal|intact|unremarkable",
    re.IGNORECASE,
)

_ABBREVIATION = re.compile(
    r"(?:^|[\s(])(?:drs?|mrs?|ms|vs|approx|cf|st|fig|jr|resp|e\.g|i\.e)$", re.IGNORECASE
)
_BEFORE_LOWER = re.compile(r"(?:^|[\s(\d])(?:[ap]\.m|etc|cm|mm|in|inc|no)$", re.IGNORECASE)
_STOP = re.compile(
    rf"(?<![.!?])[.!?]++[”’]*+(?=[\s)\]\"']|$|(?<=[a-z)\0 ]\.)[A-Z][a-z])|[{STOPS}]++[{QUOTES}]*+"
)
NEAR = 12
"""Characters around a stop that decide whether it ends a sentence."""
_ITEM = re.compile(r"^(?:\(?\d{1,2}[.)]|[-*•–])\s*(?=\D|$)")
_PARAGRAPH = re.compile(r"\n[ \t]*\n|\n[ \t]*(?=(?:[-*•–]|\(?\d{1,2}[.)])[ \t]+\S)")


@dataclass(frozen=True, slots=True)
class Report:
    """One report, split at its headings.

    Attributes:
        id: file stem or accession, for messages.
        sections: section name (a key of :data:`SECTIONS`, or :data:`BODY`) to the text as written.
    """

    id: str = ""
    sections: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> str:
        """Return the text of one section, "" where the report has none."""
        return self.sections.get(name, "")


def parse_report(text: str, *, id: str = "") -> Report:
    """Split a report at its headings.

    Args:
        text: the report as stored, line breaks and mark-up included; see
            :func:`g2d_bench.readers.report_markup.plain`.
        id: kept in the result.

    Returns:
        The sections found; a repeated section is joined by a blank line. Text before the first heading,
        and paragraphs that follow the short indication, comparison, technique or examination without a
        heading of their own, make the section :data:`BODY`.
    """
    text = plain(text, _ANY)
    cuts: dict[int, tuple[int, str]] = {}
    for pattern in _HEADINGS:
        for match in pattern.finditer(text):
            groups = match.groupdict()
            if groups.get("name"):
                name = _NAME_OF[" ".join(groups["name"].lower().split())]
            else:
                name = "findings" if groups.get("view") else BODY
            start = match.start() + len(match.group()) - len(match.group().lstrip())
            cuts.setdefault(start, (match.end(), name))
    parts: dict[str, list[str]] = {}
    starts = sorted(cuts)
    parts.setdefault(BODY, []).append(_without_titles(text[: starts[0]] if starts else text))
    for start, stop in zip(starts, [*starts, len(text)][1:], strict=True):
        end, name = cuts[start]
        chunk = text[end:stop].strip()
        if name in _SHORT:
            first, *rest = re.split(r"\n[ \t]*\n", chunk, maxsplit=1)
            parts.setdefault(name, []).append(first)
            parts[BODY] += rest
        elif name == BODY:
            parts[BODY].append(_without_titles(chunk))
        else:
            parts.setdefault(name, []).append(chunk)
    joined = {name: "\n\n".join(filter(None, map(str.strip, chunks))) for name, chunks in parts.items()}
    return Report(id, {name: chunk for name, chunk in joined.items() if chunk})


def clean(text: str) -> str:
    """Remove de-identification marks and what they leave behind; put the rest on one line.

    Args:
        text: part of a report.

    Returns:
        The text without marks, stray brackets, doubled stops and spaces; "" if no word is left.
    """
    return _tidy(_unmarked(text).replace("\0", " "))


def split_sentences(text: str) -> list[str]:
    """Split running text into sentences.

    Blank lines and list items (``1.``, ``2)``, ``-``) end a sentence; decimals, ``a.m.``, ``Dr.``, ``vs.``
    and units before a small letter do not; a stop glued to the next capital (``clear.No``) does.

    Args:
        text: one section as written.

    Returns:
        Cleaned sentences with their final stop (one is added where it is missing), list numbers removed;
        none is empty, each has at least one word of two letters, or a sign that is a word.
    """
    found: list[str] = []
    for block in _blocks(_unmarked(text)):
        block = " ".join(block.split())
        start = 0
        for stop in _STOP.finditer(block):
            # A few characters tell; all of them, at every stop, would take hours for a text of abbreviations.
            before = block[max(start, stop.start() - NEAR) : stop.start()]
            after = block[stop.end() : stop.end() + NEAR].lstrip()
            if _ABBREVIATION.search(before) or (after[:1].islower() and _BEFORE_LOWER.search(before)):
                continue
            if stop.start() - start < NEAR and re.fullmatch(r"\s*\d{1,2}", before):  # a list number
                continue
            found.append(block[start : stop.end()])
            start = stop.end()
        found.append(block[start:])
    return [_stopped(tidy) for sentence in found if (tidy := _tidy_sentence(sentence))]


def impression_and_findings(
    report: Report | str, *, min_words: int = MIN_WORDS
) -> tuple[list[str], list[str]]:
    """Return what the report says of the image, as the sentences of its two sections.

    A report with neither gives its unheaded paragraphs as findings, and one without these its preliminary
    reading.

    Args:
        report: a parsed report, or its text.
        min_words: shorter sentences are dropped, unless nothing else is left.
    """
    if isinstance(report, str):
        report = parse_report(report)
    impression, findings = split_sentences(report["impression"]), split_sentences(report["findings"])
    if not impression and not findings:
        findings = split_sentences(report[BODY]) or split_sentences(report["wet read"])
    long = [[one for one in part if len(WORDS.findall(one)) >= min_words] for part in (impression, findings)]
    return (long[0], long[1]) if any(long) else (impression, findings)


def sentences(report: Report | str, *, min_words: int = MIN_WORDS) -> list[str]:
    """Return the sentences of the impression, then of the findings; see :func:`impression_and_findings`."""
    impression, findings = impression_and_findings(report, min_words=min_words)
    return impression + findings


def report_text(report: Report | str) -> str:
    """Return impression and findings as one cleaned paragraph, "" for a report that says nothing.

    Args:
        report: a parsed report, or its text.
    """
    return " ".join(sentences(report))


def read_report(path: Path) -> Report:
    """Read one report from a text file.

    Raises:
        InputError: the file is missing or not text.
    """
    try:
        raw = report_bytes(path)
    except FileNotFoundError:
        raise InputError("no such report", file=path) from None
    if raw.lstrip().startswith(b"{\\rtf"):
        raise InputError("rich text (RTF), not a text file; export the report as plain text", file=path)
    try:
        text = decode(raw)
    except ValueError:
        text = "\0"
    if "\0" in text:
        raise InputError("not a text file", file=path)
    return parse_report(text, id=path.stem)


def read_nlmcxr(source: Path) -> list[Report]:
    """Read the Indiana University reports (NLMCXR, Open-I).

    Args:
        source: ``NLMCXR_reports.tgz``, or the folder that it unpacks to.

    Returns:
        One report per XML file with text in any section, ordered by number; the id is the accession
        (``CXR17``). Headings that were typed inside a section are honoured.

    Raises:
        InputError: missing or damaged archive, XML that does not parse, or no report at all.
    """
    reports = [_nlmcxr_report(name, data) for name, data in xml_files(source)]
    if not reports:
        raise InputError("no report (*.xml) found", file=source)
    return sorted(reports, key=lambda report: (len(report.id), report.id))


def _without_titles(text: str) -> str:
    """Drop the lines in capitals ("CHEST RADIOGRAPH PERFORMED ON ...") that precede the first heading."""
    if not tells(text):
        return text if "." in text else ""
    return "\n".join(line for line in text.split("\n") if tells(line) or not line.strip())


def _unmarked(text: str) -> str:
    """Replace each mark, with what hangs on it, by a NUL."""
    if "&" in text:
        text = html.unescape(text)
    text = re.sub(r"\b([Xx])-X{4,}", r"\1-ray", text)  # Indiana masks the "ray" of "x-ray"
    marked = _MARKED.sub(" \0 ", text)
    return marked if marked == text else _HANGING.sub(_without_hanging, marked)


def _without_hanging(chain: re.Match[str]) -> str:
    """Keep the last mark of a chain of marks and small words that ends a clause; any other chain stays."""
    words = chain[0]
    ends = words.endswith("\0") and _CLAUSE_ENDS.match(chain.string, chain.end())
    return " \0" if ends else words


def _tidy(text: str) -> str:
    """Put text on one line, without brackets that mean nothing and without doubled stops."""
    text = re.sub(r"[\[\]]|<(?!\s*\d)|>(?!\s*\d)", " ", text)
    text = re.sub(r"\(\s*[,;.]*\s*\)", " ", text)
    text = " ".join(text.split())
    text = re.sub(r"\s+([.,;:!?)])", r"\1", text)
    text = re.sub(r"([.,;:!?])(?:\s*[.,;]){1,99}+(?=\s|$)", r"\1", text)
    text = re.sub(r"^[\s.,;:!?/'’)-]+", "", text)
    return text if WORD.search(text) else ""


def _tidy_sentence(sentence: str) -> str:
    """Tidy one sentence; "" if it is only a list number, or if a mark took its subject ("XXXX is intact")."""
    tidy = _tidy(_ITEM.sub("", _tidy(sentence.replace("\0", " "))))
    if "\0" in sentence:
        words = [word for word in WORD.findall(tidy) if not _FUNCTION_WORDS.fullmatch(word)]
        return tidy if words else ""
    return tidy


def _blocks(text: str) -> Iterator[str]:
    """Cut text at blank lines, bullets and the items of a numbered list."""
    for paragraph in _PARAGRAPH.split(text):
        start, number = 0, 1
        # Only the next number in the count (or a new 1) opens an item: "ribs 8 and 9." opens none.
        while item := re.compile(rf"(?<![\w.,-])\(?({number}|1)[.)]\s*(?=[A-Z\0])").search(paragraph, start):
            yield paragraph[start : item.start()]
            start, number = item.end(), int(item.group(1)) + 1
        yield paragraph[start:]


def _stopped(sentence: str) -> str:
    """End a sentence with a stop."""
    ends = sentence.rstrip(QUOTES)[-1:] in (".", "!", "?", *STOPS)
    return sentence if ends else sentence.rstrip(",;:- ") + "."


def _nlmcxr_report(name: str, data: bytes) -> Report:
    """Parse one Open-I XML file."""
    root = parse_xml(data, name)
    accession = root.find("uId")
    said = [(element.get("Label", ""), "".join(element.itertext())) for element in root.iter("AbstractText")]
    parts = [f"{label}:\n{text.strip()}" for label, text in said if text.strip()]
    identity = accession.get("id", "") if accession is not None else ""
    return parse_report("\n\n".join(parts), id=identity or Path(name).stem)
