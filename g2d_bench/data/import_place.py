"""The folder that an import wrote: what in it is as it was written, and how a new import takes its place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from g2d_bench.draft_folders import exchange
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file
from g2d_bench.readers.folder import DESCRIPTION
from g2d_bench.safe_files import parse_json, read_strangers

ROOT, TASKS, PROMPTS = "folder", "tasks", "prompts"
"""Folders of an import: the data set, its cards, and their prompts inside of those."""
LIST = "imported.json"
"""The sha256 of each file as an import wrote it, by its place in the folder."""
HOLDS = frozenset({ROOT, TASKS, LIST})
"""What stands in an import, and so in a draft of one."""
FIELD = "--out"
_LIMIT = 1 << 20


def require_import(out: Path) -> None:
    """Find out whether a folder may be written to.

    Raises:
        InputError: it is there, and no import wrote it.
    """
    if out.exists() and not (out / ROOT / DESCRIPTION).is_file():
        raise InputError("exists, and no import wrote it; give another folder", file=out, field=FIELD)


def take_place(draft: Path, out: Path) -> tuple[str, ...]:
    """Move a finished import to its place; of an earlier one, only files that nobody edited go.

    Where the folder holds nothing else, the two change places in one step. Beside files of the user's, which
    stay, each file takes its place by itself. An edited file stays if the new import would write what the
    earlier one wrote there.

    Args:
        draft: the folder with the new files, beside its place.
        out: the place.

    Returns:
        Files of the user's that stand where the import has some.

    Raises:
        InputError: an edited file is in the way of a new one; nothing is changed then.
        OSError: no room, no permission.
    """
    new = {name: digest_file(draft / name) for name in _files(draft)}
    (draft / LIST).write_text(json.dumps(new, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.chmod(0o755)
    if not out.exists():
        draft.replace(out)
        return ()
    was = _written(out)
    change = _compare(new, was, out)
    if _is_all_ours(out, was) and exchange(draft, out):
        return ()
    for name in change.fresh:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).replace(out / name)
    for name in change.stale:
        (out / name).unlink(missing_ok=True)
    (draft / LIST).replace(out / LIST)
    return change.kept


@dataclass(frozen=True)
class _Change:
    """What becomes of files: those to write, those to keep, those to remove."""

    fresh: tuple[str, ...]
    kept: tuple[str, ...]
    stale: tuple[str, ...]


def _compare(new: Mapping[str, str], was: Mapping[str, str], out: Path) -> _Change:
    there = {name: _digest(out / name) for name in {*new, *was} if os.path.lexists(out / name)}
    mine = [name for name in new if name in there and there[name] not in (new[name], was.get(name))]
    kept = [name for name in mine if there[name] and was.get(name) == new[name]]
    if edited := [name for name in mine if name not in kept]:
        raise InputError(
            f"{edited[0]} is not as an import wrote it"
            + (f" (and {len(edited) - 1} more)" if len(edited) > 1 else "")
            + "; move it away to have it written anew, or give another folder",
            file=out,
            field=FIELD,
        )
    return _Change(
        fresh=tuple(name for name in new if name not in kept and there.get(name) != new[name]),
        kept=tuple(kept),
        stale=tuple(name for name in was if name not in new and there.get(name) == was[name]),
    )


def _digest(path: Path) -> str | None:
    """Return a file's digest, None for what is no file of an import's."""
    return None if path.is_symlink() or not path.is_file() else digest_file(path)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _written(out: Path) -> dict[str, str]:
    """Return what the earlier import wrote, as far as its list says it."""
    try:
        found = parse_json(read_strangers(out / LIST, _LIMIT), out / LIST)
    except InputError:
        return {}
    said = found.items() if isinstance(found, dict) else ()
    return {name: digest for name, digest in said if isinstance(digest, str) and _is_name(name)}


def _is_name(name: str) -> bool:
    """Say whether a name is one that an import gives; a stranger's list may name anything."""
    path = PurePosixPath(name)
    return path.suffix == ".toml" and path.parts[0] in (ROOT, TASKS) and ".." not in path.parts


def _is_all_ours(out: Path, was: Mapping[str, str]) -> bool:
    """Say whether a folder is this user's and holds an earlier import as it was written, nothing else."""
    if out.is_symlink() or out.stat().st_uid != os.geteuid() or os.path.ismount(out):
        return False
    folders = {ROOT, TASKS, f"{TASKS}/{PROMPTS}"}
    for path in out.rglob("*"):
        name = path.relative_to(out).as_posix()
        ours = name in folders if path.is_dir() else name == LIST or was.get(name) == _digest(path)
        if path.is_symlink() or not ours:
            return False
    return True
