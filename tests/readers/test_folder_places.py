"""Which file a cell of somebody's own table names."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.folder_places import Places, direct_places
from g2d_bench.readers.tables import Row, read_table


def rows(root: Path, *names: str) -> list[Row]:
    """Rows whose column ``image`` has these names; the table lies in ``root``."""
    path = root / "films.csv"
    path.write_text("image,Mass\n" + "".join(f'"{name}",1\n' for name in names))
    return read_table(path, ("image",)).rows


def places(root: Path, *files: str) -> Places:
    """Places below ``root/films``, where these files lie; a path that begins with ``/`` lies beside it."""
    (root / "films").mkdir()
    for file in files:
        path = root / (file[1:] if file.startswith("/") else f"films/{file}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Places(root / "films", root)


@pytest.mark.parametrize(
    ("cell", "file"),
    [
        ("p1/a.png", "films/p1/a.png"),
        ("p1/a", "films/p1/a.png"),
        ("p1\\a.png", "films/p1/a.png"),
        ("films/p1/a.png", "films/p1/a.png"),
        ("b", "films/p2/b.dcm"),
        ("./p2/b.dcm", "films/p2/b.dcm"),
        ("../other/c.png", "other/c.png"),
        ("other/c.png", "other/c.png"),
        ("1.2.840.7", "films/1.2.840.7"),
        ("1.2.840.9", "films/p2/1.2.840.9.dcm"),
    ],
)
def test_a_name_a_path_or_the_end_of_one(tmp_path: Path, cell: str, file: str) -> None:
    files = ("p1/a.png", "p2/a.png", "p2/b.dcm", "/other/c.png", "1.2.840.7", "p2/1.2.840.9.dcm")
    found = places(tmp_path, *files).film(rows(tmp_path, cell)[0], "image")
    assert found.resolve() == tmp_path / file


@pytest.mark.parametrize(
    ("cell", "line"),
    [
        (
            "p2/a.png",
            r"films\.csv:2: image: no file 'p2/a\.png' below .*films; .*p1/a\.png lies in another fold",
        ),
        ("p2\\a", r"no file 'p2\\\\a' below"),
        ("elsewhere/p1/a.png", "no file 'elsewhere/p1/a.png'"),
        ("1.2.840", "no file '1.2.840'"),
        ("d.png", r"2 files have this name, such as .*p1/d\.png and .*p3/d\.png"),
        ("/", "no file '/'"),
    ],
)
def test_another_folder_is_another_film(tmp_path: Path, cell: str, line: str) -> None:
    known = places(tmp_path, "p1/a.png", "p1/d.png", "p3/d.png", "1.2.840.7")
    with pytest.raises(InputError, match=line) as caught:
        known.film(rows(tmp_path, cell)[0], "image")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("other", ["f3.png", "./f3.png", "../films/f3.png", "films/f3.png", "link/f3.png"])
def test_one_film_has_one_name(tmp_path: Path, other: str) -> None:
    known = places(tmp_path, "f3.png")
    (tmp_path / "films" / "link").symlink_to(tmp_path / "films")
    first, second = rows(tmp_path, "f3", other)
    known.film(first, "image")
    with pytest.raises(
        InputError, match=rf"films\.csv:3: image: '{other}' is the film that row 2 calls 'f3'"
    ):
        known.film(second, "image")


def test_a_mask_is_no_film(tmp_path: Path) -> None:
    known = places(tmp_path, "x/f1.png", "masks/f1.png", "x/f2.png", "y/f3.png", "z/f3.png", "x/f3.png")
    one, two, three = rows(tmp_path, "f1.png", "f2.png", "f3.png")
    films = rows(tmp_path, "x/f1.png", "x/f2.png", "x/f3.png")
    for row in films:
        known.film(row, "image")
    assert known.mask(one, "image") == tmp_path / "films" / "masks" / "f1.png"
    with pytest.raises(
        InputError, match=r"films\.csv:3: image: 'f2\.png' is the film .*x/f2\.png and no mask"
    ):
        known.mask(two, "image")
    with pytest.raises(InputError, match="2 files have this name"):
        known.mask(three, "image")
    # What the cell gives as a path is the film's own, too.
    with pytest.raises(InputError, match="and no mask"):
        known.mask(films[1], "image")
    assert known.left() == 2


def test_a_mask_beside_the_table(tmp_path: Path) -> None:
    known = places(tmp_path, "f1.png", "/f1.png")
    (row,) = rows(tmp_path, "f1.png")
    assert known.film(row, "image") == tmp_path / "films" / "f1.png"
    assert known.mask(row, "image") == tmp_path / "f1.png"
    assert direct_places(tmp_path / "films", tmp_path, "f1.png") == [
        tmp_path / "films" / "f1.png",
        tmp_path / "f1.png",
    ]
