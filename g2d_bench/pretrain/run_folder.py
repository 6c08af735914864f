"""The folder of a pre-training run: configuration, checkpoint, log; exact resume."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from g2d_bench.errors import InputError

CONFIG, CHECKPOINT, LOG = "config.json", "checkpoint.pt", "log.jsonl"


class RunFolder:
    """Where a run keeps what it needs to go on.

    Attributes:
        path: the folder, made if it is missing.
        config: what determines the run; a folder belongs to one configuration.
        card: name of the run's encoder card, "" where none was given yet; it determines nothing.
    """

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        """Open or begin a run.

        Raises:
            InputError: the folder cannot be written, or holds a run of another configuration; the text lists
                the differences.
        """
        self.path = path
        self.config = json.loads(json.dumps(config))
        self._made = not path.exists()
        try:
            path.mkdir(parents=True, exist_ok=True)
            # Asking the mode bits would not tell of read-only file systems, nor of root.
            probe = path / f".probe.{os.getpid()}"
            probe.write_text("")
            probe.unlink()
        except OSError as error:
            raise InputError(
                f"folder cannot be written: {error.strerror}", file=path, field="--out"
            ) from error
        written = path / CONFIG
        self._begun, self.card = not written.is_file(), ""
        if not self._begun:
            other = self.read(CONFIG, "not a run's configuration; remove the folder or take another")
            self.card = str(other.pop("card", ""))
            if different := list(differences(other, self.config)):
                raise InputError(
                    f"the folder holds a run of another configuration: {'; '.join(different)};"
                    " take another folder, or that configuration",
                    file=written,
                )
        else:
            self.write(CONFIG, json.dumps(self.config, indent=1, sort_keys=True) + "\n")

    def abandon(self, *files: str) -> None:
        """Remove what was written of a run that this process began and that did not come to its first step.

        Bad input must not leave a folder that refuses the corrected call.

        Args:
            files: names of what may lie there beside the configuration; anything else is a run's and stays.
        """
        if not self._begun or {file.name for file in self.path.iterdir()} - {CONFIG, *files}:
            return
        for name in (CONFIG, *files):
            (self.path / name).unlink(missing_ok=True)
        if self._made:
            self.path.rmdir()

    def name_card(self, name: str) -> None:
        """Keep the name of the run's card, for whoever goes on with the run."""
        if name != self.card:
            self.card = name
            self.write(CONFIG, json.dumps(self.config | {"card": name}, indent=1, sort_keys=True) + "\n")

    def read(self, name: str, otherwise: str) -> dict[str, Any]:
        """Read a JSON file of the run.

        Args:
            name: of the file.
            otherwise: what is said of a damaged one.

        Raises:
            InputError: it cannot be read, or is no table.
        """
        try:
            found = json.loads((self.path / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise InputError(otherwise, file=self.path / name)
        return found

    def write(self, name: str, text: str) -> None:
        """Write a text file of the run, whole or not at all."""
        draft = self.path / f".{name}.tmp"
        draft.write_text(text)
        draft.replace(self.path / name)

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint.

        Raises:
            InputError: it cannot be written (disk full, folder gone).
        """
        draft = self.path / f".{CHECKPOINT}.tmp"
        try:
            torch.save(dict(state), draft)
            draft.replace(self.path / CHECKPOINT)
        except (OSError, RuntimeError) as error:
            draft.unlink(missing_ok=True)
            raise InputError(f"checkpoint cannot be written: {error}", file=self.path / CHECKPOINT) from error

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """Return the checkpoint, or None where the run has none yet.

        Raises:
            InputError: it is damaged.
        """
        path = self.path / CHECKPOINT
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except Exception as error:  # a torn file fails in the zip reader, the unpickler or the tensors
            raise InputError(f"damaged checkpoint, remove it to start anew: {error}", file=path) from None
        return state

    def log_until(self, step: int) -> None:
        """Cut the log back to the lines before ``step``, which the run will write again."""
        if (self.path / LOG).is_file():
            kept = [entry for entry in self.entries() if entry["step"] < step]
            self.write(LOG, "".join(map(_line, kept)))

    def log(self, entry: Mapping[str, Any]) -> None:
        """Append a line to the log."""
        with (self.path / LOG).open("a") as file:
            file.write(_line(entry))

    def entries(self) -> list[dict[str, Any]]:
        """Read the log, but for lines that were torn."""
        path = self.path / LOG
        return list(_entries(path.read_bytes().splitlines())) if path.is_file() else []


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(dict(entry)) + "\n"


def _entries(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            yield entry


def differences(there: Any, here: Any, name: str = "") -> Iterator[str]:
    """Name the leaves in which two JSON values differ, as ``lr: 0.1 there, 0.2 here``."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted({*there, *here}):
            yield from differences(there.get(key), here.get(key), f"{name}.{key}" if name else key)
    elif there != here:
        yield f"{name}: {json.dumps(there)} there, {json.dumps(here)} here"
