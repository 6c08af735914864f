"""What an installation is told: dependencies once each, and versions that are known to work."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
OPTIONAL = {"tensorboard"}


@pytest.fixture(scope="module")
def wanted() -> list[Requirement]:
    """All requirements of the project and of its development."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        Requirement(line) for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    ]


@pytest.fixture(scope="module")
def tested() -> dict[str, str]:
    """Package to version, as constraints.txt pins them."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


def test_each_dependency_is_named_once(wanted: list[Requirement]) -> None:
    names = [canonicalize_name(one.name) for one in wanted]
    assert sorted(names) == sorted(set(names))


def test_tested_versions_satisfy_what_is_asked(wanted: list[Requirement], tested: dict[str, str]) -> None:
    for one in wanted:
        assert one.specifier.contains(tested[canonicalize_name(one.name)]), one


def test_what_is_imported_is_declared(wanted: list[Requirement]) -> None:
    trees = [ast.parse(path.read_text()) for path in (ROOT / "g2d_bench").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    modules = {name.partition(".")[0] for name in found} - {"g2d_bench", *sys.stdlib_module_names}
    declared = {canonicalize_name(one.name) for one in wanted}
    packages = packages_distributions()
    assert {"torch", "mmengine", "PIL"} <= modules
    for module in sorted(modules - OPTIONAL):
        assert {canonicalize_name(name) for name in packages[module]} & declared, f"{module} is not declared"
