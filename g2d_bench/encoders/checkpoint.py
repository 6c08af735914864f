"""Matches the entries of checkpoint files with an encoder's; a wrong file never loads quietly."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from g2d_bench.cards.encoder import Layout, Part
from g2d_bench.encoders.checkpoint_file import METADATA_KEY, Checkpoint, open_checkpoint, read_state, some
from g2d_bench.encoders.converter import converted
from g2d_bench.encoders.safe_pickle import clean
from g2d_bench.encoders.wrapped import layout_state
from g2d_bench.errors import InputError

__all__ = [
    "METADATA_KEY",
    "Checkpoint",
    "LoadReport",
    "load_into",
    "match",
    "match_any",
    "match_part",
    "open_checkpoint",
    "read_state",
    "tensor_hash",
]


LONGEST_NAME = 160
"""Characters of a name in which regular expressions are searched; no published model has as many."""
_ANYWHERE = "of this architecture"
"""Where the entries of a layout without prefix stand, in words."""


@dataclass(frozen=True)
class LoadReport:
    """How a file's entries fit a module (image encoder, text encoder, heads) under one layout.

    Attributes:
        file: the checkpoint.
        layout: name of the layout.
        expected: how many entries the layout must bring at least, counters of BatchNorm included.
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
    def wanted(self) -> int:
        """How many entries there should be: all but those excused, and no fewer than ``expected``."""
        return max(self.expected, self.matched + len(self.missing) + len(self.shape_mismatch))

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
            parts.append(f"{len(self.missing)} missing ({some(self.missing)})")
        if self.unexpected:
            parts.append(f"{len(self.unexpected)} unexpected ({some(self.unexpected)})")
        if parts or self.matched < self.expected:
            return ", ".join([f"{self.matched} of {self.wanted} entries match", *parts])
        return ""


def match(checkpoint: Checkpoint, layout: Layout, body: nn.Module) -> LoadReport:
    """Fit a file's entries to an encoder under one layout; nothing is loaded yet.

    Prefixes are removed where a name starts with them, never elsewhere in it.

    Args:
        checkpoint: the opened file.
        layout: how its names are made.
        body: the model whose state-dict keys are canonical.
    """
    state = layout_state(checkpoint.states, layout)
    if state is None:
        wanted = layout.container or "plain state dict"
        there = ", ".join(name or "a plain state dict" for name in checkpoint.states)
        return LoadReport(
            checkpoint.file, layout.layout, layout.expect or 0, problem=f"no {wanted} (the file has {there})"
        )

    if layout.convert:
        state = converted(state, layout, checkpoint.file)

    def sort(name: str) -> tuple[str, str] | None:
        prefix = next((one for one in layout.prefixes if name.startswith(one)), None)
        if prefix is None:
            return None
        bare = name.removeprefix(prefix)
        return bare, renamed(bare, layout)

    named = any(layout.prefixes)
    place = "under " + " or ".join(map(repr, layout.prefixes)) if named else _ANYWHERE
    blank = LoadReport(checkpoint.file, layout.layout, layout.expect or 0)
    found = _fit(blank, state, body, sort, place, drop=layout.drop, missing_ok=layout.missing_ok)
    if layout.expect is None:
        excused = sum(fits(name, layout.missing_ok) for name in body.state_dict())
        found = replace(found, expected=max(len(body.state_dict()) - excused, 1))
    return found


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
    typed: dict[str, Tensor] = {}
    sources: dict[str, str] = {}
    dropped, unexpected, mismatch, outside = [], [], [], []
    for name, tensor in state.items():
        found = sort(name)
        if found is None:
            outside.append(name)
            continue
        bare, target = found
        if target in ours:
            twice = doubled(state, name, sources.setdefault(target, name), target)
            if twice:
                return replace(blank, problem=twice)
            fitting = _pointwise(tensor, ours[target].shape)
            if fitting.shape != ours[target].shape:
                mismatch.append((target, tuple(tensor.shape), tuple(ours[target].shape)))
            else:
                typed[target] = fitting
        elif fits(bare, drop):
            dropped.append(name)
        else:
            unexpected.append(name)
    absent = [name for name in ours if name not in typed and name not in {entry[0] for entry in mismatch}]
    if not typed and not mismatch:
        if len(outside) == len(state) or place == _ANYWHERE:
            return replace(blank, problem=f"no entry {place} (the file has {some(list(state))})")
        theirs = some([*unexpected, *dropped])
        problem = f"the entries {place} have other names ({theirs}; expected {some(list(ours))})"
        return replace(blank, problem=problem)
    foreign = [target for target, tensor in typed.items() if not _same_numbers(tensor, ours[target])]
    if foreign:
        name = foreign[0]
        kinds = f"{str(typed[name].dtype).removeprefix('torch.')}, not {ours[name].dtype}"
        return replace(blank, problem=f"{len(foreign)} of another type ({name} is {kinds})")
    tensors = {name: tensor.to(ours[name].dtype) for name, tensor in typed.items()}
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    return replace(
        blank,
        tensors=tensors,
        missing=tuple(name for name in absent if not fits(name, missing_ok)),
        excused=tuple(name for name in absent if fits(name, missing_ok)),
        unexpected=tuple(unexpected),
        shape_mismatch=tuple(mismatch),
        dropped=tuple(dropped),
        outside=tuple(outside),
        problem=f"NaN or infinity in {some(broken)}" if broken else "",
    )


def _same_numbers(tensor: Tensor, ours: Tensor) -> bool:
    """Whether a tensor holds what an entry of ours may become: int8 numbers, say, are no weights."""
    if ours.is_floating_point():
        return tensor.is_floating_point()
    return not tensor.is_complex()


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


def renamed(name: str, layout: Layout) -> str:
    """Return the canonical name of an entry: its start changed, then what regular expressions find in it."""
    for old, new in layout.rename.items():
        if name.startswith(old):
            name = new + name.removeprefix(old)
            break
    for pattern, instead in layout.replace.items():
        # A search that may go several ways takes long in a long name, of which a model has none.
        name = re.sub(pattern, instead, name) if len(name) <= LONGEST_NAME else name
    return name


def doubled(state: Mapping[str, Tensor], name: str, earlier: str, target: str) -> str:
    """Say that two entries of a file come to one name; empty where they are one, or the same values twice."""
    if name == earlier or tensor_hash([state[name]]) == tensor_hash([state[earlier]]):
        return ""
    return (
        f"{clean(earlier)} and {clean(name)} differ and both become {clean(target)}; "
        "the card must let one of them alone through"
    )


def fits(name: str, patterns: Sequence[str]) -> bool:
    """Say whether a name is of one of the patterns."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
