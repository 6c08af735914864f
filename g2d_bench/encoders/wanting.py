"""What an encoder lacks here before it can be measured, and where to get it; found out without torch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.text_folder import needs_folder, text_folder
from g2d_bench.encoders.weights import weights_file, weights_state
from g2d_bench.errors import InputError

EXTRA = "pip install 'g2d-bench[encoders]'"
_MODULES = {name: name.replace("-", "_") for name in ("timm", "transformers", "open_clip", "open-clip")}


def wanting(card: EncoderCard, checkpoint: Path | None = None) -> tuple[bool, str]:
    """Say whether an encoder can run here, and in one line what is missing and where it is.

    Args:
        card: which one.
        checkpoint: what the settings say of its weights.

    Returns:
        Whether it runs; and the line, empty where nothing is missing. One that runs may still lack the
        tokenizer of its text side: then zero-shot and grounding tasks are n/a.
    """
    module = _MODULES.get(card.image.library, "")
    if module and find_spec(module) is None:
        return False, f"{card.image.library} is not installed: {EXTRA}"
    usable, reason = weights_state(card, checkpoint)
    if not usable:
        where, reason = origin(card), reason.removeprefix(f"{card.name}: ")
        if not where:
            return False, reason
        asked = card.weights or card.embeddings is not None
        return False, f"{where}; {reason}" if asked else f"{where}; then --checkpoint {card.name}=FILE"
    return True, _text(card, checkpoint)


def origin(card: EncoderCard) -> str:
    """Say where a card's weights are, as far as it knows: source, terms, whether they must be accepted."""
    notes = list(dict.fromkeys(layout.note for layout in card.checkpoint if layout.note))
    where = card.source or (notes[0] if notes else "")
    if card.gated:
        accept = f"accept the terms at {card.terms}" if card.terms else "accept its publisher's terms"
        return f"{where} ({accept})" if where else accept
    return f"{where} (terms: {card.terms})" if where and card.terms else where


def _text(card: EncoderCard, checkpoint: Path | None) -> str:
    """Say what the text side lacks."""
    if not needs_folder(card):
        return ""
    try:
        file = weights_file(card, checkpoint)
    except InputError:
        return ""
    if file is None or text_folder(card, file) is not None:
        return ""
    assert card.text is not None
    name = card.text.source.partition(":")[2]
    return f"for texts: the tokenizer of {name}, in a folder of that name beside the weights"
