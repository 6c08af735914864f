"""Checks of a data set as a whole: readable, complete, divided without leaks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from g2d_bench.data.divide import usable
from g2d_bench.data.leaks import find_leaks
from g2d_bench.data.task_data import TaskData
from g2d_bench.errors import InputError
from g2d_bench.readers.registry import dataset_class

if TYPE_CHECKING:
    from g2d_bench.cells.bench import Bench


def verify(bench: Bench, names: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Read data sets in full and yield one line per check, with whether it passed.

    Args:
        bench: opened settings.
        names: data sets; empty means all that are there.

    Raises:
        InputError: a file cannot be read, or an unknown name.
    """
    from g2d_bench.readers.registry import dataset_names

    for name in names:
        dataset_class(name)
    for name in names or [name for name in dataset_names() if bench.source.state(name) != "no"]:
        dataset, manifest = bench.dataset(name)
        yield (
            f"{name}: {len(manifest.samples)} images ({manifest.kind}), content {manifest.content_hash[:12]}",
            True,
        )
        yield from ((f"  {remark}", True) for remark in manifest.remarks)
        for task in bench.catalogue.tasks:
            if task.dataset != name:
                continue
            try:
                usable(manifest.samples, task)
            except InputError as error:
                # A part of a release that was not downloaded hinders its tasks alone.
                yield f"  {task.name}: cannot run here: {error}", True
                continue
            for split, rule in task.split.items():
                protocol = next((card for card in bench.catalogue.protocols if card.split == split), None)
                if protocol is None:
                    continue
                data = TaskData(task, protocol, dataset, manifest, 1.0, 0)
                parts = {"train": data.train, "val": data.val, "test": data.test}
                sizes = ", ".join(
                    f"{part} {len(ids)} ({data.positives(ids)} positive)" for part, ids in parts.items()
                )
                yield f"  {task.name}, split {split}: {sizes}", True
                leaks = find_leaks(data.split, manifest, data.leak_pixels())
                # A published split is kept with its defects; its leaks are known and stated, not failures.
                yield f"  {task.name}, split {split}: {len(leaks)} leaks", not leaks or bool(rule.function)
            if task.counts and manifest.kind == "real":
                ids = tuple(data.samples)
                found = {"images": len(ids), "positive": data.positives(ids)}
                for what, wanted in task.counts.items():
                    yield (
                        f"  {task.name}: {what} {found[what]} of {wanted} in the public release",
                        found[what] == wanted,
                    )
