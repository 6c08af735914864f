"""Releases as they are found in folders: levels that downloads add, links, names of copies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.attach import find_files
from g2d_bench.readers.folders import look_alike, packed_images, release_folder, walk
from g2d_bench.readers.registry import open_dataset
from g2d_bench.readers.tables import require

RSNA = "stage_2_train_labels.csv"


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_links_are_followed_and_no_folder_is_read_twice(tmp_path: Path) -> None:
    touch(tmp_path / "elsewhere/study/b.png")
    touch(tmp_path / "root/a/a.png")
    touch(tmp_path / "root/.hidden/h.png")
    (tmp_path / "root/linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "root/again").symlink_to(tmp_path / "root/a", target_is_directory=True)
    (tmp_path / "root/a/loop").symlink_to(tmp_path / "root", target_is_directory=True)
    (tmp_path / "root/nothing").symlink_to(tmp_path / "none")
    found = {
        Path(folder).relative_to(tmp_path).as_posix(): names for folder, names in walk(tmp_path / "root")
    }
    assert found == {
        "root": ["nothing"],
        "root/a": ["a.png"],
        "root/linked": [],
        "root/linked/study": ["b.png"],
    }
    assert find_files(tmp_path / "root", (".png",)) == ["a/a.png", "linked/study/b.png"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_closed_folder_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(InputError, match="closed: cannot be read: Permission denied"):
        list(walk(tmp_path))


@pytest.mark.parametrize("inner", ["", "1.0.0", "v2", "rsna-pneumonia/csv"])
def test_the_tables_are_found_below(tmp_path: Path, inner: str) -> None:
    table = touch(tmp_path / "rsna" / inner / f"{RSNA}.zip")
    assert open_dataset("rsna", tmp_path).root == table.parent


def test_the_newest_version_is_taken(tmp_path: Path) -> None:
    for version in ("1.9.0", "1.10.0", "0.1"):
        touch(tmp_path / "rsna" / version / RSNA)
    touch(tmp_path / "rsna" / "2.0.0" / "notes.txt")
    assert open_dataset("rsna", tmp_path).root == tmp_path / "rsna" / "1.10.0"
    # What lies directly in the folder is the release.
    touch(tmp_path / "rsna" / RSNA)
    assert open_dataset("rsna", tmp_path).root == tmp_path / "rsna"


def test_a_linked_release_and_a_linked_table(tmp_path: Path) -> None:
    touch(tmp_path / "disk/1.0/labels.csv")
    (tmp_path / "disk/1.0" / RSNA).symlink_to(tmp_path / "disk/1.0/labels.csv")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rsna").symlink_to(tmp_path / "disk", target_is_directory=True)
    assert open_dataset("rsna", tmp_path / "data").root == tmp_path / "data/rsna/1.0"


def test_folders_with_patients_are_not_searched(tmp_path: Path) -> None:
    for n in range(70):
        (tmp_path / f"patient{n}").mkdir()
    touch(tmp_path / "patient3" / RSNA)
    assert release_folder(tmp_path, ((RSNA,),)) == tmp_path


def test_what_lies_there_is_not_to_be_fetched(tmp_path: Path) -> None:
    touch(tmp_path / "rsna_full" / RSNA)
    with pytest.raises(InputError, match=r"Its tables lie in .*rsna_full: call that folder rsna, or link it"):
        open_dataset("rsna", tmp_path)
    with pytest.raises(
        InputError, match=r"Its tables lie in .*rsna_full itself: give the folder above"
    ) as one:
        open_dataset("rsna", tmp_path / "rsna_full")
    assert "kaggle" not in str(one.value)


@pytest.mark.parametrize(
    "name",
    [
        "stage_2_train_labels (1).csv",
        "Stage-2-train-labels.CSV",
        "csv/stage_2_train_labels.csv.xz",
        f"a/b/{RSNA}",
    ],
)
def test_a_table_under_another_name(tmp_path: Path, name: str) -> None:
    there = touch(tmp_path / name)
    assert look_alike(tmp_path, (RSNA,)) == there
    with pytest.raises(InputError) as caught:
        require(tmp_path, (RSNA,), "get it at kaggle")
    assert f"but {there} lies there: rename it or move it here" in str(caught.value)
    assert "kaggle" not in str(caught.value)


def test_other_names_are_other_tables(tmp_path: Path) -> None:
    for name in ("training.csv", "train_notes.txt", "retrain.csv"):
        touch(tmp_path / name)
    assert look_alike(tmp_path, ("train.csv",)) is None


def test_packed_images_are_named(tmp_path: Path) -> None:
    for name in ("images_001.tar.gz", "train.zip", "train.csv.zip", "readme.txt"):
        touch(tmp_path / name)
    assert packed_images(tmp_path) == ["images_001.tar.gz", "train.zip"]
