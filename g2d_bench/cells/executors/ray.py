"""On the nodes of a Ray cluster, or on this machine by Ray."""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from g2d_bench.cells.executors.away import WINDOW, Order, Parcel, carry_out, run_away
from g2d_bench.cells.executors.base import Wishes, Work, WorkerDied
from g2d_bench.cells.executors.needs import Needs
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.units import Done, name_of
from g2d_bench.errors import InputError
from g2d_bench.plain import counted
from g2d_bench.progress import tell

OPTIONS = ("num_cpus", "num_gpus", "memory_gb", "max_retries")
RETRIES = 2
"""How often a unit is run again whose process or node was lost."""
PATIENCE = 20.0
"""Seconds that a cluster has to answer."""
LOOK = 5.0
"""Seconds between two looks at which nodes there are."""
PASSING = (ConnectionError, TimeoutError, BlockingIOError)
"""What may pass when a unit is run again: a disk or a hub beyond the network. All else is as bad the second
time."""


class Ray:
    """Runs units as tasks of Ray.

    Args:
        wishes: ``address`` of a cluster, without which one is started on this machine with ``jobs`` CPUs;
            ``jobs`` units at a time at most; ``per_gpu``; and the options ``num_cpus``, ``num_gpus``,
            ``memory_gb`` of a unit and ``max_retries``.

    Raises:
        InputError: an option is wrong.
    """

    def __init__(self, wishes: Wishes) -> None:
        wishes.require_known("ray", OPTIONS)
        self._wishes = wishes
        self._retries = int(wishes.number("max_retries", RETRIES))
        for name in OPTIONS:
            wishes.number(name, 0)

    def run(self, units: Sequence[Unit], work: Work) -> Iterator[tuple[Unit, Done]]:
        """Run units; see :meth:`~g2d_bench.cells.executors.base.Executor.run`."""
        needs = Needs(work.bench.store.files(), work.bench.options.memory_budget)
        with _connected(self._wishes) as ray:
            sender = _Sender(ray, self._wishes, self._retries, Order.of(work.bench), needs)
            try:
                yield from run_away(needs.longest_first(units), work, sender, self._wishes.jobs or WINDOW)
            finally:
                sender.close()


EXECUTOR = Ray


@contextmanager
def _connected(wishes: Wishes) -> Iterator[ModuleType]:
    """Connect to a cluster, or start one that ends with the block and leaves nothing behind.

    Raises:
        InputError: Ray is not installed, or the cluster cannot be had.
    """
    address = wishes.address or os.environ.get("RAY_ADDRESS")
    # It reports home otherwise.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    own = None
    more: dict[str, Any] = {"address": address}
    if address is None:
        if not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys():
            # Without one, Ray writes a token into the user's home, for all clusters to come.
            os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        own = tempfile.mkdtemp(prefix="g2d-ray-")
        more = {"num_cpus": wishes.jobs, "include_dashboard": False, "_temp_dir": own}
    try:
        import ray
    except ImportError:
        raise InputError("ray is not installed: pip install 'g2d-bench[ray]'", field="--executor") from None
    there = ray.is_initialized()
    if not there and address is not None:
        _require_answer(address)
    try:
        if not there:
            try:
                # What processes say is in Ray's logs; here it would come coloured, and in any order.
                ray.init(logging_level=logging.ERROR, log_to_driver=False, **more)
            except Exception as error:
                # Ray has an exception for each way in which a cluster may not be had.
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise InputError(
                    f"no Ray cluster at {address or 'this machine'}: {reason}", field="--address"
                ) from error
        yield ray
    finally:
        if not there:
            ray.shutdown()
        if own is not None:
            shutil.rmtree(own, ignore_errors=True)


def _require_answer(address: str) -> None:
    """Refuse an address at which nothing answers; Ray itself would try for many minutes.

    Raises:
        InputError: nothing does.
    """
    match = re.fullmatch(r"(?:ray://)?(.+):([0-9]{1,5})", address)
    if match is None:
        return  # "auto", or what only Ray can look up.
    try:
        socket.create_connection((match[1], int(match[2])), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"no Ray cluster at {address}: {error}", field="--address") from None


