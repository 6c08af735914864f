from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.data.legacy_splits import siim_row_parts
from g2d_bench.errors import InputError
from g2d_bench.readers.images import Letterbox
from g2d_bench.readers.rle import decode_relative, encode_relative
from g2d_bench.readers.siim import Siim, read_table
from g2d_bench.records.cell import Cell

WriteDicom = Callable[..., Path]
SHAPE = (12, 10)


def table(
    root: Path, *rows: str, name: str = "train-rle.csv", header: str = "ImageId, EncodedPixels"
) -> Path:
    root.mkdir(exist_ok=True)
    text = "\n".join([header, *rows]) + "\n"
    path = root / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.fixture
def root(tmp_path: Path, write_dicom: WriteDicom) -> Path:
    """Three images of two patients: one without, one with one, one with two mask parts."""
    folder = tmp_path / "siim"
    pixels = np.arange(120, dtype=np.uint8).reshape(SHAPE)
    for place, (image, patient) in enumerate([("1.b", "p1"), ("1.a", "p2"), ("1.c", "p1")]):
        write_dicom(
            folder / "dicom-images-train" / f"study{place}" / f"series{place}" / f"{image}.dcm",
            pixels + place,
            PatientID=patient,
            PatientSex="M",
            PatientAge="061Y",
            ViewPosition="AP",
        )
    table(folder, "1.b, -1", "1.c, 3 4", "1.a,5 2 10 3", "1.c,30 1")
    return folder


def test_samples(root: Path) -> None:
    data = Siim(root)
    samples = data.samples()
    assert [(s.id, s.patient, s.labels["Pneumothorax"]) for s in samples] == [
        ("1.a", "p2", 1),
        ("1.b", "p1", 0),
        ("1.c", "p1", 1),
    ]
    assert [s.annotation for s in samples] == [("5 2 10 3",), (), ("3 4", "30 1")]
    assert samples[0].meta == {"sex": "M", "age": "61", "view": "AP"}
    assert data.kind == "real"
    assert data.read_image(samples[1])[0, 1] == 1


def test_parts_of_a_mask_are_united(root: Path) -> None:
    data = Siim(root)
    masks = {s.id: data.read_mask(s, SHAPE, "Pneumothorax") for s in data.samples()}
    assert not masks["1.b"].any()
    wanted = np.zeros(120, np.bool_)
    wanted[3:7] = wanted[30] = True
    np.testing.assert_array_equal(masks["1.c"], wanted.reshape(10, 12).T)


def test_packed_table_and_images_of_the_first_stage(root: Path, write_dicom: WriteDicom) -> None:
    (root / "train-rle.csv").unlink()
    table(root, "1.a,-1", "1.z,0 1", name="train-rle.csv.gz")
    write_dicom(root / "dicom-images-test" / "s" / "t" / "1.z.dcm", np.zeros(SHAPE, np.uint8), PatientID="")
    (root / "dicom-images-train" / "notes.txt").write_text("not an image")
    samples = Siim(root).samples()
    assert [(s.id, s.patient) for s in samples] == [("1.a", "p2"), ("1.z", "1.z")]


def test_images_without_a_row(root: Path) -> None:
    table(root, "1.a,-1")
    assert len(Siim(root).samples()) == 1
    with pytest.raises(
        InputError, match=r"dicom-images-train: 2 images are not in the table, the first is 1\.b"
    ):
        Siim(root, strict=True).samples()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1.a,-1", "1.x,-1"], r"train-rle.csv:3: ImageId: no DICOM file for image 1\.x"),
        (["1.a,1 2 3"], "train-rle.csv:2: EncodedPixels: 3 values"),
        (["1.a,1 2", "1.a,one 2"], "train-rle.csv:3: EncodedPixels: 'one' is not a whole number"),
        (["1.a,119 2"], "train-rle.csv:2: EncodedPixels: runs reach pixel 121 of 120"),
        (["1.a,1 2", "1.a,-1"], r"train-rle.csv:3: EncodedPixels: image 1\.a has both -1 and a mask"),
        (["1.a, -1", "1.a,1 2"], r"train-rle.csv:3: EncodedPixels: image 1\.a has both"),
        (["1.a,1 2", "1.b,-1", "1.a,1 2"], "train-rle.csv:4: EncodedPixels: repeats row 2"),
        (["1.a,-1", "1.a,-1"], "train-rle.csv:3: EncodedPixels: repeats row 2"),
        (["1.a,"], "train-rle.csv:2: EncodedPixels"),
        ([",-1"], "train-rle.csv:2: ImageId"),
        (["1.a,-1,5"], "train-rle.csv:2: "),
        ([], "train-rle.csv: "),
    ],
)
def test_malformed_rows(root: Path, rows: list[str], message: str) -> None:
    table(root, *rows)
    with pytest.raises(InputError, match=message) as caught:
        Siim(root).samples()
    assert "\n" not in str(caught.value)


