"""What stands where an image is due."""

from __future__ import annotations

import pytest

from g2d_bench.readers.mistaken import mistaken


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"<!DOCTYPE html><p>Log in", "a web page"),
        (b"\xef\xbb\xbf  \n<HTML>", "a web page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "an XML text"),
        (b"<Error>", "an XML text"),
        (b"PK\x03\x04", "a packed file (zip)"),
        (b"\x1f\x8b\x08", "a packed file (gzip)"),
        (b"7z\xbc\xaf\x27\x1c", "a packed file (7z)"),
        (b"Rar!\x1a\x07", "a packed file (rar)"),
    ],
)
def test_usual_mistakes_are_named(data: bytes, says: str) -> None:
    assert says in mistaken(data)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"\0" * 128 + b"DICM", b"text"])
def test_all_else_is_not_guessed_at(data: bytes) -> None:
    assert mistaken(data) == ""
