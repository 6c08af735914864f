"""Preparing a downloaded release: what is checked, made, linked, and what stops it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.data.manifest import Manifest
from g2d_bench.data.prepare import find_source, prepare, size_text
from g2d_bench.data.splits import read_id_list
from g2d_bench.errors import InputError
from g2d_bench.files import CannotWrite
from g2d_bench.paths import shipped
from g2d_bench.readers.base import Sample
from g2d_bench.readers.covid_cxr import CovidCxr
from g2d_bench.readers.rsna import Rsna


@pytest.fixture
def release(tiny_root: Path, tmp_path: Path) -> Path:
    """A copy of a small release under a name that no data root would find."""
    shutil.copytree(tiny_root / "covid-cxr", tmp_path / "downloads" / "clone")
    (tmp_path / "root").mkdir()
    return tmp_path / "downloads" / "clone"


def run(release: Path, root: Path | None, *sizes: int) -> tuple[list[str], list[str]]:
    """Return all lines, and those of what differs."""
    dataset = find_source("covid-cxr", release, root)
    done = list(prepare(Catalogue.open(), dataset, root, sizes))
    return [line.strip() for line, _ in done], [line.strip() for line, good in done if not good]


def test_a_release_is_read_decoded_and_linked(release: Path, tmp_path: Path, own_cache: Path) -> None:
    root = tmp_path / "root"
    lines, differs = run(release, root, 32)
    unlabelled = "cannot run here: no image carries the labels Left Lung, Right Lung"
    assert differs == [f"covid-cxr-det: {unlabelled}", f"covid-cxr-phrase: {unlabelled}"]
    assert any(line.startswith("40 images of 40 patients (real), all files read") for line in lines)
    assert "covid-cxr-seg: train 24, val 6, test 10" in lines
    assert any(line.startswith("licence: per image") for line in lines)
    assert any(line.startswith("cite: Cohen et al.") for line in lines)
    assert any(line.startswith("decoded at 32 px") for line in lines)
    assert any(line.startswith("masks of Lung at 256 px: 40 images") for line in lines)
    assert (root / "covid-cxr").resolve() == release.resolve()
    assert Manifest.cached(CovidCxr(root / "covid-cxr")) is not None
    made = sorted(path.name for path in (own_cache / "pixels").iterdir())
    # Again: nothing is made and nothing is linked, from the source and from the root.
    assert not any("linked" in line for line in run(release, root, 32)[0])
    assert find_source("covid-cxr", None, root).root == root / "covid-cxr"
    assert find_source("covid-cxr", root, None).root == root / "covid-cxr"
    assert sorted(path.name for path in (own_cache / "pixels").iterdir()) == made


def test_without_a_data_root_nothing_is_linked(release: Path) -> None:
    lines, _ = run(release, None)
    assert not any("linked" in line for line in lines)


def test_a_broken_image_stops_before_the_link(release: Path, tmp_path: Path) -> None:
    (release / "images" / "f3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"f3\.png"):
        run(release, tmp_path / "root")
    assert not list((tmp_path / "root").iterdir())


def test_images_that_are_missing(release: Path, tmp_path: Path) -> None:
    for path in release.rglob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"clone: no image below\. Clone https://github\.com"):
        run(release, tmp_path / "root")


def test_another_release_in_the_data_root(release: Path, tmp_path: Path) -> None:
    shutil.copytree(release, tmp_path / "root" / "covid-cxr")
    with pytest.raises(InputError, match="the data root has another covid-cxr already"):
        run(release, tmp_path / "root")
    shutil.rmtree(tmp_path / "root" / "covid-cxr")
    (tmp_path / "root" / "covid-cxr").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match="a link to nothing is in the way"):
        run(release, tmp_path / "root")


def test_where_a_release_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--source: give the folder of rsna with --source\. Accept"):
        find_source("rsna", None, None)
    with pytest.raises(InputError, match=r"--source: no such folder\. Accept the rules"):
        find_source("rsna", tmp_path / "none", None)
    with pytest.raises(InputError, match="no folder rsna/"):
        find_source("rsna", None, tmp_path)
    with pytest.raises(InputError, match="unknown data set 'rsnaa'; did you mean 'rsna'"):
        find_source("rsnaa", tmp_path, None)


def test_counts_and_tables_are_held_against_the_public_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed table and three images, of which one is RSNA's: no task can run either."""
    names = ["a", "b", read_id_list(shipped("tasks") / "splits" / "rsna-clean.csv.gz").train[0]]
    (tmp_path / "stage_2_train_labels.csv").write_text(
        "\n".join(["patientId,x,y,width,height,Target", *(f"{n},,,,,0" for n in names)])
    )
    (tmp_path / "a.png").write_bytes(b"")
    samples = tuple(Sample(n, n, tmp_path / "a.png", {"Pneumonia": 0.0}) for n in names)

    def stop(dataset: object) -> Manifest:
        import numpy as np

        return Manifest("rsna", "real", samples, ("", "", ""), np.ones((3, 2), np.int32), "0" * 64)

    monkeypatch.setattr(Manifest, "open", stop)
    steps = prepare(Catalogue.open(), Rsna(tmp_path), None)
    lines = [next(steps) for _ in range(6)]
    assert "  stage_2_train_labels.csv: differs from the published table" in lines[3][0]
    assert not lines[3][1]
    assert "rsna-cls: cannot run here" in lines[5][0]
    assert "2 of 3 images are not in the list" in lines[5][0]
    assert not lines[5][1]


def test_counts_of_a_release_that_has_shrunk(
    real_pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from g2d_bench.readers.registry import open_dataset

    dataset = open_dataset("siim", real_pack / "annotations")
    samples = Manifest.of_tables(dataset).samples[:12000]
    manifest = Manifest(
        "siim", "real", samples, ("",) * len(samples), np.ones((len(samples), 2), np.int32), "0" * 64
    )
    monkeypatch.setattr(Manifest, "open", lambda dataset: manifest)
    monkeypatch.setattr("g2d_bench.data.prepare.IMAGES", (".gz",))
    with pytest.raises(
        InputError, match=r"counts\.images: 12,000, the public release has 12,047 \(card siim-"
    ):
        list(prepare(Catalogue.open(), dataset, None))
    lines = []
    for line, good in prepare(Catalogue.open(), dataset, None, partial=True):
        if line.strip().startswith("siim-zeroshot: positive"):
            break
        lines.append((line.strip(), good))
    assert ("train-rle.csv.gz: as published", True) in lines
    assert ("siim-seg: images 12,000 of 12,047 in the public release", False) in lines


def test_size_text() -> None:
    assert [size_text(n) for n in (1_340_000_000, 2_700_000)] == ["1.3 GB", "2.7 MB"]


def test_a_data_root_that_cannot_be_written_is_said_before_all_work(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("g2d_bench.data.prepare.os.access", lambda path, _: path != tmp_path / "root")
    with pytest.raises(
        InputError, match=r"root/covid-cxr: cannot be linked here: the data root is read-only"
    ):
        run(release, tmp_path / "root")


def test_a_link_that_fails_names_itself(
    release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system", str(release))

    monkeypatch.setattr(Path, "symlink_to", refuse)
    with pytest.raises(CannotWrite, match=r"root/covid-cxr.*Read-only file system"):
        run(release, tmp_path / "root")
