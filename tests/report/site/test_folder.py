"""Folders of pages."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.locks import try_lock
from g2d_bench.report.site import folder as site_folder


def test_an_earlier_page_is_replaced_and_anything_else_left_alone(
    folder: Any, made: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path
) -> None:
    folder.add("g2d")
    folder.add("random")
    made()
    site = tmp_path / "site"
    # Whoever keeps something of theirs in the folder keeps it.
    (site / "records" / "old.json").write_text("{}")
    (site / "CNAME").write_text("scores.example")
    (site / ".draft-notes").mkdir()
    folder.add("mgca")
    assert "mgca" in made("--encoder", "g2d,mgca").rows("siim-seg-0.01-clean-generated")
    assert (site / "records" / "old.json").read_text() == "{}"
    assert (site / "CNAME").read_text() == "scores.example"
    assert (site / ".draft-notes").is_dir()
    copies = {path.relative_to(site).parts[2] for path in site.glob("records/phantom/**/*.json")}
    assert copies == {"g2d", "mgca"}, "what the page no longer shows is gone, its folders too"
    assert not (site / "records" / "phantom" / "random").exists()
    assert not list(tmp_path.glob(".site-*"))
    assert [path.name for path in site.glob(".*")] == [".draft-notes"]

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    result = cli("leaderboard", "--results", folder.root, "--out", "mine")
    assert result.exit_code == 2
    assert result.stderr.startswith("g2d-bench: mine: --out: holds something that is no leaderboard")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def everything(folder: Path) -> dict[str, bytes | str]:
    """Return all that lies below a folder; links by where they lead."""
    return {
        str(path.relative_to(folder)): (
            str(path.readlink()) if path.is_symlink() else "folder" if path.is_dir() else path.read_bytes()
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("link", "link: --out: is a link"),
        ("dangling", "dangling: --out: is a link"),
        ("file", "file: --out: is not a folder"),
        ("mine/thesis.tex/site", "cannot be written: "),
        (".", "the folder that you work in"),
        ("..", "the folder that you work in"),
        ("mine", "mine: --out: holds something that is no leaderboard"),
        ("theirs", "theirs: --out: holds something that is no leaderboard"),
        ("runs", "runs: --out: holds something that is no leaderboard"),
        ("x" * 300, "has a name of 300 bytes; 255 are possible"),
        ("blocked", "is in the way; it is left alone"),
    ],
)
def test_what_is_no_place_for_a_page_is_one_line_and_nothing_changes(
    folder: Any, made: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path, out: str, message: str
) -> None:
    folder.add("g2d")
    made()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "leaderboard.json").write_text('{"chess": []}')
    (tmp_path / "link").symlink_to("site")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "file").write_text("mine")
    shutil.copytree(tmp_path / "site", tmp_path / "blocked")
    shutil.rmtree(tmp_path / "blocked" / "records" / "phantom")
    (tmp_path / "blocked" / "records" / "phantom").symlink_to(tmp_path / "mine")
    before = everything(tmp_path)
    result = cli("leaderboard", "--results", folder.root, "--out", out)
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    assert message in result.stderr
    assert everything(tmp_path) == before


def test_a_list_of_files_from_elsewhere_removes_nothing_outside(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    folder.add("g2d")
    made()
    (tmp_path / "precious.json").write_text("x")
    (tmp_path / "site" / "notes.json").write_text("x")
    listed = tmp_path / "site" / "leaderboard.json"
    data = json.loads(listed.read_text())
    names = ("../precious.json", str(tmp_path / "precious.json"), "records/../notes.json", "notes.json")
    data["sections"][0]["records"]["evil"] = [{"seed": 0, "file": name} for name in names]
    listed.write_text(json.dumps(data))
    made()
    assert (tmp_path / "precious.json").exists()
    assert (tmp_path / "site" / "notes.json").exists()


def test_drafts_of_killed_runs_are_swept_and_those_at_work_are_not(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    folder.add("g2d")
    made()
    site = tmp_path / "site"
    for draft in (tmp_path / ".site-abcdefgh", site / ".draft-abcdefgh"):
        (draft / "records").mkdir(parents=True)
        (draft / "index.html").write_text("half")
    mine = tmp_path / ".site-mynotes1"
    mine.mkdir()
    (mine / "thesis.tex").write_text("x")
    busy = tmp_path / ".site-00000000"
    busy.mkdir()
    handle = os.open(busy, os.O_RDONLY)
    assert try_lock(handle)
    made()
    assert busy.is_dir()
    os.close(handle)
    assert mine.is_dir()
    assert sorted(path.name for path in tmp_path.glob(".site-*")) == [".site-00000000", ".site-mynotes1"]
    assert not list(site.glob(".draft-*"))
    made()
    assert not busy.exists()


def test_the_new_page_takes_the_place_of_the_old_one_in_one_step(
    folder: Any, made: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add("g2d")
    made()
    site = tmp_path / "site"
    site.chmod(0o750)
    before = everything(site)
    folder.add("mgca")

    class Killed(BaseException):
        pass

    def kill(*_: Any) -> bool:
        raise Killed

    # Up to the step, all is as it was; after it, all is new, and nothing is moved file by file.
    with monkeypatch.context() as patch:
        patch.setattr(site_folder, "exchange", kill)
        with pytest.raises(Killed):
            made()
    assert everything(site) == before
    real = Path.replace
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", lambda path, to: real(path, to) if site not in to.parents else kill())
        made()
    assert everything(site).keys() > before.keys()
    assert site.stat().st_mode & 0o777 == 0o750
    assert not list(tmp_path.glob(".site-*"))


def test_where_folders_cannot_change_places_files_do(
    folder: Any, made: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add("g2d")
    made()
    folder.add("mgca")
    monkeypatch.setattr(site_folder, "exchange", lambda *_: False)
    assert "mgca" in made("--encoder", "mgca").rows("siim-seg-0.01-clean-generated")
    site = tmp_path / "site"
    assert {path.relative_to(site).parts[2] for path in site.glob("records/phantom/**/*.json")} == {"mgca"}
    assert not list(tmp_path.glob(".site-*"))
    assert not list(site.glob(".draft-*"))


def test_a_full_disk_leaves_the_earlier_page(
    folder: Any, made: Callable[..., Any], cli: Callable[..., Any], tmp_path: Path, monkeypatch: Any
) -> None:
    folder.add("g2d")
    made()
    before = everything(tmp_path / "site")
    folder.add("mgca")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("g2d_bench.report.site.folder.shutil.copyfile", full)
    result = cli("leaderboard", "--results", folder.root, "--out", "site")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "g2d-bench: site: --out: cannot be written: No space left on device\n"
    assert everything(tmp_path / "site") == before


def test_a_record_that_goes_away_while_the_page_is_made_is_named(tmp_path: Path) -> None:
    """As where another run replaces records meanwhile; it is not the folder that cannot be written."""
    gone = tmp_path / "runs" / "0.01-s0-abc.json"
    files: dict[str, bytes | Path] = {"index.html": b"<p>", "records/one.json": gone}
    with pytest.raises(InputError, match=r"0\.01-s0-abc\.json: went away after it was read") as refused:
        site_folder.replace_folder(tmp_path / "site", files)
    assert "cannot be written" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == []
