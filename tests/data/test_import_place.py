"""A new import in the place of an earlier one: nothing of the user's goes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from g2d_bench.data import import_place
from g2d_bench.data.import_place import LIST, require_import, take_place
from g2d_bench.draft_folders import exchange
from g2d_bench.errors import InputError

FIRST = {"folder/folder.toml": "one", "tasks/a.toml": "a", "tasks/prompts/p.toml": "p"}
SECOND = {"folder/folder.toml": "two", "tasks/b.toml": "b", "tasks/prompts/p.toml": "p"}


def place(root: Path, files: dict[str, str]) -> tuple[str, ...]:
    draft = root / ".out-draft"
    draft.mkdir()
    for name, text in files.items():
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).write_text(text)
    try:
        return take_place(draft, root / "out")
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def there(root: Path) -> dict[str, str]:
    out = root / "out"
    return {
        path.relative_to(out).as_posix(): path.read_text()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != LIST
    }


def test_what_nobody_touched_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path, FIRST)
    assert there(tmp_path) == FIRST
    swapped: list[Path] = []

    def swap(one: Path, other: Path) -> bool:
        swapped.append(other)
        return exchange(one, other)

    monkeypatch.setattr(import_place, "exchange", swap)
    assert place(tmp_path, SECOND) == ()
    assert there(tmp_path) == SECOND
    assert len(swapped) == 1
    assert sorted(json.loads((tmp_path / "out" / LIST).read_text())) == sorted(SECOND)


@pytest.mark.parametrize("mine", ["tasks/mine.toml", "runs/phantom/r.json", "notes.txt"])
def test_files_of_the_users_stay(tmp_path: Path, mine: str) -> None:
    place(tmp_path, FIRST)
    (tmp_path / "out" / mine).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "out" / mine).write_text("mine")
    assert place(tmp_path, SECOND) == ()
    assert there(tmp_path) == {**SECOND, mine: "mine"}
    assert place(tmp_path, FIRST) == ()
    assert there(tmp_path) == {**FIRST, mine: "mine"}


def test_an_edited_file_stays_where_nothing_new_is_to_be_said(tmp_path: Path) -> None:
    place(tmp_path, FIRST)
    prompts = tmp_path / "out" / "tasks" / "prompts" / "p.toml"
    prompts.write_text("edited")
    (tmp_path / "out" / "tasks" / "a.toml").write_text("edited, and no longer written")
    for _ in range(2):
        assert place(tmp_path, SECOND) == ("tasks/prompts/p.toml",)
    assert there(tmp_path) == {
        **SECOND,
        "tasks/prompts/p.toml": "edited",
        "tasks/a.toml": "edited, and no longer written",
    }


def test_an_edited_file_in_the_way_stops_the_import(tmp_path: Path) -> None:
    place(tmp_path, FIRST)
    (tmp_path / "out" / "folder" / "folder.toml").write_text("edited")
    (tmp_path / "out" / "tasks" / "b.toml").write_text("my own task b")
    before = there(tmp_path)
    line = r"out: --out: folder/folder\.toml is not as an import wrote it \(and 1 more\); move it away"
    with pytest.raises(InputError, match=line):
        place(tmp_path, SECOND)
    assert there(tmp_path) == before
    # What is the same in both is nobody's loss.
    (tmp_path / "out" / "folder" / "folder.toml").write_text("two")
    (tmp_path / "out" / "tasks" / "b.toml").write_text("b")
    assert place(tmp_path, SECOND) == ()
    assert there(tmp_path) == SECOND


@pytest.mark.parametrize("listed", [None, "[]", '{"../mine.toml": "%s", "folder/../../mine.toml": "%s"}'])
def test_a_list_that_says_nothing_or_too_much_removes_nothing(tmp_path: Path, listed: str | None) -> None:
    from g2d_bench.hashing import digest_file

    mine = tmp_path / "mine.toml"
    mine.write_text("mine")
    place(tmp_path, FIRST)
    if listed is None:
        (tmp_path / "out" / LIST).unlink()
    else:
        (tmp_path / "out" / LIST).write_text(listed.replace("%s", digest_file(mine)))
    with pytest.raises(InputError, match="is not as an import wrote it"):
        place(tmp_path, SECOND)
    assert place(tmp_path, FIRST) == ()
    assert there(tmp_path) == FIRST
    assert mine.read_text() == "mine"


def test_a_link_is_in_the_way(tmp_path: Path) -> None:
    place(tmp_path, FIRST)
    card, mine = tmp_path / "out" / "tasks" / "a.toml", tmp_path / "mine.toml"
    card.rename(mine)
    card.symlink_to(mine)
    with pytest.raises(InputError, match=r"tasks/a\.toml is not as an import wrote it"):
        place(tmp_path, {**FIRST, "tasks/a.toml": "new"})
    assert mine.read_text() == "a"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    require_import(tmp_path / "nothing")
    with pytest.raises(InputError, match="exists, and no import wrote it"):
        require_import(tmp_path)
