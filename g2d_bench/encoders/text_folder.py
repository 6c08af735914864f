"""Where the configuration and tokenizer of a published text encoder lie, found out without importing torch.

Checkpoints bring the weights of their text encoder along, but neither its configuration nor its tokenizer;
BioViL's leave the weights to the folder, too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from g2d_bench.cards.encoder import FOLDER, HUB, LIBRARY, LOCAL, SHIPPED, EncoderCard
from g2d_bench.encoders.weights import WEIGHTS_FILES, file_hash, in_hub_cache
from g2d_bench.errors import InputError, first_line
from g2d_bench.hashing import digest_json

CONFIG = "config.json"
_REPOSITORY = re.compile(r"((\w[\w.-]*/)?\w[\w.-]{0,95})(@[\w.-]+)?")
_SMALL = (
    *(CONFIG, "tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt"),
    *("spiece.model", "tokenizer.model", "sentencepiece.bpe.model"),
)
_PAIRS = (*_SMALL, "special_tokens_map.json", "open_clip_config.json")
"""What the towers of one model may read beside its weights."""


def needs_folder(card: EncoderCard) -> bool:
    """Say whether a card's text encoder takes something from a folder of its own."""
    return card.text is not None and card.text.source != SHIPPED


def text_folder(card: EncoderCard, file: Path) -> Path | None:
    """Find the folder of a card's text encoder, without network.

    Args:
        card: an encoder whose text encoder needs a folder.
        file: its weights.

    Returns:
        The folder of ``local-dir:``; for ``hf-hub:ORGANISATION/NAME`` the folder ``NAME`` beside the weights,
        else the snapshot in the Hugging Face cache; None if there is none.
    """
    assert card.text is not None
    return source_folder(card.text.source, file)


def source_folder(source: str, file: Path) -> Path | None:
    """Find the folder of ``hf-hub:NAME@REVISION``, ``local-dir:PATH``, ``library``: :func:`text_folder`."""
    if source == LIBRARY:
        return file.parent
    if source.startswith(LOCAL):
        try:
            path = Path(source.removeprefix(LOCAL)).expanduser()
            return path if path.is_dir() else None
        except (OSError, RuntimeError, ValueError):  # no such user, a name too long, a NUL in it
            return None
    said = _REPOSITORY.fullmatch(source.removeprefix(HUB))
    if not source.startswith(HUB) or said is None:
        return None
    name, revision = _parts(source)
    beside = _beside(file, name)
    if beside.is_dir():
        return beside
    found = in_hub_cache(name, (CONFIG,), revision)
    return None if found is None else found.parent


def download_folder(card: EncoderCard, file: Path) -> Path:
    """Fetch the folder of a card's text encoder from the hub.

    Raises:
        InputError: it is not within reach, or no hub's; the text says where to put it.
    """
    assert card.text is not None
    if card.text.source.startswith(HUB):
        from huggingface_hub import snapshot_download

        wanted = [*_SMALL, *(WEIGHTS_FILES if takes_weights(card) else ())]
        try:
            name, revision = _parts(card.text.source)
            pinned: dict[str, Any] = {} if revision is None else {"revision": revision}
            return Path(snapshot_download(name, allow_patterns=wanted, **pinned))
        except Exception as error:  # offline, unknown name, full disk: each library version raises its own
            raise InputError(f"{absent(card, file)} ({first_line(error)})") from None
    raise InputError(absent(card, file))


def absent(card: EncoderCard, file: Path) -> str:
    """Say that the folder is not there, and the way out, in a line."""
    assert card.text is not None
    source = card.text.source
    if source.startswith(LOCAL):
        return f"no folder {source.removeprefix(LOCAL)} with the tokenizer of {card.name}"
    if source == LIBRARY:
        return f"no tokenizer of {card.name} beside {file}"
    name, _ = _parts(source)
    return (
        f"no tokenizer: {name} is not in the Hugging Face cache; put a copy of it at {_beside(file, name)}, "
        f"or run `g2d-bench doctor --encoder {card.name} --checkpoint {file}` once with network"
    )


def takes_weights(card: EncoderCard) -> bool:
    """Say whether weights are read from the folder, too."""
    parts = [part for layout in card.checkpoint for part in (layout.text, layout.heads) if part is not None]
    return any(start.startswith(FOLDER) for part in parts for start in part.names)


def folder_weights(folder: Path) -> Path:
    """Return the weights in a folder.

    Raises:
        InputError: it has none.
    """
    for name in WEIGHTS_FILES:
        if (folder / name).is_file():
            return folder / name
    raise InputError(f"text encoder folder without {' or '.join(WEIGHTS_FILES)}", file=folder)


def text_digest(card: EncoderCard, file: Path) -> str:
    """Name what a card takes from the folder: a hash of its files, or ``absent``.

    A cell that could not be asked for want of a tokenizer is another cell than one that can.
    """
    folder = text_folder(card, file)
    if folder is None:
        return "absent"
    if card.text is not None and card.text.source == LIBRARY:
        beside = [folder / name for name in _PAIRS]
        return digest_json({one.name: file_hash(one) for one in beside if one.is_file()})
    names = [*_SMALL, *(WEIGHTS_FILES if takes_weights(card) else ())]
    return digest_json({name: file_hash(folder / name) for name in names if (folder / name).is_file()})


def _parts(source: str) -> tuple[str, str | None]:
    """Return name and revision of a source on the hub."""
    name, _, revision = source.removeprefix(HUB).partition("@")
    return name, revision or None


def _beside(file: Path, name: str) -> Path:
    return file.parent / name.split("/")[-1]
