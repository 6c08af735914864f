"""The string that says whether two numbers may share a column."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from g2d_bench.cards.protocol import Protocol
    from g2d_bench.cards.task import TaskCard

NUMBERS = 2
"""Raised by one with every change of code that moves a number; see "numbers that change" in CHANGELOG.md."""


def signature(task: TaskCard, protocol: Protocol, *, data_kind: str, data_hash: str, split_hash: str) -> str:
    """Return the signature of a cell's numbers, without encoder, fraction and seed.

    Args:
        task: name, version and content enter.
        protocol: name, version and what it says of the task's kind enter.
        data_kind: ``phantom`` or ``real``.
        data_hash: content hash of the data set; of both, which are named, where a task is tested elsewhere.
        split_hash: hash of the id lists.

    Returns:
        For example ``siim-seg@1.0#1a2b|phantom:siim#0a1b2c3d|split:clean#4d5e6f70|clean@1.0#8a9b|n2``;
        a metric's own signature has its convention's name appended.
    """
    return "|".join(
        (
            f"{task.name}@{task.version}#{task.digest(protocol.split)[:4]}",
            f"{data_kind}:{task.data_name}#{data_hash[:8]}",
            f"split:{protocol.split}#{split_hash[:8]}",
            f"{protocol.name}@{protocol.version}#{protocol.digest(task.kind)[:4]}",
            f"n{NUMBERS}",
        )
    )


def is_of_this_code(text: str) -> bool:
    """Say whether a signature is one of numbers that this version's code would give again."""
    return text.rpartition("|")[2] == f"n{NUMBERS}"


@dataclass(frozen=True)
class Parts:
    """What a signature says, part by part."""

    task: str
    version: str
    task_hash: str
    data_kind: str
    dataset: str
    data_hash: str
    split: str
    split_hash: str
    protocol: str
    protocol_version: str
    protocol_hash: str
    numbers: str


_SIGNATURE = re.compile(
    r"([^|]+)@(\d+\.\d+)#([0-9a-f]{4})\|(phantom|real):([^|]+)#([0-9a-f]{8})\|split:([^|]+)#([0-9a-f]{8})"
    r"\|([^|]+)@(\d+\.\d+)#([0-9a-f]{4})\|n(\d{1,9})",
    re.ASCII,
)


def mixed(signatures: Iterable[str], place: str) -> str:
    """Say why numbers of several signatures cannot share a place, and in which parts these differ."""
    parts = zip(*(name.split("|") for name in sorted(set(signatures))), strict=False)
    differ = "; ".join(" or ".join(dict.fromkeys(part)) for part in parts if len(set(part)) > 1)
    return (
        f"numbers with different signatures cannot share {place} (they differ in {differ}); "
        "choose one with --signature or --protocol"
    )


def parse_signature(text: str) -> Parts | None:
    """Take a signature apart; None where it is none of :func:`signature`."""
    found = _SIGNATURE.fullmatch(text)
    return None if found is None else Parts(*found.groups())
