"""Reading the tables of a release: every complaint names file, row and column.

The `csv` module is used rather than pandas because a message must point to the physical line of the file, and
because several releases have headers (`Bbox [x,y,w,h],,,`) that only make sense cell by cell.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.readers.base import Box, Dataset
from g2d_bench.readers.folders import PACKINGS, look_alike
from g2d_bench.readers.unpack import unpacked

MISSING = frozenset({"", "nan", "NaN", "NA", "null", "None"})
"""Spellings of an empty cell in the public tables."""

HAND_DRAWN = 0.02
"""Share of the longer image side by which a hand-drawn box may pass the edge; it is clipped there."""

_SEPARATORS = (",", ";", "\t", "|")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_SEPARATOR_LINE = re.compile(r"[ \t]*sep=(.)[ \t]*(?=[\r\n]|\Z)", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_BEGINNING = 1 << 20
"""Characters of a table, and :data:`_FIRST_ROWS` its rows, by which its separator is told."""
_FIRST_ROWS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One row: cells by column name, and its place for complaints.

    Attributes:
        table: the table that it stands in.
        line: physical line in the file, from 1.
        cells: the text of the cells, stripped.
    """

    table: Table
    line: int
    cells: Sequence[str]

    def __getitem__(self, column: str) -> str:
        position = self.table.columns[column]
        return self.cells[position] if position < len(self.cells) else ""

    def error(self, message: str, column: str | None = None) -> InputError:
        """Make the one-line complaint about this row."""
        return InputError(message, file=f"{self.table.path}:{self.line}", field=column)

    def text(self, column: str) -> str:
        """Return a cell that must not be empty.

        Raises:
            InputError: the cell is empty.
        """
        value = self[column]
        if value in MISSING:
            raise self.error("is empty", column)
        return value

    def number(self, column: str, *, required: bool = True) -> float:
        """Return a cell as a finite number, NaN for an empty one that may be empty.

        Raises:
            InputError: the cell is not a number, infinite, or empty though required.
        """
        value = self[column]
        if value in MISSING:
            if required:
                raise self.error("is empty, a number is needed", column)
            return math.nan
        try:
            number = float(value)
        except ValueError:
            raise self.error(f"{value!r} is not a number", column) from None
        if not math.isfinite(number):
            raise self.error(f"{value!r} is not a finite number", column)
        return number

    def choice(self, column: str, allowed: Sequence[str], value: str | None = None) -> str:
        """Return a cell (or a part of it) that must be one of ``allowed``.

        Raises:
            InputError: it is another word; the text offers the nearest one.
        """
        word = self[column] if value is None else value
        if word not in allowed:
            raise self.error(f"unknown value {word!r}, {did_you_mean(word, list(allowed))}", column)
        return word


