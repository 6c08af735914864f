"""Reading tables: what is put up with, and where each complaint points."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zipfile
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Box
from g2d_bench.readers.rsna import Rsna
from g2d_bench.readers.tables import Row, locate, make_box, optional, read_table, require

PLAIN = "id,value\na,1\nb,2\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def first_row(tmp_path: Path, header: str, cells: str) -> Row:
    return read_table(write(tmp_path / "t.csv", f"{header}\n{cells}\n"), ()).rows[0]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        "\ufeff" + PLAIN,
        PLAIN.replace("\n", "\r\n"),
        "id, value \na, 1\n b ,2\n",
        '"id","value"\n"a","1"\nb,2',
        "id,value,,\na,1,,\nb,2\n",
        "\nid,value\n\na,1\n,\nb,2\n\n",
        PLAIN.encode("utf-16"),
        PLAIN.replace("\n", "\r"),
        "sep=;\r" + PLAIN.replace("\n", "\r").replace(",", ";"),
    ],
    ids=[
        "plain",
        "bom",
        "windows",
        "blanks",
        "quotes",
        "trailing",
        "empty-lines",
        "utf-16",
        "mac",
        "mac-sep",
    ],
)
def test_tolerated_forms_read_alike(tmp_path: Path, content: str | bytes) -> None:
    table = read_table(write(tmp_path / "t.csv", content), ("id", "value"))
    assert [(row["id"], row.number("value")) for row in table] == [("a", 1.0), ("b", 2.0)]
    assert len(table) == 2


OWN = [["image", "Mass", "boxes"], ["a", "1", "1 2 3 4; 5 6 7 8"], ["b", "0,5", ""], ["c", "", "x|y, z"]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_separator_is_told_where_no_column_is_required(
    tmp_path: Path, separator: str, encoding: str
) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=separator).writerows(OWN)
    table = read_table(write(tmp_path / "t.csv", text.getvalue().encode(encoding)), ())
    assert list(table.columns) == OWN[0]
    assert [[row[column] for column in OWN[0]] for row in table] == [
        OWN[1],
        # By another separator than the comma it is decimal.
        ["b", "0,5" if separator == "," else "0.5", ""],
        OWN[3],
    ]


def test_a_separator_in_the_cells_of_one_column_is_none(tmp_path: Path) -> None:
    rows = read_table(write(tmp_path / "t.csv", "image\na;b\nc;d\n"), ()).rows
    assert [row["image"] for row in rows] == ["a;b", "c;d"]
    # A header with more commas than semicolons: its rows decide.
    table = read_table(write(tmp_path / "t.csv", "image;Mass, left, new\na;1\nb;0\n"), ())
    assert list(table.columns) == ["image", "Mass, left, new"]
    with pytest.raises(InputError, match=r"t\.csv:2: has 3 cells, 2 are needed"):
        read_table(write(tmp_path / "t.csv", "image,report\na,one, two\n"), ())


def test_rows_of_old_macs_keep_their_physical_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'id,value\ra,"two\rlines"\rb,x\r')
    assert [(row.line, row["value"]) for row in read_table(path, ("id",))] == [(3, "two\rlines"), (4, "x")]
    path.write_bytes(b"id,value\ra,1\rb,caf\xe9\r")
    with pytest.raises(InputError, match=r"t\.csv:3: value: byte 0xe9 is not utf-8"):
        read_table(path, ("id",))


def test_a_line_that_no_table_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv:1: is not a table: field larger"):
        read_table(write(tmp_path / "t.csv", "x" * 200_000), ("id",))


def test_packed_tables(tmp_path: Path) -> None:
    write(tmp_path / "g.csv.gz", gzip.compress(PLAIN.encode()))
    with zipfile.ZipFile(tmp_path / "z.csv.zip", "w") as archive:
        archive.writestr("z.csv", PLAIN)
        archive.writestr("__MACOSX/._z.csv", "x")
    for name in ("g.csv", "z.csv"):
        path = locate(tmp_path, (name,))
        assert path is not None
        assert [row["id"] for row in read_table(path, ("id",))] == ["a", "b"]
    assert locate(tmp_path, ("none.csv",)) is None
    write(tmp_path / "g.csv", PLAIN)
    assert locate(tmp_path, ("g.csv",)) == tmp_path / "g.csv"


def test_rows_keep_their_physical_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", 'id,text\n\na,"two\nlines"\nb,x\n')
    assert [row.line for row in read_table(path, ("id",))] == [4, 5]


def test_short_rows_read_as_empty_cells(tmp_path: Path) -> None:
    row = first_row(tmp_path, "id,x,y", "a")
    assert row["y"] == ""
    assert math.isnan(row.number("y", required=False))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,val\na,1\n", r"t\.csv:1: value: column is missing from the header, did you mean 'val'\?"),
        ("1,2\na,1\n", r"t\.csv:1: id: column is missing"),
        ("A title\nid,value\na,1\n", r"t\.csv:1: id: column is missing"),
        ("id,value,value\na,1,2\n", r"t\.csv:1: value: column stands twice"),
        ("id,value\na,1\nid,value\nb,2\n", r"t\.csv:3: id: a header row among"),
        ("id,value\na,1,2\n", r"t\.csv:2: has 3 cells, 2 are needed"),
        ("id,value\n", r"t\.csv: holds no rows"),
        ("", r"t\.csv: holds no rows"),
        (b"id,value\na,1\nb,caf\xe9\n", r"t\.csv:3: value: byte 0xe9 is not utf-8: mixed encodings"),
        (b"id,value\n\xe9,1\n", r"t\.csv:2: id: byte 0xe9"),
        (b"id,value\na,1,,\xe9\n", r"t\.csv:2: column 4: byte 0xe9"),
        ("id,value\na," + "x" * 200_000 + "\n", r"t\.csv:2: is not a table: field larger"),
    ],
)
def test_malformed_tables(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = write(tmp_path / "t.csv", content)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path, ("id", "value"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('id,report\na,x\nb,"y\nc,z\n', r"t\.csv:3: report: a quote opens here that nothing closes"),
        ('id,report\na,"x\n', r"t\.csv:2: report: a quote opens here that nothing closes"),
        ('id,report\n"a,x\nb,y', r"t\.csv:2: id: a quote opens here that nothing closes"),
        ('id,report\na,x\n"' + "b,y\n" * 50_000, r"t\.csv:3: is not a table: .*; is a quote left open\?"),
    ],
)
def test_a_quote_left_open_is_named_where_it_opens(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "t.csv", ("id",))
    closed = content.replace('"', "")
    (tmp_path / "t.csv").write_text(closed)
    assert len(read_table(tmp_path / "t.csv", ("id",))) == closed.strip().count("\n")


def test_quotes_within_cells_are_put_up_with(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('id,report\na,"x "y" z"\nb,5" tube\n')
    assert [row["report"] for row in read_table(tmp_path / "t.csv", ("id",))][1] == '5" tube'


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.csv: cannot be read: No such file"):
        read_table(tmp_path / "t.csv", ())
    with pytest.raises(InputError, match=r"t\.csv\.gz: cannot be read: neither packed as gz nor text"):
        read_table(write(tmp_path / "t.csv.gz", b"not\0packed"), ())
    with pytest.raises(InputError, match="cannot be read"):
        read_table(write(tmp_path / "u.csv.gz", gzip.compress(PLAIN.encode() * 99)[:-20]), ())
    with pytest.raises(InputError, match="cannot be read"):
        read_table(write(tmp_path / "t.csv.zip", b"not\0packed"), ())
    with zipfile.ZipFile(tmp_path / "two.csv.zip", "w") as archive:
        archive.writestr("a.csv", PLAIN)
        archive.writestr("b.csv", PLAIN)
    with pytest.raises(InputError, match="holds 2 files"):
        read_table(tmp_path / "two.csv.zip", ())
    with pytest.raises(InputError, match=r"labels\.csv: table not found .* ask nicely"):
        require(tmp_path, ("labels.csv",), "ask nicely")


def test_headerless_lists_have_exact_cells(tmp_path: Path) -> None:
    path = write(tmp_path / "l.txt", "a 1\nb 2\n")
    table = read_table(path, (), delimiter=" ", names=("id", "value"))
    assert [row["value"] for row in table] == ["1", "2"]
    write(path, "a 1\nb\n")
    with pytest.raises(InputError, match=r"l\.txt:2: has 1 cells, 2 are needed \(id, value\)"):
        read_table(path, (), delimiter=" ", names=("id", "value"))
    write(path, "a 1 x\n")
    with pytest.raises(InputError, match=r"l\.txt:1: has 3 cells"):
        read_table(path, (), delimiter=" ", names=("id", "value"))


def test_by_id(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "id\na\nb\na\n")
    with pytest.raises(InputError, match=r"t\.csv:4: id: duplicate id 'a', first on row 2"):
        read_table(path, ("id",)).by_id("id")
    write(path, "id,x\na,1\n,2\n")
    with pytest.raises(InputError, match=r"t\.csv:3: id: is empty"):
        read_table(path, ("id",)).by_id("id")


@pytest.mark.parametrize("spelling", ["", "nan", "NaN", "NA"])
def test_empty_spellings(tmp_path: Path, spelling: str) -> None:
    row = first_row(tmp_path, "id,x,z", f"a,{spelling},1")
    assert math.isnan(row.number("x", required=False))
    with pytest.raises(InputError, match=r"t\.csv:2: x: is empty"):
        row.number("x")
    with pytest.raises(InputError, match=r"t\.csv:2: x: is empty"):
        row.text("x")


@pytest.mark.parametrize(
    ("text", "message"), [("one", "not a number"), ("inf", "finite"), ("1;2", "not a number")]
)
def test_bad_numbers(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"t\.csv:2: x: '{text}' is not a.*"):
        first_row(tmp_path, "id,x", f"a,{text}").number("x")


def test_choice_offers_the_nearest(tmp_path: Path) -> None:
    row = first_row(tmp_path, "id,class", "a,Normall")
    with pytest.raises(InputError, match=r"class: unknown value 'Normall', did you mean 'Normal'\?"):
        row.choice("class", ("Normal", "Pneumonia"))


COLUMNS = ("x", "y", "w", "h")


@pytest.mark.parametrize(
    ("xywh", "message"),
    [
        ((0, 0, 0, 5), r"t\.csv:2: w: box of size 0"),
        ((0, 0, 5, -3), r"t\.csv:2: h: box of size -3"),
        ((0, 0, math.nan, 3), r"t\.csv:2: w: box of size nan"),
        ((-4, 0, 5, 5), r"t\.csv:2: x: box from -4 to 1 lies outside the image \(0 to 100\)"),
        ((0, -9, 5, 5), r"t\.csv:2: y: box from -9"),
        ((90, 0, 14, 5), r"t\.csv:2: x: box from 90 to 104"),
        ((0, 40, 5, 14), r"t\.csv:2: y: box from 40 to 54 lies outside the image \(0 to 50\)"),
    ],
)
def test_bad_boxes(tmp_path: Path, xywh: tuple[float, float, float, float], message: str) -> None:
    row = first_row(tmp_path, "id,x", "a,1")
    with pytest.raises(InputError, match=message):
        make_box(row, "L", xywh, (100, 50), COLUMNS, slack=3)


@pytest.mark.parametrize(
    ("xywh", "column"), [((-2, 0, 1, 5), "x"), ((101, 0, 1, 5), "x"), ((0, 51, 5, 1), "y")]
)
def test_nothing_is_left_of_a_box_beyond_the_edge(
    tmp_path: Path, xywh: tuple[float, float, float, float], column: str
) -> None:
    row = first_row(tmp_path, "id,x", "a,1")
    with pytest.raises(InputError, match=rf"t\.csv:2: {column}: box at .* lies beyond the edge of the image"):
        make_box(row, "L", xywh, (100, 50), COLUMNS, slack=3)


def test_box_within_slack_is_clipped(tmp_path: Path) -> None:
    row = first_row(tmp_path, "id,x", "a,1")
    assert make_box(row, "L", (-2, 45, 50, 7), (100, 50), COLUMNS, slack=3) == Box("L", 0, 45, 48, 5)
    assert make_box(row, "L", (10, 10, 500, 7), None, COLUMNS) == Box("L", 10, 10, 500, 7)


def test_what_stands_in_the_place_of_a_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(InputError, match=r"labels\.csv: is a folder and no table; ask nicely"):
        require(tmp_path, ("labels.csv",), "ask nicely")
    write(tmp_path / "labels.csv" / "labels.csv", PLAIN)
    with pytest.raises(InputError, match=r"but .*labels\.csv/labels\.csv lies there"):
        require(tmp_path, ("labels.csv",), "ask nicely")
    (tmp_path / "boxes.csv").symlink_to(tmp_path / "gone")
    for needed in (None, "ask nicely"):
        with pytest.raises(InputError, match=r"boxes\.csv: is a link to nothing \(.*gone\)"):
            locate(tmp_path, ("boxes.csv",), needed=needed)


def test_a_table_that_may_be_absent_is_not_missed_in_silence(tmp_path: Path) -> None:
    dataset = Rsna(tmp_path)
    assert optional(dataset, ("boxes.csv",)) is None
    assert dataset.remarks == []
    write(tmp_path / "boxes (1).csv", PLAIN)
    assert optional(dataset, ("boxes.csv",)) is None
    assert dataset.remarks == ["1 table is not read, boxes (1).csv: it is looked for as boxes.csv"]
    write(tmp_path / "boxes.csv", PLAIN)
    assert optional(dataset, ("boxes.csv",)) == tmp_path / "boxes.csv"
