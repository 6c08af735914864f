"""A published file's text side through the command line, on tiny phantoms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from g2d_bench.cli.main import main
from g2d_bench.paths import shipped
from g2d_bench.phantom import ensure
from g2d_bench.records.store import Store

MakeRelease = Callable[..., Any]


def test_published_text_side_runs_zero_shot_and_grounding(
    release: MakeRelease, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for dataset in ("rsna", "siim"):
        ensure(dataset, root=tmp_path / "data", count=60, size=64, workers=1)
    # Threads cost more than they give on models this small.
    monkeypatch.setattr("g2d_bench.cells.run.fix_threads", lambda _: None)
    names = ("gloria.chexpert-r50", "g2d.r50")
    made = {name: release(name) for name in names}
    cards = tmp_path / "cards"
    cards.mkdir()
    for name, one in made.items():
        text = (shipped("baselines") / f"{name}.toml").read_text()
        image, heads = one.card.image, one.card.heads
        options = ", ".join(f"{key} = {value}" for key, value in heads.options.items())
        text = text[: text.index("[heads]")] if "[heads]" in text else text
        lines = {"model": '"resnet50"\noptions = { channels = [8, 8, 8, 8] }', "size": image.size}
        lines |= {"resize_inside": image.resize_inside} if image.resize_inside else {}
        for key, value in lines.items():
            old = next(line for line in text.splitlines() if line.startswith(f"{key} = "))
            text = text.replace(old, f"{key} = {value}")
        if options:
            text += f"\n[heads]\noptions = {{ {options} }}\n"
        (cards / f"tiny.{name.replace('.', '-')}.toml").write_text(text)
    call = ["run", "--task", "rsna-zeroshot,siim-ground", "--data-root", str(tmp_path / "data")]
    call += ["--encoders-dir", str(cards), "--jobs", "1"]
    for name, one in made.items():
        tiny = f"tiny.{name.replace('.', '-')}"
        call += ["--encoder", tiny, "--checkpoint", f"{tiny}={one.file}"]
    result = CliRunner().invoke(main, call, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    records = [record for _, record in Store(Path("runs"))]
    assert len(records) == 4
    for record in records:
        main_metric = "auroc" if record.kind == "zero-shot" else "dice_at_validation"
        value = record.metrics[main_metric]
        assert value is not None
        assert 0 <= value <= 1
        assert set(record.notes["encoder_state"]) == {"image", "text", "heads", "vocabulary"}
    # Without the tokenizer these are other cells: n/a, with the way out; with it again, finished before.
    folder = made["gloria.chexpert-r50"].folder
    aside = folder.rename(tmp_path / "aside")
    result = CliRunner().invoke(main, call, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "n/a" in result.output
    assert (
        "no tokenizer: emilyalsentzer/Bio_ClinicalBERT is not in the Hugging Face cache; put a copy"
        in result.output
    )
    aside.rename(folder)
    result = CliRunner().invoke(main, call, catch_exceptions=False)
    assert "4 of 4 cells were finished before" in result.output
