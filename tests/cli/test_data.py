"""The data commands as a user meets them, bad input included."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from g2d_bench.cli.main import main
from g2d_bench.data.splits import read_id_list
from g2d_bench.paths import shipped


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))


def call(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A folder with COVIDx lists of 60 patients, packed."""
    words = ("normal", "pneumonia", "COVID-19")
    train = [f"p{n} t{n}.png {words[n % 3]} cohen" for n in range(60)]
    folder = tmp_path / "tables" / "covidx"
    folder.mkdir(parents=True)
    for part, lines in (("train", train), ("test", [f"q{n} x{n}.png normal cohen" for n in range(9)])):
        (folder / f"{part}_COVIDx9A.txt.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "own.toml").write_text(CARD)
    return tmp_path / "tables"


CARD = """
version = "1.0"
title = "x"
kind = "classification"
dataset = "covidx"
labels = ["Normal", "Pneumonia", "COVID-19"]
metrics = ["accuracy"]
main = "accuracy"
[split.clean]
official = true
val_share = 0.2
"""


def test_audit_as_text_and_json(lists: Path) -> None:
    options = ("own", "--tables", lists, "--tasks-dir", "cards")
    text = call("data", "audit", *options).output
    assert "covidx (real, tables only: files and pixels are not compared): 69 images of 69 patients" in text
    assert "own (clean): assigned by the release, 20% of train validates, by patient" in text
    assert "the parts share nothing (images, patients)" in text
    found = json.loads(call("data", "audit", *options, "--json").stdout)
    assert found["splits"][0]["parts"]["test"] == {"images": 9, "positive": 9, "patients": 9, "boxed": 0}
    assert found["datasets"][0]["images_read"] is False


def test_audit_of_a_leak_exits_1(lists: Path) -> None:
    packed = lists / "covidx" / "test_COVIDx9A.txt.gz"
    packed.write_bytes(gzip.compress(b"p3 x.png normal cohen\np4 y.png normal cohen\n"))
    result = call("data", "audit", "own", "--tables", lists, "--tasks-dir", "cards", code=1)
    assert "LEAK" in result.stdout
    assert "a split that should be clean leaks" in result.stderr


def test_audit_of_many_sets_goes_on_where_one_cannot_be_read(lists: Path) -> None:
    for name in ("rsna", "siim"):
        (lists / name).mkdir()
    (lists / "siim" / "train-rle.csv").write_text("no,such,columns\n1,2,3\n")
    result = call("data", "audit", "--tables", lists, code=2)
    heads = [line.split()[0] for line in result.stdout.splitlines() if line[:1].strip()]
    assert heads == ["covidx", "rsna:", "siim:"]
    assert "covidx (real, tables only: files and pixels are not compared): 69 images" in result.stdout
    (said,) = [line for line in result.stderr.splitlines() if line.startswith("g2d-bench: ")]
    assert said.startswith("g2d-bench: 2 of 3 data sets cannot be read: rsna: ")
    assert f"; siim: {lists / 'siim' / 'train-rle.csv'}" in said
    whole = call("data", "audit", "--tables", lists, "--json", code=2)
    found = json.loads(whole.stdout)
    assert [one["name"] for one in found["datasets"]] == ["covidx"]
    assert sorted(found["unread"]) == ["rsna", "siim"]
    # A set that is named and is not there costs no more.
    named = call("data", "audit", "covidx", "object-cxr", "--tables", lists, code=2)
    assert "69 images" in named.stdout
    assert "object-cxr: cannot be read: " in named.stdout
    assert "g2d-bench: 1 of 2 data sets cannot be read: object-cxr: " in named.stderr


def test_audit_tells_a_leak_beside_a_set_that_cannot_be_read(lists: Path) -> None:
    packed = lists / "covidx" / "test_COVIDx9A.txt.gz"
    packed.write_bytes(gzip.compress(b"p3 x.png normal cohen\np4 y.png normal cohen\n"))
    result = call("data", "audit", "own", "siim", "--tables", lists, "--tasks-dir", "cards", code=2)
    assert "LEAK" in result.stdout
    assert "g2d-bench: a split that should be clean leaks\ng2d-bench: 1 of 2 data sets" in result.stderr


def test_a_set_that_cannot_be_generated_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "out" / "montgomery").mkdir(parents=True)
    (tmp_path / "out" / "montgomery" / "mine.txt").write_text("x")
    command = ("data", "phantom", "montgomery", "shenzhen", "--out", "out", "--count", "10", "--size", "64")
    result = call(*command, "--workers", "1", code=2)
    assert result.stdout == "shenzhen: out/shenzhen\n"
    assert "g2d-bench: 1 of 2 data sets cannot be generated: montgomery: " in result.stderr
    assert (tmp_path / "out" / "montgomery" / "mine.txt").is_file()


def test_split_of_a_cell(lists: Path, tmp_path: Path) -> None:
    options = ("own", "--tables", lists, "--tasks-dir", "cards", "--seed", "1")
    whole = call("data", "split", *options).stdout
    assert whole.startswith("id,split\n")
    assert len(whole.splitlines()) == 70
    result = call("data", "split", *options, "--fraction", "10%", "--out", "ids.csv.gz")
    assert result.stdout == ""
    assert "wrote ids.csv.gz: own (real covidx), split clean#" in result.stderr
    cell = read_id_list(tmp_path / "ids.csv.gz")
    assert len(cell.test) == 9
    (tmp_path / "whole.csv").write_text(whole)
    everything = read_id_list(tmp_path / "whole.csv")
    assert set(cell.train) < set(everything.train)
    assert (cell.val, cell.test) == (everything.val, everything.test)
    # A tenth of 48 by strata of 16: two each.
    assert len(cell.train) == 6
    again = call("data", "split", *options, "--fraction", "0.1").stdout
    assert again.encode() == gzip.decompress((tmp_path / "ids.csv.gz").read_bytes())


