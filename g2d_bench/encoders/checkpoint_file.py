"""Opens checkpoint files of any kind: safetensors, and what `torch.save` writes; nothing in them is run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from g2d_bench.encoders.pickle_machine import PickleError, Shell
from g2d_bench.encoders.safe_pickle import clean, load_pickle, not_a_checkpoint, unreadable
from g2d_bench.encoders.torch_file import Described, Odd, TorchFile
from g2d_bench.errors import InputError

METADATA_KEY = "g2d_bench"
"""Key of the JSON model card in the metadata of a safetensors file that g2d-bench wrote."""

MAX_HEADER = 16 << 20
"""Bytes of a safetensors file's header: names, places and the model card."""

_CONTAINERS = ("", "state_dict", "model", "model_state_dict")
"""Where a state dict is looked for first; then in whatever other dictionary a file has."""
_DEEPEST = 3
_IDLE = ("optim", "lr_sched", "scheduler", "scaler", "amp")
"""How dictionaries begin whose tensors are no weights."""


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint file.

    Attributes:
        file: where it came from.
        states: state dict per container; the key is ``""`` for a plain one.
        metadata: the JSON model card of a g2d-bench file, else empty.
    """

    file: Path
    states: Mapping[str, Mapping[str, Tensor]]
    metadata: Mapping[str, Any] = field(default_factory=dict)


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a safetensors file or what `torch.save` wrote; no code in it is ever run.

    Raises:
        InputError: no such file, not a checkpoint, damaged, without tensors, or with code in it.
    """
    if not path.is_file():
        raise InputError("no such file" if not path.exists() else "not a file", file=path)
    if path.stat().st_size == 0:
        raise InputError("is empty", file=path)
    if path.suffix == ".safetensors" or _looks_like_safetensors(path):
        return _open_safetensors(path)
    opened = load_pickle(path)
    root, states = opened.root, {}
    if isinstance(root, dict):
        for container, found in _dictionaries(root).items():
            tensors = _tensors(path, opened, found)
            if tensors:
                states[container] = tensors
    if not states:
        raise InputError(f"holds no state dict{_held(root)}", file=path)
    return Checkpoint(path, states)


def read_state(path: Path) -> dict[str, Tensor]:
    """Read the state dict of a file, out of its container if it is in one.

    Raises:
        InputError: see :func:`open_checkpoint`.
    """
    states = open_checkpoint(path).states.values()
    largest: Mapping[str, Tensor] = max(states, key=len)
    return dict(largest)


def some(names: Sequence[str], count: int = 2) -> str:
    """Show the first of a stranger's names."""
    return ", ".join(map(clean, names[:count])) + (", ..." if len(names) > count else "")


def _looks_like_safetensors(path: Path) -> bool:
    """Tell a safetensors file under another name: a length, then JSON, as no pickle begins."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    length = int.from_bytes(head[:8], "little")
    return len(head) == 9 and head[8:] == b"{" and 2 <= length <= path.stat().st_size - 8


def _open_safetensors(path: Path) -> Checkpoint:
    said = not_a_checkpoint(path)
    if said:
        raise InputError(f"not a readable safetensors file: {said}", file=path)
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    if length > MAX_HEADER:
        raise InputError(
            f"not a readable safetensors file: a header of {length:,} bytes, above {MAX_HEADER:,}",
            file=path,
        )
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            text = (file.metadata() or {}).get(METADATA_KEY, "{}")
    except (SafetensorError, OSError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        # A type that this version of torch does not have comes as any of these.
        raise InputError(f"not a readable safetensors file: {clean(str(error))}", file=path) from None
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else error
        raise InputError(f"its model card is not JSON: {reason}", file=path, field=METADATA_KEY) from None
    if not tensors:
        raise InputError("holds no tensors", file=path)
    return Checkpoint(path, {"": tensors}, metadata if isinstance(metadata, dict) else {})


def _dictionaries(root: Mapping[Any, Any]) -> dict[str, Mapping[str, Any]]:
    """Name the dictionaries of a file by the keys that lead to them, those looked for first at the front."""
    found: dict[str, Mapping[str, Any]] = {}

    def walk(name: str, inside: Mapping[Any, Any], depth: int) -> None:
        found[name] = {key: value for key, value in inside.items() if isinstance(key, str)}
        for key, value in found[name].items():
            if isinstance(value, dict) and depth < _DEEPEST and not key.lower().startswith(_IDLE):
                walk(f"{name}.{key}" if name else key, value, depth + 1)

    walk("", root, 0)
    first = [name for name in _CONTAINERS if name in found]
    return {name: found[name] for name in [*first, *(name for name in found if name not in first)]}


def _tensors(path: Path, opened: TorchFile, state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Read the tensors of a state dict; a tensor that is no plain array is an error, other things are not."""
    found = {}
    for name, value in state.items():
        if isinstance(value, Odd):
            raise InputError(
                f"is a {value.kind} tensor; only dense ones of plain numbers are read",
                file=path,
                field=clean(name),
            )
        if isinstance(value, Described):
            try:
                found[name] = opened.tensor(value)
            except (PickleError, RuntimeError) as error:
                raise unreadable(path, error) from None
    return found


def _held(root: object) -> str:
    """Say what a file holds instead of a state dict."""
    advice = "; where its code is at hand, save its state_dict() instead"
    if isinstance(root, Shell):
        return f" but a whole pickled {clean(root.name)}{advice}"
    if not isinstance(root, dict):
        return " (no dictionary)"
    for name in _CONTAINERS:
        if isinstance(root.get(name), Shell):
            return f": {name!r} is a whole pickled {clean(root[name].name)}{advice}"
    return f" (keys {some(list(root))})"
