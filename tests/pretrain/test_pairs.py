from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.errors import InputError
from g2d_bench.pretrain.pairs import PARTS, Pair, PairData, Read, read_pairs
from g2d_bench.readers.images import letterbox, read_image
from g2d_bench.readers.mimic_cxr import MimicCxr


def write_image(path: Path, value: int = 100, shape: tuple[int, int] = (20, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(value)
    Image.fromarray(generator.integers(0, 255, shape).astype(np.uint8)).save(path)
    return path


def write_folder(root: Path, count: int = 6) -> Path:
    for index in range(count):
        write_image(root / f"sub{index % 2}" / f"i{index}.png", index)
        (root / f"sub{index % 2}" / f"i{index}.txt").write_text(f"FINDINGS: Finding number {index} is seen.")
    return root


def write_mimic(root: Path, count: int = 40, official: str = "train") -> Path:
    """A small release: the second view of each study is lateral, labels are all positive."""
    metadata, split = ["dicom_id,subject_id,study_id,ViewPosition"], ["dicom_id,split"]
    chexpert = ["subject_id,study_id," + ",".join(MimicCxr.labels)]
    for index in range(count):
        subject, study = 10000000 + index // 2, 50000000 + index
        for view in ("PA", "LATERAL"):
            dicom = f"{index:03d}{view}"
            metadata.append(f"{dicom},{subject},{study},{view}")
            split.append(f"{dicom},{official}")
            write_image(root / f"files/p10/p{subject}/s{study}/{dicom}.jpg", index)
        chexpert.append(f"{subject},{study}," + ",".join(["1.0"] * len(MimicCxr.labels)))
        (root / f"files/p10/p{subject}/s{study}.txt").write_text(f"IMPRESSION: Report {index} is here.")
    for name, lines in [("metadata", metadata), ("split", split), ("chexpert", chexpert)]:
        (root / f"mimic-cxr-2.0.0-{name}.csv").write_text("\n".join(lines) + "\n")
    return root


def test_pairs_behind_a_link(tmp_path: Path) -> None:
    write_folder(tmp_path / "disk")
    (tmp_path / "pairs").mkdir()
    (tmp_path / "pairs" / "linked").symlink_to(tmp_path / "disk", target_is_directory=True)
    found = read_pairs(str(tmp_path / "pairs"))
    assert len(found.pairs) == len(read_pairs(str(tmp_path / "disk")).pairs) > 0


def test_folder(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data")
    (root / ".hidden.png").write_bytes(b"")
    read = read_pairs(str(root))
    assert [pair.id for pair in read.pairs] == [
        f"sub{k}/i{i}.png" for k, i in [(0, 0), (0, 2), (0, 4), (1, 1), (1, 3), (1, 5)]
    ]
    assert read.pairs[1].sentences == ("Finding number 2 is seen.",)
    assert (read.kind, dict(read.skipped)) == ("real", {})
    data = PairData(read, 16, cache=tmp_path / "cache")
    assert data.images.shape == (6, 16, 16)
    for index, pair in enumerate(read.pairs):
        np.testing.assert_array_equal(data.images[index], letterbox(read_image(pair.path), 16))
    # A second time, nothing is decoded: the images may be gone but for their stat.
    stamps = [path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()]
    again = PairData(read, 16, cache=tmp_path / "cache")
    assert again.hash == data.hash
    assert stamps == [path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()]
    write_image(root / "sub0/i0.png", 99)
    assert PairData(read_pairs(str(root)), 16, cache=tmp_path / "cache").hash != data.hash


def test_the_name_of_a_data_set_is_that_of_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "covid-cxr")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputError, match=r"--data: data set covid-cxr needs a data root .* called \./covid-cxr"
    ):
        read_pairs("covid-cxr")
    with pytest.raises(InputError, match="covid-cxr"):
        read_pairs("covid-cxr", data_root=tmp_path)
    assert read_pairs("./covid-cxr").own
    assert not read_pairs("mimic-cxr", data_root=write_mimic(tmp_path / "mimic-cxr").parent).own


def test_reports_in_an_older_encoding_are_counted_aloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write_folder(tmp_path / "data")
    assert len(read_pairs(str(root)).pairs) == 6
    assert capsys.readouterr().err == ""
    for report in sorted(root.rglob("*.txt"))[:2]:
        report.write_bytes("FINDINGS: Opacité à gauche.".encode("latin-1"))
    read = read_pairs(str(root))
    assert sum("Opacité" in " ".join(pair.sentences) for pair in read.pairs) == 2
    assert capsys.readouterr().err == (
        f"{root}: 2 reports are not UTF-8, the first is i0.txt; read as a Western European encoding\n"
    )


def test_table(tmp_path: Path) -> None:
    write_image(tmp_path / "x/a.png", 1)
    write_image(tmp_path / "b.png", 2)
    (tmp_path / "pairs.csv").write_text(
        'image,patient,report\nx/a.png,p1,"Clear, both lungs. Big heart."\nb.png,p1,Small left effusion.\n'
    )
    read = read_pairs(str(tmp_path))
    assert [(pair.id, pair.patient) for pair in read.pairs] == [("b.png", "p1"), ("x/a.png", "p1")]
    assert read.pairs[1].sentences == ("Clear, both lungs.", "Big heart.")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "sub0/i2.txt").unlink(), r"sub0/i2\.png: image without report"),
        (lambda root: (root / "sub0/i2.png").unlink(), r"sub0/i2\.txt: report without image"),
        (lambda root: (root / "sub0/i2.txt").write_text("FINDINGS: ___."), r"i2\.txt: report without text"),
        (lambda root: (root / "sub0/i2.png").write_bytes(b"no"), r"i2\.png: not a readable image"),
        (lambda root: write_image(root / "sub0/i2.jpg"), r"i2\.png: two images for one report"),
        (lambda root: (root / "sub0/i2.txt").write_bytes(b"\0"), r"i2\.txt: not a text file"),
        (
            lambda root: (root / "pairs.csv").write_text(
                "image,report\nsub0/i2.png,All fine.\nno.png,One mass.\n"
            ),
            r"pairs\.csv:3: report without image",
        ),
        (
            lambda root: (root / "pairs.csv").write_text(
                "image,report\nsub0/i2.png,All fine.\nsub0/i2.png,One mass.\n"
            ),
            r"pairs\.csv: image: image sub0/i2\.png stands in 2 rows",
        ),
        (
            lambda root: (root / "pairs.csv").write_text(
                "image,report\nsub0/i2.png,All fine.\nsub1/../sub0/i2.png,One mass.\n"
            ),
            r"pairs\.csv: image: image sub0/i2\.png stands in 2 rows, once as sub1/\.\./sub0/i2\.png",
        ),
        (lambda root: (root / "pairs.csv").write_text("image,text\na,b\n"), r"pairs\.csv:1: report: column"),
    ],
)
def test_a_bad_folder_costs_one_line(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    root = write_folder(tmp_path / "data")
    spoil(root)
    with pytest.raises(InputError, match=message) as error:
        PairData(read_pairs(str(root)), 16, cache=tmp_path / "cache")
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "cache").glob("*")) if (tmp_path / "cache").is_dir() else True


