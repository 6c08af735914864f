"""The folder of a leaderboard: what of it is ours, and how it is replaced without touching anything else."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from g2d_bench.draft_folders import draft_within, exchange, is_draft, prefix_of, sweep_folders
from g2d_bench.errors import InputError

DATA, PAGE, RECORDS = "leaderboard.json", "index.html", "records"
"""Numbers for programs, the page, and the folder with copies of the records."""
CSV, STYLE, SCRIPT = "leaderboard.csv", "site.css", "site.js"
PAGES = ("curves.html", "compare.html", "claims.html", "quoted.html")
FOLDERS: Mapping[str, tuple[str, ...]] = {
    RECORDS: (".json", ".html"),
    "encoders": (".html",),
    "tasks": (".html",),
    "films": (".jpg",),
}
"""Folders of a leaderboard, and how the files in them end."""
FILES = frozenset({DATA, PAGE, CSV, STYLE, SCRIPT, *PAGES})
"""What stands in the folder itself."""
FIELD = "--out"
HOLDS = FILES | FOLDERS.keys()
"""What stands in a leaderboard, and so in a draft of one."""
INSIDE = ".draft-"
"""How a draft begins inside of a folder that is there."""


def require_free(out: Path) -> None:
    """Find out, before long work, whether a leaderboard can be written to a folder; nothing is changed.

    Raises:
        InputError: it is a link, no folder, the working folder or a folder of something else, or it cannot
            be written to.
    """
    try:
        _require_free(out)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=out, field=FIELD) from error


def _require_free(out: Path) -> None:
    if out.is_symlink():
        raise InputError("is a link; name the folder itself", file=out, field=FIELD)
    here, real = Path.cwd(), Path(os.path.realpath(out))
    if real == here or real in here.parents:
        raise InputError(
            "is the folder that you work in, or one above it; name a folder for the page alone",
            file=out,
            field=FIELD,
        )
    place = next(folder for folder in (real, *real.parents) if folder.exists())
    if place == real and not place.is_dir():
        raise InputError("is not a folder", file=out, field=FIELD)
    if not place.is_dir():
        raise InputError(f"cannot be written: {place} is not a folder", file=out, field=FIELD)
    if not os.access(place, os.W_OK | os.X_OK):
        raise InputError("cannot be written (permissions)", file=out, field=FIELD)
    if place != real or all(is_draft(path, INSIDE, HOLDS) for path in out.iterdir()):
        return
    if _earlier(out) is None:
        raise InputError("holds something that is no leaderboard; it is left alone", file=out, field=FIELD)


def replace_folder(out: Path, files: Mapping[str, bytes | Path]) -> None:
    """Write a leaderboard; of an earlier one there, what is no longer part of it goes.

    All is written beside its place first, so that a full disk changes nothing. Where the folder holds nothing
    else, the new one then takes its place in one step: whoever looks, or kills the process, finds the old or
    the new one whole. Beside files that no leaderboard made, which are never touched, and where the system
    cannot exchange folders, each file takes its place by itself, the page last.

    Args:
        out: the folder.
        files: path in the folder to its content, or to the file to copy.

    Raises:
        InputError: see :func:`require_free`, something of the user's is where a file belongs, or a file to
            copy is gone.
    """
    require_free(out)
    try:
        for where, prefix in ((out.parent, prefix_of(out)), (out, INSIDE)):
            sweep_folders(where, prefix, HOLDS)
        if not out.is_dir():
            out.parent.mkdir(parents=True, exist_ok=True)
            with _draft(out.parent, prefix_of(out), files) as draft:
                draft.rename(out)
            return
        if _is_all_ours(out) and os.access(out.parent, os.W_OK | os.X_OK):
            with _draft(out.parent, prefix_of(out), files) as draft:
                draft.chmod(stat.S_IMODE(out.stat().st_mode))
                # Anything may have been put there meanwhile.
                if _is_all_ours(out) and exchange(draft, out):
                    return
        stale = (_earlier(out) or set()) - set(files)
        for name in files:
            _require_way(out, name)
        with _draft(out, INSIDE, files) as draft:
            for name in sorted(files, key=lambda name: (name == DATA, name == PAGE, name)):
                (out / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).replace(out / name)
        for name in sorted(stale):
            _remove(out, name)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", file=out, field=FIELD) from error


def _earlier(out: Path) -> set[str] | None:
    """Return the files that an earlier leaderboard wrote, None where the folder holds none."""
    file = out / DATA
    if file.is_symlink() or not file.is_file():
        return None
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        named = [
            *data.get("files", ()),
            *(
                unquote(link["file"])
                for section in data["sections"]
                for links in section["records"].values()
                for link in links
            ),
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not {"title", "version", "made"} <= set(data):
        return None
    return {DATA, PAGE, *(name for name in named if _is_ours(name))}


def _is_all_ours(out: Path) -> bool:
    """Say whether a folder is this user's and holds an earlier leaderboard and nothing else."""
    earlier = _earlier(out)
    if earlier is None or out.stat().st_uid != os.geteuid() or os.path.ismount(out):
        return False
    for path in out.rglob("*"):
        name = path.relative_to(out)
        ours = name.parts[0] in FOLDERS if path.is_dir() else name.as_posix() in earlier
        if path.is_symlink() or not ours:
            return False
    return True


def _is_ours(name: object) -> bool:
    """Say whether a name is one that a leaderboard's file has; a stranger's list may name anything."""
    if not isinstance(name, str):
        return False
    path = PurePosixPath(name)
    inside = len(path.parts) > 1 and ".." not in path.parts and "\0" not in name
    return name in FILES or (inside and path.suffix in FOLDERS.get(path.parts[0], ()))


def _require_way(out: Path, name: str) -> None:
    """Refuse to write through a link, or over what is no file."""
    path = out / name
    for folder in path.parents:
        if folder == out:
            break
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise InputError(f"{folder} is in the way; it is left alone", file=out, field=FIELD)
    if path.is_dir() or (path.is_symlink() and name not in FILES):
        raise InputError(f"{path} is in the way; it is left alone", file=out, field=FIELD)


def _remove(out: Path, name: str) -> None:
    """Remove a file of an earlier leaderboard and the folders that it alone needed."""
    path = out / name
    folders = [folder for folder in path.parents if folder != out and out in folder.parents]
    if any(folder.is_symlink() for folder in folders):
        return
    path.unlink(missing_ok=True)
    for folder in folders:
        with contextlib.suppress(OSError):  # It is not empty.
            folder.rmdir()


@contextlib.contextmanager
def _draft(where: Path, prefix: str, files: Mapping[str, bytes | Path]) -> Iterator[Path]:
    """Write files into a new folder, which is locked as long as its process lives and goes in the end."""
    with draft_within(where, prefix) as draft:
        draft.chmod(0o755)
        for folder in {(draft / name).parent for name in files}:
            folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = draft / name
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                _copy(content, path)
        yield draft


def _copy(content: Path, path: Path) -> None:
    try:
        shutil.copyfile(content, path)
    except FileNotFoundError as error:
        if content.exists():
            raise
        raise InputError("went away after it was read; run the command again", file=content) from error
