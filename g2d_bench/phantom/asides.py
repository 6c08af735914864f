"""What a report says besides its findings, as the scene has it: build, age, position, film, devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from g2d_bench.phantom.labels import DEVICES, OBJECT
from g2d_bench.phantom.phrases import Dice, capital, sided
from g2d_bench.phantom.scene import Scene
from g2d_bench.phantom.words import WORDS

Sentence = tuple[str, str]
"""An organ, one of the keys of ``organs`` among the words, and what is said of it."""

KNOWN: Mapping[str, tuple[str, Callable[[Scene], bool]]] = {
    "low volumes": ("lungs", lambda scene: scene.technique.inspiration < -1),
    "deep breath": ("lungs", lambda scene: scene.technique.inspiration > 1.2),
    "rotated": ("other", lambda scene: abs(scene.technique.yaw) > 0.8),
    "portable": ("other", lambda scene: scene.technique.view != "PA"),
    "supine": ("other", lambda scene: scene.supine),
    "obese": ("other", lambda scene: scene.patient.body.habitus > 1.4),
    "thin": ("other", lambda scene: scene.patient.body.habitus < -1.3),
    "tortuous": ("heart", lambda scene: scene.patient.body.tortuosity > 0.6),
    "old": ("bones", lambda scene: scene.patient.age > 58),
    "young": ("bones", lambda scene: 20 < scene.patient.age < 32),
    "skin fold": ("other", lambda scene: "skin fold" in scene.decoys),
    "nipple": ("other", lambda scene: "nipple" in scene.decoys),
    "companion shadow": ("bones", lambda scene: "companion shadow" in scene.decoys),
    "overlap": ("other", lambda scene: "overlap" in scene.decoys),
    "dark": ("other", lambda scene: scene.technique.look.white < 0.56),
    "bright": ("other", lambda scene: scene.technique.look.speed > 2.0),
    "cut": ("other", lambda scene: max(scene.technique.collimation) > 0.03),
}
"""Each aside: the organ that it is about, and when it is true."""

OFTEN = {
    "low volumes": 0.6,
    "deep breath": 0.25,
    "tortuous": 0.3,
    "old": 0.3,
    "portable": 0.12,
    "supine": 0.12,
}
"""How often a true aside is said; the others: one time in five."""


def asides(scene: Scene, dice: Dice, talk: float) -> list[Sentence]:
    """Say what is known of patient and film, and what is normal.

    Args:
        scene: the image.
        dice: chooses.
        talk: how talkative the writer is, 1 for the average.
    """
    said = [
        (organ, dice.one(WORDS.asides[name]))
        for name, (organ, true) in KNOWN.items()
        if true(scene) and dice.random() < OFTEN.get(name, 0.2) * talk
    ]
    labels = scene.labels
    for normal in WORDS.normals:
        if dice.random() < 0.17 * talk and labels.isdisjoint(normal.unless):
            said.append((normal.organ, dice.one(normal.sentences)))
    # Much of what reports say, they say once: here none of a list is more common than another.
    if dice.random() < 0.14 * talk:
        said.append(("other", WORDS.fillers[dice.any(len(WORDS.fillers))]))
    if dice.random() < 0.06 * talk:
        said.append(("other", WORDS.messages[dice.any(len(WORDS.messages))]))
    return said


def hardware(scene: Scene, dice: Dice, mentions: dict[str, int]) -> list[Sentence]:
    """Name devices and objects: four devices of five, two objects of five."""
    said = []
    for finding in scene.findings:
        if finding.label == DEVICES and dice.random() < 0.8:
            text = sided(dice.one(WORDS.devices[finding.pattern]), finding)
            if text:
                said.append(("devices", text))
                mentions[DEVICES] = 1
    foreign = next((finding for finding in scene.findings if finding.label == OBJECT), None)
    if foreign is not None and dice.random() < 0.4:
        text = dice.one(WORDS.objects[foreign.pattern if dice.random() < 0.7 else ""])
        if text:
            said.append(("other", text))
    return said


def gone(scene: Scene, dice: Dice) -> list[Sentence]:
    """Say of every second finding of the prior study that it has resolved."""
    said = []
    for label in scene.resolved:
        if label in WORDS.nouns and dice.random() < 0.5:
            noun = WORDS.nouns[label][0]
            said.append(("lungs", dice.one(WORDS.resolved).format(noun=noun, Noun=capital(noun))))
    return said
