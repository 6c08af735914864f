"""As jobs of Slurm, by submitit; nodes and this machine share the folder of results."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from g2d_bench.cells.executors.away import WINDOW, Order, Parcel, carry_out, run_away
from g2d_bench.cells.executors.base import Wishes, Work, WorkerDied
from g2d_bench.cells.executors.ledger import Ledger
from g2d_bench.cells.executors.needs import Needs
from g2d_bench.cells.sharing import Unit
from g2d_bench.cells.units import Done
from g2d_bench.errors import InputError
from g2d_bench.plain import counted
from g2d_bench.progress import tell

PASSED_ON = ("partition", "account", "qos", "constraint", "exclude")
"""Options that Slurm itself understands under these names."""
OPTIONS = (*PASSED_ON, "cluster", "timeout_min", "cpus", "gpus", "memory_gb")
CLUSTERS = ("slurm", "local", "debug")
"""submitit's executors: Slurm, processes of this machine, this process."""
JOBS_FOLDER = ".submitit"
"""Below the results: what is sent, and what jobs print."""
BAD_NODES = 8
"""Nodes that may lack something until it is taken for the user's fault, and not theirs."""
PAUSE = 1.0
"""Seconds between two looks at which jobs are through."""
ALIVE = ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "REQUEUED", "COMPLETING", "PREEMPTED")
"""What Slurm says of jobs from which something is still to be expected."""


class Slurm:
    """Runs units as jobs of Slurm, by arrays.

    Args:
        wishes: ``jobs`` that run at a time, and the options ``partition``, ``account``, ``qos``,
            ``constraint``, ``exclude``, ``timeout_min``, and of a job ``cpus``, ``gpus``, ``memory_gb``.
            ``cluster`` may be ``local`` or ``debug``, for a trial without Slurm.

    Raises:
        InputError: an option is wrong.
    """

    def __init__(self, wishes: Wishes) -> None:
        wishes.require_known("slurm", OPTIONS)
        self._wishes = wishes
        self._cluster = wishes.options.get("cluster", "slurm")
        if self._cluster not in CLUSTERS:
            raise InputError(f"cluster is one of {', '.join(CLUSTERS)}", field="--executor-option")
        for name in ("timeout_min", "cpus", "gpus", "memory_gb"):
            wishes.number(name, 0)

    def run(self, units: Sequence[Unit], work: Work) -> Iterator[tuple[Unit, Done]]:
        """Run units; see :meth:`~g2d_bench.cells.executors.base.Executor.run`."""
        needs = Needs(work.bench.store.files(), work.bench.options.memory_budget)
        folder = work.bench.store.root.absolute() / JOBS_FOLDER
        ledger = Ledger(self._cluster, folder, work.bench)
        sender = _Sender(self._cluster, folder, self._wishes, Order.of(work.bench), needs, ledger)
        # Slurm holds back what is beyond the jobs that run at a time; elsewhere that is for us to do.
        window = WINDOW if self._cluster == "slurm" else self._wishes.jobs or 1
        try:
            yield from run_away(needs.longest_first(units), work, sender, window)
        finally:
            sender.close()


EXECUTOR = Slurm


def _executor(cluster: str, folder: Path, wishes: Wishes) -> Any:
    """Return submitit's executor.

    Raises:
        InputError: submitit or Slurm is not here.
    """
    try:
        import submitit
    except ImportError:
        reason = "submitit is not installed: pip install 'g2d-bench[slurm]'"
        raise InputError(reason, field="--executor") from None
    try:
        executor = submitit.AutoExecutor(folder, cluster=cluster)
    except RuntimeError as error:
        raise InputError(f"no Slurm here: {error}", field="--executor") from None
    executor.update_parameters(
        name="g2d-bench",
        timeout_min=math.ceil(wishes.number("timeout_min", 24 * 60)),
        cpus_per_task=math.ceil(wishes.number("cpus", 4)),
        gpus_per_node=math.ceil(wishes.number("gpus", 0)),
        slurm_array_parallelism=wishes.jobs or WINDOW,
        **{f"slurm_{name}": wishes.options[name] for name in PASSED_ON if name in wishes.options},
    )
    return executor


