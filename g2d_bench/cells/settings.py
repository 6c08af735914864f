"""Where this run looks and writes: flags before environment before config file before defaults."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from g2d_bench.cards.io import load_card
from g2d_bench.errors import InputError
from g2d_bench.paths import MAX_NAME, cache_dir, expanded
from g2d_bench.processes import accelerator_forbidden

CONFIG_NAME = "g2d-bench.toml"
MAX_PATH = 3584
"""Bytes of the results' path; a record's own path below it takes its part of the 4,096 that there are."""


def _as_list(value: object) -> object:
    """Take a single path for a list of one."""
    if isinstance(value, str):
        return [value]
    # Paths stand there when the file was read already.
    if not isinstance(value, list | tuple) or not all(isinstance(part, str | Path) for part in value):
        raise ValueError('want a path, or a list of paths such as ["cards", "/data/cards"]')
    return value


Paths = Annotated[tuple[Path, ...], BeforeValidator(_as_list)]
"""What a key that may be repeated on the command line holds."""


class ConfigFile(BaseModel):
    """What a config file may say; relative paths start at the file's folder."""

    model_config = ConfigDict(extra="forbid")

    data_root: Path | None = None
    results: Path | None = None
    tasks_dir: Paths = ()
    encoders_dir: Paths = ()
    protocols_dir: Paths = ()
    weights_dir: Path | None = None
    checkpoints: dict[str, Path] = {}


@dataclass(frozen=True)
class Settings:
    """Resolved settings.

    Attributes:
        data_root: the user's real data, or None for generated data.
        results: folder of records.
        task_dirs: folders with the user's task cards.
        encoder_dirs: folders with the user's encoder cards.
        protocol_dirs: folders with the user's protocol cards.
        checkpoints: encoder name to checkpoint file.
        weights_dir: folder in which `<encoder>.<any checkpoint suffix>` is looked for.
    """

    data_root: Path | None = None
    results: Path = Path("runs")
    task_dirs: tuple[Path, ...] = ()
    encoder_dirs: tuple[Path, ...] = ()
    protocol_dirs: tuple[Path, ...] = ()
    checkpoints: Mapping[str, Path] = field(default_factory=dict)
    weights_dir: Path | None = None

    @property
    def phantom_root(self) -> Path:
        """Where generated data are kept."""
        return cache_dir() / "phantom"

    def checkpoint(self, encoder: str) -> Path | None:
        """Return the user's checkpoint for an encoder, or None.

        Raises:
            InputError: the weights folder has several of it, and nothing says which is meant.
        """
        if encoder in self.checkpoints:
            return self.checkpoints[encoder]
        if self.weights_dir is not None:
            found = sorted(
                path
                for path in self.weights_dir.glob(f"{encoder}.*")
                if path.suffix in CHECKPOINT_SUFFIXES and path.stem == encoder
            )
            if len(found) > 1:
                names = " and ".join(path.name for path in found)
                raise InputError(
                    f"{names} are both of encoder {encoder!r}; name one: --checkpoint {encoder}=FILE",
                    file=self.weights_dir,
                    field="weights folder",
                )
            return found[0] if found else None
        return None


CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")


