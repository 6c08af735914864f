"""What our own pre-training writes beside the image encoder: text encoder, heads, decoder.

A pre-trained file is one safetensors with the prefixes ``image.``, ``text.``, ``heads.`` and ``decoder.``.
Its metadata hold, under ``g2d_bench``, a JSON model card; here these of its keys are read::

    {"text": {"source": "small", "options": {...}},      # or "hf-hub:NAME", "local-dir:PATH"
     "tokenizer": "<sha256 of tokenizer.json>",          # for "small"
     "heads": {"method": "g2d", "options": {...}},
     "decoder": {...}}                                   # UNetDecoder.options
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from torch import Tensor, nn

from g2d_bench.encoders.checkpoint import METADATA_KEY, Checkpoint
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file
from g2d_bench.paths import PACKAGE

if TYPE_CHECKING:
    from g2d_bench.encoders.decoder import UNetDecoder
    from g2d_bench.encoders.heads.base import Heads
    from g2d_bench.encoders.text import TextEncoder

N = TypeVar("N", bound=nn.Module)

TOKENIZER = "tokenizer.json"


class Companions(NamedTuple):
    """The modules of a pre-trained file beside the image encoder; None for what it does not bring."""

    text: TextEncoder | None
    heads: Heads | None
    decoder: UNetDecoder | None


def load_companions(checkpoint: Checkpoint, image: ImageEncoder) -> Companions:
    """Build and load what a g2d-bench file brings along.

    Args:
        checkpoint: the opened file.
        image: its image encoder, whose shape the others follow.

    Raises:
        InputError: the model card does not describe what the tensors need, they do not fit, or the
            tokenizer is missing or another one.
    """
    parts: dict[str, dict[str, Tensor]] = {"text": {}, "heads": {}, "decoder": {}}
    for name, tensor in checkpoint.states[""].items():
        part, _, rest = name.partition(".")
        if part in parts:
            parts[part][rest] = tensor.float() if tensor.is_floating_point() else tensor
    text = _load(checkpoint, "text", parts["text"], lambda card: _text(checkpoint, card))
    heads = None
    if text is not None:
        width = text.width
        heads = _load(checkpoint, "heads", parts["heads"], lambda card: _heads(card, image, width))
    decoder = _load(checkpoint, "decoder", parts["decoder"], lambda card: _decoder(card, image))
    return Companions(text, heads, decoder)


def _load(
    checkpoint: Checkpoint, part: str, state: Mapping[str, Tensor], build: Callable[[Mapping[str, Any]], N]
) -> N | None:
    """Build one part from its description and fill it; every entry must fit."""
    if not state:
        return None
    field = f"{METADATA_KEY}.{part}"
    card = checkpoint.metadata.get(part)
    if not isinstance(card, Mapping):
        raise InputError(
            f"the file has {part} tensors but does not describe them", file=checkpoint.file, field=field
        )
    try:
        module = build(card)
        # The text encoder's tensors are those of the BERT inside of it.
        target = getattr(module, "bert", module)
        target.load_state_dict(dict(state))
    except (TypeError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"description and tensors disagree: {error}", file=checkpoint.file, field=field
        ) from None
    return module


def _text(checkpoint: Checkpoint, card: Mapping[str, Any]) -> TextEncoder:
    from g2d_bench.encoders.text import TextEncoder

    if card["source"] != "small":
        return TextEncoder.open(card["source"], **card.get("options", {}))
    return TextEncoder.small(_tokenizer(checkpoint), **card.get("options", {}))


def _tokenizer(checkpoint: Checkpoint) -> Path:
    """Find the tokenizer: beside the file, as pre-training leaves it, or the shipped one."""
    expected = checkpoint.metadata.get("tokenizer")
    found = [
        path
        for path in (checkpoint.file.parent / TOKENIZER, PACKAGE / "weights" / TOKENIZER)
        if path.is_file()
    ]
    for path in found:
        if expected is None or digest_file(path) == expected:
            return path
    reason = "is not the one that the text encoder was trained with" if found else "is missing"
    raise InputError(
        f"{TOKENIZER} {reason}; keep it beside the weights", file=checkpoint.file, field="tokenizer"
    )


def _heads(card: Mapping[str, Any], image: ImageEncoder, text_width: int) -> Heads:
    from g2d_bench.encoders.heads.make import make_heads

    return make_heads(
        card["method"],
        channels=image.channels,
        strides=image.strides,
        num_features=image.num_features,
        text_width=text_width,
        **card.get("options", {}),
    )


def _decoder(card: Mapping[str, Any], image: ImageEncoder) -> UNetDecoder:
    from g2d_bench.encoders.decoder import UNetDecoder

    return UNetDecoder(image.channels, image.strides, **card)
