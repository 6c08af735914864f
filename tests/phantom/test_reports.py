"""Reports: form, honesty of mentions, variety, imperfection."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from g2d_bench.phantom import PROFILES, Finding, Scene
from g2d_bench.phantom.labels import CHEXPERT, DEVICES, DRAWN, OBJECT, chexpert_of
from g2d_bench.phantom.reports import Report, phrase_of, write_report
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.seeds import stream
from g2d_bench.readers.reports import parse_report, sentences

COUNT = 400


@pytest.fixture(scope="module")
def written() -> list[tuple[Scene, Report]]:
    found = [
        sample_scene("mimic-cxr", index, seed=0, profile=PROFILES["mimic-cxr"]) for index in range(COUNT)
    ]
    return [(scene, write_report(scene)) for scene in found]


def test_the_reader_of_real_reports_reads_them(written: list[tuple[Scene, Report]]) -> None:
    for _, report in written:
        parsed = parse_report(report.text)
        for name in ("findings", "impression"):
            assert " ".join(parsed[name].split()) == " ".join(report.sections.get(name, "").split())
        assert sentences(report.text)


def test_sections_vary(written: list[tuple[Scene, Report]]) -> None:
    sections = Counter(name for _, report in written for name in report.sections)
    assert sections["indication"] == COUNT
    assert 0.8 * COUNT < sections["findings"] < COUNT
    assert 0.85 * COUNT < sections["impression"] < COUNT
    assert 0.2 * COUNT < sections["technique"] < 0.5 * COUNT
    assert 0.5 * COUNT < sections["examination"] < 0.7 * COUNT
    assert all("findings" in report.sections or "impression" in report.sections for _, report in written)
    assert sum("___" in report.text for _, report in written) > 0.6 * COUNT


def test_text_is_clean(written: list[tuple[Scene, Report]]) -> None:
    for _, report in written:
        body = " ".join(report.sections.values())
        assert "{" not in body
        assert " ." not in body
        assert "  a a" not in body
        assert not [line for line in report.text.split("\n") if len(line) > 82]


def test_mentions_are_honest_but_incomplete(written: list[tuple[Scene, Report]]) -> None:
    stated = told = present = hedged = wrong = 0
    for scene, report in written:
        truth = {name for label in scene.labels for name in chexpert_of(label)}
        assert set(report.mentions) <= set(CHEXPERT)
        for name, value in report.mentions.items():
            if name == "No Finding":
                continue
            if value == 1:
                stated += 1
                wrong += name not in truth
            elif value == 0:
                assert name not in truth, name
            hedged += value == -1
        lung = truth - {DEVICES}
        present += len(lung)
        told += sum(report.mentions.get(name) == 1 for name in lung)
    assert wrong == 0
    # A report states most of what is there, never all: subtle things are missed, some are only hinted at.
    assert 0.6 < told / present < 0.92
    assert 0.03 < hedged / present < 0.3
    assert stated > 150


def test_words_vary(written: list[tuple[Scene, Report]]) -> None:
    texts = [text for _, report in written for text in sentences(report.text)]
    # Denials are formulaic, as in real reports; what is there is said in many ways.
    assert len(set(texts)) > 0.2 * len(texts)
    rng = stream("words")
    finding = Finding("Pneumothorax", "left", "apical", 0.3, False, "apical", 1)
    phrases = {phrase_of(finding, rng) for _ in range(200)}
    assert "small left apical pneumothorax" in phrases
    assert len(phrases) > 8
    assert all("left" in phrase for phrase in phrases)


def test_no_label_list(written: list[tuple[Scene, Report]]) -> None:
    """Negations name absent findings, so words alone do not give the labels away."""
    absent = [report for scene, report in written if not scene.has("Pneumothorax")]
    assert np.mean(["pneumothorax" in report.text.lower() for report in absent]) > 0.3


def test_severity_and_side_are_told() -> None:
    rng = stream("severity")
    small = Finding("Effusion", "right", "basal", 0.05, False, "meniscus", 1)
    large = Finding("Effusion", "right", "basal", 0.95, False, "meniscus", 1)
    assert not any("large" in phrase_of(small, rng) for _ in range(60))
    assert (
        sum(word in phrase_of(large, rng) for _ in range(60) for word in ("large", "massive", "sizeable"))
        > 40
    )
    edema = Finding("Edema", "bilateral", "perihilar", 0.5, False, "", 1)
    assert any("bilateral" in phrase_of(edema, rng) for _ in range(60))


@pytest.mark.parametrize("label", [label for label in DRAWN if label not in (DEVICES, OBJECT)])
@pytest.mark.parametrize("zone", ["apical", "lower", "basal", "retrocardiac", ""])
def test_every_finding_can_be_said(label: str, zone: str) -> None:
    rng = stream("said", label, zone)
    for side in ("right", "left", "bilateral"):
        for severity in (0.0, 0.5, 1.0):
            phrase = phrase_of(Finding(label, side, zone, severity), rng)
            assert phrase == " ".join(phrase.split())
            assert len(phrase) > 4


def test_follow_ups_compare(written: list[tuple[Scene, Report]]) -> None:
    later = [report for scene, report in written if scene.order]
    first = [report for scene, report in written if not scene.order and not scene.findings]
    words = ("unchanged", "stable", "interval", "new ", "increased", "decreased", "again", "prior", "improve")

    def compares(report: Report) -> bool:
        text = (report.sections.get("findings", "") + report.sections.get("impression", "")).lower()
        return any(word in text for word in words)

    assert (
        np.mean([compares(report) for report in later])
        > np.mean([compares(report) for report in first]) + 0.2
    )
    assert all("comparison" in report.sections for report in later)


def test_same_scene_same_report(written: list[tuple[Scene, Report]]) -> None:
    for scene, report in written[:20]:
        assert write_report(scene) == report
