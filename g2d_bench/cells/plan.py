"""From what a user asks for to the ordered cells that answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import HUB, TIMM, EncoderCard
from g2d_bench.cards.kind import KINDS
from g2d_bench.cards.objective import CONTROLS
from g2d_bench.cards.protocol import Protocol
from g2d_bench.cards.task import TaskCard
from g2d_bench.encoders.weights import weights_state
from g2d_bench.errors import InputError
from g2d_bench.records.cell import DECODER, Cell, encoder_order


@dataclass(frozen=True)
class Skipped:
    """An encoder, or of `all` a task, that was left out, and why."""

    name: str
    reason: str


def make_cells(
    catalogue: Catalogue,
    *,
    tasks: Sequence[str],
    encoders: Sequence[str],
    fractions: Sequence[float],
    seeds: Sequence[int],
    protocol: str,
    weights: Callable[[EncoderCard], tuple[bool, str]],
    shots: Sequence[int] = (),
) -> tuple[list[Cell], list[Skipped]]:
    """Lay out the grid.

    Tasks that train nothing have one cell per encoder: no fraction and no seed moves their numbers.

    Args:
        catalogue: all cards.
        tasks: task names; ``all`` means every card.
        encoders: encoder names; empty means all whose weights are there, see :func:`_default_encoders`.
        fractions: label fractions; empty means those on the task's card, or none where there are shots.
        seeds: seeds.
        protocol: protocol name.
        weights: says of an encoder card whether its weights can be loaded, and if not, why.
        shots: training images per class, for cells beside those of fractions.

    Returns:
        Cells in the order of work (cheap fractions first), and what is left out.

    Raises:
        InputError: a name is unknown, a named task is none of the protocol's, or nothing is left to run.
    """
    rule = catalogue.protocols[protocol]
    if shots and rule.draw == "published":
        raise InputError(f"protocol {protocol!r} draws images as published, by fractions", field="--shots")
    asked = [
        catalogue.tasks[name] for name in (catalogue.tasks.names if "all" in tasks else dict.fromkeys(tasks))
    ]
    cards = [*asked, *_insides(catalogue, asked)]
    refused = {card.name: reason for card in cards if (reason := rule.refusal(card))}
    for task in asked:
        if task.name in refused and "all" not in tasks:
            raise InputError(refused[task.name], file=f"{task.name}.toml", field="--protocol")
    cards = [card for card in cards if card.name not in refused]
    named = list(dict.fromkeys(encoders))
    for name in named:
        card = catalogue.encoders[name.removesuffix(DECODER)]
        usable, reason = weights(card)
        if not usable:
            raise InputError(reason, file=f"{card.name}.toml", field="weights")
        if name.endswith(DECODER) and not card.decoder:
            raise InputError(f"encoder {card.name!r} has no pre-trained decoder", field="--encoder")
    skipped = [Skipped(name, reason) for name, reason in refused.items()]
    skipped += [
        Skipped(f"{name} in {task.name}", f"takes no pre-trained decoder under {protocol}")
        for name in named
        for task in cards
        if not takes(task, name, rule)
    ]
    if not named:
        named, without_weights = _default_encoders(catalogue, weights)
        skipped += without_weights
    absent = [
        Skipped(f"{name} in {task.name}", f"its card has no embeddings of {task.dataset}")
        for name in named
        for task in cards
        if not embedded(catalogue.encoders[name.removesuffix(DECODER)], task)
    ]
    skipped += absent
    cells = [
        Cell(task=task.name, fraction=share, protocol=rule.name, seed=seed, encoder=encoder, shots=count)
        for task in cards
        for share, count in _amounts(task, fractions, shots)
        for seed in (seeds if KINDS[task.kind].trained else seeds[:1])
        for encoder in named
        if takes(task, encoder, rule) and embedded(catalogue.encoders[encoder.removesuffix(DECODER)], task)
    ]
    if not cells:
        if not cards:
            raise InputError(f"protocol {protocol!r} fits no task", field="--protocol")
        if not any(takes(task, name, rule) for task in cards for name in named or ("",)):
            what = ", ".join(task.name for task in cards)
            reason = f"a pre-trained decoder only segments, by training; {what} takes none under {protocol}"
            raise InputError(reason, field="--encoder")
        if absent:
            raise InputError(f"{absent[0].name}: {absent[0].reason}", field="--encoder")
        raise InputError("no encoder with usable weights is left to run", field="--encoder")
    return cells, skipped


def _insides(catalogue: Catalogue, cards: Sequence[TaskCard]) -> list[TaskCard]:
    """Return the tasks that give the inside scores of those that are tested elsewhere, where they are not
    among them.

    Raises:
        InputError: such a task does not train alike.
    """
    found: dict[str, TaskCard] = {}
    for card in cards:
        if not card.inside:
            continue
        inside = catalogue.tasks[card.inside]
        for field in ("kind", "dataset", "labels", "exclusive", "where", "uncertain", "unmentioned"):
            if getattr(inside, field) != getattr(card, field):
                raise InputError(
                    f"{inside.name} does not train alike: another {field}",
                    file=f"{card.name}.toml",
                    field="inside",
                )
        if inside.name not in {one.name for one in cards}:
            found[inside.name] = inside
    return list(found.values())


def _amounts(task: TaskCard, fractions: Sequence[float], shots: Sequence[int]) -> list[tuple[float, int]]:
    """Return fraction and shots of a task's cells, the fewest labels first."""
    if not KINDS[task.kind].trained:
        return [(1.0, 0)]
    shares = fractions or (() if shots else task.fractions)
    return [*((1.0, count) for count in sorted(set(shots))), *((share, 0) for share in sorted(shares))]