class _Sender:
    """Brings units to nodes as jobs; see :class:`~g2d_bench.cells.executors.away.Sender`."""

    retries = 1

    def __init__(
        self,
        cluster: str,
        folder: Path,
        wishes: Wishes,
        order: Order,
        needs: Needs,
        ledger: Ledger,
    ) -> None:
        self._executor = _executor(cluster, folder, wishes)
        self._cluster, self._wishes, self._order, self._needs = cluster, wishes, order, needs
        self._folder, self._ledger = folder, ledger
        self._out: dict[Hashable, Any] = {}
        excluded = wishes.options.get("exclude")
        self._without = [excluded] if excluded else []

    def send(self, units: Sequence[Unit]) -> Sequence[Hashable]:
        """Submit one array of those units at which no job of an earlier run is still at work, or was."""
        jobs = {unit: job for unit in units if (job := self._earlier(unit)) is not None}
        if jobs:
            taken = [job.job_id for job in jobs.values()]
            count = counted(len(taken), "job")
            tell(f"{self._cluster}: {count} of an earlier run taken up, from {taken[0]} on")
        if new := [unit for unit in units if unit not in jobs]:
            need = max(self._needs.memory(unit) for unit in new) / 2**30
            self._executor.update_parameters(mem_gb=math.ceil(self._wishes.number("memory_gb", need)))
            sent = self._executor.map_array(carry_out, [self._order] * len(new), new)
            tell(f"{self._cluster}: {counted(len(sent), 'job')} submitted, from {sent[0].job_id} on")
            jobs |= zip(new, sent, strict=True)
        # First of all in our hands, so that whatever ends the run here ends them, too.
        self._out |= {job.job_id: job for job in jobs.values()}
        for unit in new:
            self._ledger.sent(jobs[unit].job_id, unit)
        return [jobs[unit].job_id for unit in units]

    def _earlier(self, unit: Unit) -> Any:
        """Return the job of an earlier run that works at a unit, or has made it; None without one."""
        import submitit

        kinds = {"slurm": submitit.SlurmJob, "local": submitit.LocalJob}
        for one in self._ledger.earlier(unit) if self._cluster in kinds else ():
            if one not in self._out:
                job = kinds[self._cluster](self._folder, one)
                if job.paths.result_pickle.exists() or job.state.upper() in ALIVE:
                    return job
                self._ledger.through(one)
        return None

    def arrived(self, out: Sequence[Hashable]) -> Sequence[tuple[Hashable, Parcel | BaseException]]:
        """Look which jobs are through, or wait a moment."""
        found = [(one, self._answer(one)) for one in out if self._out[one].done()]
        if not found:
            time.sleep(PAUSE)
        return found

    def _answer(self, handle: Hashable) -> Parcel | BaseException:
        import submitit

        job = self._out.pop(handle)
        self._ledger.through(job.job_id)
        try:
            parcel: Parcel = job.result()
        except submitit.core.utils.FailedJobError as error:
            return error
        except submitit.core.utils.UncompletedJobError:
            return WorkerDied(
                f"job {handle} ended without a word ({job.state}); its log is {job.paths.stderr}"
            )
        # What it printed is kept; what it made is in the store, and would be there twice.
        for path in (job.paths.result_pickle, job.paths.submitted_pickle):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        return parcel

    def elsewhere(self, parcel: Parcel) -> bool:
        """Leave out a node that lacks something; say whether others may do."""
        if self._cluster != "slurm" or len(self._without) >= BAD_NODES:
            return False
        if parcel.host not in self._without:
            self._without.append(parcel.host)
            tell(f"node {parcel.host} is left out: {parcel.lacks}")
            self._executor.update_parameters(slurm_exclude=",".join(self._without))
        return True

    def close(self) -> None:
        """End what is still out."""
        for job in self._out.values():
            job.cancel(check=False)
            self._ledger.through(job.job_id)
