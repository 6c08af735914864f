"""The public surface, and the examples in its docstrings."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import g2d_bench as gb

PUBLIC = {
    *("Catalogue", "Encoder", "EvaluationError", "ImageSpec", "ImageTextModel", "InputError", "Registry"),
    *("Results", "__version__", "evaluate", "load_encoder", "load_results", "measure", "metric_names"),
    "probe",
}
PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def test_the_public_surface_is_this() -> None:
    assert set(gb.__all__) == PUBLIC
    assert gb.__all__ == sorted(gb.__all__)
    assert set(gb._PLACES) == PUBLIC - {"__version__"}
    for name in gb.__all__:
        assert getattr(gb, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = gb.no_such_name
    assert set(dir(gb)) >= PUBLIC


def test_importing_it_is_light() -> None:
    code = "import sys, g2d_bench; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "pydantic", "pandas", "click"} & set(done.stdout.split())


@pytest.mark.parametrize("name", sorted(PUBLIC - {"__version__"}))
def test_it_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(gb, name))
    assert f"## `{name}" in PAGE


def test_the_reference_names_every_parameter() -> None:
    for name in ("evaluate", "probe", "load_encoder", "load_results", "measure", "ImageSpec"):
        section = re.split(rf"^## `{name}\b", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]
        for parameter in inspect.signature(getattr(gb, name)).parameters:
            assert re.search(rf"[`(, *]{parameter}\b", section), (name, parameter)
    for method in (name for name in vars(gb.Results) if not name.startswith("_")):
        assert f"`{method}" in PAGE, method


MODULES = sorted(set(gb._PLACES.values()))


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module), optionflags=doctest.ELLIPSIS).failed == 0


def test_public_functions_have_examples() -> None:
    for name in ("evaluate", "probe", "load_results", "measure", "metric_names", "ImageSpec", "load_encoder"):
        assert ">>>" in (inspect.getdoc(getattr(gb, name)) or ""), name
