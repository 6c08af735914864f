"""A package outside of the tree adds one thing of every sort, and no file of ours knows of it."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Command = Callable[..., subprocess.CompletedProcess[str]]

OUTSIDE = Path(__file__).with_name("outside")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Run the command line with the package beside it, found as an installed one is."""
    site = tmp_path / "site"
    info = site / "g2d_outside-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "g2d_outside").symlink_to(OUTSIDE / "g2d_outside", target_is_directory=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: g2d-outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text((OUTSIDE / "entry_points.txt").read_text())
    places = [str(site), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "G2D_BENCH_CACHE": str(tmp_path / "cache")}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "g2d_bench", *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, env=env, cwd=tmp_path)

    return run


def draw(folder: Path, count: int) -> None:
    """Draw patches of grey, every second time brighter."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        pixels = np.kron(rng.integers(0, 90, (8, 8)), np.ones((10, 10))).astype(np.uint8)
        pixels += np.uint8(150 * (number % 2))
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        rows.append([f"{number:02}.png", f"patient-{number}", number % 2])
    with (folder / "blobs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["image", "patient", "blob"], *rows])


def test_data_set_kind_metric_encoder_format_and_executor(command: Command, tmp_path: Path) -> None:
    draw(tmp_path / "data" / "blobs", 60)
    done = command(
        *(
            "run",
            "--task",
            "blobs-prototype",
            "--encoder",
            "outside",
            "--seed",
            "0",
            "--executor",
            "reversed",
        ),
        *("--data-root", tmp_path / "data", "--results", tmp_path / "runs", "--executor", "reversed"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 at a time, from the end")
    [path] = (tmp_path / "runs").rglob("*-s0-*.json")
    record = json.loads(path.read_text())
    assert record["kind"] == "prototype"
    assert set(record["references"]) == {"more-frequent"}
    assert set(record["metrics"]) == {"nearest_share"}
    # Brightness is what even a random encoder tells apart.
    blind = record["references"]["more-frequent"]["nearest_share"]
    assert record["metrics"]["nearest_share"] > max(blind, 0.8)
    table = command("table", "--results", tmp_path / "runs", "--format", "csv")
    assert table.returncode == 0, table.stderr
    assert "nearest_share" in table.stdout
    headings = command("table", "--results", tmp_path / "runs", "--format", "headings")
    assert headings.stdout.startswith("== "), headings.stderr
    listed = command("list", "tasks")
    assert "blobs-prototype" in listed.stdout


def test_objective(command: Command, tmp_path: Path) -> None:
    texts = tmp_path / "pairs"
    draw(texts, 40)
    (texts / "blobs.csv").unlink()
    for image in texts.glob("*.png"):
        shown = "There is a bright square." if int(image.stem) % 2 else "No square is seen."
        image.with_suffix(".txt").write_text(f"{shown} Film number {int(image.stem)} of the series.")
    out = tmp_path / "sigmoid"
    done = command(
        *("pretrain", "--objective", "sigmoid", "--data", texts, "--out", out, "--device", "cpu"),
        *("--set", "steps=2", "--set", "batch=4", "--set", "size=64", "--set", "store=72"),
    )
    assert done.returncode == 0, done.stderr
    [card] = out.glob("*.toml")
    assert 'objective = "sigmoid"' in card.read_text()
    wrong = command("pretrain", "--objective", "sigmoyd", "--out", tmp_path / "none")
    assert wrong.returncode == 2
    assert "did you mean 'sigmoid'?" in wrong.stderr


def test_scorer_and_shipped_weights(command: Command, tmp_path: Path) -> None:
    """A scorer runs zero-shot and grounding tasks and says so; weights beside a package's card are found."""
    made = command("data", "phantom", "rsna", "--count", "60", "--size", "64", "--out", tmp_path / "data")
    assert made.returncode == 0, made.stderr
    where = ("--data-root", tmp_path / "data", "--results", tmp_path / "runs")
    done = command("run", "--task", "rsna-zeroshot,rsna-ground", "--encoder", "outside-scorer", *where)
    assert done.returncode == 0, done.stderr
    records = {
        path.parts[-3]: json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("*-s0-*.json")
    }
    assert len(records) == 2
    for record in records.values():
        assert record["encoder"]["form"] == "scorer"
        told = record["notes"]["scorer"]
        assert (told["name"], told["module"]) == ("bright", "g2d_outside.bright")
        assert record["notes"]["encoder_state"] == {"scorer": "bright", "code": told["code"]}
        assert "n/a" not in record["notes"]
        assert any(value is not None for value in record["metrics"].values())
    for style in ("text", "json"):
        table = command("table", "--results", tmp_path / "runs", "--format", style)
        assert table.returncode == 0, table.stderr
        assert "[scorer]: images and texts were compared by code of another package" in table.stdout
    listed = command("list", "encoders")
    assert "outside-scorer" in listed.stdout


def test_a_package_ships_weights(command: Command, tmp_path: Path) -> None:
    """Beside its card, as a user's own folder has them."""
    package = tmp_path / "site" / "g2d_outside"
    target = package.resolve()
    package.unlink()
    shutil.copytree(target, package)
    cards = package / "cards" / "encoders"
    make = (
        "from g2d_bench.encoders.image import seeded_encoder; from safetensors.torch import save_file; "
        "body = seeded_encoder('resnet18', seed=5, options={'channels': [8, 8, 8, 16]}).body; "
        f"save_file({{f'image.{{n}}': v.contiguous() for n, v in body.state_dict().items()}}, "
        f"{str(cards / 'heavy.safetensors')!r})"
    )
    subprocess.run([sys.executable, "-c", make], check=True, cwd=ROOT)
    text = (cards / "outside.toml").read_text()
    text = text.replace('weights = "none"', 'weights = "heavy.safetensors"').replace('"none"', '"other"')
    (cards / "heavy.toml").write_text(text)
    done = command("doctor", "--encoder", "heavy")
    assert done.returncode == 0, done.stderr
    assert f"weights     {cards / 'heavy.safetensors'}" in done.stdout
    found = re.search(r"layout      g2d-bench: (\d+) of (\d+) entries loaded", done.stdout)
    assert found is not None
    assert found[1] == found[2]