def _default_encoders(
    catalogue: Catalogue, weights: Callable[[EncoderCard], tuple[bool, str]]
) -> tuple[list[str], list[Skipped]]:
    """Choose the encoders of a run that names none.

    These are the small encoders that ship with the package and the published ones for which the user
    gave a checkpoint; the controls of published scale (random, ImageNet) join when a pre-trained
    encoder of the same architecture is there. Encoders with a decoder appear with and without it. What lies
    in the Hugging Face cache, for whatever reason, joins only when it is named.
    """

    def met(card: EncoderCard) -> bool:
        return card.weights.startswith((TIMM, HUB)) and weights_state(card)[0]

    state = {card.name: weights(card) for card in catalogue.encoders}
    trained = [
        card
        for card in catalogue.encoders
        if state[card.name][0]
        and (card.scale == "phantom" or (card.objective not in CONTROLS and not met(card)))
    ]
    architectures = {card.image.model for card in trained if card.scale == "published"}
    controls = [
        card
        for card in catalogue.encoders
        if card.scale == "published"
        and card.objective in CONTROLS
        and state[card.name][0]
        and card.image.model in architectures
    ]
    names = [name for card in (*trained, *controls) for name in variants(card)]
    skipped = [
        Skipped(card.name, state[card.name][1])
        for card in catalogue.encoders
        if card.scale == "phantom" and not state[card.name][0]
    ]
    return sorted(names, key=encoder_order), skipped


def variants(card: EncoderCard) -> tuple[str, ...]:
    """Return the names under which a card runs: with its decoder, too, where it has one."""
    return (card.name, card.name + DECODER) if card.decoder else (card.name,)


def takes(task: TaskCard, encoder: str, protocol: Protocol) -> bool:
    """Say whether an encoder variant is meaningful for a task: not every kind takes a decoder."""
    kind = KINDS[task.kind]
    return not encoder.endswith(DECODER) or (kind.decoder and not kind.bare(task, protocol))


def embedded(card: EncoderCard, task: TaskCard) -> bool:
    """Say whether a card has what a task needs of it: of embeddings, those of its data set.

    A card that names no file at all is given one, of whatever data set, on the command line.
    """
    return card.embeddings is None or not card.embeddings.files or task.dataset in card.embeddings.files
