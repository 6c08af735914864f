from __future__ import annotations

import re
import tarfile
from collections import Counter
from html import unescape
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_json
from g2d_bench.readers.reports import (
    BODY,
    SECTIONS,
    clean,
    parse_report,
    read_nlmcxr,
    read_report,
    report_text,
    sentences,
    split_sentences,
)

MIMIC = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___F with new onset ascites  // eval for infection

 TECHNIQUE:  Chest PA and lateral

 COMPARISON:  None.

 FINDINGS:

 There is no focal consolidation, pleural effusion or pneumothorax.  The cardiomediastinal
 silhouette is normal.  A 2.5 cm nodule projects over the
 left lung.

 IMPRESSION:

 No acute cardiopulmonary process.
"""


def test_mimic_layout() -> None:
    report = parse_report(MIMIC, id="s1")
    assert report.id == "s1"
    assert dict(report.sections).keys() == {
        "examination",
        "indication",
        "technique",
        "comparison",
        "findings",
        "impression",
    }
    assert sentences(report) == [
        "No acute cardiopulmonary process.",
        "There is no focal consolidation, pleural effusion or pneumothorax.",
        "The cardiomediastinal silhouette is normal.",
        "A 2.5 cm nodule projects over the left lung.",
    ]
    assert report_text(report) == " ".join(sentences(MIMIC))


@pytest.mark.parametrize(
    ("text", "findings", "impression"),
    [
        ("FINDINGS: A b.\nIMPRESSION: C d.", "A b.", "C d."),
        ("findings: A b.\n\nimpression : C d.", "A b.", "C d."),
        ("Findings: A b. Impression: C d.", "A b.", "C d."),
        ("FINDINGS\nA b.\n\nIMPRESSION\nC d.", "A b.", "C d."),
        ("FINDINGS A b.\n\nIMPRESSION  C d.", "A b.", "C d."),
        ("FINDINGS AND IMPRESSION: A b.", "A b.", ""),
        ("IMPRESSION/FINDINGS:\r\nA b.", "A b.", ""),
        ("CONCLUSION: C d.", "", "C d."),
        ("FINDINGS: A b.\n\nFINDINGS: E f.", "A b.\n\nE f.", ""),
        ("PORTABLE AP CHEST:  A b.\n\nIMPRESSION: C d.", "A b.", "C d."),
        ("FINDINGS: A b, comparison: none.\nIMPRESSION: C d.", "A b, comparison: none.", "C d."),
        ("FINDINGS: Comparison: Two views. A b.", "", ""),
        # Prose, not headings.
        ("FINDINGS: A\nFINDINGS WERE DISCUSSED WITH THEM.", "A\nFINDINGS WERE DISCUSSED WITH THEM.", ""),
        ("FINDINGS: LUNGS: clear.\nHEART: large.", "LUNGS: clear.\nHEART: large.", ""),
    ],
)
def test_headings(text: str, findings: str, impression: str) -> None:
    report = parse_report(text)
    assert (report["findings"], report["impression"]) == (findings, impression)


def test_a_heading_inside_a_section_closes_it() -> None:
    report = parse_report(
        "FINDINGS: Clear lungs. WET READ: ___ ___ 2:03 AM\n Edema. ADDENDUM: Left is right."
    )
    assert report["findings"] == "Clear lungs."
    assert report["wet read"].endswith("Edema.")
    assert report["addendum"] == "Left is right."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The last paragraph, after sections of a line.
        (
            "EXAM: Chest.\n\nCOMPARISON: ___.\n\nAs compared to ___, no change.",
            ["As compared, no change."],
        ),
        ("WET READ: ___ 2:03 AM\n Mild edema seen.\n", ["2:03 AM Mild edema seen."]),
        ("WET READ: Edema seen.\n______________\n FINAL REPORT\n\n Clear lungs now.", ["Clear lungs now."]),
        ("CHEST RADIOGRAPH PERFORMED ON ___\n\n HISTORY: Pain.\n\n Clear lungs.", ["Clear lungs."]),
        ("NO EFFUSION. HEART NORMAL.", ["NO EFFUSION.", "HEART NORMAL."]),
        ("no heading at all, and no stop", ["no heading at all, and no stop."]),
        ("Cardiomegaly.", ["Cardiomegaly."]),
        ("Cardiomegaly. Clear lungs.", ["Clear lungs."]),
        ("", []),
        (" \n ___ . \n 1. \n", []),
        ("INDICATION: Cough.", []),
        ("FINDINGS:\nIMPRESSION:", []),
    ],
)
def test_fallback_and_empty(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. No effusion. 2. Stable heart.", ["No effusion.", "Stable heart."]),
        ("1. No effusion 2. Stable heart", ["No effusion.", "Stable heart."]),
        ("1.No effusion.\n2.Stable heart.", ["No effusion.", "Stable heart."]),
        ("1) No effusion;\n 2) Stable heart", ["No effusion.", "Stable heart."]),
        ("- No effusion\n- Stable heart", ["No effusion.", "Stable heart."]),
        ("Chest 1. No effusion. Abdomen 1. Free air.", ["Chest.", "No effusion.", "Abdomen.", "Free air."]),
        ("Fracture of ribs 8 and 9. No effusion.", ["Fracture of ribs 8 and 9.", "No effusion."]),
        ("Heart: 2. Large.", ["Heart: 2.", "Large."]),
        ("Discussed with Dr. Who at 9:00 a.m. by phone.", ["Discussed with Dr. Who at 9:00 a.m. by phone."]),
        ("Seen at 9 a.m. No change.", ["Seen at 9 a.m.", "No change."]),
        ("A 2.5 cm. wide mass vs. a cyst, e.g. Foo.", ["A 2.5 cm. wide mass vs. a cyst, e.g. Foo."]),
        ("Lungs clear.There is edema.", ["Lungs clear.", "There is edema."]),
        ("clear lungs. heart is normal.", ["clear lungs.", "heart is normal."]),
        ("No acute process.. . \n\n Edema?", ["No acute process.", "Edema?"]),
        ("Nodule (5 mm). Mass!", ["Nodule (5 mm).", "Mass!"]),
        ("Two\nlines\n\nnew paragraph", ["Two lines.", "new paragraph."]),
        ("Edema.\n\n3.\n\n-", ["Edema."]),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Compared to the radiograph of ___, no change", "Compared to the radiograph, no change"),
        ("as of ___ at ___.", "as."),
        ("Discussed with Dr. ___ today", "Discussed with today"),
        ("XXXX-filled, dual-XXXX, (XXXX) and XXXX's lung", "filled, dual, and lung"),
        ("Normal chest x-XXXX.", "Normal chest x-ray."),
        ("[**2101-3-4**] Left [**Name (NI)**] lung", "Left lung"),
        ("[&lt;The heart is small.&gt;]", "The heart is small."),
        ("nodule &lt; 5 mm", "nodule < 5 mm"),
        ("XXXX. 2.", ""),
        ("seen since ___ 5:00 PM", "seen since 5:00 PM"),
    ],
)
def test_marks(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_a_sentence_whose_subject_was_masked_is_dropped() -> None:
    assert split_sentences("The XXXX are intact. XXXX effusion. Bones are intact.") == [
        "effusion.",
        "Bones are intact.",
    ]


def test_cleaning_again_changes_nothing() -> None:
    once = report_text(MIMIC)
    assert report_text(once) == once


def test_read_report(tmp_path: Path) -> None:
    path = tmp_path / "s5.txt"
    path.write_bytes("\ufeffFINDINGS: Rötung left.".encode())
    assert sentences(read_report(path)) == ["Rötung left."]
    path.write_bytes("FINDINGS: R\xf6tung left.".encode("latin-1"))
    assert read_report(path)["findings"] == "Rötung left."
    path.write_bytes(b"\0\1")
    with pytest.raises(InputError, match=r"s5\.txt: not a text file"):
        read_report(path)
    with pytest.raises(InputError, match=r"none\.txt: no such report"):
        read_report(tmp_path / "none.txt")


PIECES = [
    *(
        "FINDINGS:",
        "impression",
        "**",
        "__",
        "___",
        "*",
        "# ",
        "<br>",
        "<b>",
        "</b>",
        "<",
        ">",
        "&lt;",
        "&nbsp;",
    ),
    *(
        "\\n",
        "\\.br\\",
        "\n",
        "\xa0",
        "\x93",
        "[**",
        "**]",
        "XXXX",
        " ",
        ". ",
        "Clear lungs",
        "1.",
        "-",
        "<!--",
    ),
]
INDICATION, FINDING, IMPRESSION = "Cough for a week.", "Heart is large.", "No effusion is seen."


@pytest.mark.parametrize(
    "heading", ["Clinical data", "CLINICAL DETAILS", "Clinical question", "Reason for this examination"]
)
def test_other_names_of_the_indication(heading: str) -> None:
    assert sentences(f"{heading}: {INDICATION}\nFindings: {FINDING}") == [FINDING]
    assert sentences(f"{heading}: {INDICATION}") == []


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "s1.txt"
    text = "FINDINGS: The patient’s heart – “large”. No effusion…\nIMPRESSION: 38 °C, “stable.” No change."
    path.write_bytes(text.encode(encoding))
    said = ["38 °C, “stable.”", "No change.", "The patient’s heart – “large”.", "No effusion…."]
    assert sentences(read_report(path)) == said
    misread = text.encode("cp1252").decode("latin-1")  # as a table may hand it over
    assert sentences(misread) == said


@given(st.text(max_size=300) | st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_gives_plain_sentences(text: str) -> None:
    for line in sentences(text):
        assert line == line.strip()
        assert not re.search(r"[\0\xa0\n]|(?i:<br>|<b>)", line)


def test_nlmcxr_files(tmp_path: Path) -> None:
    xml = (
        '<eCitation><uId id="CXR{}"/><Abstract><AbstractText Label="FINDINGS"/><AbstractText Label="{}">{}'
        "</AbstractText></Abstract></eCitation>"
    )
    (tmp_path / "a.xml").write_text(xml.format(10, "IMPRESSION", "Clear. Findings: Edema is seen."))
    (tmp_path / "b.xml").write_text(xml.format(9, "FINDINGS", "Big heart."))
    reports = read_nlmcxr(tmp_path)
    assert [report.id for report in reports] == ["CXR9", "CXR10"]
    assert sentences(reports[1]) == ["Edema is seen."]  # "Clear." is one word, and longer ones are there
    (tmp_path / "c.xml").write_text("<eCitation>")
    with pytest.raises(InputError, match=r"c\.xml:1: not an XML report"):
        read_nlmcxr(tmp_path)
    with pytest.raises(InputError, match="not a readable archive"):
        read_nlmcxr(tmp_path / "a.xml")
    with pytest.raises(InputError, match="not a readable archive"):
        read_nlmcxr(tmp_path / "none.tgz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no report"):
        read_nlmcxr(tmp_path / "empty")


def test_no_word_of_the_real_indiana_reports_is_lost(real_pack: Path) -> None:
    """The words between the tags of the XML, against those of the sections; only headings may be missing."""
    archive = real_pack / "annotations" / "nlmcxr" / "NLMCXR_reports.tgz"
    headings = {
        word for aliases in SECTIONS.values() for alias in aliases for word in re.findall(r"\w+", alias)
    }
    kept = {report.id: " ".join(report.sections.values()) for report in read_nlmcxr(archive)}
    with tarfile.open(archive) as files:
        for member in files:
            if not member.name.endswith(".xml"):
                continue
            text = files.extractfile(member).read().decode()  # type: ignore[union-attr]
            stored = " ".join(re.findall(r"<AbstractText Label=\"\w+\">([^<]*)<", text))
            stored = re.sub(r"(?i)<br>|\\T\\", " ", unescape(unescape(stored)))
            name = re.search(r'<uId id="(\w+)"', text)
            assert name
            missing = Counter(re.findall(r"\w+", stored)) - Counter(re.findall(r"\w+", kept[name[1]]))
            assert {word.lower() for word in missing} <= headings, (name[1], missing)
            assert not re.search(r"(?i)<br|\\T\\|&\w+;", kept[name[1]])


def test_the_real_indiana_reports(real_pack: Path) -> None:
    archive = real_pack / "annotations" / "nlmcxr" / "NLMCXR_reports.tgz"
    reports = read_nlmcxr(archive)
    assert len(reports) == len({report.id for report in reports}) == 3955
    # Counted independently: the XML elements that have text.
    with tarfile.open(archive) as files:
        raw = [
            files.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in files
            if member.name.endswith(".xml")
        ]
    filled = [set(re.findall(r'<AbstractText Label="(\w+)">\s*[^<\s]', text)) for text in raw]
    expected = Counter(("FINDINGS" in names, "IMPRESSION" in names) for names in filled)
    found = Counter((bool(report["findings"]), bool(report["impression"])) for report in reports)
    assert found == expected == {(True, True): 3419, (False, True): 502, (True, False): 6, (False, False): 28}

    said = [sentences(report) for report in reports]
    silent = [report for report, lines in zip(reports, said, strict=True) if not lines]
    assert len(silent) == 28
    assert all(not (report["findings"] or report["impression"] or report[BODY]) for report in silent)
    lines = [line for report in said for line in report]
    assert 22_000 < len(lines) < 23_000
    for line in lines:
        assert re.search(r"[A-Za-z]{2}", line), line
        assert line == line.strip()
        assert line[-1] in ".!?"
        assert "XXXX" not in line
        assert not re.search(r"^\d+\.\D|\.\.|\s[.,;]|[\[\]\0]|&lt|&gt|\(\)|[a-z]\.[A-Z][a-z]", line), line
    assert max(map(len, lines)) < 400
    # What English reports give does not move when other scripts are read better.
    by_id = {report.id: lines for report, lines in zip(reports, said, strict=True)}
    assert digest_json(by_id) == "dbe9f80ab3bfa781ec86cc6e26eee485d9f6a54fa8753bc0f64ae3ff7ea6a49d"