class Table:
    """A parsed table.

    Attributes:
        path: the file.
        columns: column name to position.
        rows: all rows, in the order of the file.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = {name: position for position, name in enumerate(columns)}
        self.rows: list[Row] = []

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def by_id(self, column: str) -> dict[str, Row]:
        """Index the rows by a column that must be filled and unique.

        Raises:
            InputError: an id is empty or repeated.
        """
        index: dict[str, Row] = {}
        for row in self.rows:
            key = row.text(column)
            if key in index:
                raise row.error(f"duplicate id {key!r}, first on row {index[key].line}", column)
            index[key] = row
        return index


def locate(root: Path, names: Sequence[str], *, needed: str | None = None) -> Path | None:
    """Find a table, plain or packed (``.gz``, ``.zip``), directly below a folder.

    Args:
        root: the folder of the release.
        names: file names that releases use, the preferred first.
        needed: when given, a missing table is an error, and this says how to get it.

    Raises:
        InputError: nothing found though needed.
    """
    for name in names:
        for packing in PACKINGS:
            path = root / (name + packing)
            if path.is_file():
                return path
            if path.is_symlink() and not path.exists():
                raise InputError(f"is a link to nothing ({path.readlink()})", file=path)
    if needed is None:
        return None
    if near := look_alike(root, names):
        needed = f"but {near} lies there: rename it or move it here"
    if folder := next((name for name in names if (root / name).is_dir()), ""):
        raise InputError(f"is a folder and no table; {needed}", file=root / folder)
    raise InputError(f"table not found (also looked for .gz and .zip); {needed}", file=root / names[0])


def require(root: Path, names: Sequence[str], needed: str) -> Path:
    """:func:`locate` for a table without which nothing works."""
    path = locate(root, names, needed=needed)
    assert path is not None
    return path


def optional(dataset: Dataset, names: Sequence[str]) -> Path | None:
    """:func:`locate` for a table of a release that may be absent; one of another spelling is remarked on."""
    path = locate(dataset.root, names)
    if path is None and (near := look_alike(dataset.root, names)):
        place = near.relative_to(dataset.root)
        dataset.remark(1, f"table is not read, {place}: it is looked for as {names[0]}")
    return path


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def read_text(path: Path, delimiter: str = ",", names: Sequence[str] | None = None) -> str:
    """Read a text file as UTF-8 (or UTF-16 with its mark), without the byte order mark.

    Raises:
        InputError: a byte does not belong to the encoding; the text names row and column.
    """
    data = unpacked(path)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if encoding != "utf-16" and b"\0" in data[:2]:
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        lines = _LINE_END.split(data[: error.start].decode("latin-1") + "?")
        header = _LINE_END.split(data.decode("latin-1"), 1)[0]
        column, names = len(_cells(lines[-1], delimiter)) - 1, names or _cells(header, delimiter)
        raise InputError(
            f"byte 0x{data[error.start]:02x} is not {encoding.removesuffix('-sig')}: mixed encodings",
            file=f"{path}:{len(lines)}",
            field=names[column] if 0 <= column < len(names) else f"column {column + 1}",
        ) from None


def read_table(
    path: Path, required: Sequence[str], *, delimiter: str = ",", names: Sequence[str] | None = None
) -> Table:
    """Read a delimited table.

    Packed files, a byte order mark, blanks around header names and values, quoted cells, line ends of
    Windows and old Macs and empty cells at the end of a row are put up with. So is what spreadsheets make of
    a table: cells separated by semicolons, tabs or bars, then with decimal commas. Nothing else is.

    Args:
        path: the file.
        required: columns that must be there.
        delimiter: what separates the cells, unless more of the required columns appear by another separator;
            where none is required, unless header and rows agree in more cells by another.
        names: the column names of a file without a header; every row then has exactly these cells.

    Raises:
        InputError: unreadable file, wrong encoding, missing or repeated column, a header in the middle,
            a row with too many or too few cells.
    """
    text = read_text(path, delimiter, names)
    commas = delimiter == ","
    if names is None:
        text, delimiter = _separator(text, delimiter, required)
    commas &= delimiter != ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    table: Table | None = Table(path, names) if names is not None else None
    header = list(names or ())
    begun, ended = 1, 0
    try:
        for raw in reader:
            begun, ended = ended + 1, reader.line_num
            cells = [cell.strip() for cell in raw]
            if commas:
                cells = [cell.replace(",", ".") if _DECIMAL_COMMA.fullmatch(cell) else cell for cell in cells]
            while cells and not cells[-1]:
                cells.pop()
            if not cells:
                continue
            if table is None:
                table, header = Table(path, cells), cells
                _check_header(path, cells, required)
                continue
            row = Row(table, reader.line_num, cells)
            if cells == header:
                raise row.error("a header row among the data, remove it", header[0])
            if len(cells) > len(header) or (names is not None and len(cells) < len(header)):
                raise row.error(f"has {len(cells)} cells, {len(header)} are needed ({', '.join(header)})")
            table.rows.append(row)
    except csv.Error as error:
        hint = "; is a quote left open?" if reader.line_num > ended + 1 else ""
        raise InputError(f"is not a table: {error}{hint}", file=f"{path}:{ended + 1}") from None
    _require_closed(path, text, begun, delimiter, header)
    if table is None or not table.rows:
        raise InputError("holds no rows", file=path)
    return table


def _require_closed(path: Path, text: str, line: int, delimiter: str, header: Sequence[str]) -> None:
    """Refuse a quote that takes in the rest of the table: its cell would be blamed for what it holds.

    Raises:
        InputError: a quoted cell of the row that begins on a line has no end.
    """
    rest = list(itertools.islice(io.StringIO(text, newline=""), line - 1, None))
    try:
        for _ in csv.reader(rest, delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        if "end of data" in str(error):
            count = len(next(csv.reader(rest, delimiter=delimiter)))
            column = header[count - 1] if 0 < count <= len(header) else None
            raise InputError(
                "a quote opens here that nothing closes", file=f"{path}:{line}", field=column
            ) from None


def _separator(text: str, delimiter: str, required: Sequence[str]) -> tuple[str, str]:
    """Return the text and what separates its cells.

    Of all separators it is the one that shows most of the required columns. Where none is required, it is the
    one by which the header and the rows after it agree in most cells.
    """
    if hint := _SEPARATOR_LINE.match(text):
        # Emptied, not removed: rows keep their numbers.
        return text[hint.end() :], hint[1]

    def shown(separator: str) -> int:
        header, *rows = _beginning(text, separator) or [[]]
        if required:
            return len(set(required) & set(header))
        # A single column is what any table has by a separator that does not occur in it.
        return len(header) + sum(len(row) * (len(row) <= len(header)) for row in rows) if header[1:] else 0

    best = max(_SEPARATORS, key=shown)
    return text, best if shown(best) > shown(delimiter) else delimiter


def _beginning(text: str, separator: str) -> list[list[str]]:
    """Return the header and some rows after it as a separator divides them, up to what cannot be read."""
    found: list[list[str]] = []
    reader = csv.reader(io.StringIO(text[:_BEGINNING], newline=""), delimiter=separator)
    with contextlib.suppress(csv.Error):
        for cells in itertools.islice(reader, _FIRST_ROWS):
            if any(cell.strip(" ,;\t|") for cell in cells):
                filled = max(place for place, cell in enumerate(cells, 1) if cell.strip())
                found.append([cell.strip() for cell in cells[:filled]])
    return found


def _check_header(path: Path, header: Sequence[str], required: Sequence[str]) -> None:
    for column in required:
        if column not in header:
            raise InputError(
                f"column is missing from the header, {did_you_mean(column, list(header))}",
                file=f"{path}:1",
                field=column,
            )
    for position, column in enumerate(header):
        if column and column in header[:position]:
            raise InputError("column stands twice in the header", file=f"{path}:1", field=column)


def make_box(
    row: Row,
    label: str,
    xywh: tuple[float, float, float, float],
    size: tuple[float, float] | None,
    columns: tuple[str, str, str, str],
    slack: float = 0.0,
) -> Box:
    """Make a box after checking that it has a size and lies on the image.

    Args:
        row: where it was read.
        label: what it encloses.
        xywh: left, top, width, height in raw pixels.
        size: (width, height) of the image in pixels, None where the table does not tell.
        columns: the columns of the four values, for the complaint.
        slack: pixels by which hand-drawn boxes may pass the edge; what passes is clipped.

    Raises:
        InputError: no extent, or outside the image.
    """
    x, y, w, h = xywh
    for extent, column in ((w, columns[2]), (h, columns[3])):
        if not extent > 0:
            raise row.error(f"box of size {extent:g}, it must be positive", column)
    limits = size or (math.inf, math.inf)
    for start, extent, limit, column in ((x, w, limits[0], columns[0]), (y, h, limits[1], columns[1])):
        if start < -slack or start + extent > limit + slack:
            raise row.error(
                f"box from {start:g} to {start + extent:g} lies outside the image (0 to {limit:g})", column
            )
    if x >= 0 and y >= 0 and x + w <= limits[0] and y + h <= limits[1]:
        return Box(label, x, y, w, h)
    left, top = max(x, 0.0), max(y, 0.0)
    width, height = min(x + w, limits[0]) - left, min(y + h, limits[1]) - top
    for extent, start, column in ((width, x, columns[0]), (height, y, columns[1])):
        if not extent > 0:
            raise row.error(f"box at {start:g} lies beyond the edge of the image", column)
    return Box(label, left, top, width, height)
