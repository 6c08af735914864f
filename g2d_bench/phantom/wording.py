"""The words of radiologists: several ways to say each thing. Data only; :mod:`reports` puts them together.

In phrases, ``{size}`` is an adjective of extent, ``{side}`` a side, ``{zone}`` a region; empty ones vanish.
"""

from __future__ import annotations

from collections.abc import Mapping

from g2d_bench.phantom.labels import COVID

SIZES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    # Least to greatest, four steps.
    "default": (
        ("minimal", "mild", "subtle", "slight"),
        ("mild", "", "mild to moderate"),
        ("moderate", "", "moderately extensive"),
        ("severe", "extensive", "marked", "large"),
    ),
    "Pneumothorax": (
        ("tiny", "small", "minimal", "trace"),
        ("small", "small", ""),
        ("moderate", "moderate-sized", ""),
        ("large", "sizeable", "very large"),
    ),
    "Effusion": (
        ("trace", "small", "minimal", "tiny"),
        ("small", "small to moderate", ""),
        ("moderate", "moderate-sized", ""),
        ("large", "massive", "very large"),
    ),
    "Fracture": (
        ("subtle", "nondisplaced"),
        ("nondisplaced", ""),
        ("displaced", ""),
        ("displaced", "comminuted"),
    ),
    "Cardiomegaly": (
        ("mild", "borderline", "minimal"),
        ("mild", "mild to moderate", ""),
        ("moderate", "moderate to severe", ""),
        ("severe", "marked", "massive"),
    ),
    "Nodule": (
        ("tiny", "subcentimeter", "3 mm", "5 mm"),
        ("small", "6 mm", "8 mm"),
        ("1 cm", "well-defined", ""),
        ("1.5 cm", "2 cm", "prominent"),
    ),
    "Mass": (
        ("3 cm", "small", "3.2 cm"),
        ("4 cm", "", "approximately 4 cm"),
        ("5 cm", "large", "rounded"),
        ("large", "6.5 cm", "7 cm", "bulky"),
    ),
}

ZONES: Mapping[str, tuple[str, ...]] = {
    "apical": ("apical", "at the apex", "apical"),
    "upper": ("upper lobe", "upper lung", "upper zone", "suprahilar"),
    "mid": ("mid lung", "mid zone", "middle lung zone", "perihilar"),
    "lower": ("lower lobe", "lower lung", "basilar", "lower zone", "infrahilar"),
    "basal": ("basilar", "basal", "base", "lung base"),
    "lateral": ("lateral", "along the lateral chest wall"),
    "retrocardiac": ("retrocardiac", "in the retrocardiac region", "behind the heart"),
    "perihilar": ("perihilar", "central", "hilar"),
    "peripheral": ("peripheral", "peripheral and basilar", "mid and lower lung", "predominantly peripheral"),
    "": ("",),
}

NOUNS: Mapping[str, tuple[str, ...]] = {
    "Atelectasis": (
        "atelectasis",
        "atelectasis",
        "subsegmental atelectasis",
        "atelectatic changes",
        "volume loss",
        "discoid atelectasis",
        "linear atelectasis",
    ),
    "Cardiomegaly": (
        "cardiomegaly",
        "cardiomegaly",
        "enlargement of the cardiac silhouette",
        "cardiac enlargement",
    ),
    "Effusion": (
        "pleural effusion",
        "pleural effusion",
        "effusion",
        "pleural fluid",
        "blunting of the costophrenic angle",
    ),
    "Infiltration": (
        "infiltrate",
        "hazy opacity",
        "ill-defined opacity",
        "patchy opacity",
        "interstitial infiltrate",
    ),
    "Mass": ("mass", "mass", "mass lesion", "rounded mass-like opacity"),
    "Nodule": ("nodule", "nodule", "pulmonary nodule", "nodular opacity", "nodular density"),
    "Pneumonia": (
        "pneumonia",
        "pneumonia",
        "airspace opacity concerning for pneumonia",
        "opacity compatible with pneumonia",
        "infectious process",
    ),
    "Pneumothorax": ("pneumothorax", "pneumothorax", "pneumothorax", "ptx"),
    "Consolidation": (
        "consolidation",
        "consolidation",
        "airspace consolidation",
        "dense opacification",
        "focal consolidation",
    ),
    "Edema": (
        "pulmonary edema",
        "pulmonary edema",
        "interstitial edema",
        "pulmonary vascular congestion with edema",
        "edema",
    ),
    "Emphysema": ("emphysema", "emphysema", "emphysematous changes", "hyperinflation compatible with COPD"),
    "Fibrosis": (
        "fibrosis",
        "reticular opacities",
        "interstitial fibrosis",
        "fibrotic changes",
        "coarse reticular markings",
    ),
    "Pleural_Thickening": (
        "pleural thickening",
        "pleural thickening",
        "pleural scarring",
        "thickening of the pleura",
    ),
    "Hernia": ("hiatal hernia", "hiatal hernia", "hiatus hernia", "herniated stomach"),
    "Enlarged Cardiomediastinum": (
        "widening of the mediastinum",
        "mediastinal widening",
        "enlarged mediastinal contour",
    ),
    "Fracture": ("rib fracture", "rib fracture", "healing rib fracture"),
    COVID: (
        "ground-glass opacities",
        "patchy ground-glass opacities",
        "multifocal opacities compatible with COVID-19",
        "multifocal airspace opacities",
        "viral pneumonia",
    ),
}

PLURAL = ("opacities", "changes", "markings")
"""A noun that ends so takes a plural verb."""

