"""Do records call generated data real? A content hash does not say of which kind data are.

What is known of the hash does: from other records, from those that ship with the suite, from the data here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache

from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.records.record import LARGEST_RECORD, Record
from g2d_bench.records.selection import Found
from g2d_bench.records.store import FAILED, Store
from g2d_bench.safe_files import read_strangers

SHIPPED = "the suite's own records"
HERE = "the cache of generated data"
WRONG = "data.kind: says {}, but by their hash the data are {}, as in {}"


class KindCheck:
    """Holds the kind of data that records state against what is known of data with their content hash.

    Args:
        here: returns the content hash of the generated data here on which a record would be measured, ""
            without any; None where data are not looked at.
    """

    def __init__(self, here: Callable[[Record], str] | None = None) -> None:
        self._here = here
        self._stated: dict[tuple[str, str], Found] = {}

    def learn(self, found: Sequence[Found]) -> None:
        """Note what records state."""
        for one in found:
            self._stated.setdefault((one.record.data.kind, one.record.data.hash), one)

    def __call__(self, found: Sequence[Found]) -> Iterator[tuple[Found, str]]:
        """Find records of a kind that their data are not of, after all have been learnt.

        Of two records that say different things of one hash both are named, unless it is known elsewhere.

        Yields:
            The record, and what is wrong with it.
        """
        for one in found:
            data = one.record.data
            other = self._stated.get(("real" if data.kind == "phantom" else "phantom", data.hash))
            if data.kind == "real":
                known = self._known(one.record) or (other.where if other is not None else "")
                if known:
                    yield one, WRONG.format("real", "generated", known)
            elif other is not None and not self._known(one.record):
                yield one, WRONG.format("phantom", "real", other.where)

    def _known(self, record: Record) -> str:
        """Say who beside the records knows a hash as that of generated data; "" if nobody does."""
        if record.data.hash in shipped_hashes():
            return SHIPPED
        return HERE if self._here is not None and self._here(record) == record.data.hash else ""


@cache
def shipped_hashes() -> frozenset[str]:
    """Return the content hashes of the generated data of all records that ship with the suite."""
    root, hashes = shipped("results") / "phantom", set()
    files = Store(root).files() if root.is_dir() else []
    for path in [path for path in files if not path.name.endswith(FAILED)]:
        # A folder of a checkout, where anything may lie.
        with suppress(InputError, ValueError, KeyError, TypeError):
            data = json.loads(read_strangers(path, LARGEST_RECORD))["data"]
            if data.get("kind") == "phantom":
                hashes.add(str(data["hash"]))
    return frozenset(hashes)
