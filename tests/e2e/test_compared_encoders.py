"""The encoders that people compare, with random weights in miniature, through every task of the suite."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard, Layout
from g2d_bench.cli.main import main
from g2d_bench.phantom import ensure
from g2d_bench.records.record import NOT_APPLICABLE
from g2d_bench.records.store import Store

_SPEC = importlib.util.spec_from_file_location(
    "made_for_e2e", Path(__file__).parents[1] / "encoders" / "made.py"
)
assert _SPEC is not None
assert _SPEC.loader is not None
made: Any = sys.modules.setdefault("made_for_e2e", importlib.util.module_from_spec(_SPEC))
_SPEC.loader.exec_module(made)

NAMES = ("rad-dino", "biomedclip", "chexzero", "medsiglip", "torchxrayvision.densenet121")


FILMS = {"cxr14": 1000, "chexpert": 800, "mimic-cxr": 300}
"""How many films sets have in which a task asks for a rare finding, a box, or a finding alone."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every data set of the suite in miniature, made once for all encoders."""
    root = tmp_path_factory.mktemp("data")
    for dataset in sorted({task.dataset for task in Catalogue.open().tasks}):
        ensure(dataset, root=root, count=FILMS.get(dataset, 60), size=64, workers=1)
    return root


def toml(value: Any) -> str:
    """Write a JSON value as an inline value of TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def card_text(card: EncoderCard) -> str:
    """Write a card as TOML."""
    said = card.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    layouts = said.pop("checkpoint", [])
    lines = [f"{key} = {toml(value)}" for key, value in said.items()]
    for layout in layouts:
        lines += ["[[checkpoint]]", *(f"{key} = {toml(value)}" for key, value in layout.items())]
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_cell_ends_with_a_number_or_a_reason(
    name: str, data: Path, quick_protocols: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How long a decoder is trained says nothing of whether its cell ends: most of the time went there.
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    tasks = list(Catalogue.open().tasks)
    file, _ = made.write(name, tmp_path / "weights")
    card = made.tiny(name).model_copy(update={"ensemble": 1, "scale": "phantom", "weights": ""})
    layouts = [one.model_copy(update={"expect": 1}) for one in card.checkpoint]
    card = card.model_copy(update={"checkpoint": layouts or [Layout(layout="hub", expect=1)]})
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "tiny.toml").write_text(card_text(card))
    call = ["run", "--task", "all", "--fraction", "100%", "--seed", "0", "--encoder", "tiny", "--jobs", "1"]
    call += ["--data-root", str(data), "--encoders-dir", str(tmp_path / "cards")]
    call += ["--protocols-dir", str(quick_protocols), "--protocol", "quick"]
    result = CliRunner().invoke(main, [*call, "--checkpoint", f"tiny={file}"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    records = {record.cell.task: record for _, record in Store(Path("runs"))}
    assert len(records) == len(tasks)
    for task in tasks:
        record = records[task.name]
        number = any(value is not None for value in record.metrics.values())
        assert number != bool(record.notes.get(NOT_APPLICABLE)), task.name
    texts = {"zero-shot", "grounding", "phrase", "retrieval"}
    asked = {task.name for task in tasks if task.kind in texts}
    assert asked
    for name_of_task in asked:
        reason = records[name_of_task].notes.get(NOT_APPLICABLE, "")
        assert bool(reason) == (card.text is None), f"{name_of_task}: {reason}"
        assert card.text is not None or card.no_text in reason
