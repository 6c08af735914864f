"""From a seed to a scene: which findings go together, where they sit, how severe they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from g2d_bench.phantom.arithmetic import total
from g2d_bench.phantom.labels import COVID, CXR14, DEVICES, OBJECT
from g2d_bench.phantom.profile import Profile
from g2d_bench.phantom.scene import Finding, Patient, Scene, locate, make_patient, make_technique
from g2d_bench.phantom.seeds import Stream, stream

# Findings that stay with a patient from study to study; the others come and go.
_CHRONIC = ("Emphysema", "Fibrosis", "Hernia", "Cardiomegaly", "Pleural_Thickening", "Mass", "Fracture")
# Given the first, the second becomes this many times as likely.
_TOGETHER = {
    "Edema": {"Effusion": 2.6, "Cardiomegaly": 3.0, "Pneumothorax": 0.3, "Emphysema": 0.4},
    "Effusion": {"Atelectasis": 2.2, "Cardiomegaly": 1.5},
    "Pneumonia": {"Effusion": 1.8, "Infiltration": 1.2, "Atelectasis": 1.3, "Consolidation": 1.3},
    "Consolidation": {"Effusion": 1.6, "Atelectasis": 1.3},
    "Emphysema": {"Cardiomegaly": 0.2, "Fibrosis": 1.4},
    COVID: {"Cardiomegaly": 0.6, "Effusion": 0.5, "Mass": 0.2, "Pneumothorax": 0.4},
}
_ORDER = (COVID, "Edema", "Emphysema", "Pneumonia", "Effusion", "Pneumothorax")

_ZONES: dict[str, dict[str, float]] = {
    "Infiltration": {"lower": 0.48, "mid": 0.3, "upper": 0.22},
    "Pneumonia": {"lower": 0.55, "mid": 0.27, "upper": 0.18},
    "Consolidation": {"lower": 0.5, "mid": 0.25, "upper": 0.25},
    "Mass": {"upper": 0.45, "mid": 0.3, "lower": 0.25},
    "Nodule": {"upper": 0.4, "mid": 0.35, "lower": 0.25},
    "Pleural_Thickening": {"apical": 0.4, "lateral": 0.35, "basal": 0.25},
    "Fibrosis": {"lower": 0.6, "upper": 0.4},
}
_PATTERNS: dict[str, dict[str, float]] = {
    "Atelectasis": {"plate": 0.47, "basal": 0.33, "retrocardiac": 0.14, "upper": 0.06},
    "Pneumothorax": {"apical": 0.62, "lateral": 0.26, "tension": 0.12},
    "Consolidation": {"lobar": 0.45, "patchy": 0.35, "round": 0.2},
    "Pneumonia": {"patchy": 0.37, "lobar": 0.2, "bronchial": 0.24, "interstitial": 0.14, "round": 0.05},
    "Infiltration": {"patchy": 0.4, "interstitial": 0.35, "bronchial": 0.25},
    COVID: {"peripheral": 0.7, "diffuse": 0.3},
    "Mass": {"lobulated": 0.6, "spiculated": 0.4},
}
_DEVICES = (
    "ECG leads",
    "endotracheal tube",
    "enteric tube",
    "central line",
    "PICC",
    "port",
    "pacemaker",
    "sternal wires",
)
_OBJECTS = ("button", "necklace", "coin", "clip", "bra wire", "zipper", "pin")


def _pick(rng: Stream, table: dict[str, float]) -> str:
    words = list(table)
    weights = np.cumsum([table[word] for word in words])
    return words[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]


def _make(rng: Stream, label: str, view: str, profile: Profile) -> Finding:
    """Draw place, size and looks of one finding."""
    subtle = bool(rng.random() < profile.subtle)
    # Most disease is mild or moderate, with a long tail up to a white lung; bedside patients are sicker.
    severity = float(rng.beta(1.3, 2.1 if view == "PA" else 1.6)) * (0.45 if subtle else 1.0)
    severity = severity if subtle else 0.08 + 0.92 * severity
    draw = rng.random(4)
    side = "right" if draw[0] < 0.54 else "left"
    zone = _pick(rng, _ZONES.get(label, {"": 1.0}))
    pattern = _pick(rng, _PATTERNS.get(label, {"": 1.0}))
    key = int(rng.integers(2**62))
    if label in ("Edema", COVID, "Emphysema"):
        # One COVID-like film in eight shows it on one side only, as long as it is mild.
        alone = label == COVID and draw[3] < 0.2 and severity < 0.5
        side = side if alone else "bilateral"
        zone = {"Edema": "perihilar", COVID: "peripheral"}.get(label, "")
        if label == COVID and severity > 0.6 and draw[2] < 0.7:
            pattern = "diffuse"
    elif label in ("Cardiomegaly", "Hernia", "Enlarged Cardiomediastinum"):
        side = ""
        zone = "retrocardiac" if label == "Hernia" else ""
    elif label == "Effusion":
        side = "bilateral" if draw[1] < 0.3 else side
        zone = "basal"
        pattern = "layering" if view == "AP supine" and draw[2] < 0.75 else "meniscus"
        if pattern == "meniscus" and side != "bilateral" and draw[2] > 0.94:
            pattern = "loculated"
    elif label == "Atelectasis":
        side = "left" if pattern == "retrocardiac" else "bilateral" if draw[1] < 0.25 else side
        side = "right" if pattern == "upper" else side
        zone = {"plate": "lower"}.get(pattern, pattern)
    elif label == "Fibrosis":
        side = "bilateral" if draw[1] < 0.75 else side
    elif label in ("Infiltration", "Pneumonia"):
        # What fills a lobe is mostly alone; what spreads along bronchi or septa is mostly on both sides.
        spread = {"lobar": 0.08, "round": 0.03, "patchy": 0.3, "bronchial": 0.5, "interstitial": 0.65}[
            pattern
        ]
        side = "bilateral" if draw[1] < spread * (0.6 + 0.8 * severity) else side
    elif label == "Consolidation":
        side = "bilateral" if draw[1] < 0.15 else side
    elif label == "Pneumothorax":
        zone = "apical" if pattern == "apical" else "lateral"
        if pattern == "tension":
            severity = max(severity, 0.6)
            subtle = False
        if view == "AP supine" and pattern == "apical" and draw[1] < 0.35:
            pattern, zone = "basal", "basal"
    elif label == "Pleural_Thickening" and zone == "apical":
        side = "bilateral" if draw[1] < 0.4 else side
    return Finding(label, side, zone, round(severity, 4), subtle, pattern, key)


def _factors(present: set[str], label: str) -> float:
    factor = 1.0
    for cause, effects in _TOGETHER.items():
        if cause in present:
            factor *= effects.get(label, 1.0)
    return factor


def _view_factor(view: str, profile: Profile) -> float:
    """How much more likely findings are on this view, so that the mean over the views is 1."""
    raw = {"PA": 1.0, "AP": profile.sickness, "AP supine": profile.sickness * 1.3}
    mean = total(raw[name] * share for name, share in profile.views.items()) / total(profile.views.values())
    return raw[view] / mean


def _draw_labels(rng: Stream, view: str, profile: Profile, exact: frozenset[str]) -> list[str]:
    """Draw which labels an image shows."""
    sick = _view_factor(view, profile)
    present: set[str] = set()
    if profile.exclusive:
        draw = rng.random()
        for label in profile.exclusive:
            draw -= profile.prevalence.get(label, 0.0)
            if draw < 0:
                present.add(label)
                break
    clean = rng.random() < profile.negatives_clean
    for label in (*_ORDER, *(name for name in profile.prevalence if name not in _ORDER)):
        rate = profile.prevalence.get(label, 0.0)
        draw = rng.random()
        if label in profile.exclusive or label == OBJECT or not rate:
            continue
        if clean and label not in exact:
            continue
        # The data set's own target keeps its rate; what only goes along is shifted by its company.
        company = 1.0 if label in exact else _factors(present, label)
        if draw < min(
            0.9, rate * sick * company / (1.0 if label in exact else 1.0 - 0.8 * profile.negatives_clean)
        ):
            present.add(label)
    return sorted(present)


_GRAVE = ("Edema", "Pneumonia", "Consolidation", "Effusion", "Pneumothorax", COVID)
"""What brings a patient to a monitor and a ventilator once it is severe."""


def _devices(rng: Stream, view: str, profile: Profile, findings: tuple[Finding, ...]) -> list[Finding]:
    """Draw tubes and lines: bedside patients have more of them, and of these the sicker ones."""
    present = {finding.label for finding in findings}
    ill = max((finding.severity for finding in findings if finding.label in _GRAVE), default=0.0)
    sick = {"PA": 1.0, "AP": 0.85 + 0.9 * ill, "AP supine": 0.8 + 0.9 * ill}[view]
    rate = min(0.93, profile.devices * {"PA": 1.0, "AP": 3.0, "AP supine": 6.0}[view] * sick)
    found = []
    shares = {
        "PA": (0.1, 0.0, 0.0, 0.2, 0.2, 0.25, 0.3, 0.3),
        "AP": (0.7, 0.1 * sick, 0.15 * sick, 0.35 * sick, 0.25, 0.1, 0.15, 0.25),
    }
    shares["AP supine"] = (0.85, 0.55 * sick, 0.55 * sick, 0.5 * sick, 0.2, 0.05, 0.12, 0.25)
    draws = rng.random(len(_DEVICES))
    keys = rng.integers(2**62, size=len(_DEVICES) + 1)
    if rng.random() < rate:
        for name, share, draw, key in zip(_DEVICES, shares[view], draws, keys, strict=False):
            if draw < share:
                side = "right" if key % 3 else "left"
                found.append(Finding(DEVICES, side, "", 0.5, False, name, int(key)))
    tube = rng.random()
    # A drained pneumothorax is the classic confounder: the tube gives it away; some tubes stay behind.
    if tube < (0.35 if "Pneumothorax" in present else 0.12 if "Effusion" in present else 0.012):
        found.append(Finding(DEVICES, "right", "", 0.5, False, "chest tube", int(keys[-1])))
    return found


def _objects(rng: Stream, profile: Profile) -> list[Finding]:
    rate = profile.prevalence.get(OBJECT, profile.objects)
    if rng.random() >= rate:
        return []
    count = 1 + int(rng.geometric(0.45))
    first = rng.choice(_OBJECTS)
    found = []
    for _ in range(min(count, 7)):
        kind = first if rng.random() < 0.6 else rng.choice(_OBJECTS)
        found.append(
            Finding(
                OBJECT,
                "",
                "",
                float(rng.random()),
                bool(rng.random() < profile.subtle),
                kind,
                int(rng.integers(2**62)),
            )
        )
    return found


def _decoys(rng: Stream, view: str, profile: Profile, patient: Patient) -> tuple[str, ...]:
    """Draw look-alikes, and the marks of old disease and operations, which are the patient's."""
    bedside = view != "PA"
    rates = {
        "skin fold": 1.0 if bedside else 0.35,
        "companion shadow": 0.5,
        "nipple": 0.35,
        "overlap": 0.4,
        "cloth": 0.5 if bedside else 0.25,
        "scapular edge": 0.6 if bedside else 0.2,
        "braid": 0.2 if patient.sex == "F" else 0.02,
        "arm": 0.5 if bedside else 0.03,
        "tubing": 1.2 if bedside else 0.02,
    }
    found = [name for name, rate in rates.items() if rng.random() < profile.confounded * rate]
    own = stream("old", patient.namespace, patient.uid)
    years = min(max((patient.age - 35) / 45, 0.0), 1.0)
    old = {
        "granuloma": 0.02 + 0.07 * years,
        "apical scar": 0.01 + 0.06 * years,
        "healed ribs": 0.01 + 0.04 * years,
        "plaques": 0.025 * years,
        "calcified aorta": 0.3 * years * years,
        "hilar nodes": 0.01 + 0.03 * years,
        "spurs": 0.35 * years,
        "clips": 0.01 + 0.03 * years,
        "spinal rods": 0.006,
        "shoulder prosthesis": 0.012 * years,
    }
    return (*found, *(name for name, rate in old.items() if own.random() < profile.old * rate))


