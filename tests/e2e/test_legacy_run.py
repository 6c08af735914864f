"""A cell whose encoder is frozen as the published code freezes it, through the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from g2d_bench.cli.main import main
from g2d_bench.records.record import read_predictions
from g2d_bench.records.store import Store

PROTOCOLS = Path(__file__).resolve().parents[2] / "tasks" / "protocols"


def test_published_segmentation(tmp_path: Path, tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    text = (PROTOCOLS / "legacy.toml").read_text()
    text = text.replace('split = "legacy"\ndraw = "published"', 'split = "clean"')
    for key, value in {"epochs": 1, "min_steps": 6, "max_steps": 6, "validate_every": 3}.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "quick-legacy.toml").write_text(text)
    arguments = ["--data-root", str(tiny_root), "--protocols-dir", str(tmp_path / "cards")]
    cell = ["--task", "covid-cxr-seg", "--encoder", "random", "--fraction", "1", "--protocol", "quick-legacy"]
    result = CliRunner().invoke(main, ["run", *cell, *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert re.search(r"encoder +dice_legacy_batched +dice_positive", result.output)
    [(path, record)] = list(Store(Path("runs")))
    assert next(iter(record.metrics)) == "dice_legacy_batched"
    # The weights are frozen, but the statistics of the batches have gone into the encoder.
    assert not record.notes["encoder_frozen"]
    assert record.notes["encoder_state"] != record.notes["encoder_state_after"]
    assert record.notes["chosen_step"] in (3, 6)
    assert record.notes["validation"]["val_loss"] > 0
    # Ten test images are read in a batch of eight and one of two.
    assert read_predictions(path, record)["batch"].tolist() == [0] * 8 + [1] * 2
    checked = CliRunner().invoke(main, ["verify"])
    assert checked.exit_code == 0, checked.output
