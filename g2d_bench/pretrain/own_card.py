"""The encoder card that a finished run leaves beside its weights, ready for `--encoders-dir`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from g2d_bench.cards.encoder import NAME, NAME_IN_WORDS, EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.cards.pretraining import GENERATED, PRETRAINED
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.plain import in_toml

OWN = "own"


def card_name(out: Path, wanted: str = "") -> str:
    """Name a run's encoder: as asked, else after its folder.

    Args:
        out: the run's folder.
        wanted: what the user asked for.

    Returns:
        A name that no shipped card has: ``g2d-own`` for a folder ``g2d``.

    Raises:
        InputError: the name that was asked for is none, or a shipped card's.
    """
    taken = {path.stem for path in shipped("baselines").glob("*.toml")}
    if wanted:
        if not re.fullmatch(NAME, wanted):
            raise InputError(f"{wanted!r} is no name of an encoder, want {NAME_IN_WORDS}", field="--name")
        if wanted in taken:
            raise InputError(f"{wanted!r} is a shipped encoder's name", field="--name")
        return wanted
    name = re.sub(r"[^a-z0-9]+", "-", out.resolve().name.lower())[:40].strip("-") or OWN
    return f"{name}-{OWN}" if name in taken else name


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
    seen = _seen(data["kind"], data["source"])
    text = shown.text if shown else None
    lines = [
        f"# Made with its weights; load it with --encoders-dir {path.parent.name}",
        f"title = {in_toml(f'{shown.title if shown else method} (pre-trained on {seen})')}",
        f"paper = {in_toml(shown.paper if shown else '')}",
        f"objective = {in_toml(method)}",
        f"scale = {in_toml('phantom' if recipe['text'] == 'small' else 'published')}",
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


def _seen(kind: str, source: str) -> str:
    """Name the data of a run as a card does; what a folder's name holds beyond that is left out."""
    name = re.sub(r"[^\w.+/ -]+", "-", Path(source).name).lstrip("_.+/ -") or OWN
    if kind != "phantom":
        return name
    own = source.removeprefix(f"{GENERATED} ")
    return GENERATED if own == PRETRAINED else f"{GENERATED}/{own}"


def _notes(card: Mapping[str, Any]) -> str:
    data, pairs = card["data"], card["data"]["pairs"]
    return (
        f"Pre-trained with {card['made']['by']} on {pairs['train']} pairs of {data['source']} "
        f"({data['hash'][:12]}), variant {card['variant']}, {card['steps']} steps, seed {card['seed']}."
    )
