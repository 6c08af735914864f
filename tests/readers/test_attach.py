"""Every id gets its image."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import attach_images, by_name, by_stem, find_files
from g2d_bench.readers.base import Sample


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def sample(name: str, row: int = 2) -> Sample:
    return Sample(id=name, patient=name, path=Path(name), meta={"row": str(row)})


def test_every_id_gets_its_image(tmp_path: Path) -> None:
    for name in ("b/x.PNG", "a/y.png", ".cache/z.png", "__MACOSX/._x.png", "a/._y.png", "a/notes.txt"):
        write(tmp_path / name, b"")
    files = find_files(tmp_path, (".png",))
    assert files == ["a/y.png", "b/x.PNG"]
    assert find_files(tmp_path, (".png",), ("a", "missing")) == ["a/y.png"]
    table = tmp_path / "t.csv"
    done = attach_images([sample("y"), sample("x")], tmp_path, files, table, "id", by_stem)
    assert [(s.id, s.path) for s in done] == [("x", tmp_path / "b/x.PNG"), ("y", tmp_path / "a/y.png")]
    with pytest.raises(InputError, match=r"t\.csv:7: id: no image w below .* \(2 of 4 ids\)"):
        attach_images(
            [sample("y"), sample("w", 7), sample("x"), sample("v", 9)], tmp_path, files, table, "id", by_stem
        )
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'b/x.PNG'}: image without a row in t.csv")):
        attach_images([sample("y")], tmp_path, files, table, "id", by_stem)
    write(tmp_path / "c/y.png", b"")
    with pytest.raises(InputError, match=r"c/y\.png: a second file for the same image, beside a/y\.png"):
        attach_images([sample("y.png")], tmp_path, find_files(tmp_path, (".png",)), table, "id", by_name)
