"""What stands where an image is due: the ways in which a download hands over something else."""

from __future__ import annotations

_PAGES = (b"<!doctype html", b"<html", b"<head", b"<body")
_ARCHIVES = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "rar"}


def mistaken(data: bytes) -> str:
    """Say what a file is that is no image, "" where it is not one of the usual mistakes.

    Args:
        data: its beginning, 1 KB or more.

    Returns:
        Half a sentence that says what to do.
    """
    if not data:
        return "the file is empty"
    if data.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer stands in its place; `git lfs pull` in that clone fetches the file itself"
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith(_PAGES):
        return "a web page (HTML) stands in its place: the download gave a page, of a login or an error"
    if start.startswith(b"<?xml") or start.startswith(b"<error"):
        return "an XML text stands in its place, as servers send it for an error"
    for magic, name in _ARCHIVES.items():
        if data.startswith(magic):
            return f"a packed file ({name}); unpack it"
    return ""
