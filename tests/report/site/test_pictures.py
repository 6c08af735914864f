"""Pictures of cases."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from g2d_bench.data.manifest import Manifest
from g2d_bench.readers.registry import open_dataset
from g2d_bench.records.selection import Found
from g2d_bench.records.shown import shown
from g2d_bench.report.site.films import SIDE
from g2d_bench.report.site.pictures import GUESS, TRUTH, Gallery, _lacking, boxed, heated, outlined

GREY = np.full((SIDE, SIDE, 3), 90, np.uint8)


@pytest.fixture
def with_films(
    folder: Any, own_cache: Path, tiny_root: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Found]:
    """Add a record of segmentations of the forty tiny films, whose licence is an open one for once."""
    dataset = open_dataset("covid-cxr", tiny_root)
    manifest = Manifest.open(dataset)
    monkeypatch.setattr(type(dataset), "films_open", "CC BY, the authors")
    ids = np.array([sample.id for sample in manifest.samples])

    def add(encoder: str, quality: float, *, whole: bool = True, small: bool = False) -> Found:
        content = f"real:covid-cxr#{manifest.content_hash[:8]}"
        signature = f"covid-cxr-seg@1.0#aaaa|{content}|split:clean#cccccccc|clean@1.0#dddd|n1"
        made = folder.add(
            encoder, quality, task="covid-cxr-seg", images=len(ids), data_kind="real", signature=signature
        )
        found: Found = made
        assert found.path is not None
        with np.load(found.path.with_suffix(".npz")) as stored:
            arrays = {name: stored[name] for name in stored.files} | {"id": ids}
        arrays.pop("mask")
        if whole:
            square = np.zeros((len(ids), 32, 32), bool)
            square[:, 8:24, 8:24] = True
            arrays["mask"] = np.packbits(square.reshape(len(ids), -1), axis=1)
        if small:
            arrays |= shown("segmentation", "dice_positive", arrays)
            arrays.pop("mask")
        data = found.record.data.model_copy(update={"dataset": "covid-cxr", "hash": manifest.content_hash})
        record = folder.store.save(found.path, found.record.model_copy(update={"data": data}), arrays)
        return replace(found, record=record)

    return add


def test_film_truth_and_prediction_stand_side_by_side(
    with_films: Any, made: Callable[..., Any], tiny_root: Path, tmp_path: Path, words: Callable[[Path], str]
) -> None:
    with_films("g2d", 0.6)
    with_films("mgca", 0.4, whole=False)
    with_films("gloria", 0.5, small=True)
    made("--data-root", str(tiny_root))
    site = tmp_path / "site"
    whole, compact, small = (
        next((site / "records").rglob(f"{name}/**/*.html")) for name in ("g2d", "mgca", "gloria")
    )
    for page, panes in ((whole, 3), (compact, 2), (small, 3)):
        files = sorted({part.split('"')[0] for part in page.read_text().split("films/")[1:]})
        assert len(files) == 3
        for name in files:
            with Image.open(site / "films" / name) as picture:
                assert picture.size == (panes * SIDE, SIDE)
    said = words(whole)
    assert "best, median, worst" in said
    assert "Films: CC BY, the authors." in said
    assert "film, truth, prediction" in said
    assert "keeps no predicted masks" in words(compact)
    assert "keeps no predicted masks" not in words(small)
    assert "film, truth, prediction" in words(small)
    assert "films/" in (site / "tasks" / "covid-cxr-seg.html").read_text()

    # The cases in which two encoders differ most, seen from the first of the order.
    text = (site / "compare.html").read_text()
    (world,) = json.loads(text.split('id="pairs">')[1].split("</script>")[0])["worlds"]
    cases = next(iter(world["cases"].values()))
    assert {one["task"] for one in cases} == {"covid-cxr-seg"}
    shown_there = [picture["src"] for one in cases for picture in one["pictures"] if picture is not None]
    assert shown_there
    assert all((site / src).is_file() for src in shown_there)

    made("--no-pictures")
    assert not (site / "films").exists()


def test_a_picture_that_is_the_same_for_both_bears_neither_name(
    with_films: Any, made: Callable[..., Any], tiny_root: Path, tmp_path: Path, asked: Callable[..., Any]
) -> None:
    with_films("g2d", 0.6, whole=False)
    with_films("mgca", 0.4, whole=False)
    with_films("random", 0.2)
    made("--data-root", str(tiny_root))
    read = """
    const figures = [...document.querySelectorAll("#cases figure")];
    return figures.map((one) => [...one.querySelectorAll("div")].map((name) => name.textContent));
    """
    page = tmp_path / "site" / "compare.html"
    for first, second in (("g2d", "mgca"), ("mgca", "g2d")):
        names = asked(page, read, state=f"#first={first}&second={second}&world=0")
        assert names
        assert not any(names)
    for first, second in (("g2d", "random"), ("random", "g2d")):
        names = asked(page, read, state=f"#first={first}&second={second}&world=0")
        assert set(map(tuple, names)) == {(first, second)}


def test_what_a_compact_record_does_not_keep_is_said() -> None:
    whole = {"box": np.array([[1.0, 2, 3, 4]])}
    assert _lacking("detection", whole) == ""
    assert "no boxes that hit nothing" in _lacking("detection", {"box": np.array([[1.0, 2, 3, 4], [0] * 4])})
    assert _lacking("detection", {"box": np.zeros((0, 4))}) == ""
    assert "no predicted masks" in _lacking("grounding", {})
    assert _lacking("segmentation", {"mask": np.zeros(1)}) == _lacking("classification", {}) == ""


def test_hostile_arrays_make_no_picture_and_no_failure(with_films: Any, tiny_root: Path, folder: Any) -> None:
    found = with_films("g2d", 0.6)
    gallery = Gallery.of(folder.root, tiny_root)
    gallery._labels["covid-cxr-seg"] = ("Lung",)
    assert len(gallery.cases(found, "dice_positive")[0]) == 3
    with np.load(found.path.with_suffix(".npz")) as stored:
        arrays = {name: stored[name] for name in stored.files}
    for wrong in (np.zeros((len(arrays["id"]), 3), np.uint8), np.zeros(1, np.float64)):
        record = folder.store.save(found.path, found.record, arrays | {"mask": wrong})
        fresh = Gallery.of(folder.root, tiny_root)
        fresh._labels["covid-cxr-seg"] = ("Lung",)
        assert fresh.cases(replace(found, record=record), "dice_positive")[0] == []


def test_outlines_boxes_and_maps_leave_the_rest_of_the_film(tmp_path: Path) -> None:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[20:60, 30:80] = True
    drawn = outlined(GREY, mask, TRUTH)
    assert tuple(drawn[20, 50]) == TRUTH
    assert (drawn[40, 50] == GREY[40, 50]).all()
    assert (drawn[~mask] == GREY[~mask]).all()
    assert (outlined(GREY, mask, GUESS, fill=True)[40, 50] != GREY[40, 50]).any()
    box = boxed(GREY, np.array([[10.0, 10.0, 20.0, 30.0]]), GUESS)
    assert (box[10, 20] != GREY[10, 20]).any()
    assert (box[25, 20] == GREY[25, 20]).all()
    heat = np.zeros((4, 4))
    heat[0, 0] = 1
    warm = heated(GREY, heat).astype(int)
    assert abs(warm[0, 0] - GUESS).sum() < abs(warm[-1, -1] - GUESS).sum()
    assert (warm[-1, -1] == GREY[-1, -1]).all()
    assert (heated(GREY, np.ones((3, 3))) == GREY).all()
    for wrong in (np.ones(3), np.full((2, 2), np.nan)):
        with pytest.raises(ValueError, match="no map"):
            heated(GREY, wrong)
    with Image.open(io.BytesIO(_jpeg())) as picture:
        assert picture.size == (SIDE, SIDE)


def _jpeg() -> bytes:
    from g2d_bench.report.site.pictures import _jpeg as write

    return write(GREY)
