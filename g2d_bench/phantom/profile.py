"""What kind of patients and images a data set holds: prevalences, views, hardness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from g2d_bench.phantom.labels import COVID, OBJECT

_COMMON: Mapping[str, float] = {
    "Atelectasis": 0.10,
    "Cardiomegaly": 0.08,
    "Effusion": 0.11,
    "Infiltration": 0.09,
    "Mass": 0.03,
    "Nodule": 0.05,
    "Pneumonia": 0.05,
    "Pneumothorax": 0.05,
    "Consolidation": 0.05,
    "Edema": 0.05,
    "Emphysema": 0.04,
    "Fibrosis": 0.03,
    "Pleural_Thickening": 0.04,
    "Hernia": 0.015,
    "Enlarged Cardiomediastinum": 0.03,
    "Fracture": 0.03,
}


def _rates(**changes: float) -> dict[str, float]:
    """The common prevalences with some of them changed (blanks and hyphens written ``_``)."""
    names = {name.replace(" ", "_").replace("-", "_"): name for name in (*_COMMON, COVID, OBJECT)}
    return dict(_COMMON) | {names[key]: rate for key, rate in changes.items()}


@dataclass(frozen=True)
class Profile:
    """How scenes of one data set are drawn.

    Attributes:
        prevalence: label to the share of images that show it.
        views: view ("PA", "AP", "AP supine") to share.
        images_per_patient: share of patients with 1, 2, 3, ... images.
        subtle: share of findings that are drawn small and faint.
        confounded: share of negatives with a look-alike (skin fold, overlapping shadow, device left behind).
        sickness: how much more frequent findings are on AP views (odds-like factor; 1: not at all).
        devices: share of PA images with a support device; AP and supine have 3 and 6 times as many.
        objects: share of images with foreign objects, drawn as a finding only where ``prevalence`` has it.
        old: how frequent marks of old disease are, against the usual; 0 where such marks are targets.
        report: whether a report is written.
        exclusive: at most one of these labels per image, in this order of preference; for data sets of
            mutually exclusive classes. Their rates then hold exactly.
        negatives_clean: share of images kept free of all findings but the exclusive ones.
        shortcut: what gives the data set's target away without showing it, one of :data:`SHORTCUTS`; "" for
            nothing.
        square: whether the films are square, as those of challenges are.
    """

    prevalence: Mapping[str, float] = field(default_factory=_rates)
    views: Mapping[str, float] = field(default_factory=lambda: {"PA": 0.6, "AP": 0.28, "AP supine": 0.12})
    images_per_patient: tuple[float, ...] = (1.0,)
    subtle: float = 0.25
    confounded: float = 0.15
    sickness: float = 1.7
    devices: float = 0.10
    objects: float = 0.02
    old: float = 1.0
    report: bool = False
    exclusive: tuple[str, ...] = ()
    negatives_clean: float = 0.0
    shortcut: str = ""
    square: bool = True


_MANY = (0.62, 0.2, 0.1, 0.05, 0.03)

PROFILES: Mapping[str, Profile] = {
    "siim": Profile(prevalence=_rates(Pneumothorax=0.2216), subtle=0.22, confounded=0.25),
    "rsna": Profile(
        prevalence=_rates(Pneumonia=0.225, Consolidation=0.0, Infiltration=0.0),
        views={"PA": 0.54, "AP": 0.3, "AP supine": 0.16},
        negatives_clean=0.29,
    ),
    "object-cxr": Profile(
        prevalence={name: rate * 0.4 for name, rate in _COMMON.items()} | {OBJECT: 0.5},
        views={"PA": 1.0},
        devices=0.04,
        subtle=0.3,
    ),
    "chexpert": Profile(
        square=False,
        prevalence=_rates(
            Effusion=0.36,
            Edema=0.22,
            Atelectasis=0.17,
            Cardiomegaly=0.14,
            Consolidation=0.09,
            Pneumothorax=0.09,
        ),
        views={"PA": 0.2, "AP": 0.5, "AP supine": 0.3},
        images_per_patient=_MANY,
        devices=0.18,
    ),
    "cxr14": Profile(images_per_patient=_MANY),
    "covidx": Profile(
        prevalence={name: rate * 0.25 for name, rate in _COMMON.items()}
        | {"Pneumonia": 0.18, COVID: 0.52, "Consolidation": 0.0, "Infiltration": 0.0},
        images_per_patient=(0.7, 0.2, 0.1),
        exclusive=(COVID, "Pneumonia"),
        negatives_clean=0.75,
    ),
    "mimic-cxr": Profile(
        square=False,
        prevalence=_rates(
            Effusion=0.2,
            Edema=0.1,
            Atelectasis=0.16,
            Cardiomegaly=0.15,
            Consolidation=0.07,
            Pneumothorax=0.10,
            Pneumonia=0.10,
            Nodule=0.06,
            Mass=0.045,
            Emphysema=0.06,
            Fibrosis=0.05,
            Hernia=0.025,
        )
        | {COVID: 0.04},
        views={"PA": 0.45, "AP": 0.37, "AP supine": 0.18},
        images_per_patient=_MANY,
        devices=0.12,
        objects=0.05,
        report=True,
    ),
    "ms-cxr": Profile(
        square=False,
        prevalence=_rates(
            Effusion=0.22,
            Edema=0.12,
            Atelectasis=0.2,
            Cardiomegaly=0.25,
            Consolidation=0.18,
            Pneumothorax=0.25,
            Pneumonia=0.2,
        ),
        views={"PA": 0.45, "AP": 0.37, "AP supine": 0.18},
        images_per_patient=(0.8, 0.2),
        subtle=0.15,
        devices=0.12,
        report=True,
    ),
    "folder": Profile(
        # Few films must show enough of each label.
        prevalence=_rates(Pneumothorax=0.3, Pneumonia=0.3, Effusion=0.3, Cardiomegaly=0.3),
        images_per_patient=(0.8, 0.2),
        subtle=0.1,
        report=True,
    ),
    "openi": Profile(
        square=False,
        # A third of the visits is normal, and little is severe: outpatients.
        prevalence={name: rate * 0.6 for name, rate in _COMMON.items()},
        views={"PA": 0.9, "AP": 0.1},
        subtle=0.35,
        devices=0.04,
        report=True,
    ),
    "covid-cxr": Profile(
        square=False,
        prevalence={name: rate * 0.3 for name, rate in _COMMON.items()} | {"Pneumonia": 0.2, COVID: 0.5},
        views={"PA": 0.5, "AP": 0.3, "AP supine": 0.2},
        images_per_patient=(0.6, 0.25, 0.15),
        exclusive=(COVID, "Pneumonia"),
        negatives_clean=0.5,
        report=True,
    ),
    "nih1k": Profile(
        prevalence={"Pneumonia": 0.5},
        views={"PA": 0.43, "AP": 0.4, "AP supine": 0.17},
        images_per_patient=_MANY,
        exclusive=("Pneumonia",),
        negatives_clean=1.0,
    ),
    "chestxdet10": Profile(
        prevalence=_rates(
            Atelectasis=0.1,
            Consolidation=0.3,
            Effusion=0.35,
            Emphysema=0.08,
            Fibrosis=0.14,
            Fracture=0.1,
            Mass=0.05,
            Nodule=0.2,
            Pneumothorax=0.08,
        ),
        sickness=1.3,
        # Calcifications are one of its categories.
        old=0.0,
    ),
    "montgomery": Profile(views={"PA": 1.0}, devices=0.03),
    "shenzhen": Profile(views={"PA": 0.9, "AP": 0.1}, devices=0.03),
    "jsrt": Profile(
        prevalence={"Nodule": 0.62},
        views={"PA": 1.0},
        exclusive=("Nodule",),
        negatives_clean=1.0,
        devices=0.01,
    ),
}
"""One profile per data set that phantom can write."""


SHORTCUTS = ("view", "tube")
"""What can give a target away: films with it are taken AP and the others PA, or a chest tube lies
in them and in no others; with exceptions, see :data:`g2d_bench.phantom.sampling.PLANTED`."""


def profile_of(dataset: str) -> Profile:
    """Return the profile of a data set.

    Raises:
        InputError: there is no phantom of that name.
    """
    from g2d_bench.errors import InputError, did_you_mean

    if dataset not in PROFILES:
        raise InputError(f"no phantom data set {dataset!r}, {did_you_mean(dataset, list(PROFILES))}")
    return PROFILES[dataset]
