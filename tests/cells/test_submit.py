"""A bundle holds whole rows of verified records, and what must be known of their encoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.submit import Wishes, lacking, submit
from g2d_bench.cells.verify import verify
from g2d_bench.errors import InputError
from g2d_bench.records.selection import Found, select

WHOLE = (0.01, 0.1, 1.0)
Measured = Callable[..., Found]


def test_a_bundle_verifies_and_holds_no_masks(bundle: Path) -> None:
    checked = verify(bundle / "records")
    assert (checked.records, checked.problems) == (3, ())
    arrays = [np.load(path).files for path in (bundle / "records").rglob("*.npz")]
    assert arrays
    assert all("mask" not in names for names in arrays)
    assert (bundle / "cards" / "mine.toml").is_file()


def test_rows_are_complete_or_it_is_said_why(
    folder: Any, other: Any, cards: Path, measured: Measured, tmp_path: Path
) -> None:
    measured(fraction=0.01)
    measured(fraction=0.01, seed=1)
    measured(fraction=0.1)
    settings, out = Settings(encoder_dirs=(cards,)), tmp_path / "out"
    with pytest.raises(InputError, match=r"--fraction 10% --seed 1 \(and 1 more\)"):
        submit(select(folder.root), out, settings, Wishes())
    assert not out.exists()
    made = submit(select(folder.root), out, settings, Wishes(partial="no GPU left"))
    assert made.records == 3
    assert any("--fraction 100% --seed 0,1" in line for line in made.remarks)
    # Where others stand, their seeds are the row.
    other.grid({"g2d": 0.6}, WHOLE, seeds=1)
    lines = lacking(select(folder.root), Catalogue.open(), select(other.root))
    assert lines == ["--task siim-seg --encoder mine --protocol clean --fraction 100% --seed 0"]


def test_few_shots_are_no_full_training_set(folder: Any, other: Any, measured: Measured) -> None:
    """Their fraction is 1, but the row still lacks its cell of all labels; likewise what others have."""
    for fraction in (0.01, 0.1):
        measured(fraction=fraction)
    measured(fraction=1.0, shots=16)
    row = "--task siim-seg --encoder mine --protocol clean"
    catalogue = Catalogue.open()
    assert lacking(select(folder.root), catalogue) == [f"{row} --fraction 100% --seed 0"]
    # Others' seeds of few shots say nothing of all labels, and the other way round.
    other.grid({"g2d": 0.6}, WHOLE, seeds=1)
    for seed in (3, 4):
        other.add("g2d", fraction=1.0, shots=16, seed=seed)
    lines = lacking(select(folder.root), catalogue, select(other.root))
    assert lines == [f"{row} --fraction 100% --seed 0", f"{row} --shots 16 --seed 3,4"]


def refused(found: Any, cards: Path | None, out: Path, said: str) -> None:
    settings = Settings(encoder_dirs=(cards,) if cards is not None else ())
    with pytest.raises(InputError, match=said):
        submit(found, out, settings, Wishes())
    assert not out.exists()
    assert list(out.parent.glob(f".{out.name}-*")) == []


def test_licence_and_pre_training_are_stated(
    folder: Any, cards: Path, measured: Measured, tmp_path: Path
) -> None:
    for fraction in WHOLE:
        measured(fraction=fraction)
    found, out, card = select(folder.root), tmp_path / "out", cards / "mine.toml"
    refused(found, None, out, "has no card here")
    text = card.read_text()
    for old, new, said in (
        ('licence = "MIT"\n', "", "licence: say under which licence"),
        ('pretraining = ["mimic-cxr"]\n', "", "pretraining: say which data sets"),
        ("size = 128", "size = 64", "another card of 'mine'"),
    ):
        card.write_text(text.replace(old, new))
        refused(found, cards, out, said)
    card.write_text(text)
    submit(found, out, Settings(encoder_dirs=(cards,)), Wishes())
    with pytest.raises(InputError, match="is there already; name a new folder"):
        submit(found, out, Settings(encoder_dirs=(cards,)), Wishes())
    with pytest.raises(InputError, match="all 3 records are there already"):
        submit(found, tmp_path / "x", Settings(encoder_dirs=(cards,)), Wishes(), base=found)


def test_what_was_edited_is_not_submitted(
    folder: Any, cards: Path, measured: Measured, edit: Callable[..., None], tmp_path: Path
) -> None:
    for fraction in WHOLE:
        measured(fraction=fraction)
    found = select(folder.root)
    edit(found[0].path, lambda raw: raw["metrics"].update(dice_positive=0.9))
    refused(select(folder.root), cards, tmp_path / "out", "metrics.dice_positive")


def test_predictions_on_real_data_may_stay_at_home(
    folder: Any, cards: Path, measured: Measured, tmp_path: Path
) -> None:
    for fraction in WHOLE:
        measured(fraction=fraction, data_kind="real")
    settings, found = Settings(encoder_dirs=(cards,)), select(folder.root)
    made = submit(found, tmp_path / "with", settings, Wishes())
    assert "no redistribution" in made.remarks[0]
    made = submit(found, tmp_path / "without", settings, Wishes(predictions=False))
    assert "nobody can check" in made.remarks[0]
    assert len(list((tmp_path / "with").rglob("*.npz"))) == 3
    assert list((tmp_path / "without").rglob("*.npz")) == []
    assert verify(tmp_path / "without" / "records").unchecked == 3


def test_a_check_that_fails_leaves_nothing(
    folder: Any, cards: Path, measured: Measured, tmp_path: Path
) -> None:
    for fraction in WHOLE:
        measured(fraction=fraction)
    found, out, settings = select(folder.root), tmp_path / "out", Settings(encoder_dirs=(cards,))
    with pytest.raises(InputError, match=r"first \(and 1 more\)"):
        submit(found, out, settings, Wishes(), check=lambda _: ("first", "second"))
    assert not out.exists()
