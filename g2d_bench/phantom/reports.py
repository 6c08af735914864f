"""Reports and phrases of a scene: what a radiologist might write, which is not a list of labels.

Findings are named with synonyms, sides, regions and extents; some are missed, hedged or only hinted at; what
is absent is sometimes denied; priors are compared with; and much is said that concerns no finding.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from g2d_bench.phantom.labels import COVID, DEVICES, OBJECT, chexpert_of
from g2d_bench.phantom.scene import Finding, Scene
from g2d_bench.phantom.seeds import Stream, stream
from g2d_bench.phantom.words import WORDS

Rng = Stream


@dataclass(frozen=True, slots=True)
class Report:
    """A report.

    Attributes:
        text: as filed, with headings, line breaks and de-identification marks.
        sections: heading in lower case to its text on one line.
        mentions: CheXpert label to 1 (stated), 0 (denied) or -1 (hedged); absent: not mentioned.
    """

    text: str
    sections: Mapping[str, str]
    mentions: Mapping[str, int]


def _one(rng: Rng, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]


def _size(rng: Rng, finding: Finding) -> str:
    steps = WORDS.sizes.get(finding.label, WORDS.sizes["default"])
    level = float(np.clip(finding.severity + rng.normal(0, 0.06), 0, 0.999))
    return _one(rng, steps[int(level * 4)])


def phrase_of(finding: Finding, rng: Rng) -> str:
    """Say a finding in a few words, such as ``small left apical pneumothorax``.

    Args:
        finding: no device and no foreign object.
        rng: chooses among the wordings.
    """
    label = finding.label
    size, noun, zone = (
        _size(rng, finding),
        _one(rng, WORDS.nouns[label]),
        _one(rng, WORDS.zones[finding.zone]),
    )
    side = finding.side
    if side == "bilateral":
        side = _one(
            rng, ("bilateral", "bilateral", "diffuse bilateral" if label in ("Edema", COVID) else "bilateral")
        )
    if label in ("Cardiomegaly", "Enlarged Cardiomediastinum", "Hernia", "Emphysema"):
        side = zone = ""
    if label == "Edema" and rng.random() < 0.6:
        side = zone = ""
    if label == "Effusion" or (zone and rng.random() < 0.2):
        zone = ""
    if label == "Pleural_Thickening" and finding.zone == "apical" and rng.random() < 0.4:
        noun, zone = "apical pleural thickening", ""
    if label == "Fracture":
        zone = _one(rng, ("posterolateral", "lateral", "", "sixth", "seventh", "fifth"))
    if label in ("Atelectasis", "Consolidation", "Pneumonia", "Infiltration") and zone in (
        "base",
        "lung base",
    ):
        words = [size, noun, "at the", side, "lung", "bases" if "bilateral" in side else "base"]
        return " ".join(word for word in words if word)
    if zone.startswith(("at the", "along", "in the", "behind")):
        words = [size, side, noun, zone]
    elif side and zone and rng.random() < 0.2:
        place = (
            f"in the {side} {zone}"
            if finding.zone in ("upper", "mid", "lower") and "bilateral" not in side
            else ""
        )
        words = [size, noun, place] if place.endswith(("lobe", "lung", "zone")) else [size, side, zone, noun]
    else:
        words = [size, side, zone, noun]
    return " ".join(word for word in words if word)


def _article(phrase: str) -> str:
    if phrase.split()[-1] in WORDS.plural or re.search(
        r"(ema|asis|edema|fluid|changes|opacities|markings|fibrosis|thickening|cardiomegaly|congestion.*|loss|process|scarring|enlargement.*|blunting.*|widening.*|COPD)\b",
        phrase,
    ):
        return ""
    if phrase[0].isdigit():
        return "an" if phrase[0] == "8" else "a"
    return "an" if phrase[0] in "aeiou" else "a"


def _render(template: str, phrase: str, finding: Finding | None = None) -> str:
    side = finding.side if finding and finding.side else "left"
    article = _article(phrase) if phrase else ""
    grade = (
        "mildly"
        if finding and finding.severity < 0.4
        else "moderately"
        if finding and finding.severity < 0.75
        else "severely"
    )
    zone = finding.zone if finding else ""
    text = template.format(
        phrase=phrase,
        Phrase=phrase[:1].upper() + phrase[1:],
        a=article,
        A=article.capitalize(),
        noun=phrase,
        sided="both sides of the" if side == "bilateral" else side,
        Sided=side.capitalize(),
        grade=grade,
        zone=zone,
    )
    if phrase.endswith(WORDS.plural):
        text = re.sub(
            rf"({re.escape(phrase)}) (is|has|persists)\b",
            lambda m: f"{m[1]} { {'is': 'are', 'has': 'have', 'persists': 'persist'}[m[2]] }",
            text,
            flags=re.IGNORECASE,
        )
        text = text.replace("There is ", "There are ")
    text = (
        re.sub(r"\s+", " ", text)
        .strip()
        .replace(" .", ".")
        .replace("the both sides of the", "both sides of the")
    )
    return text[:1].upper() + text[1:]


def _state(rng: Rng, finding: Finding) -> str:
    """One affirmative sentence."""
    if finding.label in WORDS.special and rng.random() < 0.3:
        return _render(_one(rng, WORDS.special[finding.label]), "", finding)
    phrase = phrase_of(finding, rng)
    if finding.change and rng.random() < 0.7:
        return _render(_one(rng, WORDS.changes[finding.change]), phrase, finding)
    statements = WORDS.statements if finding.change else WORDS.statements[:-1]
    return _render(_one(rng, statements), phrase, finding)


def _positive(rng: Rng, scene: Scene, mentions: dict[str, int]) -> tuple[list[str], list[Finding]]:
    """Sentences on what is there; also the findings that the writer is sure of."""
    sentences: list[str] = []
    sure: list[Finding] = []
    for finding in scene.findings:
        if finding.label in (DEVICES, OBJECT):
            continue
        draw = rng.random(3)
        missed = 0.22 if finding.subtle else 0.05
        if draw[0] < missed:
            continue
        names = chexpert_of(finding.label)
        if draw[1] < 0.07:
            if finding.side in ("left", "right"):
                sentences.append(_render(_one(rng, WORDS.vague), "", finding))
                mentions.setdefault("Lung Opacity", -1)
            continue
        if draw[2] < (0.28 if finding.subtle else 0.12):
            sentences.append(_render(_one(rng, WORDS.hedges), phrase_of(finding, rng), finding))
            for name in names:
                mentions.setdefault(name, -1)
            continue
        sentences.append(_state(rng, finding))
        sure.append(finding)
        for name in names:
            mentions[name] = 1
    return sentences, sure


def _negative(rng: Rng, scene: Scene, mentions: dict[str, int]) -> list[str]:
    """Sentences on what is not there; now and then one overlooks what is."""
    present = {name for label in scene.labels for name in chexpert_of(label)}
    sentences = []
    for pair, ways in WORDS.pairs.items():
        if not any(name in present or name in mentions for name in pair) and rng.random() < 0.5:
            sentences.append(_one(rng, ways))
            mentions.update(dict.fromkeys(pair, 0))
    for name, ways in WORDS.negations.items():
        if name not in present and name not in mentions and rng.random() < 0.33:
            sentences.append(_one(rng, ways))
            mentions[name] = 0
    if not present - {DEVICES} and rng.random() < 0.5:
        sentences.insert(0, _one(rng, WORDS.clear))
        mentions.setdefault("Lung Opacity", 0)
    return sentences


def _others(rng: Rng, scene: Scene, mentions: dict[str, int]) -> list[str]:
    """Devices, objects, what has resolved, and what concerns nothing."""
    sentences = []
    for finding in scene.findings:
        if finding.label == DEVICES and rng.random() < 0.8:
            text = _render(_one(rng, WORDS.devices[finding.pattern]), "", finding)
            if text:
                sentences.append(text)
                mentions[DEVICES] = 1
    if scene.has(OBJECT) and rng.random() < 0.4:
        sentences.append(_one(rng, WORDS.objects))
    for label in scene.resolved:
        if label in WORDS.nouns and rng.random() < 0.5:
            sentences.append(_render(_one(rng, WORDS.resolved), WORDS.nouns[label][0]))
    if scene.technique.inspiration < -1 and rng.random() < 0.6:
        sentences.append(_one(rng, WORDS.low_volumes))
    for _ in range(int(rng.integers(0, 4))):
        filler = _one(rng, WORDS.fillers)
        if filler not in sentences:
            sentences.append(filler)
    return [sentence for sentence in sentences if sentence]


def _impression(rng: Rng, scene: Scene, sure: list[Finding], mentions: dict[str, int]) -> str:
    if not sure:
        quiet = not any(value for value in mentions.values())
        text = _one(rng, WORDS.normal) if quiet or rng.random() < 0.6 else "No significant interval change."
        if quiet:
            mentions.setdefault("No Finding", 1)
        return text
    chosen = sorted(sure, key=lambda finding: -finding.severity)[: 1 + int(rng.integers(0, 3))]
    lines = [_state(rng, finding) for finding in chosen]
    if rng.random() < 0.15:
        lines.append("Recommend follow-up radiographs to document resolution.")
    if len(lines) > 1 and rng.random() < 0.5:
        return "  ".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    return " ".join(lines)


def _heading(rng: Rng, scene: Scene) -> dict[str, str]:
    view = scene.technique.view
    person = {"M": ("man", "male", "M"), "F": ("woman", "female", "F")}[scene.patient.sex]
    sections: dict[str, str] = {}
    if rng.random() < 0.6:
        sections["examination"] = _one(rng, WORDS.exams[view])
    reason, question = _one(rng, WORDS.reasons), _one(rng, WORDS.questions)
    sections["indication"] = _one(
        rng,
        (
            f"___ year old {person[0]} with {reason}  // eval for {question}",
            f"___-year-old {person[1]} with {reason}. Evaluate for {question}.",
            f"___{person[2]} with {reason}. Please evaluate for {question}.",
            f"{reason.capitalize()}. ? {question}.",
        ),
    )
    if rng.random() < 0.3:
        sections["technique"] = WORDS.techniques[view]
    if scene.order or rng.random() < 0.3:
        sections["comparison"] = _one(
            rng, ("___", "Chest radiograph from ___.", "___ at ___", "Prior study dated ___.")
        )
    elif rng.random() < 0.7:
        sections["comparison"] = _one(rng, ("None.", "None available.", "No prior studies for comparison."))
    return sections


def write_report(scene: Scene) -> Report:
    """Write the report of a scene.

    Returns:
        The same text for the same scene. About one report in ten has no findings section and one in twelve
        no impression, as real ones.
    """
    rng = stream("report", scene.namespace, scene.seed, scene.index)
    sections = _heading(rng, scene)
    mentions: dict[str, int] = {}
    positive, sure = _positive(rng, scene, mentions)
    negative = _negative(rng, scene, mentions)
    others = _others(rng, scene, mentions)
    if rng.random() < 0.3:
        body = [*negative, *positive, *others]
    else:
        body = [*positive, *negative, *others]
        if rng.random() < 0.4:
            rng.shuffle(body)
    findings = " ".join(body) or _one(rng, WORDS.clear)
    impression = _impression(rng, scene, sure, mentions)
    draw = rng.random()
    if draw < 0.08:
        sections["findings"] = findings
    elif draw < 0.18:
        sections["impression"] = f"{findings} {impression}"
    else:
        sections["findings"], sections["impression"] = findings, impression
    return Report(_layout(rng, sections), sections, mentions)


def _layout(rng: Rng, sections: Mapping[str, str]) -> str:
    """Set the sections as a filed report: indented, wrapped, headed."""
    words = {
        "examination": ("EXAMINATION", "EXAM", "STUDY"),
        "indication": ("INDICATION", "HISTORY", "REASON FOR EXAM"),
    }
    lines = [" " * 33 + "FINAL REPORT"] if rng.random() < 0.7 else []
    for name, text in sections.items():
        heading = _one(rng, words.get(name, (name.upper(),)))
        block = f"{heading}:  {text}" if name not in ("findings", "impression") or rng.random() < 0.3 else ""
        if not block:
            lines.append(f" {heading}: \n ")
            block = text
        lines.append("\n".join(" " + line for line in textwrap.wrap(block, 78, break_on_hyphens=False)))
        lines.append(" ")
    return "\n".join(lines).rstrip() + "\n"
