"""Which file a cell of somebody's own table names."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path, PurePosixPath

from g2d_bench.readers.folders import walk
from g2d_bench.readers.tables import Row

SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")


def direct_places(root: Path, beside: Path, name: str) -> list[Path]:
    """Return the files at the path that a cell gives, seen from the films' folder and from the table's."""
    # What the system calls too long is no name of a file.
    with suppress(OSError):
        return [place / name for place in dict.fromkeys((root, beside)) if (place / name).is_file()]
    return []


class Places:
    """The files below a folder and beside a table, by the names that the table may have for them.

    Args:
        root: the folder of the films.
        beside: the folder of the table.

    Raises:
        InputError: a folder cannot be read.
    """

    def __init__(self, root: Path, beside: Path) -> None:
        self.root, self.beside = root, beside
        self._folders: dict[Path, str] = {}
        self._rows: dict[str, Row] = {}
        self._masks: set[str] = set()
        self._paths: dict[str, list[Path]] = {}
        self._films: list[Path] = []
        for folder, names in walk(root):
            for name in names:
                path = Path(folder, name)
                stem, ending = os.path.splitext(name)  # noqa: PTH122 - a hundred thousand of them
                # The last number of a UID is no ending.
                for key in {name, name if ending[1:].isdigit() else stem}:
                    self._paths.setdefault(key, []).append(path)
                if name.lower().endswith(SUFFIXES):
                    self._films.append(path)

    def left(self) -> int:
        """Count the films below the folder that no cell names, neither as film nor as mask."""
        return len({self._key(path) for path in self._films} - self._rows.keys() - self._masks)

    def film(self, row: Row, column: str) -> Path:
        """Return the film that a cell names: by its path, its name, or its name without the ending.

        A folder before the name must be the one in which the film lies.

        Raises:
            InputError: there is none, there are several, or it is the film of another row.
        """
        path = self._one(row, column, ())
        other = self._rows.setdefault(self._key(path), row)
        if other is not row:
            raise row.error(
                f"{row[column]!r} is the film that row {other.line} calls {other[column]!r}: "
                "name it alike, or remove a row",
                column,
            )
        return path

    def mask(self, row: Row, column: str) -> Path:
        """Return the mask that a cell names, found as a film is, when the films of all rows are known.

        Raises:
            InputError: there is none, there are several, or it is the film of a row.
        """
        path = self._one(row, column, self._rows)
        self._masks.add(self._key(path))
        return path

    def _key(self, path: Path) -> str:
        """Return the same for all spellings of a path; a link to a file is a file of its own."""
        folder = path.parent
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return f"{self._folders[folder]}{os.sep}{path.name}"

    def _one(self, row: Row, column: str, others: Collection[str]) -> Path:
        """Return the file that a cell names and that is none of some others."""
        name = row.text(column)
        *folders, last = PurePosixPath(name.replace("\\", "/")).parts or ("",)
        known = self._paths.get(last, [])
        inside = [path for path in known if path.parts[-1 - len(folders) : -1] == tuple(folders)]
        direct = direct_places(self.root, self.beside, name)
        named = [path for path in inside if path.name == last] or inside
        free = [
            [path for path in paths if not others or self._key(path) not in others]
            for paths in (direct, named)
        ]
        found = free[0][:1] or free[1]
        if len(found) > 1:
            raise row.error(f"{len(found)} files have this name, such as {found[0]} and {found[1]}", column)
        if found:
            return found[0]
        if direct or named:
            raise row.error(f"{name!r} is the film {(direct or named)[0]} and no mask", column)
        hint = f"; {known[0]} lies in another folder" if known else ""
        hint = "; a quote may be left open" if "\n" in name or "\r" in name else hint
        raise row.error(f"no file {name!r} below {self.root}{hint}", column)
