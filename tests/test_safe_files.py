"""Files of strangers."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from g2d_bench import safe_files
from g2d_bench.errors import InputError
from g2d_bench.safe_files import DEEPEST, LARGEST, parse_json, read_strangers


def test_a_file_of_just_the_allowed_size(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x" * (1 << 20))
    (tmp_path / "link").symlink_to(path)
    assert read_strangers(tmp_path / "link", 1 << 20) == path.read_bytes()
    path.write_bytes(b"x" * ((1 << 20) + 1))
    with pytest.raises(InputError, match="is larger than the 1 MiB that such a file may have"):
        read_strangers(path, 1 << 20)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path, says in (
        (tmp_path / "fifo", "is no regular file"),
        (Path("/dev/zero"), "is no regular file"),
        (tmp_path, "is no regular file"),
        (tmp_path / "none", r"cannot be read \(No such file or directory\)"),
        (Path("a\0b"), r"cannot be read \(embedded null byte\)"),
    ):
        with pytest.raises(InputError, match=says):
            read_strangers(path, 100)


def test_json_as_deep_as_allowed() -> None:
    path = Path("record.json")
    # The innermost list is empty, so that there are as many levels as brackets.
    deepest = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json(deepest.encode(), path) == json.loads(deepest)
    for levels in (DEEPEST + 1, 100_000):
        with pytest.raises(InputError, match=f"^record.json: is nested deeper than {DEEPEST} levels$"):
            parse_json(("[" * levels + "]" * levels).encode(), path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"a": {"b": [NaN]}}', "a.b: is no finite number"),
        (b'{"a": -Infinity}', "a: is no finite number"),
        (b'{"a": 1e999}', "a: is no finite number"),
        (b'{"a": %d}' % LARGEST, "a: is a whole number out of range"),
        (b'{"a": "\\ud800"}', "a: holds half of a surrogate pair"),
        (b'{"a": {"\\udc00": 1}}', "a: holds half of a surrogate pair"),
        (b'{"a": 1, "b": 2, "a": 1}', "a: stands twice; leave one"),
        (b'[{"a": {"b": 0, "\\u0062": 1}}]', "b: stands twice; leave one"),
        (b"{", "not a readable JSON record"),
        (b'"\xff"', "not a readable JSON record"),
        (b"1" * 5000, "not a readable JSON record"),
    ],
)
def test_what_could_not_be_written_again(text: bytes, says: str) -> None:
    with pytest.raises(InputError, match=f"^record.json: {says}"):
        parse_json(text, Path("record.json"))


def test_all_else_is_taken_as_it_is() -> None:
    value = {"a": [1, -LARGEST + 1, 0.5, None, True, "é\n"], "": {}}
    assert parse_json(json.dumps(value).encode(), Path("a")) == value


BARE = re.compile(r"\.read_bytes\(\)|\.read_text\(|\bopen\((?:path|file|name)\b|\.open\((?:\"r|encoding)")
OWN = {
    "cells/submit.py": "files of its own draft, and cards that were read before",
    "readers/dicom.py": "a path that was looked at before",
    "readers/images.py": "beginnings of regular files",
    "readers/unpack.py": "looked at before",
    "records/quoted.py": "shipped tables",
    "records/recompute.py": "its own cache",
}
"""Modules of rooms that read strangers' files, and which files they read without a limit all the same."""


def test_strangers_files_are_read_with_a_limit() -> None:
    package = Path(safe_files.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for room in ("cards", "cells", "readers", "records")
        for path in (package / room).rglob("*.py")
        if BARE.search(path.read_text(encoding="utf-8"))
    }
    assert found == OWN.keys()
