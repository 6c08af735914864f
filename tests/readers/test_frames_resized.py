"""Copies of releases at other sizes: boxes and masks lie where they lie on the original films."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.readers.base import PHANTOM_MARKER, Box, Dataset
from g2d_bench.readers.covid_cxr import CovidCxr
from g2d_bench.readers.cxr14 import Cxr14
from g2d_bench.readers.images import Letterbox
from g2d_bench.readers.ms_cxr import MsCxr
from g2d_bench.readers.object_cxr import ObjectCxr
from g2d_bench.readers.rle import column_height, encode_relative
from g2d_bench.readers.rsna import Rsna
from g2d_bench.readers.siim import Siim

WriteDicom = Callable[..., Path]


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def film(path: Path, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size).save(path)


def rsna(root: Path, size: tuple[int, int]) -> Dataset:
    text(
        root / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target\np,641,237,130,129,1\nn,,,,,0\n"
    )
    for name in ("p", "n"):
        film(root / f"stage_2_train_images/{name}.png", size)
    return Rsna(root)


def cxr14(root: Path, size: tuple[int, int]) -> Dataset:
    text(
        root / "Data_Entry_2017_v2020.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]\n"
        "a.png,Mass,0,1,58,M,PA,2048,2500,0.1,0.1\nb.png,No Finding,0,2,58,M,PA,2048,2500,0.1,0.1\n",
    )
    text(
        root / "BBox_List_2017.csv",
        'Image Index,Finding Label,"Bbox [x",y,w,h]\na.png,Mass,641,237,130,129\n'.replace('"', ""),
    )
    text(root / "train_val_list.txt", "a.png\n")
    text(root / "test_list.txt", "b.png\n")
    for name in "ab":
        film(root / f"images/{name}.png", size)
    return Cxr14(root)


def covid(root: Path, size: tuple[int, int]) -> Dataset:
    text(
        root / "metadata.csv",
        "patientid,sex,age,finding,view,modality,folder,filename,clinical_notes\n1,M,50,COVID-19,PA,X-ray,images,"
        "a.png,\n2,M,50,COVID-19,L,X-ray,images,b.png,\n",
    )
    coco = {
        "images": [{"id": 1, "file_name": "a.png", "width": 1024, "height": 1024}],
        "categories": [{"id": 1, "name": "Left Lung"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [641, 237, 130, 129]}],
    }
    text(root / "annotations/imageannotation_ai_lung_bounding_boxes.json", json.dumps(coco))
    film(root / "images/a.png", size)
    return CovidCxr(root)


def ms_cxr(root: Path, size: tuple[int, int]) -> Dataset:
    place = "files/p10/p10000032/s50414267/a.jpg"
    text(
        root / "MS_CXR_Local_Alignment_v1.1.0.csv",
        "dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height\n"
        f"a,Pneumonia,opacity,{place},641,237,130,129,1024,1024\n",
    )
    film(root / place, size)
    return MsCxr(root)


READERS = [rsna, cxr14, covid, ms_cxr]


@pytest.mark.parametrize("release", READERS)
@pytest.mark.parametrize("side", [512, 224, 2048])
def test_boxes_keep_their_share_of_the_film(
    release: Callable[[Path, tuple[int, int]], Dataset],
    side: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    full = Manifest.open(release(tmp_path / "full", (1024, 1024)))
    assert not any("scaled" in remark for remark in full.remarks)
    copy = Manifest.open(release(tmp_path / "copy", (side, side)))
    [original], [found] = ([s.boxes for s in one.samples if s.boxes] for one in (full, copy))
    assert [(b.x, b.y, b.w, b.h) for b in original] == [(641, 237, 130, 129)]
    scale = side / 1024
    assert found == tuple(Box(b.label, b.x * scale, b.y * scale, b.w * scale, b.h * scale) for b in original)
    [line] = [remark for remark in copy.remarks if "scaled" in remark]
    assert line.startswith("boxes of 1 images")
    assert f"from 1024x1024 to {side}x{side} pixels" in line
    assert f"{copy.dataset}: {line}" in capsys.readouterr().err
    # Said again by whoever opens the kept one.
    assert Manifest.open(release(tmp_path / "copy", (side, side))).remarks == copy.remarks


@pytest.mark.parametrize("release", READERS)
def test_another_aspect_is_no_copy(
    release: Callable[[Path, tuple[int, int]], Dataset], tmp_path: Path
) -> None:
    with pytest.raises(
        InputError, match=r"\.(png|jpg): boxes: the film has 512x640 .* drawn on 1024x1024"
    ) as one:
        Manifest.open(release(tmp_path, (512, 640)))
    assert "\n" not in str(one.value)


def test_two_films_that_changed_places_are_found_by_their_shape(tmp_path: Path) -> None:
    """Of one shape they are other data: the hash of a record's data holds the pixels of each film."""
    lines = ["dicom_id,category_name,label_text,path,x,y,w,h,image_width,image_height"]
    shapes = {"a": (600, 800), "b": (800, 600)}
    for name, (width, height) in shapes.items():
        place = f"files/p10/p10000032/s50414267/{name}.jpg"
        lines.append(f"{name},Pneumonia,opacity of {name},{place},100,100,90,80,{width},{height}")
    text(tmp_path / "MS_CXR_Local_Alignment_v1.1.0.csv", "\n".join(lines) + "\n")
    folder = tmp_path / "files/p10/p10000032/s50414267"
    for name, size in shapes.items():
        film(folder / f"{name}.jpg", size)
    right = Manifest.open(MsCxr(tmp_path))
    (folder / "a.jpg").rename(folder / "c.jpg")
    (folder / "b.jpg").rename(folder / "a.jpg")
    (folder / "c.jpg").rename(folder / "b.jpg")
    with pytest.raises(InputError, match=r"a\.jpg: boxes: the film has 800x600 .* drawn on 600x800"):
        Manifest.open(MsCxr(tmp_path))
    assert len(right.samples) == 2