def test_lenient_reading_counts_what_it_skips(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data")
    (root / "sub0/i0.txt").unlink()
    (root / "sub1/i1.png").unlink()
    (root / "sub0/i2.txt").write_text("")
    (root / "sub1/i3.png").write_bytes(b"broken")
    data = PairData(read_pairs(str(root), strict=False), 16, cache=tmp_path / "cache", strict=False)
    assert data.ids == ["sub0/i4.png", "sub1/i5.png"]
    assert data.skipped == {
        "image without report": 1,
        "report without image": 1,
        "report without text": 1,
        "unreadable image": 1,
    }
    np.testing.assert_array_equal(data.images[1], letterbox(read_image(root / "sub1/i5.png"), 16))
    # What a lenient run cached does not hide the fault from a strict one.
    with pytest.raises(InputError, match=r"i3\.png"):
        PairData(read_pairs(str(root), strict=False), 16, cache=tmp_path / "cache")


def test_nothing_left(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image-report pair found"):
        read_pairs(str(tmp_path / "empty"))
    with pytest.raises(InputError, match="--data: 'mimic' is neither a folder nor a data set"):
        read_pairs("mimic")
    with pytest.raises(InputError, match="--data: data set covid-cxr needs a data root"):
        read_pairs("covid-cxr")
    bad = write_image(tmp_path / "a.png")
    bad.write_bytes(b"x")
    read = Read("here", "real", (Pair("a", "a", bad, ("All fine.",)),))
    with pytest.raises(InputError, match=r"a\.png: no image could be read"):
        PairData(read, 8, cache=tmp_path / "cache", strict=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"\.u8: cannot be written: a file is where a folder should be"):
        PairData(
            Read("here", "real", (Pair("a", "a", write_image(bad), ("All fine.",)),)),
            8,
            cache=tmp_path / "file",
        )


@pytest.fixture
def mimic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return write_mimic(tmp_path / "root" / "mimic-cxr")


def test_only_frontal_images_with_text(mimic: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (mimic / "files/p10/p10000001/s50000003.txt").write_text("IMPRESSION:\n ___\n")
    (mimic / "files/p10/p10000002/s50000004/004PA.jpg").unlink()
    read = read_pairs("mimic-cxr", data_root=mimic.parent)
    assert read.skipped == {"not frontal": 40, "report without text": 1}
    assert "mimic-cxr: 1 images of the tables are not here and are left out\n" in capsys.readouterr().err
    assert len(read.pairs) == 38
    assert all(pair.id.endswith("PA") and not pair.id.endswith("LATERAL") for pair in read.pairs)
    with pytest.raises(InputError, match=r"003PA\.jpg: report without text"):
        read_pairs("mimic-cxr", data_root=mimic.parent, strict=True)


def test_the_impression_can_be_had_alone(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("FINDINGS: One mass. IMPRESSION: Probably benign.")
    write_image(tmp_path / "b.png")
    (tmp_path / "b.txt").write_text("FINDINGS: Small mass.")
    data = PairData(read_pairs(str(tmp_path)), 8, cache=tmp_path / "cache")
    assert path.name in data.ids
    assert data.text(0, "report") == ("Probably benign.", "One mass.")
    assert data.text(0, "impression") == ("Probably benign.",)
    assert data.text(1, "impression") == data.text(1, "report") == ("Small mass.",)


def test_parts_keep_patients_together(mimic: Path, tmp_path: Path) -> None:
    data = PairData(read_pairs("mimic-cxr", data_root=mimic.parent), 8, cache=tmp_path / "cache")
    seen = [{data.patients[index] for index in data.parts[name]} for name in PARTS]
    assert sum(map(len, seen)) == len(set.union(*seen)) == 20
    assert sorted(np.concatenate([data.parts[name] for name in PARTS])) == list(range(40))
    assert len(seen[0]) > 10
    # A patient's part does not depend on who else is there.
    for pair in read_pairs("mimic-cxr", data_root=mimic.parent).pairs[:3]:
        alone = PairData(Read("one", "real", (pair,)), 8, cache=tmp_path / "cache")
        name = next(name for name in PARTS if len(alone.parts[name]))
        assert data.ids.index(pair.id) in data.parts[name]
        for other in set(PARTS) - {name}:
            with pytest.raises(InputError, match=f"no {other} pair"):
                alone.part(other)


def test_the_release_s_own_split_wins_where_it_is_large_enough(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png")
    pairs = [
        Pair(f"{i:04d}", f"p{i}", path, (f"Report {i % 50} here.",), 0, "test" if i < 250 else split)
        for i, split in enumerate(["train", "validate"] * 300)
    ]
    data = PairData(Read("x", "real", tuple(pairs)), 8, cache=tmp_path / "cache")
    assert [len(data.parts[name]) for name in PARTS] == [175, 175, 250]
    assert set(data.parts["held"]) == set(range(250))
    # Fewer than 200 test patients cannot hold the retrieval test, so the hash decides.
    few = PairData(Read("x", "real", tuple(pairs[100:])), 8, cache=tmp_path / "cache")
    assert len(few.parts["train"]) > 350
    chosen = data.distinct("held", 200)
    assert len(chosen) == 50  # as many as there are different reports
    assert len({data.sentences[index] for index in chosen}) == 50
    assert len(data.distinct("held", 20)) == 20


def test_no_label_comes_along(mimic: Path, tmp_path: Path) -> None:
    """Pairs have no place for labels, and data that differ in labels alone are the same data."""
    assert {item.name for item in fields(Pair)} == {
        "id",
        "patient",
        "path",
        "sentences",
        "impression",
        "split",
    }
    first = PairData(read_pairs("mimic-cxr", data_root=mimic.parent), 8, cache=tmp_path / "cache")
    table = mimic / "mimic-cxr-2.0.0-chexpert.csv"
    table.write_text(table.read_text().replace("1.0", "0.0"))
    assert {sum(sample.labels.values()) for sample in MimicCxr(mimic).samples()} == {0}
    second = PairData(read_pairs("mimic-cxr", data_root=mimic.parent), 8, cache=tmp_path / "cache")
    table.unlink()
    third = PairData(read_pairs("mimic-cxr", data_root=mimic.parent), 8, cache=tmp_path / "cache")
    assert first.hash == second.hash == third.hash
    held = {type(value) for value in vars(first).values()}
    assert not any("label" in name for name in vars(first)), held


def test_the_real_collection(real_pack: Path, tmp_path: Path) -> None:
    read = read_pairs("covid-cxr", data_root=real_pack)
    assert len(read.pairs) + sum(read.skipped.values()) == 165  # 169 files, four of them twice
    assert len(read.pairs) > 100
    data = PairData(read, 32, cache=tmp_path / "cache")
    assert data.images.shape == (len(read.pairs), 32, 32)
    assert (data.images.reshape(len(data), -1).std(axis=1) > 5).all()
    assert all(line for lines in data.sentences for line in lines)


def test_a_report_changed_behind_its_size_and_time_is_found(tmp_path: Path) -> None:
    """Reports are read in every run; nothing that is kept stands for one."""
    root = write_mimic(tmp_path / "mimic-cxr")
    before = PairData(read_pairs("mimic-cxr", data_root=tmp_path), 16, cache=tmp_path / "cache")
    report = root / "files/p10/p10000000/s50000000.txt"
    state = report.stat()
    report.write_text("IMPRESSION: Report 7 is here.")
    os.utime(report, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (report.stat().st_size, report.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    after = PairData(read_pairs("mimic-cxr", data_root=tmp_path), 16, cache=tmp_path / "cache")
    assert ("Report 7 is here",) in {tuple(text.rstrip(".") for text in one) for one in after.sentences}
    assert before.hash != after.hash