def test_split_is_the_one_that_a_cell_trains_on(tiny_root: Path) -> None:
    from g2d_bench.cells.bench import Bench
    from g2d_bench.cells.settings import Settings
    from g2d_bench.records.cell import Cell

    bench = Bench(Settings(data_root=tiny_root))
    cell = Cell(task="covid-cxr-seg", encoder="random", fraction=0.1, seed=3, protocol="clean")
    data = bench.resolve(cell).data()
    result = call(
        *("data", "split", "covid-cxr-seg", "--fraction", "0.1", "--seed", "3", "--data-root", tiny_root)
    )
    printed = [line.split(",") for line in result.stdout.splitlines()[1:]]
    assert {i for i, part in printed if part == "train"} == set(data.train)
    assert {i for i, part in printed if part == "test"} == set(data.test)
    assert f"clean#{data.split.hash[:8]}" in result.stderr


def test_prepare_then_status(tiny_root: Path) -> None:
    result = call("data", "prepare", "covid-cxr", "--source", tiny_root / "covid-cxr", code=1)
    assert "give --data-root DIR to link it there" in result.stdout
    assert "2 checks differ from the public release" in result.stderr
    rows = json.loads(call("data", "status", "--json", "--data-root", tiny_root).stdout)
    row = next(row for row in rows if row["data set"] == "covid-cxr")
    assert (row["there"], row["images"], row["patients"]) == ("real", 40, 40)
    assert row["prepared"].startswith("128 px")
    text = call("data", "status", "--data-root", tiny_root).stdout
    assert "siim: Get the DICOM files" in text
    assert "covid-cxr: Clone" not in text


BAD = [
    (("audit", "siim-sag"), "unknown data set or task 'siim-sag'; did you mean 'siim-seg'?"),
    (("audit", "--tables", "none"), "none: --tables: no such folder"),
    (("audit", "--tables", "empty"), "empty: no data set is here"),
    (("audit", "siim", "--tables", "empty"), "empty: no folder siim/ or"),
    (("audit", "covidx", "--tables", "broken"), "test_COVIDx9A.txt:2: has 3 cells, 4 are needed"),
    (("audit", "covidx", "--tables", "unzip"), "train_COVIDx9A.txt.gz: cannot be read: "),
    (("prepare", "siim"), "--source: give the folder of siim with --source. Get the DICOM files"),
    (("prepare", "siim", "--source", "none"), "none: --source: no such folder. Get the DICOM files"),
    (("prepare", "siim", "--source", "empty"), "empty: no image below. Get the DICOM files"),
    (("prepare", "sim"), "unknown data set 'sim'; did you mean 'siim'?"),
    (("split", "siim-sag"), "unknown task 'siim-sag'; did you mean 'siim-seg'?"),
    (("split", "siim-seg", "--fraction", "0"), "fraction: '0' is outside (0, 1]"),
    (("split", "siim-seg", "--fraction", "x"), "fraction: 'x' is not a fraction"),
    (("split", "siim-seg", "--protocol", "cleen"), "unknown protocol 'cleen'; did you mean 'clean'?"),
    (("split", "siim-seg", "--out", "ids.txt"), "ids.txt: --out: is not named .csv or .csv.gz"),
    (("split", "siim-seg", "--out", "none/ids.csv"), "none: --out: no such folder"),
    (("split", "siim-seg", "--tables", "none"), "none: --tables: no such folder"),
    (("split", "covidx-cls", "--tables", "edition"), "1 of 2 images are not in the list (the first: x.png)"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_one_line(arguments: tuple[str, ...], message: str, lists: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name, part in (("broken", "test_COVIDx9A.txt"), ("unzip", "train_COVIDx9A.txt.gz")):
        folder = tmp_path / name / "covidx"
        folder.mkdir(parents=True)
        (folder / "train_COVIDx9A.txt").write_text("p a.png normal cohen\n")
        (folder / part).write_text("q b.png normal cohen\nq c.png normal\n")
    unzip = tmp_path / "unzip" / "covidx"
    (unzip / "train_COVIDx9A.txt").rename(unzip / "test_COVIDx9A.txt")
    # What a download that broke off leaves; a list that a browser has unpacked is read.
    (unzip / "train_COVIDx9A.txt.gz").write_bytes(gzip.compress(b"p a.png normal cohen\n")[:-9])
    listed = read_id_list(shipped("tasks") / "splits" / "covidx-clean.csv.gz").train[0]
    (tmp_path / "edition" / "covidx").mkdir(parents=True)
    for part, image in (("train", listed), ("test", "x.png")):
        line = f"p-{part} {image} normal cohen\n"
        (tmp_path / "edition" / "covidx" / f"{part}_COVIDx9A.txt").write_text(line)
    before = sorted(tmp_path.rglob("*"))
    result = call("data", *arguments, code=2)
    said = [line for line in result.stderr.splitlines() if line.startswith("g2d-bench: ")]
    assert len(said) == 1
    assert message in said[0]
    assert "Traceback" not in result.stderr
    assert sorted(tmp_path.rglob("*")) == before