def test_phrases_are_scaled_with_their_boxes(tmp_path: Path) -> None:
    [sample] = Manifest.open(ms_cxr(tmp_path, (512, 512))).samples
    assert sample.phrases[0].boxes == sample.boxes == (Box("Pneumonia", 320.5, 118.5, 65, 64.5),)


def test_masks_of_boxes_agree_within_resampling(tmp_path: Path) -> None:
    squares = []
    for side in (1024, 512):
        data = rsna(tmp_path / str(side), (side, side))
        sample = next(s for s in Manifest.open(data).samples if s.boxes)
        mask = data.read_mask(sample, (side, side), "Pneumonia")
        squares.append(Letterbox.of((side, side), 256).mask_forward(mask))
    one, other = squares
    assert one.sum() > 900
    assert (one != other).sum() <= 0.03 * one.sum()


def test_generated_films_have_boxes_in_their_own_pixels(tmp_path: Path) -> None:
    (tmp_path / PHANTOM_MARKER).write_text("{}")
    samples = Manifest.open(rsna(tmp_path, (800, 800))).samples
    assert samples[1].boxes == (Box("Pneumonia", 641, 237, 130, 129),)


def test_objects_off_the_film_say_what_is_needed(tmp_path: Path) -> None:
    text(tmp_path / "train.csv", "image_name,annotation\na.jpg,0 10 20 40 60;0 900 20 990 60\n")
    text(tmp_path / "dev.csv", "image_name,annotation\nb.jpg,\n")
    film(tmp_path / "train/a.jpg", (512, 512))
    film(tmp_path / "dev/b.jpg", (512, 512))
    with pytest.raises(
        InputError, match=r"train\.csv:2: annotation: box from 900 .* full-size films are needed"
    ):
        ObjectCxr(tmp_path).samples()


def test_a_lung_mask_is_resized_with_its_film(tmp_path: Path) -> None:
    data = covid(tmp_path, (512, 512))
    mask = np.zeros((1024, 1024), np.uint8)
    mask[200:600, 100:300] = 255
    (tmp_path / "annotations/v7labs-lung-masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "annotations/v7labs-lung-masks/a.png")
    [sample] = Manifest.open(data).samples
    found = data.read_mask(sample, (512, 512), "Lung")
    np.testing.assert_array_equal(found, mask[::2, ::2] > 0)


def blob(side: int) -> Any:
    rows, columns = np.mgrid[:side, :side] / side
    return ((rows - 0.5) / 0.2) ** 2 + ((columns - 0.6) / 0.1) ** 2 < 1


@pytest.mark.parametrize(("drawn", "side"), [(1024, 256), (256, 256), (1024, 2048), (1024, 1024), (512, 512)])
def test_run_lengths_tell_on_what_they_were_drawn(
    drawn: int, side: int, tmp_path: Path, write_dicom: WriteDicom
) -> None:
    mask = blob(drawn)
    text(tmp_path / "train-rle.csv", f"ImageId,EncodedPixels\n1.a,{encode_relative(mask)}\n1.b,-1\n")
    for name in ("1.a", "1.b"):
        write_dicom(
            tmp_path / f"dicom-images-train/{name}.dcm", np.zeros((side, side), np.uint8), PatientID=name
        )
    data = Siim(tmp_path)
    manifest = Manifest.open(data)
    found = data.read_mask(manifest.samples[0], (side, side), "Pneumothorax")
    wanted = blob(side)
    assert (found != wanted).sum() <= 0.03 * wanted.sum()
    assert bool(manifest.remarks) == (drawn != side)
    if drawn == side:
        np.testing.assert_array_equal(found, mask)


def test_the_height_of_columns(real_pack: Path) -> None:
    from g2d_bench.readers.siim import read_table

    found = read_table(real_pack / "annotations" / "siim" / "train-rle.csv.gz")
    assert column_height(text for texts in found.values() for text in texts) == 1024


def test_short_texts_tell_nothing() -> None:
    assert column_height(["-1", "5 2 10 3", "one 2 3 4 5 6"]) is None
    assert column_height([encode_relative(blob(100))]) == 100