def resolve(
    *,
    data_root: Path | None = None,
    phantom: bool = False,
    results: Path | None = None,
    task_dirs: tuple[Path, ...] = (),
    encoder_dirs: tuple[Path, ...] = (),
    protocol_dirs: tuple[Path, ...] = (),
    checkpoints: Mapping[str, Path] | None = None,
    weights_dir: Path | None = None,
) -> Settings:
    """Combine flags, environment (``G2D_BENCH_*``) and config file.

    The config file is ``G2D_BENCH_CONFIG``, else ``g2d-bench.toml`` in the working folder, else
    ``~/.config/g2d-bench/g2d-bench.toml``.

    Args:
        data_root: flag ``--data-root``.
        phantom: flag ``--phantom``: generated data, whatever else is configured.
        results: flag ``--results``.
        task_dirs: flag ``--tasks-dir``.
        encoder_dirs: flag ``--encoders-dir``.
        protocol_dirs: flag ``--protocols-dir``.
        checkpoints: flag ``--checkpoint NAME=FILE``.
        weights_dir: flag ``--weights-dir``.

    Raises:
        InputError: a config file or ``G2D_BENCH_DEVICE`` is wrong, or a data root or checkpoint is not there.
    """
    accelerator_forbidden()  # said now, not by every cell
    config = _config()
    root = None if phantom else data_root or _env_path("G2D_BENCH_DATA") or config.data_root
    if root is not None:
        _require_readable_folder(root, "--data-root" if data_root else "data root")
    weights = weights_dir or _env_path("G2D_BENCH_WEIGHTS") or config.weights_dir
    if weights is not None:
        _require_readable_folder(weights, "weights folder")
    files = {**config.checkpoints, **(checkpoints or {})}
    for name, path in files.items():
        if not path.exists():
            raise InputError("no such checkpoint", file=path, field=f"checkpoint of {name}")
    records = results or _env_path("G2D_BENCH_RESULTS") or config.results or Path("runs")
    _require_writable_name(records)
    return Settings(
        data_root=root,
        results=records,
        task_dirs=(*config.tasks_dir, *task_dirs),
        encoder_dirs=(*config.encoders_dir, *encoder_dirs),
        protocol_dirs=(*config.protocols_dir, *protocol_dirs),
        checkpoints=files,
        weights_dir=weights,
    )


def _env_path(name: str) -> Path | None:
    value = os.environ.get(name)
    return expanded(value, name) if value else None


def _config() -> ConfigFile:
    named = _env_path("G2D_BENCH_CONFIG")
    if named is not None and not named.is_file():
        raise InputError("no such file", file=named, field="G2D_BENCH_CONFIG")
    for path in [named] if named else [Path(CONFIG_NAME), *_of_the_user()]:
        if path.is_file():
            config = load_card(path, ConfigFile)
            base = path.parent

            def at(value: Path, field: str, base: Path = base, path: Path = path) -> Path:
                return base / expanded(value, f"{path}: {field}")

            return ConfigFile(
                data_root=config.data_root and at(config.data_root, "data_root"),
                results=config.results and at(config.results, "results"),
                tasks_dir=tuple(at(folder, "tasks_dir") for folder in config.tasks_dir),
                encoders_dir=tuple(at(folder, "encoders_dir") for folder in config.encoders_dir),
                protocols_dir=tuple(at(folder, "protocols_dir") for folder in config.protocols_dir),
                weights_dir=config.weights_dir and at(config.weights_dir, "weights_dir"),
                checkpoints={
                    name: at(file, f"checkpoints.{name}") for name, file in config.checkpoints.items()
                },
            )
    return ConfigFile()


def _of_the_user() -> list[Path]:
    """Where the user's own config file would be; nowhere for a user without a home."""
    try:
        return [Path("~/.config/g2d-bench").expanduser() / CONFIG_NAME]
    except RuntimeError:
        return []


def _require_writable_name(path: Path) -> None:
    """Refuse a name that no file system takes, or no record can hold, before anything is computed for it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError("is not UTF-8", file=repr(str(path)), field="results") from None
    longest = max((len(part.encode()) for part in path.parts), default=0)
    if longest > MAX_NAME or len(str(path.absolute()).encode()) > MAX_PATH:
        raise InputError(
            f"has a name of {longest} bytes in {len(str(path.absolute()).encode()):,}; "
            f"{MAX_NAME} in {MAX_PATH:,} are possible",
            file=f"{str(path)[:60]}...",
            field="results",
        )


def _require_readable_folder(path: Path, field_name: str) -> None:
    if not path.exists():
        raise InputError("no such folder", file=path, field=field_name)
    if not path.is_dir():
        raise InputError("is not a folder", file=path, field=field_name)
    if not os.access(path, os.R_OK | os.X_OK):
        raise InputError("cannot be read (permissions)", file=path, field=field_name)
