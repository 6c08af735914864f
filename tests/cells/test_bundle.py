"""A stranger's folder is listed without opening, following or running anything in it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from g2d_bench.cells import bundle as module
from g2d_bench.cells.bundle import SUBMISSIONS, files_of, read_submission, records_root
from g2d_bench.errors import InputError


def one_submission(bundle: Path) -> Path:
    (path,) = (bundle / SUBMISSIONS).glob("*.json")
    return path


def test_what_submit_writes_is_listed_and_read(bundle: Path) -> None:
    ours, others = files_of(bundle)
    stated = read_submission(one_submission(bundle))
    assert others == []
    assert set(ours) == {*stated.files, "README.md", f"{SUBMISSIONS}/{one_submission(bundle).name}"}
    assert stated.encoders["mine"].licence == "MIT"
    assert stated.encoders["mine"].pretraining == ("mimic-cxr",)


def link(folder: Path) -> None:
    (folder / "records" / "x.json").symlink_to("/etc/passwd")


def linked_folder(folder: Path) -> None:
    (folder / "records" / "away").symlink_to("/")


def fifo(folder: Path) -> None:
    os.mkfifo(folder / "records" / "x.json")


def unix_socket(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder / "cards")
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind("x.toml")
    finally:
        os.chdir(here)


def huge(folder: Path) -> None:
    with (folder / "records" / "x.npz").open("wb") as stream:
        stream.truncate(1 << 40)  # sparse: it takes no room


def wrong_suffix(folder: Path) -> None:
    (folder / "records" / "x.py").write_text("print('run me')")


def elsewhere(folder: Path) -> None:
    (folder / ".github").mkdir()
    (folder / ".github" / "workflow.yml").write_text("on: push")


def configuration(folder: Path) -> None:
    (folder / "g2d-bench.toml").write_text('data_root = "/"')


def odd_name(folder: Path) -> None:
    (folder / "records" / "-rf $(x).json").write_text("{}")


def deep(folder: Path) -> None:
    path = folder / "records" / "/".join("abcdefghij")
    path.mkdir(parents=True)


def card_below(folder: Path) -> None:
    (folder / "cards" / "more").mkdir()
    (folder / "cards" / "more" / "x.toml").write_text("")


def two_cases(folder: Path) -> None:
    (folder / "cards" / "Mine.toml").write_text("")


def failed(folder: Path) -> None:
    (folder / "records" / "0.01-s0.failed.json").write_text("{}")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (link, "is a link"),
        (linked_folder, "is a link"),
        (fifo, "is no regular file"),
        (unix_socket, "is no regular file"),
        (huge, "is larger than such a file may be"),
        (wrong_suffix, "does not belong into records/"),
        (elsewhere, "a name that no file of a submission has"),
        (configuration, "is no part of a submission"),
        (odd_name, "a name that no file of a submission has"),
        (deep, "lies deeper"),
        (card_below, "lies deeper"),
        (two_cases, "are one file on some systems"),
        (failed, "does not belong into records/"),
    ],
)
def test_what_no_submission_holds_is_refused(bundle: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(bundle)
    with pytest.raises(InputError, match=said):
        files_of(bundle)


def test_so_are_too_many_and_too_much(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(InputError, match="holds more than"):
        files_of(bundle)
    monkeypatch.setattr(module, "MOST_FILES", 5)
    with pytest.raises(InputError, match="holds more than 5 files"):
        files_of(bundle)


def test_a_whole_repository_holds_other_files_but_no_links(bundle: Path) -> None:
    elsewhere(bundle)
    (bundle / ".git").mkdir()
    (bundle / ".git" / "hook").symlink_to("/bin/sh")
    _, others = files_of(bundle, whole=True)
    assert others == [".github/workflow.yml", "README.md"]
    link(bundle)
    with pytest.raises(InputError, match="is a link"):
        files_of(bundle, whole=True)


def test_a_submission_is_read_strictly(bundle: Path) -> None:
    path = one_submission(bundle)
    raw = json.loads(path.read_text())
    for change, said in (
        ({"schema_version": 2}, "schema_version"),
        ({"more": 1}, "more"),
        ({"encoders": {}}, "encoders"),
        ({"files": {"x": "y"}}, "files"),
        ({"encoders": {"mine": raw["encoders"]["mine"] | {"licence": ""}}}, "licence"),
    ):
        path.write_text(json.dumps(raw | change))
        with pytest.raises(InputError, match=said):
            read_submission(path)


def test_records_may_be_the_folder_itself(bundle: Path, tmp_path: Path) -> None:
    assert records_root(bundle) == bundle / "records"
    assert records_root(bundle / "records") == bundle / "records"


def test_a_licence_stands_once(bundle: Path) -> None:
    path = one_submission(bundle)
    path.write_text(path.read_text().replace('"licence": "MIT"', '"licence": "none", "licence": "MIT"'))
    with pytest.raises(InputError, match="licence: stands twice; leave one"):
        read_submission(path)