def exact_labels(namespace: str, profile: Profile) -> frozenset[str]:
    """Labels whose prevalence is promised: the targets of the data set's tasks."""
    targets = {"siim": ("Pneumothorax",), "rsna": ("Pneumonia",), "object-cxr": (OBJECT,)}
    return frozenset(targets.get(namespace, ())) | frozenset(profile.exclusive)


def _study(
    namespace: str, seed: int, number: int, order: int, profile: Profile
) -> tuple[str, tuple[Finding, ...], tuple[str, ...]]:
    """Draw view, findings and resolved labels of one study; studies build on the one before."""
    rng = stream("study", namespace, seed, number, order)
    view = _pick(rng, dict(profile.views))
    exact = exact_labels(namespace, profile)
    labels = _draw_labels(rng, view, profile, exact)
    drawn = {label: _make(rng, label, view, profile) for label in labels}
    if order == 0:
        return view, tuple(drawn.values()), ()
    _, before, _ = _study(namespace, seed, number, order - 1, profile)
    kept: dict[str, Finding] = {}
    resolved: list[str] = []
    for finding in before:
        draw, drift = rng.random(), rng.normal(0, 0.16)
        keep = 0.97 if finding.label in _CHRONIC else 0.72 if finding.label in profile.exclusive else 0.5
        if draw < keep and finding.label not in exact - set(profile.exclusive):
            severity = float(np.clip(finding.severity + drift, 0.05, 1.0))
            change = "larger" if drift > 0.12 else "smaller" if drift < -0.12 else "unchanged"
            kept[finding.label] = replace(finding, severity=round(severity, 4), change=change)
        elif finding.label not in drawn:
            resolved.append(finding.label)
    for label, finding in drawn.items():
        # Persisting findings already fill the quota, so new ones are rarer.
        if label not in kept and (label in exact or rng.random() < 0.5):
            if label in profile.exclusive and any(name in kept for name in profile.exclusive):
                continue
            kept[label] = replace(finding, change="new")
    order_of = {name: place for place, name in enumerate((*CXR14, *profile.prevalence))}
    return view, tuple(sorted(kept.values(), key=lambda f: order_of.get(f.label, 99))), tuple(resolved)


