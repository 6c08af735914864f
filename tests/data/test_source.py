"""Where data come from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.data.source import Source
from g2d_bench.errors import InputError
from g2d_bench.readers.base import PHANTOM_MARKER


def test_real_data_are_opened_once(tiny_root: Path, tmp_path: Path) -> None:
    source = Source(tiny_root, tmp_path / "phantom")
    assert source.kind == "real"
    dataset, manifest = source.opened("covid-cxr")
    assert source.opened("covid-cxr") == (dataset, manifest)
    assert source.opened("covid-cxr")[1] is manifest
    assert (dataset.kind, len(manifest.samples)) == ("real", 40)
    assert not (tmp_path / "phantom").exists()


def test_bad_data_are_not_read_again_for_every_cell(
    tiny_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_root, tmp_path / "data")
    table = tmp_path / "data" / "covid-cxr" / "metadata.csv"
    table.write_text(table.read_text().replace("patientid", "patient", 1))
    source = Source(tmp_path / "data", tmp_path)
    with pytest.raises(InputError, match="patientid") as first:
        source.opened("covid-cxr")
    monkeypatch.setattr(source, "open", None)
    with pytest.raises(InputError) as second:
        source.opened("covid-cxr")
    assert second.value is first.value


def test_what_is_there_is_said_and_not_made(tiny_root: Path, tmp_path: Path) -> None:
    real = Source(tiny_root, tmp_path)
    assert (real.state("covid-cxr"), real.state("siim")) == ("real", "no")
    generated = Source(None, tmp_path / "phantom")
    assert generated.kind == "phantom"
    assert generated.state("siim") == "no"
    assert not (tmp_path / "phantom").exists()
    with pytest.raises(InputError, match="siim"):
        real.open("siim")


def test_a_marked_data_root_is_said_to_be_generated(tiny_root: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_root, tmp_path / "data")
    (tmp_path / "data" / "covid-cxr" / PHANTOM_MARKER).write_text("{}")
    assert Source(tmp_path / "data", tmp_path).state("covid-cxr") == "phantom"


def test_a_misspelt_label_makes_no_data(tmp_path: Path) -> None:
    card = Catalogue.open().tasks["rsna-cls"].model_copy(update={"labels": ("Pneumona",)})
    with pytest.raises(InputError, match="rsna-cls: labels: unknown label 'Pneumona' of rsna; did you mean"):
        Source(None, tmp_path / "phantom").of_task(card, "clean")
    crossed = Catalogue.open().tasks["rsna-to-cxr14-cls"]
    assert crossed.test is not None
    test = crossed.test.model_copy(update={"labels": {"Pneumonia": ("Mass", "Pneumona")}})
    with pytest.raises(
        InputError, match="labels: unknown label 'Pneumona' of cxr14; did you mean 'Pneumonia'"
    ):
        Source(None, tmp_path / "phantom").of_task(crossed.model_copy(update={"test": test}), "clean")
    assert not (tmp_path / "phantom").exists()
