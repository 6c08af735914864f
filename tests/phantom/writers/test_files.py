"""Files as the releases have them."""

from __future__ import annotations

import gzip
import io
import uuid
from pathlib import Path

import numpy as np
import pydicom
import pytest

from g2d_bench.phantom import PROFILES
from g2d_bench.phantom.sampling import sample_scene
from g2d_bench.phantom.writers.files import (
    csv_text,
    dicom_bytes,
    number_of,
    patient_number,
    uuid_of,
    write_gzip,
)

SCENE = sample_scene("siim", 5, seed=0, profile=PROFILES["siim"])


def test_packed_text_has_no_time_and_no_name(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        write_gzip(tmp_path / name, "é,1\n")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()).decode() == "é,1\n"


def test_tables_have_unix_line_ends_and_quotes_where_needed() -> None:
    assert csv_text([["a", 1, ""], ["b,c", 'd"e', "f\ng"]]) == 'a,1,\n"b,c","d""e","f\ng"\n'


@pytest.mark.parametrize("jpeg", [False, True])
def test_a_dicom_file_holds_the_pixels_and_the_person(jpeg: bool) -> None:
    rows, columns = np.mgrid[:64, :64]
    image = (rows + 2 * columns).astype(np.uint8)
    content = dicom_bytes(image, SCENE, ("1.2.3", "1.2.4", "1.2.5"), "someone", jpeg=jpeg, age=51)
    header = pydicom.dcmread(io.BytesIO(content))
    assert (header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID) == (
        "1.2.3",
        "1.2.4",
        "1.2.5",
    )
    assert (header.PatientID, header.PatientSex, header.PatientAge) == ("someone", SCENE.patient.sex, "51")
    assert np.abs(header.pixel_array.astype(int) - image).max() <= (4 if jpeg else 0)
    assert content == dicom_bytes(image, SCENE, ("1.2.3", "1.2.4", "1.2.5"), "someone", jpeg=jpeg, age=51)


def test_numbers_belong_to_the_image_and_patient_numbers_never_repeat() -> None:
    scenes = [sample_scene("cxr14", n, seed=0, profile=PROFILES["cxr14"]) for n in range(80)]
    assert {number_of(scene, "a", digits=2) for scene in scenes} <= set(range(100))
    assert number_of(scenes[0], "a", digits=9) != number_of(scenes[0], "b", digits=9)
    numbers = {scene.patient.uid: patient_number(scene, 7) for scene in scenes}
    assert len(set(numbers.values())) == len(numbers)
    assert all(10**6 <= number < 10**7 for number in numbers.values())
    for scene in scenes:
        assert patient_number(scene, 7) == numbers[scene.patient.uid]


def test_words_are_uuids() -> None:
    scenes = [sample_scene("cxr14", n, seed=0, profile=PROFILES["cxr14"]) for n in range(80)]
    words = [uuid_of(scene) for scene in scenes]
    assert len(set(words)) == len(words)
    assert all(str(uuid.UUID(word)) == word for word in words)
    assert len({uuid_of(scene, patient=True) for scene in scenes}) == len({s.patient.uid for s in scenes})
