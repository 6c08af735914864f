"""An audit in words."""

from __future__ import annotations

from collections.abc import Iterator

from g2d_bench.data.audit_facts import Audit, DatasetAudit, SharedFacts, SplitAudit


def render_audit(audit: Audit) -> Iterator[str]:
    """Yield the lines of a report on data sets, each by itself."""
    for dataset in audit.datasets:
        yield _dataset(dataset)
        for what in sorted(set(dataset.seen_by.values())):
            names = ", ".join(name for name, saw in dataset.seen_by.items() if saw == what)
            yield f"  {'images and labels' if what == 'labels' else what} seen in pre-training by {names}"
        for one in audit.splits:
            if one.dataset == dataset.name:
                yield from (f"  {line}" for line in _split(one))
        yield ""
    for name, why in audit.unread.items():
        yield f"{name}: cannot be read: {why}"
        yield ""


def render_between(audit: Audit) -> Iterator[str]:
    """Yield the lines on what tasks and data sets share with each other."""
    if audit.crossings:
        yield "trained on in one task, tested on in another (harmless while no encoder is trained on both):"
        for crossing in audit.crossings:
            names = f"training images of {crossing.train} are test images of {crossing.test}"
            yield f"  {crossing.images:,} {names}"
    if len(audit.datasets) > 1:
        yield "images that data sets share by their ids:"
        for pair, count in audit.shared_images.items():
            yield f"  {pair}: {count:,}"
        if not audit.shared_images:
            yield "  none"
        for note in audit.notes:
            yield f"  {note}"


def _dataset(found: DatasetAudit) -> str:
    what = "" if found.images_read else ", tables only: files and pixels are not compared"
    boxes = f", {found.boxes:,} boxes on {found.boxed:,} of them" if found.boxes else ""
    return f"{found.name} ({found.kind}{what}): {found.images:,} images of {found.patients:,} patients{boxes}"


def _split(one: SplitAudit) -> Iterator[str]:
    yield f"{one.title}: {one.rule}"
    if one.error:
        yield f"  cannot be made here: {one.error}"
        return
    boxed = any(part.boxed not in (0, part.positive) for part in one.parts.values())
    head = f"  {'':5}  {'images':>8}  {'positive':>8}  {'patients':>8}"
    yield head + (f"  {'with boxes':>10}" if boxed else "")
    for name, facts in one.parts.items():
        line = f"  {name:5}  {facts.images:8,}  {facts.positive:8,}  {facts.patients:8,}"
        yield line + (f"  {facts.boxed:10,}" if boxed else "")
    if one.unused:
        yield f"  {one.unused:,} images are in no part"
    leaks = [line for pair in one.shared for line in _shared(pair)]
    yield from leaks
    if not leaks:
        compared = "images, patients"
        if one.shared[0].files is not None:
            compared += ", files"
        if one.shared[0].near_duplicates is not None:
            compared += ", near-duplicates"
        yield f"  the parts share nothing ({compared})"
    for part, (lacking, positive) in one.incomplete.items():
        if lacking:
            yield f"  {part}: {lacking:,} of {positive:,} positive images lack a part of their mask"
    if one.all_empty is not None:
        yield f"  predicting nothing scores {100 * one.all_empty:.1f} by dice_legacy"
    if one.list_as_computed is not None:
        yield "  the id list is " + ("" if one.list_as_computed else "NOT ") + "what the rule computes here"
    yield f"  hash {one.hash[:8]}"


def _shared(pair: SharedFacts) -> Iterator[str]:
    first, second = pair.parts
    names = f"{first} and {second}"
    if pair.ids:
        yield f"  LEAK {names} share {pair.ids:,} images ({pair.positive_ids:,} positive)"
    if pair.patients > pair.ids or (pair.patients and pair.images > pair.ids):
        yield (
            f"  LEAK {names} share {pair.patients:,} patients: {pair.images:,} images of {second} are of "
            f"patients in {first}"
        )
    if pair.files and pair.files > pair.ids:
        yield f"  LEAK {names} share {pair.files:,} files"
    if pair.near_duplicates:
        yield f"  LEAK {names} have {pair.near_duplicates:,} pairs of near-duplicates"
