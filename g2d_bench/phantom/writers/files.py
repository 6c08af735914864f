"""File formats that several writers share."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from g2d_bench.phantom.scene import BLOCK, Scene
from g2d_bench.phantom.seeds import digest

MANUFACTURER = "g2d-bench phantom"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def encode(image: NDArray[np.uint8], kind: str, quality: int = 92) -> bytes:
    """Encode grey values [H, W] as "JPEG" or "PNG"."""
    from PIL import Image

    stream = io.BytesIO()
    if kind == "JPEG":
        Image.fromarray(image).save(stream, kind, quality=quality)
    else:
        # Light compression: noise does not pack, and time counts.
        Image.fromarray(image).save(stream, kind, compress_level=1)
    return stream.getvalue()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, making its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_gzip(path: Path, text: str) -> None:
    """Write packed text without time stamp or name, so that equal text gives equal bytes."""
    stream = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed:
        packed.write(text.encode())
    path.write_bytes(stream.getvalue())


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Format rows as CSV with Unix line ends."""
    import csv

    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def dicom_bytes(
    image: NDArray[np.uint8],
    scene: Scene,
    uids: tuple[str, str, str],
    patient: str,
    *,
    jpeg: bool,
    age: int | None = None,
) -> bytes:
    """Wrap grey values [H, W] into a DICOM file.

    Args:
        image: the pixels.
        scene: sex, age and view go into the header.
        uids: study, series and SOP instance UID.
        patient: PatientID.
        jpeg: encapsulate a baseline JPEG frame instead of plain pixels.
        age: years for the header; the scene's if None.
    """
    from pydicom.config import IGNORE
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGBaseline8Bit

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = JPEGBaseline8Bit if jpeg else ExplicitVRLittleEndian
    header.file_meta.ImplementationClassUID = UID("1.2.276.0.7230010.3.0.3.6.0")
    # Otherwise the library's own version would stand here, and every file change with it.
    header.file_meta.ImplementationVersionName = "PYDICOM 3.0.2"
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = UID(SECONDARY_CAPTURE)
    header.StudyInstanceUID, header.SeriesInstanceUID = UID(uids[0]), UID(uids[1])
    header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = UID(uids[2])
    header.SpecificCharacterSet = "ISO_IR 100"
    header.StudyDate, header.StudyTime, header.AccessionNumber = "19010101", "000000.00", ""
    header.Modality = "CR"
    header.ConversionType = "WSD"
    header.Manufacturer = MANUFACTURER
    header.ReferringPhysicianName = ""
    header.SeriesDescription = f"view: {scene.technique.view.split()[0]}"
    header.PatientName = header.PatientID = patient
    header.PatientBirthDate = ""
    header.PatientSex = scene.patient.sex
    # The releases write plain years; the standard wants 051Y.
    header["PatientAge"] = DataElement(
        "PatientAge", "AS", str(age_of(scene) if age is None else age), validation_mode=IGNORE
    )
    header.BodyPartExamined = "CHEST"
    header.ViewPosition = scene.technique.view.split()[0]
    header.StudyID, header.SeriesNumber, header.InstanceNumber, header.PatientOrientation = "", "1", "1", ""
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows, header.Columns = image.shape
    spacing = f"{0.143 * 1024 / image.shape[0]:.6g}"
    header.PixelSpacing = [spacing, spacing]
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 8, 8, 7, 0
    if jpeg:
        header.LossyImageCompression, header.LossyImageCompressionMethod = "01", "ISO_10918_1"
        header.PixelData = encapsulate([encode(image, "JPEG", 95)])
    else:
        header.PixelData = image.tobytes()
    stream = io.BytesIO()
    header.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def age_of(scene: Scene) -> int:
    """Age at this study, in years."""
    return min(scene.patient.age + scene.order // 2, 95)


def place_in_block(scene: Scene) -> int:
    """Place of the patient in its block: small ones exist in every block, so no part is empty."""
    return scene.patient.number % BLOCK


def number_of(scene: Scene, *parts: str | int, digits: int) -> int:
    """A whole number of at most ``digits`` digits that belongs to this image."""
    return int(digest("number", scene.namespace, scene.seed, scene.index, *parts, bits=64) % 10**digits)


def patient_number(scene: Scene, digits: int) -> int:
    """A patient number of ``digits`` digits: two of a hash of data set and seed, then the running number.

    Within a data set, numbers never repeat.
    """
    prefix = digest("namespace", scene.namespace, scene.seed, bits=32) % 90 + 10
    return int(prefix * 10 ** (digits - 2) + scene.patient.number)


def uuid_of(scene: Scene, *, patient: bool = False) -> str:
    """A word in the form of a UUID that belongs to this image, or to its patient.

    It begins with the hash of data set and seed.
    """
    own = scene.patient.uid if patient else str(scene.index)
    word = scene.patient.uid[:8] + f"{digest('uuid', scene.namespace, scene.seed, own, bits=96):024x}"
    return f"{word[:8]}-{word[8:12]}-4{word[13:16]}-a{word[17:20]}-{word[20:]}"
