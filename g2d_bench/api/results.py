"""Records as a data frame, a table, or a folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.files import write_atomically
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import interval
from g2d_bench.paths import shipped_results
from g2d_bench.plain import visible
from g2d_bench.records.evidence import Evidence
from g2d_bench.records.record import Record, prediction_bytes, to_json
from g2d_bench.records.selection import Found, read_folders
from g2d_bench.records.signature import parse_signature
from g2d_bench.records.store import Store
from g2d_bench.report.contamination import seen_by
from g2d_bench.report.formats import FORMATS
from g2d_bench.report.formats.render import render
from g2d_bench.report.marks import caveats, defects_of, leaks_of
from g2d_bench.report.model import Table
from g2d_bench.report.table import blocks

if TYPE_CHECKING:
    import pandas as pd


class Results:
    """Records of finished cells.

    Args:
        found: records with their files.
        catalogue: cards of tasks and protocols, for the order of metrics.
        kept: what must live as long as the records' files do.
    """

    def __init__(self, found: Sequence[Found], catalogue: Catalogue | None = None, kept: Any = None) -> None:
        self._found = list(found)
        self._catalogue = catalogue or Catalogue.open()
        self._kept = kept

    @property
    def records(self) -> list[Record]:
        """The records themselves."""
        return [found.record for found in self._found]

    def __len__(self) -> int:
        return len(self._found)

    def __add__(self, other: Results) -> Results:
        """Put results side by side, such as one's own and the shipped ones."""
        return Results([*self._found, *other._found], self._catalogue, (self._kept, other._kept))

    def frame(self, *, intervals: bool = True) -> pd.DataFrame:
        """Return one row per cell and metric.

        Args:
            intervals: bootstrap 95 % intervals by patient, too (slower).

        Returns:
            Columns task, encoder, fraction, shots, seed, protocol, metric, value, low, high, n, data, scale,
            pretraining_saw, leaks, split_defects, seconds, reason and signature. Values are shares where the
            metric is one, NaN where it is undefined; ``reason`` says why an encoder has none.
        """
        import pandas as pd

        evidence = Evidence() if intervals else None
        rows = [row for found in self._found for row in _rows(found, evidence)]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def tables(self) -> list[Table]:
        """Return the tables that the command line prints."""
        tasks, protocols = self._catalogue.tasks, self._catalogue.protocols
        metrics = {
            cell.task: protocols[cell.protocol].view(tasks[cell.task]).metrics
            for cell in (record.cell for record in self.records)
        }
        order = list(dict.fromkeys(found.cell.encoder for found in self._found))
        return blocks(self._found, order, metrics=metrics) if self._found else []

    def table(self, style: str = "text") -> str:
        """Return the tables as ``text``, ``md`` (or ``markdown``), ``latex``, ``csv`` or ``json``.

        Raises:
            InputError: another style, or signatures that cannot share a column.
        """
        style = "md" if style == "markdown" else style
        if style not in FORMATS:
            raise InputError(f"unknown {style!r}; {did_you_mean(style, FORMATS.names)}", field="style")
        return render(self.tables(), style) if self._found else ""

    def save(self, folder: str | Path) -> list[Path]:
        """Write records and predictions into a results folder, as ``g2d-bench run --results`` leaves them.

        Returns:
            The files of the records.

        Raises:
            InputError: the folder cannot be written to, or predictions are missing or were changed.
        """
        saved, store = [], Store(Path(folder))
        beside = [_predictions(found) for found in self._found]  # all, before the first is written
        for found, arrays in zip(self._found, beside, strict=True):
            record, parts = found.record, parse_signature(found.record.signature)
            version = parts.version if parts is not None else ""
            target = store.path(record.cell, kind=record.data.kind, version=version, key=record.key)
            if record.predictions is not None and arrays is not None:
                write_atomically(target.with_name(record.predictions.file), arrays)
            write_atomically(target, to_json(record))
            saved.append(target)
        return saved

    def __repr__(self) -> str:
        return f"<{len(self._found)} records>\n{self.table()}" if self._found else "<0 records>"

    def _repr_html_(self) -> str:
        """Show a data frame in a notebook, with what it is measured on above it."""
        kinds = {found.record.data.kind for found in self._found}
        words = {"phantom": "GENERATED DATA (phantom)", "real": "real data"}
        above = ", ".join(words[kind] for kind in sorted(kinds)) or "no records"
        above = "<br>".join(escape(visible(line)) for line in (above, *caveats(self._found)))
        frame = self.frame(intervals=False).drop(columns=["low", "high", "signature"])
        return (
            f"<p><b>{above}</b></p>{frame.to_html(index=False, na_rep='n/a', float_format='{:.3f}'.format)}"
        )


COLUMNS = (
    *("task", "encoder", "fraction", "shots", "seed", "protocol", "metric", "value", "low", "high", "n"),
    *("data", "scale", "pretraining_saw", "leaks", "split_defects", "seconds", "reason", "signature"),
)


def _predictions(found: Found) -> bytes | None:
    """Return the file of a record's predictions, None where it has none."""
    if found.record.predictions is None or found.path is None:
        return None
    return prediction_bytes(found.path, found.record)


def _rows(found: Found, evidence: Evidence | None) -> Iterable[dict[str, Any]]:
    record = found.record
    shared = {
        **record.cell.as_dict(),
        "shots": record.cell.shots,
        "n": record.data.images["test"],
        "data": record.data.kind,
        "scale": record.encoder.scale,
        "pretraining_saw": seen_by(found),
        "leaks": "; ".join(leaks_of([found])),
        "split_defects": "; ".join(defects_of([found])),
        "seconds": round(sum(record.seconds.values()), 3),
        "reason": str(record.notes.get("n/a", "")),
        "signature": record.signature,
    }
    for metric, value in record.metrics.items():
        low = high = math.nan
        if evidence is not None and value is not None and metric_spec(metric).resamples:
            drawn = evidence.mean([found], metric)
            if drawn is not None:
                low, high = interval(drawn.draws)
        number = math.nan if value is None else value
        yield {**shared, "metric": metric, "value": number, "low": low, "high": high}


def load_results(*folders: str | Path) -> Results:
    """Read the records of results folders, side by side.

    Args:
        folders: as ``g2d-bench run --results`` or :meth:`Results.save` leaves them; ``results/phantom`` are
            the records that ship with the suite, wherever it is called from.

    Raises:
        InputError: a folder holds no record, a file is none, or two folders say different things of one cell.

    Example:
        >>> shipped = load_results("results/phantom")
        >>> "siim-seg" in set(shipped.frame(intervals=False).task)
        True
    """
    if not folders:
        raise InputError("name one or several", field="folders")
    return Results(read_folders([shipped_results(Path(folder)) for folder in folders]))
