"""Reports in scripts other than Latin: their sentences, words and titles."""

from __future__ import annotations

import pytest

from g2d_bench.readers.reports import clean, sentences
from g2d_bench.readers.scripts import WORDS, tells


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("双肺纹理清晰。心影正常。", ["双肺纹理清晰。", "心影正常。"]),
        ("两肺纹理增多，未见实变。心影增大。", ["两肺纹理增多，未见实变。", "心影增大。"]),
        ("FINDINGS: 双肺清晰。 No effusion. IMPRESSION: 正常", ["正常.", "双肺清晰。", "No effusion."]),
        ("正", ["正."]),
        ("両肺野清明", ["両肺野清明."]),
        ("양측 폐는 깨끗하다. 심장 정상.", ["양측 폐는 깨끗하다.", "심장 정상."]),
        ("РЕНТГЕНОГРАФИЯ\nЛёгкие чистые. Тень S5 слева.", ["Лёгкие чистые.", "Тень S5 слева."]),
        ("Сердце не увеличено. COVID pneumonia.", ["Сердце не увеличено.", "COVID pneumonia."]),
        ("الرئتان سليمتان. القلب طبيعي.", ["الرئتان سليمتان.", "القلب طبيعي."]),
        ("Πνεύμονες καθαροί. Καρδιά φυσιολογική.", ["Πνεύμονες καθαροί.", "Καρδιά φυσιολογική."]),
        ("फेफड़े साफ हैं। हृदय सामान्य।", ["फेफड़े साफ हैं।", "हृदय सामान्य।"]),
        ("12. 3", []),
    ],
)
def test_reports_in_other_scripts(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected
    assert [clean(sentence) for sentence in expected] == expected


def test_signs_count_as_words() -> None:
    assert WORDS.findall("心影正常 S5, 12") == ["心", "影", "正", "常", "S5", "12"]
    assert WORDS.findall("The heart is large") == ["The", "heart", "is", "large"]


def test_titles_are_capitals() -> None:
    assert not tells("CHEST RADIOGRAPH, N\u00ba 2")
    assert not tells("РЕНТГЕНОГРАФИЯ 2")
    assert tells("Лёгкие чистые")
    assert tells("胸片")