def test_malformed_table(root: Path) -> None:
    table(root, "1.a,-1", header="ImageId,Pixels")
    with pytest.raises(InputError, match=r"train-rle.csv.*EncodedPixels"):
        Siim(root).samples()
    (root / "train-rle.csv").write_bytes(b"ImageId, EncodedPixels\n1.a\xff,-1\n")
    with pytest.raises(InputError, match=r"train-rle.csv"):
        Siim(root).samples()
    (root / "train-rle.csv").unlink()
    with pytest.raises(InputError, match=r"kaggle"):
        Siim(root).samples()
    (root / "train-rle.csv.gz").write_bytes(gzip.compress(b"ImageId, EncodedPixels\n")[:-9])
    with pytest.raises(InputError, match=r"train-rle.csv.gz: cannot be read"):
        Siim(root).samples()


def test_two_files_of_one_image(root: Path, write_dicom: WriteDicom) -> None:
    write_dicom(root / "elsewhere" / "1.a.DCM", np.zeros(SHAPE, np.uint8))
    with pytest.raises(InputError, match=r"1\.a(\.dcm|\.DCM): image 1\.a exists twice"):
        Siim(root).samples()


def test_broken_dicom(root: Path) -> None:
    path = next((root / "dicom-images-train").rglob("1.a.dcm"))
    path.write_bytes(b"junk")
    with pytest.raises(InputError, match=r"1\.a\.dcm: not a DICOM file"):
        Siim(root).samples()


def test_mask_of_another_image(root: Path) -> None:
    data = Siim(root)
    sample = data.samples()[2]
    with pytest.raises(InputError, match=r"train-rle.csv:5: EncodedPixels: runs reach pixel 31 of 20"):
        data.read_mask(sample, (4, 5), "Pneumothorax")
    with pytest.raises(InputError, match="no masks of 'Edema'"):
        data.read_mask(sample, SHAPE, "Edema")


def test_the_real_table(real_pack: Path) -> None:
    found = read_table(real_pack / "annotations" / "siim" / "train-rle.csv.gz")
    parts = Counter(map(len, found.values()))
    assert sum(max(1, count) * images for count, images in parts.items()) == 12_954  # rows
    assert len(found) == 12_047
    assert len(found) - parts[0] == 2_669
    assert parts == {0: 9378, 1: 2045, 2: 447, 3: 112, 4: 40, 5: 18, 6: 3, 7: 1, 8: 2, 10: 1}
    texts = [text for runs in found.values() for text in runs][::40]
    for text in texts:
        assert encode_relative(decode_relative(text, (1024, 1024), "t")) == text


def test_the_row_split_tests_on_a_part_of_a_mask(tmp_path: Path, write_dicom: WriteDicom) -> None:
    """An image with rows in several parts shows in each part what the rows of that part say."""
    folder = tmp_path / "siim"
    for n in range(20):
        pixels = np.arange(120, dtype=np.uint8).reshape(SHAPE) + n
        write_dicom(folder / "dicom-images-train" / "s" / f"t{n}" / f"1.{n:02}.dcm", pixels)
    rows = [f"1.{n:02},{6 + 30 * k} 4" for n in range(12) for k in range(3)]
    table(folder, *rows, *(f"1.{n}, -1" for n in range(12, 20)))
    bench = Bench(Settings(data_root=tmp_path, results=tmp_path / "runs"))
    data = bench.resolve(Cell("siim-seg", 1.0, "legacy", 0, "random")).data()
    texts = [(row.split(",")[0], row.split(",")[1]) for row in rows]
    parts = dict(
        zip(
            ("train", "val", "test"), siim_row_parts([*(image for image, _ in texts), *[""] * 8]), strict=True
        )
    )
    assert set(data.val) & set(data.test)
    for part, ids in (("train", data.train), ("val", data.val), ("test", data.test)):
        bits = data.mask_bits(part)
        for place, image in enumerate(ids):
            mine = [texts[n][1] for n in parts[part] if n < len(texts) and texts[n][0] == image]
            mask = np.zeros(SHAPE, np.bool_)
            for text in mine:
                mask |= decode_relative(text, SHAPE, "")
            wanted = Letterbox.of(SHAPE, data.task.eval_size).mask_forward(mask)
            found = np.unpackbits(bits[place], count=wanted.size).reshape(wanted.shape)
            np.testing.assert_array_equal(found, wanted)
    assert "images" in data.check_leaks()
    # Train holds as many images without as with the finding, where there are that many.
    with_finding = [image for image in data.train if data.positives((image,))]
    assert len(data.train) <= 2 * len(with_finding)
