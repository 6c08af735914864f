"""The examples of the page on Python run as they stand, and so does the example script."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import g2d_bench as gb
from g2d_bench.phantom import ensure

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    ensure("rsna", root=root, count=160, size=64)
    return root


@pytest.fixture(autouse=True)
def _on_small_films(films: Path, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("G2D_BENCH_DATA", str(films))
    monkeypatch.chdir(tmp_path)


def example(name: str) -> str:
    """Return the code behind a mark of the page."""
    text = (ROOT / "docs" / "python.md").read_text()
    found = re.search(rf"<!-- run: {name} -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def around() -> dict[str, Any]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 8, stride=8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return {
        "gb": gb,
        "torch": torch,
        "model": model,
        "optimiser": torch.optim.SGD(model.parameters(), lr=0.1),
        "spec": gb.ImageSpec(64, scale="phantom"),
        "history": [],
    }


def test_the_plain_loop(around: dict[str, Any]) -> None:
    exec(example("loop"), around)
    assert len(around["history"]) == 2
    assert all(0 <= value <= 1 for value in around["history"])


def test_the_callback_of_transformers(around: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    exec(example("transformers"), around)
    callback = around["Probe"]()
    assert isinstance(callback, transformers.TrainerCallback)
    state = transformers.TrainerState(global_step=7)
    callback.on_evaluate(None, state, transformers.TrainerControl(), model=around["model"])
    [entry] = state.log_history
    assert entry["step"] == 7
    assert 0 <= entry["probe/auroc"] <= 1


def test_the_callback_of_lightning(around: dict[str, Any]) -> None:
    lightning = pytest.importorskip("lightning")
    exec(example("lightning"), around)
    logged: dict[str, float] = {}
    module = SimpleNamespace(
        encoder=around["model"], log=lambda name, value, **_: logged.update({name: value})
    )
    callback = around["Probe"]()
    assert isinstance(callback, lightning.Callback)
    callback.on_validation_epoch_end(SimpleNamespace(is_global_zero=True, sanity_checking=False), module)
    assert 0 <= logged["probe/auroc"] <= 1


def test_the_example_script_in_small() -> None:
    pytest.importorskip("torchvision")
    spec = importlib.util.spec_from_file_location("in_memory", ROOT / "examples" / "in_memory.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert set(script.TASKS) == {"rsna-cls", "rsna-zeroshot", "covid-cxr-phrase"}
    results = script.compare(["rsna-cls", "rsna-zeroshot", "rsna-ground"], fraction=1.0, size=64)
    said = {(r.cell.encoder, r.cell.task): r.notes.get("n/a", "") for r in results.records}
    lacking = {key for key, reason in said.items() if reason}
    assert lacking == {("resnet18", "rsna-zeroshot"), ("resnet18", "rsna-ground")}
    assert len(results) == 6
