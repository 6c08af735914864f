"""Open-i: one XML file per visit, a frontal and often a lateral film, and a table of views."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.generate import Phantom
from g2d_bench.phantom.labels import COVID, DEVICES, OBJECT
from g2d_bench.phantom.scene import Scene
from g2d_bench.phantom.seeds import stream
from g2d_bench.phantom.words import WORDS
from g2d_bench.phantom.writers import Item
from g2d_bench.phantom.writers.files import csv_text, encode, number_of, write_bytes

COUNT = 1500
SIZE = 256
HEADINGS = {
    "Atelectasis": "Pulmonary Atelectasis",
    "Effusion": "Pleural Effusion",
    "Infiltration": "Infiltrate",
    "Edema": "Pulmonary Edema",
    "Emphysema": "Pulmonary Emphysema",
    "Fibrosis": "Pulmonary Fibrosis",
    "Pleural_Thickening": "Thickening/pleura",
    "Hernia": "Hernia, Hiatal",
    "Fracture": "Fractures, Bone",
    "Enlarged Cardiomediastinum": "Mediastinum/enlarged",
    COVID: "Pneumonia",
    DEVICES: "Implanted Medical Device",
    OBJECT: "Foreign Bodies",
}
"""Drawn label to the heading that an indexer would give; other labels keep their name."""
_SIDES = {"left": "/left", "right": "/right", "bilateral": "/bilateral"}
MASKED = 0.02
"""Share of the words that are masked without need; of the real collection's, some more."""
_NAMES = (*WORDS.nouns.values(), *WORDS.denied.values())
_KEPT = frozenset(word for ways in _NAMES for way in ways for word in way.lower().split()) | set(WORDS.kept)
_LABELS = ("comparison", "indication", "findings", "impression")


def side_view(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a stand-in for a lateral film: narrow, both lungs on each other, the spine behind.

    It has the size and the greys of one and shows no finding in its place; no task asks what is on it.
    """
    grey = image.astype(np.float64)
    both = (grey + grey[:, ::-1]) / 2
    rows, columns = both.shape
    narrow = both[:, np.linspace(0, columns - 1, round(columns * 0.72)).round().astype(np.intp)]
    left = (columns - narrow.shape[1]) // 2
    film = np.full((rows, columns), 8.0)
    film[:, left : left + narrow.shape[1]] = narrow
    place = (np.arange(columns) - 0.72 * columns) / (0.06 * columns)
    film += 40.0 / (1.0 + place * place)
    return film.clip(0, 255).round().astype(np.uint8)


def masked(scene: Scene, text: str) -> str:
    """Mask names and dates by four letters, and one word in fifty that a machine took for a name.

    Words that name a finding, or turn what is said of one, stay.
    """
    words = text.replace("___", "XXXX").split(" ")
    draws = stream("masked", scene.namespace, scene.seed, scene.index, text).random(len(words))
    for place, draw in enumerate(draws.tolist()):
        if draw < MASKED and words[place].isalpha() and words[place].lower() not in _KEPT:
            words[place] = "XXXX"
    return " ".join(words)


def write_item(folder: Path, phantom: Phantom) -> Item:
    """Write the films and the report of one visit; see :mod:`g2d_bench.phantom.writers`."""
    scene = phantom.scene
    number = scene.index + 1
    series = f"{number}_IM-{number_of(scene, 'series', digits=4):04}"
    films = {f"{series}-1001": ("Frontal", phantom.image)}
    if number_of(scene, "lateral", digits=2) < 86:
        films[f"{series}-2001"] = ("Lateral", side_view(phantom.image))
    for name, (_, film) in films.items():
        write_bytes(folder / "NLMCXR_png" / f"CXR{name}.png", encode(film, "PNG"))
    report = phantom.report
    assert report is not None
    sections = {label: masked(scene, report.sections.get(label, "")) for label in _LABELS}
    if not sections["findings"] and not sections["impression"]:
        sections["findings"] = " ".join(report.text.strip().split("\n \n")[-1].split()).replace("___", "XXXX")
    headings = [
        HEADINGS.get(finding.label, finding.label) + _SIDES.get(finding.side, "")
        for finding in scene.findings
    ]
    write_bytes(
        folder / "ecgen-radiology" / f"{number}.xml",
        _xml(number, sections, list(dict.fromkeys(headings)) or ["normal"], list(films)).encode(),
    )
    return {"number": number, "films": [[name, view] for name, (view, _) in films.items()]}


def _xml(number: int, sections: dict[str, str], headings: list[str], films: list[str]) -> str:
    said = "\n".join(
        f'            <AbstractText Label="{label.upper()}">{escape(text)}</AbstractText>'
        if text
        else f'            <AbstractText Label="{label.upper()}"/>'
        for label, text in sections.items()
    )
    major = "\n".join(f"      <major>{escape(heading)}</major>" for heading in headings)
    images = "\n".join(
        f'   <parentImage id="CXR{film}">\n      <figureId>F{place}</figureId>\n'
        "      <caption>Xray Chest PA and Lateral</caption>\n"
        f'      <panel type="single">\n         <url>/phantom/CXR{film}.jpg</url>\n'
        "         <imgModality>7</imgModality>\n      </panel>\n   </parentImage>"
        for place, film in enumerate(films, start=1)
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <meta type="rr"/>
   <uId id="CXR{number}"/>
   <pmcId id="{number}"/>
   <docSource>CXR</docSource>
   <IUXRId id="{number}"/>
   <licenseType>open-access</licenseType>
   <articleType>XR</articleType>
   <publisher>g2d-bench phantom</publisher>
   <title>Generated chest X-ray collection</title>
   <specialty>pulmonary diseases</specialty>
   <subset>CXR</subset>
   <MedlineCitation Owner="g2d-bench phantom" Status="generated">
      <Article PubModel="Electronic">
         <ArticleTitle>Generated chest X-ray collection</ArticleTitle>
         <Abstract>
{said}
         </Abstract>
         <Language>eng</Language>
         <PublicationTypeList>
            <PublicationType>Radiology Report</PublicationType>
         </PublicationTypeList>
      </Article>
   </MedlineCitation>
   <MeSH>
{major}
   </MeSH>
{images}
</eCitation>
"""


def write_tables(folder: Path, items: list[Item], seed: int) -> None:
    """Write the table of views as Kaggle's copy of the collection has it."""
    rows: list[list[object]] = [["uid", "filename", "projection"]]
    for item in sorted(items, key=lambda item: item["number"]):
        rows += [[item["number"], f"{film}.dcm.png", view] for film, view in item["films"]]
    (folder / "indiana_projections.csv").write_text(csv_text(rows), encoding="utf-8")
