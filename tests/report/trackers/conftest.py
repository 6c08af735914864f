"""What trackers are told in tests, and small stand-ins for their libraries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from g2d_bench.report.trackers.base import Pages, Setup, Told, told_of


class Spy(ModuleType):
    """A library that notes every call of the names that it has, as ``(name, arguments, keywords)``."""

    def __init__(self, name: str, calls: list[str], **more: Any) -> None:
        super().__init__(name)
        self.noted: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        for call in calls:
            setattr(self, call, self._note(call))
        for call, thing in more.items():
            setattr(self, call, thing)

    def _note(self, call: str) -> Callable[..., str]:
        def note(*arguments: Any, **keywords: Any) -> str:
            self.noted.append((call, arguments, keywords))
            return call

        return note

    def of(self, call: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """Return what one name was called with."""
        return [(arguments, keywords) for name, arguments, keywords in self.noted if name == call]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Spy]:
    """Put a stand-in in the place of a library."""

    def install(name: str, calls: list[str], **more: Any) -> Spy:
        made = Spy(name, calls, **more)
        monkeypatch.setitem(__import__("sys").modules, name, made)
        return made

    return install


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup("chest", tmp_path)


@pytest.fixture
def told(folder: Any) -> Told:
    """A cell on generated data."""
    return told_of(folder.add("g2d").record)


@pytest.fixture
def pages() -> Pages:
    """Tables and a picture."""
    rows = pd.DataFrame({"task": ["siim-seg"], "value": [0.5]})
    return Pages("| a table |", rows, np.zeros((8, 8, 3), np.uint8))
