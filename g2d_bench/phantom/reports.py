"""Reports of a scene: what a radiologist might write, which is not a list of labels.

Findings are named with synonyms, sides, regions and extents, alone or together; some are missed, hedged or
only hinted at; what is absent is sometimes denied; priors are compared with; and what else is known of the
patient and the film is told. One writer is terse, another goes through the organs; some reports of normal
films never change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from g2d_bench.phantom.asides import Sentence, asides, gone, hardware
from g2d_bench.phantom.denials import choose, deny, series
from g2d_bench.phantom.labels import DEVICES, OBJECT, chexpert_of
from g2d_bench.phantom.phrases import Dice, capital, describe, doubt, fill, join, sided, state
from g2d_bench.phantom.scene import Finding, Scene
from g2d_bench.phantom.seeds import stream
from g2d_bench.phantom.words import WORDS

WIDTH = 78
"""Characters of a line."""

_ORGANS = {"Cardiomegaly": "heart", "Enlarged Cardiomediastinum": "heart", "Fracture": "bones"}
_ORGANS |= {"Effusion": "pleura", "Pneumothorax": "pleura", "Pleural_Thickening": "pleura", "Hernia": "other"}


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


@dataclass(slots=True)
class _Plan:
    """What a report says of the findings, before it is put into words."""

    sure: list[Finding] = field(default_factory=list)
    doubted: list[Finding] = field(default_factory=list)
    hinted: list[Finding] = field(default_factory=list)
    mentions: dict[str, int] = field(default_factory=dict)


def _plan(scene: Scene, dice: Dice) -> _Plan:
    """Choose which findings are stated, hedged, hinted at or missed."""
    plan = _Plan()
    for finding in scene.findings:
        if finding.label in (DEVICES, OBJECT):
            continue
        draws = dice.random(), dice.random(), dice.random()
        if draws[0] < (0.22 if finding.subtle else 0.05):
            continue
        names = chexpert_of(finding.label)
        if draws[1] < 0.07:
            if finding.side in ("left", "right"):
                plan.hinted.append(finding)
                plan.mentions.setdefault("Lung Opacity", -1)
        elif draws[2] < (0.28 if finding.subtle else 0.12):
            plan.doubted.append(finding)
            for name in names:
                plan.mentions.setdefault(name, -1)
        else:
            plan.sure.append(finding)
            for name in names:
                plan.mentions[name] = 1
    return plan


def _organ(finding: Finding) -> str:
    return _ORGANS.get(finding.label, "lungs")


def _told(plan: _Plan, dice: Dice, manner: str, denied: list[str]) -> list[Sentence]:
    """Sentences on what is there; one of them may take denials over, which leave the list."""
    said: list[Sentence] = []
    left = list(plan.sure)
    while left:
        finding = left.pop(0)
        free = [name for name in denied if name in WORDS.denied]
        if left and not finding.change and not left[0].change and dice.random() < 0.4:
            said.append((_organ(finding), join(finding, left.pop(0), dice, manner)))
        elif free and not finding.change and dice.random() < 0.12:
            free = free[: 1 + dice.any(2)]
            denied[:] = [name for name in denied if name not in free]
            text = fill(dice.one(WORDS.bundles), describe(finding, dice), listed=series(free, dice))
            said.append((_organ(finding), text))
        else:
            said.append((_organ(finding), state(finding, dice, manner)))
    said += [(_organ(finding), doubt(finding, dice, manner)) for finding in plan.doubted]
    said += [("lungs", sided(dice.one(WORDS.vague), finding)) for finding in plan.hinted]
    return said


def _impression(scene: Scene, plan: _Plan, dice: Dice, style: str) -> str:
    """What matters most of it."""
    mentions = plan.mentions
    if not plan.sure:
        if not plan.doubted and not plan.hinted and not any(mentions.values()):
            mentions.setdefault("No Finding", 1)
            return dice.one(WORDS.normal)
        if scene.order and dice.random() < 0.3:
            return dice.one(WORDS.unaltered)
        if plan.doubted and dice.random() < 0.7:
            return doubt(plan.doubted[0], dice, "short")
        return dice.one(WORDS.unsure if plan.doubted or plan.hinted else WORDS.normal)
    chosen = sorted(plan.sure, key=lambda finding: -finding.severity)[: 1 + dice.any(3)]
    lines = [state(finding, dice, "short" if dice.random() < 0.6 else "prose") for finding in chosen]
    denied = [name for name, value in mentions.items() if value == 0 and name in WORDS.denied]
    if denied and dice.random() < 0.12:
        lines.append(f"No {series(denied[:1], dice)}.")
    if dice.random() < 0.1:
        lines.append(WORDS.advice[dice.any(len(WORDS.advice))])
    if len(lines) > 1 and (style == "organs" or dice.random() < 0.4):
        return "  ".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
    return " ".join(lines)


def _arranged(said: list[Sentence], dice: Dice, style: str) -> str:
    """Put sentences in order: through the organs, with heads or without, or as they came to mind."""
    if style != "organs" and dice.random() < 0.5:
        if dice.random() < 0.35:
            turn = dice.any(len(said)) if said else 0
            said = said[turn:] + said[:turn]
        return " ".join(text for _, text in said)
    places = list(WORDS.organs)
    turn = dice.any(3)
    places = places[turn : turn + 3] + places[:turn] + places[turn + 3 :]
    parts = []
    for organ in places:
        texts = [text for name, text in said if name == organ]
        if texts:
            head = f"{dice.one(WORDS.organs[organ])}: " if style == "organs" else ""
            parts.append(head + " ".join(texts))
    return " ".join(parts)


def _hastily(text: str, dice: Dice, style: str) -> str:
    """Abbreviate, and mistype a word now and then."""
    if style == "terse" and dice.random() < 0.4:
        for full, short in WORDS.shortened.items():
            text = text.replace(full, short)
    if dice.random() < 0.03:
        words = text.split(" ")
        place = dice.any(len(words))
        word = words[place]
        if len(word) > 6 and word.isalpha() and word.lower() not in WORDS.kept:
            at, way = 1 + dice.any(len(word) - 3), dice.any(3)
            middle = (word[at + 1], word[at] + word[at] + word[at + 1], word[at + 1] + word[at])[way]
            words[place] = word[:at] + middle + word[at + 2 :]
            return " ".join(words)
    return text


def _heading(scene: Scene, dice: Dice) -> dict[str, str]:
    view = scene.technique.view
    person = {"M": ("man", "male", "M"), "F": ("woman", "female", "F")}[scene.patient.sex]
    sections: dict[str, str] = {}
    if dice.random() < 0.6:
        sections["examination"] = dice.one(WORDS.exams[view])
    reason, question = dice.one(WORDS.written.reasons), dice.one(WORDS.written.questions)
    sections["indication"] = (
        f"___ year old {person[0]} with {reason}  // eval for {question}",
        f"___-year-old {person[1]} with {reason}. Evaluate for {question}.",
        f"___{person[2]} with {reason}. Please evaluate for {question}.",
        f"{capital(reason)}. ? {question}.",
        f"{capital(reason)}.",
    )[dice.any(5)]
    if dice.random() < 0.3:
        sections["technique"] = WORDS.techniques[view]
    if scene.order or dice.random() < 0.3:
        sections["comparison"] = dice.one(WORDS.written.comparisons)
    elif dice.random() < 0.7:
        sections["comparison"] = dice.one(WORDS.written.none)
    return sections


def write_report(scene: Scene) -> Report:
    """Write the report of a scene.

    Returns:
        The same text for the same scene. About one report in ten has no findings section and one in thirty
        no impression.
    """
    dice = Dice(stream("report", scene.namespace, scene.seed, scene.index))
    sections = _heading(scene, dice)
    if not scene.findings and dice.random() < 0.3:
        draw = dice.random()
        stock = WORDS.stock[int(draw * draw * len(WORDS.stock))]
        sections["findings"], sections["impression"] = stock.findings, stock.impression
        return Report(_layout(sections, dice), sections, dict.fromkeys(stock.denies, 0) | {"No Finding": 1})
    style = ("prose", "prose", "prose", "prose", "short", "short", "terse", "organs")[dice.any(8)]
    manner = (
        "short" if style in ("short", "terse") or (style == "organs" and dice.random() < 0.5) else "prose"
    )
    talk = {"terse": 0.5, "short": 1.0}.get(style, 1.4)
    plan = _plan(scene, dice)
    denied, clear = choose(scene, dice, plan.mentions, talk)
    positive = _told(plan, dice, manner, denied)
    negative = deny(denied, clear, dice)
    others = [*hardware(scene, dice, plan.mentions), *gone(scene, dice), *asides(scene, dice, talk)]
    body = [*positive, *negative, *others] if dice.random() < 0.6 else [*negative, *positive, *others]
    findings = _arranged(body or [("lungs", dice.one(WORDS.unsure))], dice, style)
    findings = _hastily(findings, dice, style)
    impression = _impression(scene, plan, dice, style)
    draw = dice.random()
    if draw < 0.03:
        sections["findings"] = findings
    elif draw < 0.14:
        sections["impression"] = f"{findings} {impression}"
    else:
        sections["findings"], sections["impression"] = findings, impression
    return Report(_layout(sections, dice), sections, plan.mentions)


def _wrapped(text: str) -> str:
    """Break text between words into indented lines."""
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > WIDTH:
            lines.append(" " + line.rstrip())
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, " " + line.rstrip()])


def _layout(sections: Mapping[str, str], dice: Dice) -> str:
    """Set the sections as a filed report: indented, wrapped, headed."""
    words = {
        "examination": ("EXAMINATION", "EXAM", "STUDY"),
        "indication": ("INDICATION", "HISTORY", "REASON FOR EXAM"),
    }
    lines = [" " * 33 + "FINAL REPORT"] if dice.random() < 0.7 else []
    for name, text in sections.items():
        heading = dice.one(words.get(name, (name.upper(),)))
        if name not in ("findings", "impression") or dice.random() < 0.3:
            lines.append(_wrapped(f"{heading}:  {text}"))
        else:
            lines += [f" {heading}: \n ", _wrapped(text)]
        lines.append(" ")
    return "\n".join(lines).rstrip() + "\n"
