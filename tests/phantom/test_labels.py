"""Label sets."""

from __future__ import annotations

from g2d_bench.phantom.labels import CHEXPERT, COVID, DRAWN, OBJECT, OPAQUE, chexpert_labels, chexpert_of


def test_chexpert_labels() -> None:
    labels = chexpert_labels({"Effusion", "Nodule", "Support Devices"})
    assert set(labels) == set(CHEXPERT)
    assert {name for name, value in labels.items() if value} == {
        "Pleural Effusion",
        "Lung Lesion",
        "Support Devices",
    }
    assert chexpert_labels({"Support Devices", OBJECT})["No Finding"] == 1
    assert chexpert_labels({"Pneumonia"})["Lung Opacity"] == 1


def test_every_drawn_label_is_said_in_chexpert_s_words_or_ignored() -> None:
    said = {label: chexpert_of(label) for label in DRAWN}
    assert {label for label, names in said.items() if not names} == {"Emphysema", "Hernia", OBJECT}
    assert {name for names in said.values() for name in names} <= set(CHEXPERT)
    assert all(
        ("Lung Opacity" in names) == (label in OPAQUE or label in ("Infiltration", "Fibrosis"))
        for label, names in said.items()
    )
    assert said[COVID] == ("Pneumonia", "Lung Opacity")
