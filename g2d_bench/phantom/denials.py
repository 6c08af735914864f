"""What a report denies: which labels, as often as the reports of Open-i do, alone or in lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from g2d_bench.phantom.labels import COVID, chexpert_of
from g2d_bench.phantom.phrases import Dice
from g2d_bench.phantom.scene import Scene
from g2d_bench.phantom.words import WORDS

RATES: Mapping[str, float] = {
    "Pneumothorax": 0.77,
    "Pleural Effusion": 0.79,
    "Cardiomegaly": 0.78,
    "Enlarged Cardiomediastinum": 0.66,
    "Consolidation": 0.42,
    "Fracture": 0.42,
    "Lung Opacity": 0.34,
    "Edema": 0.08,
    "Pneumonia": 0.06,
    "Lung Lesion": 0.07,
    "Atelectasis": 0.005,
}
"""CheXpert label to how often it is denied where it is absent, fitted to Open-i."""

ORGANS = {
    "Pneumothorax": "pleura",
    "Pleural Effusion": "pleura",
    "Cardiomegaly": "heart",
    "Enlarged Cardiomediastinum": "heart",
    "Fracture": "bones",
}
"""CheXpert label to its organ; the others are of the lungs."""

_PLURAL = ("effusions", "pneumothoraces", "masses")
_HEART = ("Cardiomegaly", "Enlarged Cardiomediastinum")
_AWKWARD: Mapping[str, frozenset[str]] = {
    "Lung Opacity": frozenset({"Mass", "Nodule"}),
    "Consolidation": frozenset({"Pneumonia", "Infiltration", COVID}),
    "Pneumonia": frozenset({"Consolidation", "Infiltration"}),
}
"""CheXpert label to what looks so much alike that nobody would deny it beside them."""

_DENSE = frozenset({"Lung Opacity", "Lung Lesion", "Edema", "Consolidation", "Pneumonia", "Atelectasis"})
_CLEAR = frozenset({"Emphysema"})


def choose(scene: Scene, dice: Dice, mentions: dict[str, int], talk: float) -> tuple[list[str], bool]:
    """Choose what is denied, and add it to what is mentioned.

    Args:
        scene: the image; nothing that is on it is denied.
        dice: chooses.
        mentions: CheXpert label to how it is mentioned so far; what is there is not denied.
        talk: how talkative the writer is, 1 for the average.

    Returns:
        CheXpert labels that are to be denied, and whether the lungs are called clear, too.
    """
    labels = scene.labels
    present = {name for label in labels for name in chexpert_of(label)}
    clear = present.isdisjoint(_DENSE) and labels.isdisjoint(_CLEAR) and "Lung Opacity" not in mentions
    clear = clear and dice.random() < 0.5
    rates = min(1.1, 0.7 + 0.3 * talk)
    chosen = [
        name
        for name, rate in RATES.items()
        if dice.random() < rate * rates
        and name not in present
        and name not in mentions
        and labels.isdisjoint(_AWKWARD.get(name, ()))
    ]
    mentions.update(dict.fromkeys(chosen, 0))
    if clear:
        mentions.setdefault("Lung Opacity", 0)
        chosen = [name for name in chosen if name != "Lung Opacity"]
    return chosen, clear


def series(names: Sequence[str], dice: Dice) -> str:
    """Put names of labels into a list such as ``effusion, consolidation, or pneumothorax``."""
    words = [dice.one(WORDS.denied[name]) for name in names]
    if len(words) < 3:
        return " or ".join(words)
    comma = "," if dice.random() < 0.5 else ""
    return f"{', '.join(words[:-1])}{comma} or {words[-1]}"


def deny(names: Sequence[str], clear: bool, dice: Dice) -> list[tuple[str, str]]:
    """Say what is not there.

    Args:
        names: CheXpert labels.
        clear: whether to say that the lungs are clear.
        dice: chooses.

    Returns:
        Pairs of organ and sentence.
    """
    said: list[tuple[str, str]] = []
    left = list(names)
    if all(name in left for name in _HEART) and dice.random() < 0.55:
        said.append(("heart", dice.one(WORDS.pairs[_HEART])))
        left = [name for name in left if name not in _HEART]
    listed = [name for name in left if name in WORDS.denied and (name != "Fracture" or dice.random() < 0.05)]
    for name in left:
        if name not in listed:
            said.append((ORGANS.get(name, "lungs"), dice.one(WORDS.negations[name])))
    # The order of a list is as good as any other; which stand together is chance.
    turn = dice.any(len(listed)) if listed else 0
    listed = listed[turn:] + listed[:turn]
    if clear:
        count = min(len(listed), 1 + dice.any(3)) if dice.random() < 0.3 else 0
        if count:
            said.insert(0, ("lungs", dice.one(WORDS.clear_of).format(list=series(listed[:count], dice))))
            listed = listed[count:]
        else:
            said.insert(0, ("lungs", dice.one(WORDS.clear)))
    while listed:
        count = min(len(listed), (1, 2, 2, 2, 3, 3)[dice.any(6)])
        part, listed = listed[:count], listed[count:]
        organ = ORGANS.get(part[0], "lungs")
        if count == 1 and dice.random() < 0.5:
            said.append((organ, dice.one(WORDS.negations[part[0]])))
            continue
        listing = series(part, dice)
        verb = "are" if listing.endswith(_PLURAL) else "is"
        text = dice.one(WORDS.exclusions).format(list=listing, **{"is": verb})
        said.append((organ, text))
    return _linked(said, dice)


_LINKS = (", and ", " and ", "; ", ", while ")


def _linked(said: list[tuple[str, str]], dice: Dice) -> list[tuple[str, str]]:
    """Make one sentence of two neighbours now and then."""
    linked: list[tuple[str, str]] = []
    for organ, text in said:
        if linked and dice.random() < 0.3:
            before, first = linked[-1][0], linked[-1][1][:-1]
            if text.startswith("No "):
                linked[-1] = before, f"{first}, {text[0].lower()}{text[1:]}"
                continue
            if text.startswith(("The ", "There ")) and not first.startswith("No "):
                linked[-1] = before, f"{first}{dice.one(_LINKS)}{text[0].lower()}{text[1:]}"
                continue
        linked.append((organ, text))
    return linked
