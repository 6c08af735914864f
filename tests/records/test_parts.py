"""Groups of a record's test images: measured once, kept, and made again when anything moved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.errors import InputError
from g2d_bench.metrics.resample import REPLICATES, patient_weights
from g2d_bench.records import parts
from g2d_bench.records.draws import draw
from g2d_bench.records.parts import Parts, kept_groups, parts_of, undrawn_pairs
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found, select

VIEWS = ["AP", "PA", "", "PA"]


@pytest.fixture
def grouped(folder: Any) -> Found:
    """A record of which three quarters of the images tell their view."""
    one = folder.add("g2d")
    kept = read_predictions(one.path, one.record)
    views = np.array(VIEWS * (len(kept["id"]) // 4))
    assert len(views) == len(kept["id"])
    folder.store.save(one.path, one.record, {**kept, "group_view": views})
    (found,) = select(folder.root)
    return found


def measured(found: Found, **more: Any) -> Parts:
    made = parts_of(found, "view", "dice_positive", **more)
    assert isinstance(made, Parts)
    return made


def arrays_of(found: Found) -> dict[str, Any]:
    assert found.path is not None
    return dict(read_predictions(found.path, found.record))


def test_each_group_is_the_mean_of_its_own_images_draw_by_draw(grouped: Found) -> None:
    arrays, made = arrays_of(grouped), measured(grouped)
    assert [(group.name, group.images) for group in made.measured.groups] == [
        ("", len(arrays["id"])),
        ("AP", len(arrays["id"]) // 4),
        ("PA", len(arrays["id"]) // 2),
    ]
    common, predicted, true = (arrays[n].reshape(-1) for n in ("intersection", "predicted", "true"))
    dice = np.where(true > 0, 2 * common / np.maximum(predicted + true, 1), np.nan)
    patients = np.unique(arrays["patient"], return_inverse=True)[1]
    weights = patient_weights(patients.max() + 1, REPLICATES)[:, patients].astype(float)
    for group in made.measured.groups[1:]:
        mine = (arrays["group_view"] == group.name) & (true > 0)
        assert group.point == pytest.approx(dice[mine].mean())
        with np.errstate(invalid="ignore"):
            expected = (weights[:, mine] @ dice[mine]) / weights[:, mine].sum(axis=1)
        np.testing.assert_allclose(made.draws[group.name], expected, atol=1e-6)
    whole = draw("dice_positive", arrays)
    assert whole is not None
    np.testing.assert_array_equal(made.draws[""], whole)


def test_what_is_kept_is_not_unpacked_again(grouped: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept_groups(grouped) == ("view",)
    assert grouped.record.predictions is not None
    asked = (("view", "dice_positive"),)
    assert undrawn_pairs(grouped.record.predictions.sha256, asked) == asked
    first = measured(grouped)
    assert undrawn_pairs(grouped.record.predictions.sha256, asked) == ()
    monkeypatch.setattr(parts, "read_predictions", lambda *_: pytest.fail("is kept"))
    again = measured(grouped)
    assert again.measured == first.measured
    for name, array in first.draws.items():
        np.testing.assert_array_equal(again.draws[name], array)


def test_what_is_damaged_or_of_other_code_is_made_again(
    grouped: Found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first = measured(grouped)
    (path,) = (tmp_path / "cache" / "groups").iterdir()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert measured(grouped).measured == first.measured
    assert "its checksum does not hold" in capfd.readouterr().err
    monkeypatch.setattr(parts, "code_of", lambda _: "f" * 64)
    assert measured(grouped).measured == first.measured
    assert len(list(path.parent.iterdir())) == 2


def test_an_undefined_value_is_kept_as_one(folder: Any) -> None:
    one = folder.add("g2d")
    kept = read_predictions(one.path, one.record)
    true = kept["true"].reshape(-1)
    views = np.where(true > 0, "AP", "PA")
    assert (views == "PA").any()
    folder.store.save(one.path, one.record, {**kept, "group_view": views})
    (found,) = select(folder.root)
    for _ in range(2):
        made = measured(found)
        assert np.isnan(made.measured.groups[2].point)
        assert np.isnan(made.draws["PA"]).all()


def test_groups_from_elsewhere_are_asked_each_time(folder: Any) -> None:
    """They are no part of the record, so nothing tells that they are still the same."""
    found = folder.add("g2d")
    size = len(arrays_of(found)["id"])
    views = [np.array(["AP", "PA"] * (size // 2)), np.array(["AP"] * size)]
    assert kept_groups(found) == ()
    told = iter(views)
    names = [
        [g.name for g in measured(found, elsewhere=lambda _: {"group_view": next(told)}).measured.groups]
        for _ in views
    ]
    assert names == [["", "AP", "PA"], ["", "AP"]]


def test_groups_of_other_images_are_none(folder: Any) -> None:
    found = folder.add("g2d")
    said = parts_of(found, "view", "dice_positive", lambda _: {"group_view": np.array(["AP", "PA"])})
    assert said == "neither its predictions nor data at hand tell the view of its test images"


def test_where_nothing_tells_groups_nothing_is_unpacked(folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = folder.add("g2d")
    monkeypatch.setattr(parts, "read_predictions", lambda *_: pytest.fail("is not needed"))
    assert "neither its predictions" in str(parts_of(found, "view", "dice_positive"))


def test_what_cannot_be_measured_is_said(grouped: Found) -> None:
    assert parts_of(grouped, "sex", "dice_positive") == (
        "neither its predictions nor data at hand tell the sex of its test images"
    )
    said = parts_of(grouped, "view", "auroc")
    assert isinstance(said, str)
    assert said.startswith("auroc does not follow from its predictions")
    with pytest.raises(InputError, match="unknown 'height'"):
        parts_of(grouped, "height", "dice_positive")
