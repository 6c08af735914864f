"""What the predictions of many records tell, derived by all processors."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures.process import BrokenProcessPool

from g2d_bench.errors import InputError
from g2d_bench.processes import cores, deaf_to_interrupts, one_thread_each, worker_pool
from g2d_bench.records.recompute import Facts, facts_of, has_facts
from g2d_bench.records.selection import Found

Told = Facts | InputError
"""What predictions tell, or what is wrong with them."""
FEW = 24
"""Up to so many records are read quicker than processes start."""


def told_by_each(found: Sequence[Found], *, fresh: bool = False) -> Generator[Told | None]:
    """Derive what predictions tell, or take it from the cache, record by record.

    Args:
        found: records; those of which nothing is kept are shared among the processors.
        fresh: derive all anew, whatever is kept.

    Yields:
        For each record what its predictions tell, what is wrong with them, or None where there are none.
        To be closed where it is not read to its end: processes may be at work.
    """
    open_ones = [one for one in found if _has_file(one) and (fresh or not has_facts(one))]
    if len(open_ones) <= FEW or cores() == 1:
        yield from (told_by(one, fresh=fresh) for one in found)
        return
    with worker_pool(min(cores(), len(open_ones)), one_thread_each) as pool:
        with deaf_to_interrupts():
            tasks = {id(one): pool.submit(told_by, one, fresh=fresh) for one in open_ones}
        for one in found:
            task = tasks.pop(id(one), None)
            if task is None or isinstance(task.exception(), BrokenProcessPool):
                # A process that is killed, as happens when memory runs out, takes the others' work with it.
                yield told_by(one, fresh=fresh and task is not None)
            else:
                yield task.result()


def told_by(found: Found, *, fresh: bool = False) -> Told | None:
    """Derive what one record's predictions tell, of the metrics that it states; see :func:`told_by_each`."""
    if not _has_file(found):
        return None
    try:
        return facts_of(found, tuple(found.record.metrics), fresh=fresh)
    except InputError as error:
        return error


def _has_file(found: Found) -> bool:
    return found.path is not None and found.record.predictions is not None