PLANTED = 0.9
"""Share of the images in which a planted shortcut tells the truth."""


def targets(namespace: str, profile: Profile) -> frozenset[str]:
    """Labels that a planted shortcut gives away: the data set's own, or pneumonia where it has many."""
    own = frozenset(profile.exclusive[:1]) or exact_labels(namespace, profile)
    return own or frozenset({"Pneumonia"})


def _planted(namespace: str, seed: int, index: int, profile: Profile, findings: tuple[Finding, ...]) -> bool:
    """Say whether an image bears the shortcut; its draws are its own, so that nothing else moves."""
    if not profile.shortcut:
        return False
    shown = bool(targets(namespace, profile) & {finding.label for finding in findings})
    return shown == (stream("shortcut", namespace, seed, index).random() < PLANTED)


def sample_scene(namespace: str, index: int, *, seed: int, profile: Profile) -> Scene:
    """Draw the scene of one image.

    Args:
        namespace: the data set; other namespaces have other patients.
        index: number of the image, from 0.
        seed: of the data set.
        profile: what its images are like.

    Returns:
        The same scene for the same arguments, whatever was drawn before.
    """
    number, order, images = locate(namespace, seed, index, profile.images_per_patient)
    patient = make_patient(namespace, seed, number, images)
    view, findings, resolved = _study(namespace, seed, number, order, profile)
    planted = _planted(namespace, seed, index, profile, findings)
    if profile.shortcut == "view":
        view = "AP" if planted else "PA"
    rng = stream("image", namespace, seed, index)
    technique = make_technique(rng, view, patient, square=profile.square)
    extra = [*_devices(rng, view, profile, findings), *_objects(rng, profile)]
    if profile.shortcut == "tube":
        extra = [finding for finding in extra if finding.pattern != "chest tube"]
        extra += [Finding(DEVICES, "right", "", 0.5, False, "chest tube", index)] if planted else []
    for place, finding in enumerate(extra):
        if finding.pattern == "chest tube":
            ill = next((f for f in findings if f.label in ("Pneumothorax", "Effusion")), None)
            if ill is not None and ill.side in ("left", "right"):
                extra[place] = replace(finding, side=ill.side)
    decoys = _decoys(rng, view, profile, patient)
    return Scene(namespace, index, seed, patient, order, technique, (*findings, *extra), decoys, resolved)
