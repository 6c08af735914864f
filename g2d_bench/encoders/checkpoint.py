"""Reads checkpoint files and matches their entries with an encoder's; a wrong file never loads quietly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from g2d_bench.cards.encoder import Layout, Part
from g2d_bench.encoders.safe_pickle import load_pickle
from g2d_bench.errors import InputError

METADATA_KEY = "g2d_bench"
"""Key of the JSON model card in the metadata of a safetensors file that g2d-bench wrote."""

_CONTAINERS: tuple[str, ...] = get_args(Layout.model_fields["container"].annotation)


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


@dataclass(frozen=True)
class LoadReport:
    """How a file's entries fit a module (image encoder, text encoder, heads) under one layout.

    Attributes:
        file: the checkpoint.
        layout: name of the layout.
        expected: how many entries the layout must bring, counters of BatchNorm included.
        tensors: canonical name to tensor, float32; what will be loaded.
        missing: canonical names that the file should have and has not.
        excused: canonical names that it may lack and does lack.
        unexpected: names under the prefix that the encoder does not know.
        shape_mismatch: canonical name, shape in the file, shape in the encoder.
        dropped: names under the prefix that the layout says to leave.
        outside: names that do not stand under the prefix (text encoder, heads, optimiser).
        problem: what is wrong apart from the names, or "".
    """

    file: Path
    layout: str
    expected: int
    tensors: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    missing: tuple[str, ...] = ()
    excused: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    shape_mismatch: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    dropped: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    problem: str = ""

    @property
    def matched(self) -> int:
        """How many entries fit by name and shape."""
        return len(self.tensors)

    @property
    def ok(self) -> bool:
        """Whether this may be loaded."""
        return not self.reason

    @property
    def reason(self) -> str:
        """Why it may not be loaded, in a clause; empty if it may."""
        if self.problem:
            return self.problem
        parts = []
        if self.shape_mismatch:
            name, theirs, ours = self.shape_mismatch[0]
            parts.append(f"{len(self.shape_mismatch)} of other shape ({name} is {theirs}, not {ours})")
        if self.missing:
            parts.append(f"{len(self.missing)} missing ({_some(self.missing)})")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} unexpected ({_some(self.unexpected)})")
        if parts or self.matched < self.expected:
            return ", ".join([f"{self.matched} of {self.expected} entries match", *parts])
        return ""


def open_checkpoint(path: Path) -> Checkpoint:
    """Open a safetensors file or what `torch.save` wrote; no code in it is ever run.

    Raises:
        InputError: no such file, not a checkpoint, damaged, without tensors, or with code in it.
    """
    if not path.is_file():
        raise InputError("no such file" if not path.exists() else "not a file", file=path)
    if path.stat().st_size == 0:
        raise InputError("is empty", file=path)
    if path.suffix == ".safetensors":
        return _open_safetensors(path)
    root = load_pickle(path)
    states = {}
    if isinstance(root, Mapping):
        for container in _CONTAINERS:
            found = root if container == "" else root.get(container)
            tensors = _tensors(found) if isinstance(found, Mapping) else {}
            if tensors:
                states[container] = tensors
    if not states:
        held = f"keys {_some([str(key) for key in root])}" if isinstance(root, Mapping) else "no dictionary"
        raise InputError(f"holds no state dict ({held})", file=path)
    return Checkpoint(path, states)


def match(checkpoint: Checkpoint, layout: Layout, body: nn.Module) -> LoadReport:
    """Fit a file's entries to an encoder under one layout; nothing is loaded yet.

    Prefixes are removed where a name starts with them, never elsewhere in it.

    Args:
        checkpoint: the opened file.
        layout: how its names are made.
        body: the model whose state-dict keys are canonical.
    """
    state = checkpoint.states.get(layout.container)
    if state is None:
        wanted = layout.container or "plain state dict"
        found = ", ".join(name or "a plain state dict" for name in checkpoint.states)
        return LoadReport(
            checkpoint.file, layout.layout, layout.expect, problem=f"no {wanted} (the file has {found})"
        )

    def sort(name: str) -> tuple[str, str] | None:
        if not name.startswith(layout.prefix):
            return None
        bare = name.removeprefix(layout.prefix)
        return bare, _renamed(bare, layout.rename)

    place = f"under {layout.prefix!r}" if layout.prefix else "of this architecture"
    blank = LoadReport(checkpoint.file, layout.layout, layout.expect)
    return _fit(blank, state, body, sort, place, drop=layout.drop, missing_ok=layout.missing_ok)


def match_part(
    file: Path, layout: str, state: Mapping[str, Tensor], part: Part, module: nn.Module
) -> LoadReport:
    """Fit a part of a file to a text encoder or to heads; every entry of the module must be there.

    Args:
        file: for messages.
        layout: name of the layout, for messages.
        state: all entries of the file.
        part: how the part's names are made.
        module: what will be filled.
    """

    def sort(name: str) -> tuple[str, str] | None:
        for start, ours in part.names.items():
            if name.startswith(start):
                bare = name.removeprefix(start)
                return bare, ours + bare
        return None

    blank = LoadReport(file, layout, len(module.state_dict()))
    place = "under " + " or ".join(repr(start) for start in part.names)
    return _fit(blank, state, module, sort, place, drop=part.drop, missing_ok=())


def _fit(
    blank: LoadReport,
    state: Mapping[str, Tensor],
    module: nn.Module,
    sort: Callable[[str], tuple[str, str] | None],
    place: str,
    *,
    drop: Sequence[str],
    missing_ok: Sequence[str],
) -> LoadReport:
    """Match entry by entry; ``sort`` gives a name without its start and our name, or None for others."""
    ours = module.state_dict()
    tensors: dict[str, Tensor] = {}
    dropped, unexpected, mismatch, outside = [], [], [], []
    for name, tensor in state.items():
        found = sort(name)
        if found is None:
            outside.append(name)
            continue
        bare, target = found
        if target in ours:
            fitting = _pointwise(tensor, ours[target].shape)
            if fitting.shape != ours[target].shape:
                mismatch.append((target, tuple(tensor.shape), tuple(ours[target].shape)))
            else:
                tensors[target] = fitting.to(ours[target].dtype)
        elif _fits(bare, drop):
            dropped.append(name)
        else:
            unexpected.append(name)
    absent = [name for name in ours if name not in tensors and name not in {entry[0] for entry in mismatch}]
    if not tensors and not mismatch:
        return replace(blank, problem=f"no entry {place} (the file has {_some(list(state))})")
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    return replace(
        blank,
        tensors=tensors,
        missing=tuple(name for name in absent if not _fits(name, missing_ok)),
        excused=tuple(name for name in absent if _fits(name, missing_ok)),
        unexpected=tuple(unexpected),
        shape_mismatch=tuple(mismatch),
        dropped=tuple(dropped),
        outside=tuple(outside),
        problem=f"NaN or infinity in {_some(broken)}" if broken else "",
    )


def _pointwise(tensor: Tensor, shape: torch.Size) -> Tensor:
    """Take a convolution over single points for the linear map that it is: [out, in, 1] as [out, in]."""
    extra = tensor.shape[len(shape) :]
    return tensor.reshape(shape) if extra and tensor.shape == (*shape, *[1] * len(extra)) else tensor


def match_any(checkpoint: Checkpoint, layouts: Sequence[Layout], body: nn.Module) -> LoadReport:
    """Find the layout that a file has.

    Raises:
        InputError: none fits; the text says for each what did not.
    """
    reports = [match(checkpoint, layout, body) for layout in layouts]
    for report in reports:
        if report.ok:
            return report
    # What fits best is what the user is likely to have meant.
    reports.sort(key=lambda report: -report.matched)
    reasons = "; ".join(f"layout {report.layout!r}: {report.reason}" for report in reports)
    raise InputError(f"fits no layout of the card: {reasons}", file=checkpoint.file, field="checkpoint")


def load_into(body: nn.Module, report: LoadReport) -> None:
    """Load what matched and prove that it changed the model.

    Raises:
        InputError: first and last layer are what they were before: the file holds an untrained model.
    """
    probes = _probes(body, report.tensors)
    before = tensor_hash(probes)
    body.load_state_dict(dict(report.tensors), strict=False)
    if tensor_hash(_probes(body, report.tensors)) == before:
        raise InputError("loading changed nothing: the file holds this very initialisation", file=report.file)


def tensor_hash(tensors: Iterable[Tensor]) -> str:
    """Return the sha256 (hex) of the values of some tensors, wherever they lie."""
    digest = hashlib.sha256()
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _probes(body: nn.Module, loaded: Mapping[str, Tensor]) -> list[Tensor]:
    """The first and the last weight matrix among what was loaded: a stem and a deep layer."""
    weights = [tensor for name, tensor in body.state_dict().items() if name in loaded and tensor.ndim >= 2]
    return [weights[0], weights[-1]]


def _open_safetensors(path: Path) -> Checkpoint:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            text = (file.metadata() or {}).get(METADATA_KEY, "{}")
        metadata = json.loads(text)
    except (SafetensorError, OSError) as error:
        raise InputError(f"not a readable safetensors file: {error}", file=path) from None
    except json.JSONDecodeError as error:
        raise InputError(f"its model card is not JSON: {error}", file=path, field=METADATA_KEY) from None
    if not tensors:
        raise InputError("holds no tensors", file=path)
    return Checkpoint(path, {"": tensors}, metadata if isinstance(metadata, dict) else {})


def _tensors(state: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {key: value for key, value in state.items() if isinstance(key, str) and isinstance(value, Tensor)}


def _renamed(name: str, rename: Mapping[str, str]) -> str:
    for old, new in rename.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _fits(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _some(names: Sequence[str], count: int = 2) -> str:
    return ", ".join(names[:count]) + (", ..." if len(names) > count else "")
