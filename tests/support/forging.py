"""Records as a stranger leaves them who knows how they are sealed."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.cells.verify import Checked
from g2d_bench.errors import InputError
from g2d_bench.records.record import read_predictions, read_record, sealed, to_json

Change = Callable[[dict[str, Any]], None]
Arrays = dict[str, Any]


def forge(path: Path, how: Change) -> None:
    """Edit a record and seal it again, as one who knows how would."""
    raw = json.loads(path.read_text())
    how(raw)
    path.write_text(json.dumps(raw))
    path.write_bytes(to_json(sealed(read_record(path))))


def call_real(root: Path) -> list[Path]:
    """Relabel all generated records of a folder, whose keys and names do not depend on it."""
    made = []
    for path in sorted((root / "phantom").rglob("*.json")):
        forge(path, _real)
        place = root / "real" / path.relative_to(root / "phantom")
        place.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".json", ".npz"):
            if path.with_suffix(suffix).exists():
                path.with_suffix(suffix).rename(place.with_suffix(suffix))
        made.append(place)
    shutil.rmtree(root / "phantom")
    return made


def _real(raw: dict[str, Any]) -> None:
    raw["signature"] = raw["signature"].replace("|phantom:", "|real:")
    raw["data"]["kind"] = "real"
    raw["command"] = raw["command"].replace(" --phantom", " --data-root data")


def forge_arrays(path: Path, how: Callable[[Arrays], object]) -> None:
    """Edit predictions and put the new hash into the record."""
    arrays = read_predictions(path, read_record(path))
    how(arrays)
    target = path.with_suffix(".npz")
    np.savez_compressed(target, allow_pickle=False, **arrays)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    forge(path, lambda raw: raw["predictions"].update(sha256=digest))


def said(path: Path, checked: Checked) -> list[str]:
    """Return what was found wrong with one record, without its place; nothing else may be wrong."""
    prefix = f"{path}: "
    assert all(problem.startswith(prefix) for problem in checked.problems), checked.problems
    return [problem.removeprefix(prefix) for problem in checked.problems]


def save(path: Path, raw: Any) -> None:
    """Write a record as a stranger would who knows how its seal is made."""
    path.write_text(json.dumps(raw))
    try:
        record = read_record(path)
    except InputError:
        return
    path.write_bytes(to_json(sealed(record)))


def replace_predictions(path: Path, data: bytes) -> None:
    """Put other bytes beside a record, with their hash in it."""
    record = read_record(path)
    assert record.predictions is not None
    path.with_name(record.predictions.file).write_bytes(data)
    raw = json.loads(path.read_text())
    raw["predictions"]["sha256"] = hashlib.sha256(data).hexdigest()
    save(path, raw)


def packed(**arrays: Any) -> bytes:
    """Return an archive of arrays, objects among them allowed."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()
