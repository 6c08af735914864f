"""The layout of SIIM-ACR."""

from __future__ import annotations

from typing import Any

import numpy as np

from g2d_bench.phantom import PROFILES, generate
from g2d_bench.phantom.writers.siim import encode_relative, split_mask
from g2d_bench.readers.registry import dataset_class
from g2d_bench.readers.rle import decode_relative


def test_siim_layout(make: Any) -> None:
    import pydicom

    folder = make("siim")
    lines = (folder / "train-rle.csv").read_text().splitlines()
    assert lines[0] == "ImageId, EncodedPixels"
    table = [line.split(",", 1) for line in lines[1:]]
    assert {text for _, text in table if not text[0].isdigit()} == {"-1"}
    files = sorted(folder.rglob("*.dcm"))
    assert len(files) == make.count("siim")
    assert {path.stem for path in files} == {image for image, _ in table}
    for path in files:
        parts = path.relative_to(folder).parts
        assert parts[0] == "dicom-images-train"
        assert len(parts) == 4
        header = pydicom.dcmread(path)
        assert header.SOPInstanceUID == path.stem
        assert str(header.SOPInstanceUID).startswith("1.2.276.0.7230010.3.1.4.8323329.")
        assert (header.StudyInstanceUID, header.SeriesInstanceUID) == parts[1:3]
        assert header.Manufacturer == "g2d-bench phantom"
        assert header.PhotometricInterpretation == "MONOCHROME2"
        assert header.ViewPosition in ("PA", "AP")
    compressed = {pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_compressed for path in files}
    assert compressed == {True, False}


def test_siim_masks_are_those_drawn(make: Any) -> None:
    folder = make("siim")
    dataset = dataset_class("siim")(folder)
    by_patient = {sample.patient: sample for sample in dataset.samples()}
    positives = 0
    for index in range(make.count("siim")):
        picture = generate("siim", index, seed=0, size=make.size, profile=PROFILES["siim"])
        sample = by_patient[picture.scene.patient.uid]
        mask = dataset.read_mask(sample, (make.size, make.size), "Pneumothorax")
        expected = picture.masks.get("Pneumothorax", np.zeros_like(mask))
        assert np.array_equal(mask, expected)
        positives += bool(mask.any())
        if not sample.path.read_bytes().count(b"\xff\xd8\xff"):
            assert np.array_equal(dataset.read_image(sample), picture.image)
    assert positives


def test_relative_run_lengths_survive_a_round_trip() -> None:
    rng = np.random.default_rng(0)
    for shape in ((5, 9), (16, 16), (1, 7)):
        for share in (0.0, 0.3, 1.0):
            mask = rng.random(shape) < share
            assert np.array_equal(decode_relative(encode_relative(mask), shape, "here"), mask)


def test_masks_split_into_parts() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[5:30, 3:9] = True
    mask[10:20, 20:30] = True
    mask[35, 35] = True
    for pieces in (1, 2, 3, 5):
        parts = split_mask(mask, pieces)
        assert len(parts) == pieces
        assert np.array_equal(np.sum(parts, 0), mask.astype(int))
        assert all(part.any() for part in parts)
    dot = np.zeros((4, 4), np.bool_)
    dot[1, 1] = True
    assert len(split_mask(dot, 3)) == 1
