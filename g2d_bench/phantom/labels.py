"""What can be seen on a generated radiograph, and how the public label sets call it."""

from __future__ import annotations

from collections.abc import Collection

CXR14 = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
"""The 14 findings of ChestX-ray14, in its order and spelling."""

CHEXPERT = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The 14 columns of CheXpert and of the CheXpert table of MIMIC-CXR-JPG, in CheXpert's order."""

COVID = "COVID-19"
OBJECT = "Foreign object"
DEVICES = "Support Devices"
EXTRA = ("Enlarged Cardiomediastinum", "Fracture", COVID, OBJECT, DEVICES)
"""Further things that are drawn, besides the 14."""

DRAWN = (*CXR14, *EXTRA)
"""Every label that a finding of a scene can have."""

OPAQUE = frozenset({"Atelectasis", "Infiltration", "Pneumonia", "Consolidation", "Edema", COVID})
"""Findings that make the lung opaque: CheXpert's Lung Opacity."""

_CHEXPERT_OF = {
    "Effusion": "Pleural Effusion",
    "Mass": "Lung Lesion",
    "Nodule": "Lung Lesion",
    "Pleural_Thickening": "Pleural Other",
    "Infiltration": "Lung Opacity",
    "Fibrosis": "Lung Opacity",
    COVID: "Pneumonia",
}


def chexpert_of(label: str) -> tuple[str, ...]:
    """Return the CheXpert columns that one drawn label makes positive; none for what CheXpert ignores."""
    names = []
    name = _CHEXPERT_OF.get(label, label)
    if name in CHEXPERT:
        names.append(name)
    if label in OPAQUE and "Lung Opacity" not in names:
        names.append("Lung Opacity")
    return tuple(names)


def chexpert_labels(present: Collection[str]) -> dict[str, int]:
    """Return all 14 CheXpert labels, 0 or 1, of an image that shows ``present``."""
    found = {name for label in present for name in chexpert_of(label)}
    labels = {name: int(name in found) for name in CHEXPERT}
    # Devices alone are compatible with No Finding, as in the CheXpert labeller.
    labels["No Finding"] = int(not found - {DEVICES})
    return labels
