"""Canonical digests."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel


def digest_json(value: Any) -> str:
    """Return the sha256 (hex) of a JSON value in canonical form: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_text(text: str) -> str:
    """Name a text, a report say, without telling it: the first 16 digits of its sha256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def set_fields(model: BaseModel, exclude: Any = None) -> dict[str, Any]:
    """Return what a card says beyond its defaults, for its digest.

    So a key that is added later, with a default under which nothing changes, moves no digest. The price: the
    meaning of a default must never change.

    Args:
        model: the card.
        exclude: fields that move no number, as pydantic takes them.
    """
    return model.model_dump(mode="json", exclude=exclude, exclude_defaults=True)


def digest_file(path: Path) -> str:
    """Return the sha256 (hex) of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def digest_code(*modules: str) -> str:
    """Return the sha256 (hex) of the source of modules, which are found but not imported.

    Raises:
        ModuleNotFoundError: there is none of that name, or it has no file.
    """
    digest = hashlib.sha256()
    for name in modules:
        found = find_spec(name)
        if found is None or not found.origin or not Path(found.origin).is_file():
            raise ModuleNotFoundError(f"no source of {name}", name=name)
        digest.update(hashlib.sha256(Path(found.origin).read_bytes()).digest())
    return digest.hexdigest()


def digest_foreign(module: str) -> str:
    """Return :func:`digest_code` of a module of another package, "" for one of this package.

    Of this package's code, versions say what moves a number.
    """
    return "" if module.partition(".")[0] == __name__.partition(".")[0] else digest_code(module)


@cache
def digest_package(folder: Path) -> str:
    """Return the sha256 (hex) of all modules and tables of a package, with their places in it.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no package at {folder}")
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".toml")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
