"""What Weights & Biases and trackio have in common: ``init``, ``log``, ``finish``, tables and pictures."""

from __future__ import annotations

from typing import Any

from g2d_bench.report.trackers.base import Pages, Setup, Told, library


class Alike:
    """Logs a run per cell, and one called ``tables``.

    Args:
        name: of the library.
        setup: its project is the project's name.
        more: further arguments of ``init``.
    """

    def __init__(self, name: str, setup: Setup, **more: Any) -> None:
        self._library, self._project, self._more = library(name), setup.project, more

    def cell(self, told: Told) -> None:
        """Log parameters and numbers."""
        config = {**told.parameters, "record": told.record}
        self._library.init(project=self._project, name=told.name, config=config, **self._more)
        self._library.log(dict(told.metrics))
        self._library.finish()

    def end(self, pages: Pages) -> None:
        """Log tables and picture."""
        config = {"tables": pages.tables}
        self._library.init(project=self._project, name="tables", config=config, **self._more)
        shown = {"records": self._library.Table(dataframe=pages.rows)}
        if pages.picture is not None:
            shown["curves"] = self._library.Image(pages.picture)
        self._library.log(shown)
        self._library.finish()
