"""Cells become records."""

from __future__ import annotations

import csv
import gc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from g2d_bench.cells import workers as local
from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.run import run_cell
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import verify
from g2d_bench.encoders.image import seeded_encoder
from g2d_bench.files import CannotWrite
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Record
from g2d_bench.records.store import Store


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Bench]:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    folder = tmp_path / "data" / "rsna" / "stage_2_train_images"
    folder.mkdir(parents=True)
    rows: list[list[object]] = []
    for n in range(60):
        pixels = generator.normal(100 + 20 * (n % 2), 20, (48, 48))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"p{n:03}.png")
        rows.append([f"p{n:03}", *((8.0, 8.0, 20.0, 20.0, 1) if n % 2 else ("", "", "", "", 0))])
    with (folder.parent / "stage_2_train_labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["patientId", "x", "y", "width", "height", "Target"], *rows])
    return lambda: Bench(Settings(data_root=tmp_path / "data", results=tmp_path / "runs"))


def test_records_of_both_precisions_lie_beside_each_other(bench: Callable[[], Bench], tmp_path: Path) -> None:
    cells = [
        Cell(task="rsna-cls", fraction=1.0, protocol=name, seed=0, encoder="random")
        for name in ("clean", "clean+fast")
    ]
    exact, fast = local.execute(cells, bench(), jobs=1).records
    assert isinstance(exact, Record)
    assert exact.key != fast.key
    assert exact.signature != fast.signature
    assert fast.notes["precision"] == "fast"
    assert "precision" not in exact.notes
    assert exact.predictions is not None
    assert fast.predictions is not None
    assert exact.predictions.sha256 != fast.predictions.sha256
    assert abs((exact.metrics["auroc"] or 0) - (fast.metrics["auroc"] or 0)) < 0.1
    assert local.execute(cells, bench(), jobs=1).reused == 2
    assert verify(tmp_path / "runs").problems == ()


HALF = """
title = "Half"
objective = "other"
scale = "phantom"
weights = "half.safetensors"

[image]
model = "resnet18"
options = { channels = [8, 8, 8, 8] }
size = 48

[[checkpoint]]
layout = "half"
missing_ok = ["layer4.*"]
"""


def test_seeds_of_weights_that_are_drawn_in_part_are_alike_together_and_alone(
    bench: Callable[[], Bench], tmp_path: Path
) -> None:
    state = seeded_encoder("resnet18", seed=9, options={"channels": [8, 8, 8, 8]}).body.state_dict()
    (tmp_path / "half.toml").write_text(HALF)
    save_file({k: v for k, v in state.items() if "layer4" not in k}, tmp_path / "half.safetensors")

    def run(results: str, *seeds: int) -> list[Record]:
        settings = replace(bench().settings, encoder_dirs=(tmp_path,), results=tmp_path / results)
        cells = [Cell("rsna-cls", 1.0, "clean", seed, "half") for seed in seeds]
        found = local.execute(cells, Bench(settings), jobs=1).records
        return [one for one in found if isinstance(one, Record)]

    together = run("together", 0, 1)
    alone = [*run("first", 0), *run("second", 1)]
    assert together[0].notes["cells_together"] == 2
    assert [one.key for one in together] == [one.key for one in alone]
    assert [one.metrics for one in together] == [one.metrics for one in alone]
    assert together[0].key != together[1].key
    states = [one.notes["encoder_state"] for one in together]
    assert states[0] != states[1]
    assert states == [one.notes["encoder_state"] for one in alone]
    assert verify(tmp_path / "together").problems == ()


@pytest.mark.parametrize("force", [False, True])
def test_cells_that_a_unit_wrote_before_the_disk_was_full_are_told(
    bench: Callable[[], Bench], monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    cells = [Cell("rsna-cls", fraction, "clean", 0, "random") for fraction in (0.25, 0.5, 0.75, 1.0)]
    opened, save, written = bench(), Store.save, list[Path]()
    if force:
        local.execute(cells, opened, jobs=1)
        opened = Bench(opened.settings, Options(force=True))

    def full(store: Store, path: Path, *rest: Any) -> Record:
        written.append(path)
        if len(written) == 3:
            raise CannotWrite("No space left on device", path)
        return save(store, path, *rest)

    monkeypatch.setattr(Store, "save", full)
    watched: list[Record] = []
    with pytest.raises(local.Stopped, match="cannot be written: No space left on device") as stopped:
        local.execute(cells, opened, jobs=1, watch=watched.append)
    report = stopped.value.report
    assert [one.cell for one in report.found] == cells[:2]
    assert [one.path for one in report.found] == written[:2]
    assert watched == report.records
    assert report.failures == []


def test_a_finished_cell_is_freed(
    tiny_root: Path, quick_protocols: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models, their maps and pixels hang in reference cycles of mmengine's loop; none outlives its cell."""
    from mmseg.models.segmentors import EncoderDecoder

    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    bench = Bench(Settings(data_root=tiny_root, results=tmp_path / "r", protocol_dirs=(quick_protocols,)))
    gc.collect()
    gc.disable()
    try:
        for seed in (0, 1):
            cell = Cell("covid-cxr-seg", 1.0, "quick", seed, "random")
            run_cell(bench.resolve(cell), bench.store, bench.options)
            assert not [one for one in gc.get_objects() if isinstance(one, EncoderDecoder)]
    finally:
        gc.enable()