STATEMENTS = (
    "There is {a} {phrase}.",
    "There is {a} {phrase}.",
    "{Phrase} is seen.",
    "{Phrase} is present.",
    "{Phrase} is noted.",
    "{Phrase}.",
    "{A} {phrase} is identified.",
    "Findings include {a} {phrase}.",
    "The study shows {a} {phrase}.",
    "Note is made of {a} {phrase}.",
    "{Phrase} is again noted.",
)
CHANGES: Mapping[str, tuple[str, ...]] = {
    "new": (
        "There is {a} new {phrase}.",
        "{Phrase} is new since the prior study.",
        "New {phrase}.",
        "Interval development of {phrase}.",
        "Since ___, {a} {phrase} has developed.",
    ),
    "unchanged": (
        "{Phrase} is unchanged.",
        "{Phrase} is stable since ___.",
        "Unchanged {phrase}.",
        "{Phrase} persists, not significantly changed from the prior study.",
        "Stable appearance of {phrase}.",
    ),
    "larger": (
        "{Phrase} has increased since the prior study.",
        "Interval worsening of {phrase}.",
        "{Phrase}, increased from ___.",
        "Compared to the prior radiograph, {phrase} is more pronounced.",
    ),
    "smaller": (
        "{Phrase} has decreased since the prior study.",
        "Interval improvement of {phrase}.",
        "{Phrase}, slightly improved from ___.",
        "Compared to the prior radiograph, {phrase} is less conspicuous.",
    ),
}
HEDGES = (
    "{Phrase} cannot be excluded.",
    "Possible {phrase}.",
    "Findings may represent {phrase}.",
    "Questionable {phrase}, which could be further evaluated with CT.",
    "{Phrase} is suspected.",
    "There may be {a} {phrase}.",
)
RESOLVED = (
    "Previously seen {noun} has resolved.",
    "Interval resolution of {noun}.",
    "The {noun} noted on ___ is no longer seen.",
)

SPECIAL: Mapping[str, tuple[str, ...]] = {
    "Cardiomegaly": (
        "The heart is {grade} enlarged.",
        "Heart size is {grade} enlarged.",
        "The cardiac silhouette is {grade} enlarged.",
        "The cardiac silhouette is enlarged.",
        "The cardiothoracic ratio is increased.",
    ),
    "Emphysema": (
        "The lungs are hyperinflated with flattening of the diaphragms.",
        "Lungs are hyperexpanded, suggesting COPD.",
        "Attenuation of the vascular markings in the upper lobes reflects emphysema.",
    ),
    "Edema": (
        "There is perihilar haziness and vascular indistinctness.",
        "Prominence of the pulmonary vasculature is compatible with edema.",
        "There is pulmonary vascular engorgement.",
    ),
    "Enlarged Cardiomediastinum": (
        "The mediastinum is widened.",
        "The cardiomediastinal contour is enlarged.",
    ),
    "Pneumothorax": (
        "A visceral pleural line is visible at the {sided} {zone} chest.",
        "Pleural air is seen along the {sided} chest wall.",
    ),
    "Effusion": (
        "The {sided} costophrenic angle is blunted.",
        "There is fluid along the {sided} chest wall.",
    ),
    "Hernia": (
        "A rounded retrocardiac density with an air-fluid level is a hiatal hernia.",
        "Retrocardiac lucency reflects a hiatal hernia.",
    ),
    COVID: (
        "Multifocal ground-glass opacities predominate in the periphery of both lungs.",
        "Bilateral peripheral opacities are typical of COVID-19.",
    ),
}
VAGUE = (
    "Increased density at the {sided} lung.",
    "The {sided} lung is not entirely clear.",
    "Asymmetry of the {sided} hemithorax is noted.",
    "Abnormal lung markings.",
    "Slight change in the appearance of the {sided} lung.",
)

NEGATIONS: Mapping[str, tuple[str, ...]] = {
    "Pneumothorax": (
        "No pneumothorax.",
        "There is no pneumothorax.",
        "No evidence of pneumothorax.",
        "No pneumothorax is seen.",
    ),
    "Pleural Effusion": (
        "No pleural effusion.",
        "There is no pleural effusion.",
        "No large pleural effusion is seen.",
        "The costophrenic angles are sharp.",
    ),
    "Consolidation": (
        "No focal consolidation.",
        "There is no focal airspace consolidation.",
        "The lungs are clear of focal consolidation.",
    ),
    "Edema": (
        "No pulmonary edema.",
        "There is no pulmonary vascular congestion.",
        "No evidence of pulmonary edema.",
    ),
    "Cardiomegaly": (
        "Heart size is normal.",
        "The cardiac silhouette is not enlarged.",
        "The heart is normal in size.",
    ),
    "Pneumonia": (
        "No evidence of pneumonia.",
        "No radiographic evidence of acute pneumonia.",
        "No focal opacity concerning for pneumonia.",
    ),
    "Lung Lesion": ("No suspicious pulmonary nodule.", "No discrete mass is identified."),
    "Fracture": (
        "No acute rib fracture.",
        "The osseous structures are intact.",
        "No displaced fracture is seen.",
    ),
    "Enlarged Cardiomediastinum": (
        "The mediastinal contours are within normal limits.",
        "Mediastinal and hilar contours are unremarkable.",
        "The cardiomediastinal silhouette is unremarkable.",
    ),
}
"""CheXpert label to sentences that deny it."""

PAIRS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("Pneumothorax", "Pleural Effusion"): (
        "There is no pleural effusion or pneumothorax.",
        "No pneumothorax or pleural effusion.",
        "No effusion or pneumothorax is seen.",
    ),
    ("Consolidation", "Edema"): (
        "There is no focal consolidation or pulmonary edema.",
        "No consolidation or edema.",
    ),
    ("Cardiomegaly", "Enlarged Cardiomediastinum"): (
        "The cardiomediastinal silhouette is normal.",
        "Cardiac and mediastinal silhouettes are unremarkable.",
    ),
}