class _Sender:
    """Brings units to nodes of a cluster; see :class:`~g2d_bench.cells.executors.away.Sender`."""

    retries = 0

    def __init__(self, ray: Any, wishes: Wishes, retries: int, order: Order, needs: Needs) -> None:
        self._ray, self._wishes, self._needs = ray, wishes, needs
        self._order = ray.put(order)
        self._task = ray.remote(max_retries=retries, retry_exceptions=list(PASSING))(_on_node)
        self._tries = retries + 1
        self._out: set[Any] = set()
        self._without: dict[str, str] = {}
        nodes = self._alive()
        self._seen, self._looked = {node["NodeID"] for node in nodes}, time.monotonic()
        total = {name: sum(node["Resources"].get(name, 0) for node in nodes) for name in ("CPU", "GPU")}
        self._largest = max((node["Resources"].get("memory", 0) for node in nodes), default=0)
        self._gpus = wishes.number("num_gpus", 1 / wishes.per_gpu if total["GPU"] else 0)
        tell(f"ray: {counted(len(nodes), 'node')}, {total['CPU']:g} CPUs, {total['GPU']:g} GPUs")

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def send(self, units: Sequence[Unit]) -> Sequence[Hashable]:
        """Begin with units."""
        return [self._sent(unit) for unit in units]

    def _sent(self, unit: Unit) -> Hashable:
        wished = self._wishes.number("memory_gb", self._needs.memory(unit) / 2**30) * 2**30
        options: dict[str, Any] = {
            "num_cpus": self._wishes.number("num_cpus", 1),
            "num_gpus": self._gpus,
            # Of a unit that no node has room for Ray would never begin.
            "memory": int(min(wished, self._largest or wished)),
            "name": name_of(unit),
            "scheduling_strategy": "SPREAD",
        }
        if self._without:
            options["label_selector"] = {"ray.io/node-id": f"!in({','.join(self._without)})"}
        reference: Hashable = self._task.options(**options).remote(self._order, unit)
        self._out.add(reference)
        return reference

    def arrived(self, out: Sequence[Hashable]) -> Sequence[tuple[Hashable, Parcel | BaseException]]:
        """Wait a while for some to be through."""
        ready, _ = self._ray.wait(list(out), num_returns=1, timeout=2.0)
        if time.monotonic() - self._looked > LOOK:
            self._look()
        return [(one, self._answer(one)) for one in ready]

    def _look(self) -> None:
        """Say which nodes were lost since the last look."""
        self._looked, alive = time.monotonic(), {node["NodeID"] for node in self._alive()}
        for lost in sorted(self._seen - alive):
            tell(f"node {lost[:8]} is lost; what it was at is run once more elsewhere")
        self._seen = alive

    def _answer(self, reference: Any) -> Parcel | BaseException:
        self._out.discard(reference)
        try:
            parcel: Parcel = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            return error.cause if isinstance(error.cause, Exception) else error
        except self._ray.exceptions.RayError as error:
            why = (str(error).strip().splitlines() or [""])[0]
            return WorkerDied(
                f"its process or node was lost {self._tries} times ({type(error).__name__}: {why})"
            )
        return parcel

    def elsewhere(self, parcel: Parcel) -> bool:
        """Leave out a node that lacks something; say whether another one is left."""
        if parcel.place not in self._without:
            self._without[parcel.place] = parcel.lacks
            tell(f"node {parcel.host} ({parcel.place[:8]}) is left out: {parcel.lacks}")
        return any(
            node["NodeID"] not in self._without and node["Resources"].get("CPU", 0) for node in self._alive()
        )

    def close(self) -> None:
        """End what is still out; where nothing is, name nodes that were lost shortly before the end."""
        for reference in self._out:
            self._ray.cancel(reference, force=True)
        if not self._out:
            self._look()


def _on_node(order: Order, unit: Unit) -> Parcel:
    """Run a unit where Ray has brought it."""
    import ray

    return carry_out(order, unit, ray.get_runtime_context().get_node_id())
