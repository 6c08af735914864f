"""Reports as systems export them."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.reports import (
    read_report,
    sentences,
    split_sentences,
)

INDICATION, FINDING, IMPRESSION = "Cough for a week.", "Heart is large.", "No effusion is seen."
HTML_PAGE = (
    "<html><head><title>Report</title><style>p {{ color: red }}</style></head><body>"
    "<p><b>Indication</b> {0}</p>"
    "<p><strong>Findings:</strong> {1}</p><h3>Impression</h3><ul><li>{2}</li></ul></body></html>"
)


@pytest.mark.parametrize(
    "layout",
    [
        "INDICATION: {0}\nFINDINGS: {1}\nIMPRESSION: {2}",
        # Blanks that are none of ASCII's, before headings and on empty lines.
        "\xa0INDICATION:\xa0{0}\n\xa0\n\xa0FINDINGS:\xa0{1}\n\u3000\n\u2003IMPRESSION:\u202f{2}",
        "\ufeffINDICATION:&nbsp;{0}\n&nbsp;\n&nbsp;FINDINGS&#58;&nbsp;{1}\n&nbsp;\nIMPRESSION&colon; {2}",
        # Line ends that are none.
        "INDICATION: {0}<br>FINDINGS: {1}<BR/><br />IMPRESSION: {2}<br>",
        "INDICATION: {0}&lt;br&gt;FINDINGS: {1}&lt;br&gt;IMPRESSION: {2}",
        r"INDICATION: {0}\nFINDINGS: {1}\n\nIMPRESSION: {2}\n",
        r"INDICATION: {0}\r\n\r\nFINDINGS:\t{1}\r\n\r\nIMPRESSION:\t{2}",
        r"INDICATION: {0}\.br\FINDINGS: {1}\.br\\.br\\H\IMPRESSION:\N\ {2}",
        "INDICATION: {0}\rFINDINGS: {1}\vIMPRESSION: {2}",
        "INDICATION: {0}\u2028FINDINGS: {1}\u2029IMPRESSION: {2}",
        # Markdown.
        "**INDICATION:** {0}\n\n**FINDINGS:** {1}\n\n**IMPRESSION:** {2}",
        "**Indication**: {0}\n**Findings**: {1}\n***Impression***: {2}",
        "**Indication** {0} **Findings** {1} **Impression** {2}",
        "__INDICATION:__ {0}\n\n__FINDINGS:__ {1}\n\n__IMPRESSION:__ {2}",
        "# Report\n\n## Indication\n{0}\n\n### Findings ###\n*{1}*\n\n---\n## Impression:\n**{2}**",
        "- INDICATION: {0}\n- FINDINGS: {1}\n- **IMPRESSION:** {2}",
        "> Indication: {0}\n>\n> Findings: {1}\n>\n> Impression: {2}",
        "```\n# INDICATION: {0}\n# FINDINGS: {1}\n# IMPRESSION: {2}\n```",
        # HTML.
        HTML_PAGE,
        "<p>INDICATION: {0}</p><p>FINDINGS: {1}</p><p>IMPRESSION: {2}</p>",
        "<div><u><b>INDICATION</b></u>: {0}</div><div><b>FINDINGS</b>: {1}</div><b>IMPRESSION</b>: {2}",
        "<table><tr><td>INDICATION:</td><td>{0}</td></tr><tr><td>FINDINGS:</td><td><i>{1}</i></td></tr>"
        "<tr><td>IMPRESSION:</td><td>{2}</td></tr></table>",
    ],
)
def test_reports_as_systems_export_them(tmp_path: Path, layout: str) -> None:
    """Headings are found, no mark-up is left, and the indication is no finding."""
    path = tmp_path / "s1.txt"
    path.write_bytes(layout.format(INDICATION, FINDING, IMPRESSION).encode())
    report = read_report(path)
    assert sentences(report) == [IMPRESSION, FINDING]
    assert split_sentences(report["indication"]) == [INDICATION]


def test_what_looks_like_markup_and_is_none() -> None:
    text = "FINDINGS: Nodule <5 mm, was > 8 mm. [<Old scar>]. # NOF fixed. 5 * 3 * 2 cm cyst. See s_1_2."
    assert sentences(text) == [
        "Nodule <5 mm, was > 8 mm.",
        "Old scar.",
        "# NOF fixed.",
        "5 * 3 * 2 cm cyst.",
        "See s_1_2.",
    ]
    assert sentences("Pain since [**2101-3-4**] and ___. [**Known**] effusion.") == [
        "Pain.",
        "effusion.",
    ]
    assert sentences(r"FINDINGS: asthma \T\ edema \S\ fluid.") == ["asthma & edema ^ fluid."]


def test_unclosed_tags_take_no_time() -> None:
    text = "FINDINGS: Clear lungs." + "<!--" * 20_000 + "<head>" * 20_000
    assert sentences(text)[0].startswith("Clear lungs.")


def test_rich_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s1.txt"
    path.write_bytes(rb"{\rtf1\ansi FINDINGS: \par}")
    with pytest.raises(InputError, match=r"s1\.txt: rich text \(RTF\)"):
        read_report(path)
    path.write_bytes(b"\xff\xfeA")
    with pytest.raises(InputError, match=r"s1\.txt: not a text file"):
        read_report(path)
