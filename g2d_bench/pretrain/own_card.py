"""The encoder card that a finished run leaves beside its weights, ready for `--encoders-dir`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import chain, count
from pathlib import Path
from typing import Any

from g2d_bench.cards.encoder import NAME, NAME_IN_WORDS, EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.pretraining import GENERATED, PRETRAINED, parse, sources
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.plain import in_toml
from g2d_bench.pretrain.run_folder import RunFolder
from g2d_bench.readers.registry import READERS
from g2d_bench.safe_files import LARGEST_TOML, parse_toml, read_strangers

WEIGHTS = "encoder.safetensors"
"""File of a run's weights, beside its card."""
OWN = "own"
FULL = 3_000_000
"""Parameters from which an image encoder of a published recipe is of published scale: EfficientNet-B0 has 4
million, those that ship have half a million."""


def card_name(out: Path, wanted: str = "") -> str:
    """Name a run's encoder: as asked, else after its folder.

    Args:
        out: the run's folder.
        wanted: what the user asked for.

    Returns:
        A name that no shipped card has: ``g2d-own`` for a folder ``g2d``.

    Raises:
        InputError: the name that was asked for is none, a shipped card's, or another card's in the folder.
    """
    taken = {path.stem for path in shipped("baselines").glob("*.toml")}
    if wanted:
        if not re.fullmatch(NAME, wanted):
            raise InputError(f"{wanted!r} is no name of an encoder, want {NAME_IN_WORDS}", field="--name")
        if wanted in taken:
            raise InputError(f"{wanted!r} is a shipped encoder's name", field="--name")
        there = out / f"{wanted}.toml"
        if there.exists() and not _is_of_run(there):
            raise InputError(f"is no card of {WEIGHTS}; take another name", file=there, field="--name")
        return wanted
    name = re.sub(r"[^a-z0-9]+", "-", out.resolve().name.lower())[:40].strip("-") or OWN
    return f"{name}-{OWN}" if name in taken else name


def card_of(folder: RunFolder, wanted: str = "") -> Path:
    """Say where the card of a run is or goes: a run that is taken up keeps the one that it has.

    Args:
        folder: of the run; other files in it may end in ``.toml``, too.
        wanted: what the user asked for; see :func:`card_name`.
    """
    kept = folder.path / f"{folder.card}.toml"
    own = [path for path in sorted(folder.path.glob("*.toml")) if _is_of_run(path)]
    if wanted:
        return folder.path / f"{wanted}.toml"
    if own:
        return kept if kept in own else own[0]
    if folder.card and not kept.exists():
        return kept
    first = card_name(folder.path)
    names = chain((first, f"{first}-{OWN}"), (f"{first}-{OWN}-{number}" for number in count(2)))
    return next(path for name in names if not (path := folder.path / f"{name}.toml").exists())


def _is_of_run(path: Path) -> bool:
    """Whether a file is a card of the weights beside it."""
    try:
        return parse_toml(read_strangers(path, LARGEST_TOML), path).get("weights") == WEIGHTS
    except (OSError, InputError):
        return False


def write_card(path: Path, method: str, weights: Path, card: Mapping[str, Any]) -> None:
    """Write a card for a run's weights, unless there is one; it may have been edited.

    Args:
        path: the card's file; its stem is the encoder's name.
        method: the objective.
        weights: beside the card.
        card: the model card of the weights.

    Raises:
        InputError: it cannot be written.
    """
    if path.is_file():
        return
    known = shipped("baselines") / f"{method}.toml"
    shown = load_card(known, EncoderCard) if known.is_file() else None
    data, recipe, image = card["data"], card["recipe"], card["image"]
    seen = _seen(data)
    text = shown.text if shown else None
    lines = [
        f"# Made with its weights; load it with --encoders-dir {path.parent.name}",
        f"title = {in_toml(f'{shown.title if shown else method} (pre-trained on {seen})')}",
        f"paper = {in_toml(shown.paper if shown else '')}",
        f"objective = {in_toml(method)}",
        f"scale = {in_toml(_scale(card))}",
        f"weights = {in_toml(weights.name)}",
        f"decoder = {in_toml('decoder' in card)}",
        f"local_features = {in_toml(shown.local_features if shown else '')}",
        f"pretraining = {in_toml([seen])}",
        f"notes = {in_toml(_notes(card))}",
        "",
        "[image]",
        *(f"{key} = {in_toml(value)}" for key, value in image.items() if value is not None),
        "",
        "[text]",
        'source = "shipped"',
        *([f"aggregation = {in_toml(text.aggregation)}"] if text else []),
        f"max_length = {recipe['max_length']}",
    ]
    draft = path.with_name(f".{path.name}.tmp")
    try:
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InputError(f"the card cannot be written: {error.strerror}", file=path) from error
    made: EncoderCard = load_card(path, EncoderCard)
    assert made.name == path.stem


def _scale(card: Mapping[str, Any]) -> str:
    """Call an encoder as a card does; a small one must not pass for a published one, whatever its texts."""
    full = card["preset"] == "paper" and card["parameters"]["image"] >= FULL
    return "published" if full else "phantom"


def _seen(data: Mapping[str, Any]) -> str:
    """Name the data of a run as a card does; what a folder's name holds beyond that is left out."""
    name = re.sub(r"[^\w.+/ -]+", "-", Path(data["source"]).name).lstrip("_.+/ -") or OWN
    if data["kind"] == "phantom":
        own = data["source"].removeprefix(f"{GENERATED} ")
        return GENERATED if own == PRETRAINED else f"{GENERATED}/{own}"
    # Runs from before this was kept: a path is a folder.
    if data.get("own", data["source"] not in READERS) and _is_of_a_set(name):
        return f"{OWN}/{name}"
    return name


def _is_of_a_set(name: str) -> bool:
    """Whether a card would mean a data set, or generated data, by a name."""
    dataset = parse(name).dataset
    return any(dataset == one or dataset in sources(one) for one in READERS)


def _notes(card: Mapping[str, Any]) -> str:
    data, pairs = card["data"], card["data"]["pairs"]
    return (
        f"Pre-trained with {card['made']['by']} on {pairs['train']} pairs of {data['source']} "
        f"({data['hash'][:12]}), variant {card['variant']}, {card['steps']} steps, seed {card['seed']}."
    )
