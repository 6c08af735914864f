"""The audit: known leaks of the published splits on the real tables, made-up ones on made-up releases."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.data.audit import audit
from g2d_bench.data.audit_facts import Audit, Crossing, PartFacts, SplitAudit
from g2d_bench.data.audit_text import render_audit
from g2d_bench.errors import InputError


def of(found: Audit, task: str, split: str) -> SplitAudit:
    return next(one for one in found.splits if task in one.tasks and one.split == split)


def sizes(one: SplitAudit) -> list[int]:
    return [part.images for part in one.parts.values()]


def shared(one: SplitAudit) -> dict[str, tuple[int, int, int, int]]:
    return {"&".join(p.parts): (p.ids, p.positive_ids, p.patients, p.images) for p in one.shared}


def audited(settings: Settings, names: list[str], tables: Sequence[Path] = ()) -> Audit:
    """The audit of a data root or of tables alone, with the cards of the settings."""
    bench = Bench(settings)
    return audit(bench.source, bench.catalogue, names, tables)


@pytest.fixture(scope="module")
def real(real_pack: Path) -> Audit:
    """All real tables at once."""
    return audited(Settings(), ["siim", "rsna", "covidx", "cxr14"], [real_pack / "annotations"])


def test_siim_by_row(real: Audit) -> None:
    one = of(real, "siim-seg", "legacy")
    assert sizes(one) == [8578, 1910, 1903]
    found = shared(one)
    assert found["train&test"][:2] == (154, 154)
    assert (found["train&val"][0], found["val&test"][0]) == (161, 62)
    assert one.incomplete["test"] == (183, 476)
    assert one.all_empty == pytest.approx(1427 / 1903)
    text = "\n".join(render_audit(real))
    assert "LEAK train and test share 154 images (154 positive)" in text
    assert "test: 183 of 476 positive images lack a part of their mask" in text
    assert "predicting nothing scores 75.0 by dice_legacy" in text


def test_rsna_and_what_crosses_between_its_tasks(real: Audit) -> None:
    assert sizes(of(real, "rsna-cls", "legacy")) == [18678, 4003, 4003]
    assert [p.positive for p in of(real, "rsna-cls", "legacy").parts.values()] == [4162, 928, 922]
    one = of(real, "rsna-seg", "legacy")
    assert sizes(one) == [16010, 5337, 5337]
    assert one.all_empty == pytest.approx(1 - 1251 / 5337)
    others = "rsna-det, rsna-ground, rsna-seg, rsna-zeroshot (legacy)"
    assert Crossing("rsna-cls (legacy)", others, 1328) in real.crossings


def test_covidx_by_image(real: Audit) -> None:
    one = of(real, "covidx-cls", "legacy")
    assert sizes(one) == [24104, 6026, 400]
    assert shared(one)["train&val"] == (0, 0, 865, 3036)
    assert real.shared_images == {"covidx & rsna": 13788}
    line = "LEAK train and val share 865 patients: 3,036 images of val are of patients in train"
    assert any(line in text for text in render_audit(real))


def test_chestxray14_without_its_lists(real: Audit, real_pack: Path, tmp_path: Path) -> None:
    facts = next(one for one in real.datasets if one.name == "cxr14")
    assert (facts.images, facts.patients, facts.boxes, facts.boxed) == (112120, 30805, 984, 880)
    folder = tmp_path / "nih"
    folder.mkdir()
    for path in (real_pack / "annotations" / "nih").iterdir():
        if not path.name.endswith("_list.txt.gz"):
            (folder / path.name).symlink_to(path)
    bare = audited(Settings(), ["cxr14"], [tmp_path])
    # NIH's lists ship with the suite: what a download without them gives is the same.
    for split in ("legacy", "clean"):
        assert not of(bare, "cxr14-cls", split).error
    assert of(bare, "cxr14-cls", "clean").hash == of(real, "cxr14-cls", "clean").hash
    assert any("cxr14 & rsna" in note and "mapping of ids" in note for note in real.notes)


def test_clean_splits_share_nothing(real: Audit) -> None:
    clean = [one for one in real.splits if one.split == "clean" and not one.error]
    assert {task for one in clean for task in one.tasks} >= {"siim-seg", "rsna-det", "covidx-cls"}
    for one in clean:
        assert set(shared(one).values()) == {(0, 0, 0, 0)}
        # The one that is computed alone divides what cxr14-cls has a list for, by another label.
        assert one.list_as_computed is (None if one.tasks == ["cxr14-pneumonia-cls"] else True)
    assert not real.fails


def covidx(root: Path, train: list[str], test: list[str], name: str = "covidx") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    for part, lines in (("train", train), ("test", test)):
        (folder / f"{part}_COVIDx9A.txt").write_text("\n".join(lines) + "\n")
    return root


OWN = """
version = "1.0"
title = "x"
kind = "classification"
dataset = "covidx"
labels = ["Normal", "Pneumonia", "COVID-19"]
metrics = ["accuracy"]
main = "accuracy"
[split.clean]
official = true
val_share = 0.5
"""


def own_task(folder: Path) -> Settings:
    folder.mkdir()
    (folder / "own.toml").write_text(OWN)
    return Settings(task_dirs=(folder,))


def test_a_leak_of_a_clean_split_fails(tmp_path: Path) -> None:
    """Patient p1 has an image in the official train list and two in the test list."""
    train = [f"p{n} t{n}.png normal cohen" for n in range(10)]
    root = covidx(tmp_path / "data", train, ["p1 x.png COVID-19 cohen", "p1 y.png normal cohen"])
    found = audited(own_task(tmp_path / "cards"), ["own"], [root])
    (one,) = found.splits
    assert one.parts["test"] == PartFacts(images=2, positive=2, patients=1, boxed=0)
    pairs = [pair for pair in one.shared if pair.leaks]
    assert len(pairs) == 1
    assert (pairs[0].ids, pairs[0].patients, pairs[0].images, pairs[0].files) == (0, 1, 2, None)
    assert pairs[0].parts[1] == "test"
    assert found.fails
    other = of(audited(own_task(tmp_path / "c2"), ["covidx"], [root]), "covidx-cls", "clean")
    assert other.fails
    assert other.list_as_computed is None


def test_release_split_and_images_of_another_data_set(tmp_path: Path) -> None:
    """MS-CXR's images are MIMIC-CXR's: an encoder may be tested on what it was pre-trained on."""
    names = [f"d{n}" for n in range(30)]
    parts = ["train"] * 24 + ["validate"] * 3 + ["test"] * 3
    mimic, ms = tmp_path / "mimic-cxr", tmp_path / "ms-cxr"
    mimic.mkdir()
    ms.mkdir()
    rows = [f"{d},{100 + n // 2},{500 + n},PA" for n, d in enumerate(names)]
    table = "\n".join(["dicom_id,subject_id,study_id,ViewPosition", *rows]).encode()
    (mimic / "mimic-cxr-2.0.0-metadata.csv.gz").write_bytes(gzip.compress(table))
    lines = [f"{d},{part}" for d, part in zip(names, parts, strict=True)]
    (mimic / "mimic-cxr-2.0.0-split.csv").write_text("\n".join(["dicom_id,split", *lines]))
    header = "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height"
    rows = [
        f"{d},Pneumonia,opacity,files/p10/p{100 + n // 2}/s{500 + n}/{d}.jpg,1,1,5,5,90,90"
        for n, d in enumerate(names)
    ]
    (ms / "MS_CXR_Local_Alignment_v1.1.0.csv").write_text("\n".join([header, *rows]))
    found = audited(Settings(), [], [tmp_path])
    assert [one.name for one in found.datasets] == ["mimic-cxr", "ms-cxr"]
    release = next(one for one in found.splits if not one.tasks)
    assert (release.split, sizes(release)) == ("release", [24, 3, 3])
    assert [pair.patients for pair in release.shared] == [0, 0, 1]
    assert found.shared_images == {"mimic-cxr & ms-cxr": 30}
    crossing = next(one for one in found.crossings if one.test == "ms-cxr-phrase (clean)")
    test = of(found, "ms-cxr-phrase", "clean").parts["test"]
    assert crossing.train == "mimic-cxr (release)"
    assert 0 < crossing.images <= test.images


def test_chexpert_by_position(tmp_path: Path) -> None:
    """Rows of the retrieval set are dropped, then rows are drawn by position and dropped by label."""
    from g2d_bench.readers.chexpert import LABELS

    folder = tmp_path / "chexpert"
    folder.mkdir()
    header = ",".join(["Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *LABELS])
    edema = LABELS.index("Edema")

    def rows(part: str, count: int) -> list[str]:
        # Every third row shows edema alone: 200 of those are drawn for the retrieval set.
        cells = [["1.0" if n % 3 == 0 and k == edema else "" for k in range(14)] for n in range(count)]
        name = f"CheXpert-v1.0-small/{part}/patient{{:05}}/study1/view1_frontal.jpg,Male,50,Frontal,AP,"
        return [name.format(n + 9000 * (part == "valid")) + ",".join(line) for n, line in enumerate(cells)]

    (folder / "train.csv").write_text("\n".join([header, *rows("train", 6000)]))
    (folder / "valid.csv").write_text("\n".join([header, *rows("valid", 20)]))
    found = audited(Settings(), ["chexpert-cls"], [tmp_path])
    one = of(found, "chexpert-cls", "legacy")
    drawn = round(5000 * 6000 / 223414)
    assert (one.parts["val"].images, one.parts["test"].images) == (drawn, 20)
    assert 0.7 * drawn < shared(one)["train&val"][0] < drawn
    assert found.datasets[0].seen_by["gloria.chexpert-r50"] == "images"
    assert "gloria.mimic-r50" not in found.datasets[0].seen_by
    assert one.unused >= 200
    assert one.published
    assert not one.fails


def test_sets_are_told_as_they_are_done(tmp_path: Path) -> None:
    root = covidx(tmp_path, [f"p{n} t{n}.png normal cohen" for n in range(10)], ["q x.png normal cohen"])
    bench = Bench(Settings())
    told: list[Audit] = []
    found = audit(bench.source, bench.catalogue, ["siim", "covidx"], [root], told.append)
    assert [(list(one.unread), [data.name for data in one.datasets]) for one in told] == [
        (["siim"], []),
        ([], ["covidx"]),
    ]
    assert "no folder siim/" in found.unread["siim"]
    assert found.datasets == told[1].datasets
    assert found.splits == told[1].splits


def test_files_and_pixels_are_compared_where_there_are_images(tiny_root: Path) -> None:
    found = audited(Settings(data_root=tiny_root), ["covid-cxr-seg"])
    (one,) = found.splits
    assert sizes(one) == [24, 6, 10]
    assert [(pair.files, pair.near_duplicates) for pair in one.shared] == [(0, 0)] * 3
    assert one.all_empty == 0
    assert any("share nothing (images, patients, files, near-duplicates)" in t for t in render_audit(found))


def test_a_copied_film_is_found(tiny_root: Path, tmp_path: Path) -> None:
    """Another patient's film of the test part is overwritten by one of the training part."""
    import shutil

    shutil.copytree(tiny_root, tmp_path / "data")
    bench = Bench(Settings(data_root=tmp_path / "data"))
    dataset, manifest = bench.source.opened("covid-cxr")
    from g2d_bench.data.divide import divide, usable

    card = bench.catalogue.tasks["covid-cxr-seg"]
    split = divide(card, "clean", usable(manifest.samples, card), dataset)
    images = tmp_path / "data" / "covid-cxr" / "images"
    shutil.copy(images / split.train[0], images / split.test[0])
    found = audited(Settings(data_root=tmp_path / "data"), ["covid-cxr-seg"])
    (one,) = found.splits
    assert {"&".join(pair.parts): pair.files for pair in one.shared} == {
        **{"train&val": 0, "train&test": 1, "val&test": 0}
    }
    assert found.fails
    assert any("LEAK train and test share 1 files" in line for line in render_audit(found))


