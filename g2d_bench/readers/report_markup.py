"""Reports as hospital systems export them, to plain text: bytes, escapes, HTML, markdown.

Nothing is taken away but the mark-up: what a tag or an escape stands for (a new line, a list item, a
quotation mark) is put in its place.
"""

from __future__ import annotations

import html
import re
from functools import cache

_LINE_ENDS = re.compile("\r\n|[\r\f\v\u2028\u2029]")
_SPACES = re.compile("[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_NOTHING = re.compile("[\0-\x08\x0e-\x1f\x7f\xad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
# Windows-1252 that somebody has read as Latin-1 leaves control characters, which no report holds otherwise.
_WINDOWS = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}

# What stands for a new line when a report has gone through JSON, SQL or HL7 version 2; HL7's other escapes.
_ESCAPED_LINE = re.compile(r"\\\.(?:br|sp)\d*\\|\\r\\n|\\n|\\r(?![a-z])")
_HL7 = re.compile(r"\\([FSTRE])\\")
_HL7_MEANS = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}
_HL7_STYLE = re.compile(r"\\[HN]\\")
_TAB = re.compile(r"\\t(?![a-z])")

# Up to the next of the same kind only: a text full of unclosed ones would take hours otherwise.
_DROPPED = re.compile(
    r"<!--(?:(?!<!--).)*?-->|<(style|script|head)\b[^>]*>(?:(?!<\1\b).)*?</\1\s*>", re.IGNORECASE | re.DOTALL
)
_ITEM = re.compile(r"<(?:li|item)(?:\s[^<>]*)?>", re.IGNORECASE)
_BREAK = re.compile(r"[ \t]*<(?:br|hr|/?tr|/?[uo]l|/?list)(?:\s[^<>]*)?/?>[ \t]*", re.IGNORECASE)
_PARAGRAPH = re.compile(
    r"[ \t]*</?(?:p|div|h[1-6]|table|pre|section|paragraph|blockquote)(?:\s[^<>]*)?/?>[ \t]*", re.IGNORECASE
)
_CELL = re.compile(r"</(?:td|th)\s*>", re.IGNORECASE)
# By name only: "<" and ">" compare as well, and some reports put sentences between them.
_TAG = re.compile(
    r"</?(?:a|b|big|body|caption|center|code|content|em|font|html|i|img|item|li|meta|o:p|s|small|span|strong|sub"
    r"|sup|tbody|td|text|th|thead|title|tt|u|!doctype)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)

# Not the marks of de-identification, which look like [**...**] and ___.
_BOLD = re.compile(r"(?<![\[*\w])(\*{1,3})(?=[^\s*])([^*\n]*[^\s*])\1(?![\]*\w])")
_FENCE = re.compile(r"^[ \t]*```.*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:\*{3,}|-{3,}|={3,})[ \t]*$", re.MULTILINE)
_TITLE = re.compile(r"^[ \t]*#{2,6}[ \t]*(?=\S)(.*)$", re.MULTILINE)


def decode(raw: bytes) -> str:
    """Decode the bytes of a report: UTF-8, UTF-16 with its mark, or else Windows-1252.

    Raises:
        ValueError: UTF-16 that is none.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1").translate(_WINDOWS)


def plain(text: str, headings: str) -> str:
    """Take the mark-up out of a report.

    Args:
        text: as stored: with HTML tags and entities, markdown, escaped line ends, odd blanks or none of them.
        headings: regular expression of the names that open a section; one of them in bold, or as a title,
            keeps its role by a colon.

    Returns:
        Plain text with line feeds and ordinary blanks.
    """
    text = html.unescape(html.unescape(text)) if "&" in text else text
    if "\\" in text:
        text = _HL7_STYLE.sub("", _ESCAPED_LINE.sub("\n", text))
        text = _HL7.sub(lambda match: _HL7_MEANS[match[1]], _TAB.sub(" ", text))
    text = _NOTHING.sub("", _SPACES.sub(" ", _LINE_ENDS.sub("\n", text.translate(_WINDOWS))))
    shapes = _shapes(headings)
    if "<" in text:
        text = shapes.bold_tag.sub(r"\n\n\1: ", _DROPPED.sub("", text))
        text = _PARAGRAPH.sub("\n\n", _BREAK.sub("\n", _ITEM.sub("\n- ", text)))
        text = _TAG.sub("", _CELL.sub(" ", text))
    if "*" in text or "__" in text:
        text = shapes.bold.sub(r"\1: ", text)
        text = _BOLD.sub(r"\2", text)
    text = shapes.led.sub("", text)
    if "#" in text or "`" in text or "---" in text or "===" in text or "***" in text:
        text = _TITLE.sub(lambda title: title[1].rstrip(" \t#"), _FENCE.sub("", _RULE.sub("", text)))
    return text


class _Shapes:
    """Mark-up around the name of a section."""

    def __init__(self, names: str) -> None:
        name = rf"((?i:{names}))"
        tags = r"b|strong|u|em|i|font|span"
        stars = r"(?:\*{1,3}|__)"
        self.bold_tag = re.compile(
            rf"(?:<(?:{tags})(?:\s[^<>]*)?>\s*)+{name}\s*:?\s*(?:</(?:{tags})\s*>\s*)+:?", re.IGNORECASE
        )
        self.bold = re.compile(
            rf"(?:^[ \t]*|(?<=[.!?:][ \t])){stars}[ \t]*{name}[ \t]*:?[ \t]*{stars}[ \t]*:?[ \t]*",
            re.MULTILINE,
        )
        # A bullet, number, quotation mark or title sign before a heading; "#" alone may mean a fracture.
        self.led = re.compile(
            rf"^[ \t]*(?:[-*•>#]|\(?\d{{1,2}}[.)])[ \t]+(?={name}[ \t]*(?::|$))", re.MULTILINE
        )


@cache
def _shapes(names: str) -> _Shapes:
    return _Shapes(names)
