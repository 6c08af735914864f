"""From finished cells to a bundle for a repository of results."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from g2d_bench import __version__
from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.kind import KINDS
from g2d_bench.cells.bundle import CARDS, HOLDS, README, RECORDS, SUBMISSIONS, Claim, Submission
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import require_sound
from g2d_bench.draft_folders import draft_folder, not_placed
from g2d_bench.errors import InputError
from g2d_bench.files import CannotWrite, write_atomically
from g2d_bench.hashing import digest_json
from g2d_bench.plain import visible
from g2d_bench.provenance import now
from g2d_bench.readers.registry import READERS
from g2d_bench.records.cell import Cell, percent
from g2d_bench.records.compact import write_compact
from g2d_bench.records.record import digest_bytes, sealed, to_json
from g2d_bench.records.selection import Found
from g2d_bench.records.signature import parse_signature


@dataclass(frozen=True)
class Wishes:
    """What a submitter may ask for.

    Attributes:
        note: words of theirs.
        partial: why rows are not complete; "" where they are.
        predictions: whether predictions on real data go along; without them nobody can check the numbers.
    """

    note: str = ""
    partial: str = ""
    predictions: bool = True


@dataclass(frozen=True)
class Made:
    """A bundle that was written.

    Attributes:
        name: of the submission.
        records: how many there are.
        remarks: what its submitter should know.
    """

    name: str
    records: int
    remarks: tuple[str, ...]


def submit(
    found: Sequence[Found],
    out: Path,
    settings: Settings,
    wishes: Wishes,
    base: Sequence[Found] = (),
    check: Callable[[Path], Sequence[str]] = lambda _: (),
) -> Made:
    """Write a bundle.

    Args:
        found: the records, with their files.
        out: the folder to make; it must not be there, or be empty.
        settings: where the cards are.
        wishes: what goes along.
        base: what the repository of results holds; records that are there already are left out.
        check: looks at the finished bundle and returns what is wrong with it.

    Raises:
        InputError: a record that does not verify or misses its cells, an encoder of which card, licence or
            pre-training is not known, nothing new, or a folder in which something is. Nothing is left then.
    """
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise InputError("is there already; name a new folder", file=out, field="--out")
    require_sound(found, settings)
    there = {(one.cell, one.record.signature, one.record.key) for one in base}
    new = [one for one in found if (one.cell, one.record.signature, one.record.key) not in there]
    if not new:
        raise InputError(f"all {len(found)} records are there already", field="--against")
    catalogue = Catalogue.open(settings.task_dirs, settings.encoder_dirs, settings.protocol_dirs)
    missing = lacking(new, catalogue, base)
    if missing and not wishes.partial:
        raise InputError(
            f"rows are not complete: {missing[0]}"
            + (f" (and {len(missing) - 1} more)" if len(missing) > 1 else "")
            + "; a row that lacks cells has no mean. Run them, or say why with --partial REASON"
        )
    cards = {one.cell.card: _card(one, catalogue) for one in new}
    claims = {
        name: _claim(card, [one for one in new if one.cell.card == name]) for name, card in cards.items()
    }
    try:
        with draft_folder(out, HOLDS) as draft:
            made = _write(draft, new, claims, cards, wishes, catalogue)
            if wrong := check(draft):
                raise InputError(
                    wrong[0].replace(f"{draft}/", "")
                    + (f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else "")
                )
            draft.chmod(0o755)
            if out.is_dir():
                out.rmdir()
            draft.rename(out)
    except (CannotWrite, OSError) as error:
        raise not_placed(error, out) from error
    return Made(made, len(new), tuple(_remarks(new, missing, wishes)))


def lacking(new: Sequence[Found], catalogue: Catalogue, base: Collection[Found] = ()) -> list[str]:
    """Say which cells are missing in the rows to which records belong.

    A row is an encoder in a task under a protocol: all fractions of the task's card, whatever else it has,
    few shots for one, and at each of them the seeds that others have there, or, where there are no others,
    all of its own.

    Args:
        new: the records.
        catalogue: the cards.
        base: records of others.
    """
    rows: dict[tuple[str, str, str, str], set[Cell]] = defaultdict(set)
    for one in new:
        rows[one.cell.encoder, one.cell.task, one.cell.protocol, one.record.signature].add(one.cell)
    seeds_there: dict[tuple[str, tuple[float, int]], set[int]] = defaultdict(set)
    for one in base:
        seeds_there[one.record.signature, one.cell.drawn].add(one.cell.seed)
    kinds = {one.record.signature: one.record.kind for one in new}
    mine = {(one.cell.encoder, one.record.signature, one.cell.drawn, one.cell.seed) for one in (*base, *new)}
    lines = []
    for (encoder, task, protocol, signature), cells in sorted(rows.items()):
        kind = kinds[signature]
        if kind in KINDS and not KINDS[kind].trained:
            continue
        amounts = {cell.drawn for cell in cells}
        if task in catalogue.tasks.names:
            amounts |= {(fraction, 0) for fraction in catalogue.tasks[task].fractions}
        own = {cell.seed for cell in cells}
        for drawn in sorted(amounts):
            wanted = seeds_there[signature, drawn] or own
            lost = sorted(seed for seed in wanted if (encoder, signature, drawn, seed) not in mine)
            if lost:
                seeds = ",".join(map(str, lost))
                fraction, shots = drawn
                share = f"--shots {shots}" if shots else f"--fraction {percent(fraction).replace(' ', '')}"
                words = f"--task {task} --encoder {encoder} --protocol {protocol}"
                lines.append(visible(f"{words} {share} --seed {seeds}"))
    return lines


def _card(found: Found, catalogue: Catalogue) -> EncoderCard:
    """Return the card of a record's encoder.

    Raises:
        InputError: there is none here, it is another one than the record's, or it leaves something open.
    """
    name = found.cell.card
    if name not in catalogue.encoders.names:
        raise InputError(
            f"encoder {name!r} has no card here; --encoders-dir says where it lies", field="--encoder"
        )
    card = catalogue.encoders[name]
    if card.digest != found.record.encoder.card_hash:
        raise InputError(f"was measured under another card of {name!r} than the one here", file=found.where)
    if not card.licence.strip():
        raise InputError("say under which licence the weights are", file=f"{name}.toml", field="licence")
    if card.seen is None:
        raise InputError(
            "say which data sets it has seen in pre-training; images that it saw are no test",
            file=f"{name}.toml",
            field="pretraining",
        )
    return card


def _claim(card: EncoderCard, mine: Sequence[Found]) -> Claim:
    weights = {one.record.encoder.weights for one in mine}
    trained = {digest for digest in weights if not digest.startswith("init:")}
    if len(trained) > 1:
        raise InputError(
            f"{card.name} stands for {len(trained)} different weights; one name is one model",
            field="--encoder",
        )
    return Claim(
        title=card.title,
        paper=card.paper,
        licence=card.licence,
        pretraining=tuple(card.pretraining),
        scale=card.scale,
        card="" if card.folder is None else f"{CARDS}/{card.name}.toml",
        weights=tuple(sorted(weights)),
    )


def _write(
    draft: Path,
    new: Sequence[Found],
    claims: dict[str, Claim],
    cards: dict[str, EncoderCard],
    wishes: Wishes,
    catalogue: Catalogue,
) -> str:
    for one in new:
        assert one.path is not None
        parts = parse_signature(one.record.signature)
        root = one.path.parents[len(_place(one, parts.version if parts else "")) - 1]
        if wishes.predictions or one.record.data.kind == "phantom":
            # Of films that are not everybody's, nothing that can be looked at.
            free = one.record.data.kind == "phantom"
            write_compact([one], root, draft / RECORDS, cards=catalogue, pictures=free)
        else:
            bare = sealed(one.record.model_copy(update={"predictions": None}))
            write_atomically(draft / RECORDS / one.path.relative_to(root), to_json(bare))
    for name, claim in claims.items():
        if claim.card:
            folder = cards[name].folder
            assert folder is not None
            write_atomically(draft / claim.card, (folder / f"{name}.toml").read_bytes())
    files = {
        path.relative_to(draft).as_posix(): digest_bytes(path.read_bytes())
        for path in sorted(draft.rglob("*"))
        if path.is_file()
    }
    called = f"{min(claims)}-{digest_json(files)[:8]}"
    stated = Submission(
        suite=__version__, made=now(), note=wishes.note, partial=wishes.partial, encoders=claims, files=files
    )
    write_atomically(draft / SUBMISSIONS / f"{called}.json", to_json(stated))
    write_atomically(draft / README, _readme(called, claims, len(new)).encode())
    return called


def _place(found: Found, version: str) -> tuple[str, ...]:
    from g2d_bench.records.store import Store

    place = Store(Path()).path(found.cell, kind=found.record.data.kind, version=version, key=found.record.key)
    assert found.path is not None
    wanted = place.parts
    # A folder may be named that is a part of a tree of results, such as one encoder's.
    return wanted if found.path.parts[-len(wanted) :] == wanted else wanted[-1:]


def _readme(called: str, claims: dict[str, Claim], count: int) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(claims))
    return (
        f"# {called}\n\n{count} records of {names}, made by `g2d-bench submit`.\n\n"
        "Copy `records`, `cards` and `submissions` into a repository of results, and open a pull request. "
        "`g2d-bench review` says what is new, what moved, and what cannot be compared.\n"
    )


def _remarks(new: Sequence[Found], missing: Sequence[str], wishes: Wishes) -> list[str]:
    lines = [f"not complete: {line}" for line in missing]
    real: dict[str, int] = {}
    for one in new:
        if one.record.data.kind == "real":
            real[one.record.data.dataset] = one.record.data.images["test"]
    for name, images in sorted(real.items()):
        licence = READERS[name].licence if name in READERS else "unknown"
        if wishes.predictions:
            lines.append(
                f"{name}: ids, patients and true labels of {images} test images go along, no pixels; its "
                f"terms: {licence}. If they do not allow that: --without-predictions"
            )
        else:
            lines.append(
                f"{name}: without predictions nobody can check these numbers, and they get no intervals"
            )
    return [visible(line) for line in lines]
