"""Folders that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from g2d_bench.draft_folders import draft_folder, exchange, not_placed, prefix_of
from g2d_bench.files import CannotWrite
from g2d_bench.locks import try_lock

HOLDS = ("films", "about.json")

WRITER = """
import sys, time
from pathlib import Path
from g2d_bench.draft_folders import draft_folder
with draft_folder(Path(sys.argv[1]), ("films", "about.json")) as draft:
    (draft / "films").mkdir()
    (draft / "films" / "patient.png").touch()
    print("begun", flush=True)
    time.sleep(600)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_there_in_full_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"

    def end_early() -> None:
        with draft_folder(out, HOLDS) as draft:
            (draft / "films").mkdir()
            assert draft.stat().st_mode & 0o077 == 0, "films of patients are nobody else's to read"
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        end_early()
    assert names(out.parent) == []
    with draft_folder(out, HOLDS) as draft:
        (draft / "films").mkdir()
        draft.rename(out)
    assert names(out.parent) == ["out"]
    assert names(out) == ["films"]


def test_drafts_of_killed_processes_are_swept_and_nothing_of_the_users(tmp_path: Path) -> None:
    out = tmp_path / "out"
    begun = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(out)], stdout=subprocess.PIPE) for _ in range(2)
    ]
    try:
        for process in begun:
            assert process.stdout is not None
            assert process.stdout.readline() == b"begun\n"
        assert len(names(tmp_path)) == 2
        os.kill(begun[0].pid, signal.SIGKILL)
        begun[0].wait(60)
        mine = tmp_path / ".out-mynotes1"
        mine.mkdir()
        (mine / "thesis.tex").touch()
        (tmp_path / ".out-linked00").symlink_to(mine)
        with draft_folder(out, HOLDS) as draft:
            left = set(tmp_path.iterdir()) - {draft, mine, tmp_path / ".out-linked00"}
        assert len(left) == 1, "the one at work stays, the dead one goes"
    finally:
        for process in begun:
            process.kill()
            process.communicate()
    with draft_folder(out, HOLDS):
        pass
    assert names(tmp_path) == [".out-linked00", ".out-mynotes1"]


def test_a_draft_that_was_swept_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[int] = []

    def late(handle: int) -> bool | None:
        if not swept:
            swept.append(handle)
            [place] = tmp_path.glob(".out-*")
            place.rmdir()
        return try_lock(handle)

    monkeypatch.setattr("g2d_bench.draft_folders.try_lock", late)
    with draft_folder(tmp_path / "out", HOLDS) as draft:
        assert draft.is_dir()


def test_long_names_have_room_for_the_rest(tmp_path: Path) -> None:
    for name in ("x" * 255, "\N{GRINNING FACE}" * 63):
        with draft_folder(tmp_path / name, HOLDS) as draft:
            draft.rename(tmp_path / name)
        assert (tmp_path / name).is_dir()


def test_two_folders_change_places(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / folder.name).touch()
    if exchange(one, other):
        assert (names(one), names(other)) == (["other"], ["one"])
    assert not exchange(one, tmp_path / "nothing")


def test_complaints_name_the_place_and_not_its_draft(tmp_path: Path) -> None:
    out = tmp_path / "out"
    draft = tmp_path / f"{prefix_of(out)}abcd1234"
    full = OSError(errno.ENOSPC, "No space left on device", str(draft / "films"))
    for error in (full, OSError(errno.ENOSPC, "No space left on device")):
        assert str(not_placed(error, out)) == f"{out}: cannot be written: No space left on device"
    assert str(not_placed(CannotWrite("no room", draft / "a"), out)) == f"{out}: cannot be written: no room"
    other = OSError(errno.EACCES, "Permission denied", str(tmp_path / "card.toml"))
    assert str(not_placed(other, out)) == f"{tmp_path / 'card.toml'}: Permission denied"
    cache = CannotWrite("no room", tmp_path / "cache")
    assert not_placed(cache, out) is cache
