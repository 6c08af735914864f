"""Everything that moves a cell's number, by its digest; the digest of all of it is the cell's key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from g2d_bench.cards.kind import KINDS
from g2d_bench.hashing import digest_foreign, digest_json
from g2d_bench.metrics.registry import foreign_code
from g2d_bench.records.cell import Cell
from g2d_bench.records.signature import NUMBERS


def identity(
    cell: Cell,
    *,
    task: str,
    protocol: str,
    encoder: str,
    taken: Mapping[str, str],
    data: str,
    numbers: int = NUMBERS,
) -> dict[str, Any]:
    """Collect what moves the number of a cell.

    Args:
        cell: the cell.
        task: digest of its task's card under the protocol's split.
        protocol: digest of what its protocol's card says of the kind.
        encoder: digest of its encoder's card.
        taken: digests of what the cell takes of the encoder (``weights`` and what else lies in files), and of
            the code of others that measures it, see :func:`code_of_others`.
        data: content hash of the data.
        numbers: version of the code's numbers.
    """
    return {
        "cell": cell.as_dict(),
        "task": task,
        "protocol": protocol,
        "encoder": encoder,
        **taken,
        "data": data,
        "numbers": numbers,
    }


def code_of_others(kind: str, metrics: Collection[str]) -> dict[str, str]:
    """Name the source of what other packages bring to a cell: of its ``kind`` and its ``metrics``.

    Args:
        kind: of its task.
        metrics: that it measures.

    Returns:
        Neither for a kind and metrics of this package.
    """
    found = {"kind": digest_foreign(KINDS.module(kind)), "metrics": foreign_code(metrics)}
    return {name: digest for name, digest in found.items() if digest}


def key_of(identity: dict[str, Any]) -> str:
    """Return the key of a cell from everything that moves its number."""
    return digest_json(identity)
