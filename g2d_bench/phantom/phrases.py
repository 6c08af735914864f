"""One finding in words: its phrase, and the sentences that state, compare or doubt it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from g2d_bench.phantom.labels import COVID, OPAQUE
from g2d_bench.phantom.render.opacities import is_calcified
from g2d_bench.phantom.scene import Finding
from g2d_bench.phantom.seeds import Stream
from g2d_bench.phantom.words import WORDS, Manner

UNSIDED = ("Cardiomegaly", "Enlarged Cardiomediastinum", "Hernia", "Emphysema")
"""Labels of which nobody says a side."""

_BLOCK = 64


class Dice:
    """Draws of a report: many at a time from its stream, which costs a tenth of single ones.

    Args:
        rng: the stream.
    """

    def __init__(self, rng: Stream) -> None:
        self._rng = rng
        self._left: list[float] = []

    def random(self) -> float:
        """A share of one."""
        if not self._left:
            self._left = self._rng.random(_BLOCK).tolist()
        return self._left.pop()

    def one(self, words: Sequence[str]) -> str:
        """One of several, the first of them most often: the share of the first n of N is sqrt(n / N)."""
        draw = self.random()
        return words[int(draw * draw * len(words))]

    def any(self, count: int) -> int:
        """A whole number below ``count``, each as likely as the other."""
        return int(self.random() * count)


@dataclass(frozen=True, slots=True)
class Said:
    """A finding in a few words.

    Attributes:
        phrase: without article, such as ``small left apical pneumothorax``.
        plural: whether it takes a plural verb.
        counted: whether it takes an article.
    """

    phrase: str
    plural: bool
    counted: bool

    @property
    def it(self) -> str:
        """The phrase with its article."""
        if not self.counted:
            return self.phrase
        vowel = self.phrase[0] in "aeiou" or self.phrase.startswith(("8 ", "8.", "11 ", "18 "))
        return f"{'an' if vowel else 'a'} {self.phrase}"


def capital(text: str) -> str:
    """Begin a text with a capital letter."""
    return text[:1].upper() + text[1:]


@lru_cache(maxsize=4096)
def _head(noun: str) -> tuple[bool, bool]:
    """Say whether a noun is plural, and whether it is counted, by its head."""
    for mark in (" of ", " with ", " compatible "):
        noun = noun.split(mark)[0]
    head = noun.split()[-1]
    return head in WORDS.plural, head in WORDS.counted


def _size(finding: Finding, dice: Dice) -> str:
    if finding.label in ("Mass", "Nodule") and dice.random() < 0.4:
        # As it is drawn, on a film of 40 cm.
        if finding.label == "Mass":
            return f"{3.2 + 3.6 * finding.severity:.1f} cm"
        return f"{int(8 + 12 * finding.severity)} mm"
    steps = WORDS.sizes.get(finding.label, WORDS.sizes["default"])
    level = finding.severity + 0.12 * (dice.random() - 0.5)
    return dice.one(steps[min(3, max(0, int(level * 4)))])


def _noun(finding: Finding, dice: Dice) -> str:
    label = finding.label
    noun = dice.one(WORDS.nouns[label])
    if label == "Nodule" and is_calcified(finding) and dice.random() < 0.6:
        return "calcified nodule" if dice.random() < 0.5 else "calcified granuloma"
    if finding.side == "bilateral":
        first, _, last = noun.rpartition(" ")
        noun = f"{first} {WORDS.bilateral.get(last, last)}".strip()
    looks = WORDS.patterns.get(f"{label}/{finding.pattern}")
    if looks and dice.random() < 0.4:
        look = dice.one(looks)
        if look[:5] not in noun:
            return f"{look} {noun}"
    return noun


def _place(finding: Finding, dice: Dice) -> str:
    """Where it is, in words that follow the noun."""
    side, zone = finding.side, finding.zone
    if side == "bilateral":
        table = WORDS.both
        keys: tuple[str, ...] = (finding.label, zone)
    else:
        table = WORDS.places
        keys = (finding.label, f"{zone} {side}" if dice.random() < 0.5 else zone, zone)
    ways = next((table[key] for key in keys if key in table), ())
    return dice.one(ways).replace("{side}", side) if ways else ""


def _before(finding: Finding, dice: Dice) -> str:
    """Side and region, in words that precede the noun."""
    side, zone = finding.side, finding.zone
    both = side == "bilateral"
    if both and zone in ("lower", "basal") and dice.random() < 0.4:
        return "bibasilar"
    if both and finding.label in ("Edema", COVID) and dice.random() < 0.4:
        side = "diffuse bilateral"
    unzoned = finding.label == "Effusion" or not zone or dice.random() < 0.15
    if unzoned:
        return f"{side}-sided" if not both and dice.random() < 0.15 else side
    return f"{side} {dice.one(WORDS.zones[zone])}"


def describe(finding: Finding, dice: Dice) -> Said:
    """Say a finding in a few words; it is no device and no foreign object."""
    size, noun = _size(finding, dice), _noun(finding, dice)
    if size and size[:5] in noun:
        size = ""
    plural, counted = _head(noun)
    label = finding.label
    if label in UNSIDED or not finding.side or (label == "Edema" and dice.random() < 0.5):
        words = [size, noun]
    else:
        place = _place(finding, dice) if dice.random() < 0.45 else ""
        before = "" if place else _before(finding, dice)
        if before.endswith("lung") and noun.startswith("lung "):
            noun = noun.removeprefix("lung ")
        words = [size, before, noun, place]
    return Said(" ".join(word for word in words if word), plural, counted and not plural)


def phrase_of(finding: Finding, rng: Stream) -> str:
    """Say a finding in a few words, such as ``small left apical pneumothorax``.

    Args:
        finding: no device and no foreign object.
        rng: chooses among the wordings.
    """
    return describe(finding, Dice(rng)).phrase


def fill(template: str, said: Said, other: Said | None = None, listed: str = "") -> str:
    """Put a phrase, or two, into a sentence."""
    it = said.it
    text = template.format(
        it=it,
        It=capital(it),
        phrase=said.phrase,
        Phrase=capital(said.phrase),
        s="" if said.plural else "s",
        has="have" if said.plural else "has",
        other=other.it if other else "",
        bare=other.phrase if other else "",
        is2="are" if other and other.plural else "is",
        list=listed,
        **{"is": "are" if said.plural else "is"},
    )
    return capital(text)


def sided(template: str, finding: Finding) -> str:
    """Put side and degree of a finding into a sentence without its phrase."""
    degree = "mildly" if finding.severity < 0.4 else "moderately" if finding.severity < 0.75 else "severely"
    return template.format(side=finding.side, Side=capital(finding.side), grade=degree)


def state(finding: Finding, dice: Dice, manner: str) -> str:
    """One affirmative sentence, in one of the manners ``prose`` and ``short``."""
    ways = WORDS.special.get(finding.label)
    if ways and dice.random() < 0.15:
        special = dice.one(ways)
        if finding.side in ("left", "right") or "ide}" not in special:
            return sided(special, finding)
    said = describe(finding, dice)
    if finding.change and dice.random() < 0.7:
        return fill(dice.one(WORDS.changes[finding.change]), said)
    text = fill(dice.one(_of(WORDS.statements, manner)), said)
    if finding.label in OPAQUE and dice.random() < 0.05:
        text = f"{text[:-1]}, {dice.one(WORDS.causes)}."
    return text


def join(first: Finding, second: Finding, dice: Dice, manner: str) -> str:
    """State two findings in one sentence."""
    return fill(dice.one(_of(WORDS.joined, manner)), describe(first, dice), describe(second, dice))


def doubt(finding: Finding, dice: Dice, manner: str) -> str:
    """One sentence that the finding may be there."""
    return fill(dice.one(_of(WORDS.hedges, manner)), describe(finding, dice))


def _of(ways: Manner, manner: str) -> Sequence[str]:
    return ways.short if manner == "short" else ways.prose
