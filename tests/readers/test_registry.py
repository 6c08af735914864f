from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from g2d_bench.errors import InputError
from g2d_bench.readers.base import Dataset
from g2d_bench.readers.registry import dataset_class, dataset_names, open_dataset


@pytest.mark.parametrize("name", dataset_names())
def test_every_reader_describes_itself(name: str) -> None:
    reader = dataset_class(name)
    assert issubclass(reader, Dataset)
    assert reader.name == name
    assert reader.folders[0] == name
    assert all([reader.title, reader.licence, reader.citation, reader.access])
    assert len(set(reader.labels)) == len(reader.labels)
    if name == "folder":  # somebody's own: their labels, and nowhere to get it from
        assert "g2d-bench data import" in reader.access
        return
    assert reader.labels
    assert "http" in reader.access


def test_unknown_name() -> None:
    with pytest.raises(InputError, match="unknown data set 'simm'; did you mean 'siim'"):
        dataset_class("simm")


def test_folder_is_found_whatever_its_case(tmp_path: Path) -> None:
    (tmp_path / "COVID-chestxray-Dataset").mkdir()
    (tmp_path / "siim").write_text("a file is no folder")
    assert open_dataset("covid-cxr", tmp_path).root == tmp_path / "COVID-chestxray-Dataset"
    with pytest.raises(InputError, match=r"no folder siim/ or .* Get the DICOM files .*kaggle") as caught:
        open_dataset("siim", tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    (tmp_path / "covid-cxr").mkdir()
    assert open_dataset("covid-cxr", tmp_path).root == tmp_path / "covid-cxr"


def test_a_root_one_level_too_high_is_said(tmp_path: Path) -> None:
    (tmp_path / "data" / "montgomery" / "CXR_png").mkdir(parents=True)
    (tmp_path / "data" / "montgomery" / "ManualMask").mkdir()
    with pytest.raises(InputError, match=r"lie in .*data/montgomery: give .*/data as data root\.$") as caught:
        open_dataset("montgomery", tmp_path)
    assert f"give {tmp_path / 'data'} as" in str(caught.value)
    # Its folder of films is called alike, and it is another set.
    for root in (tmp_path, tmp_path / "data"):
        with pytest.raises(InputError, match=r"no folder shenzhen/ .* Download the Shenzhen set"):
            open_dataset("shenzhen", root)
    (tmp_path / "data" / "montgomery").rename(tmp_path / "data" / "films")
    with pytest.raises(InputError, match="call that folder montgomery, or link it under that name"):
        open_dataset("montgomery", tmp_path / "data")


def test_root_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(InputError, match="data root cannot be read") as caught:
            open_dataset("siim", root)
        assert str(root) in str(caught.value)


def test_light_imports() -> None:
    code = (
        "import sys, g2d_bench.readers.registry as r; r.dataset_names()\n"
        "import g2d_bench.data.manifest, g2d_bench.data.splits, g2d_bench.data.leaks, g2d_bench.data.cache\n"
        "r.dataset_class('siim'), r.dataset_class('covid-cxr')\n"
        "print([m for m in ('torch', 'pydicom', 'PIL', 'cv2', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