def test_generated_data_follow_the_rule(tmp_path: Path) -> None:
    from g2d_bench.phantom import ensure

    ensure("siim", root=tmp_path, count=30, size=64)
    found = audited(Settings(data_root=tmp_path), ["siim-seg"])
    one = of(found, "siim-seg", "clean")
    assert (found.datasets[0].kind, one.rule, one.list_as_computed) == (
        "phantom",
        "by patient 0.7/0.15/0.15",
        None,
    )
    assert {pair.near_duplicates for pair in one.shared} == {None}
    assert one.all_empty == 1 - one.parts["test"].positive / one.parts["test"].images


def test_complaints(tmp_path: Path) -> None:
    settings = Settings()
    with pytest.raises(InputError, match="unknown data set or task 'siim-sag'; did you mean 'siim-seg'"):
        audited(settings, ["siim-sag"], [tmp_path])
    with pytest.raises(InputError, match="no data set is here"):
        audited(settings, [], [tmp_path])
    with pytest.raises(InputError, match="no data set is here; name one"):
        audited(settings, [])
    # Of several this costs its own lines; the only one has no others.
    with pytest.raises(InputError, match="no folder siim/"):
        audited(settings, ["siim"], [tmp_path, tmp_path])
    with pytest.raises(InputError, match="data root cannot be read"):
        audited(settings, ["siim"], [tmp_path / "none", tmp_path])
