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

from g2d_bench.cards.encoder import HUB, LOCAL
from g2d_bench.encoders.checkpoint import METADATA_KEY, Checkpoint
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.safe_pickle import clean
from g2d_bench.encoders.shadow import built_for, check_description
from g2d_bench.encoders.text_folder import source_folder
from g2d_bench.encoders.tokenizer import load_tokenizer
from g2d_bench.errors import InputError, first_line
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


def load_companions(checkpoint: Checkpoint, image: ImageEncoder, *, text: bool = True) -> Companions:
    """Build and load what a g2d-bench file brings along.

    The file may be a stranger's: nothing of its description is built before it was held against the tensors,
    and no network is used, whatever it names.

    Args:
        checkpoint: the opened file.
        image: its image encoder, whose shape the others follow.
        text: whether text encoder and heads are needed; they are left out where not.

    Raises:
        InputError: the model card does not describe what the tensors need, they do not fit, or the
            tokenizer is missing or another one.
    """
    parts: dict[str, dict[str, Tensor]] = {"text": {}, "heads": {}, "decoder": {}}
    if not text:
        del parts["text"], parts["heads"]
    for name, tensor in checkpoint.states[""].items():
        part, _, rest = name.partition(".")
        if part in parts:
            parts[part][rest] = tensor.float() if tensor.is_floating_point() else tensor
    decoder = _load(checkpoint, "decoder", parts["decoder"], lambda card: _decoder(card, image))
    if not text:
        return Companions(None, None, decoder)
    written = _load(checkpoint, "text", parts["text"], lambda card: _text(checkpoint, card, parts["text"]))
    heads = None
    if written is not None:
        width = written.width
        heads = _load(checkpoint, "heads", parts["heads"], lambda card: _heads(card, image, width))
    return Companions(written, heads, decoder)


def _load(
    checkpoint: Checkpoint,
    part: str,
    state: Mapping[str, Tensor],
    choose: Callable[[dict[str, Any]], Callable[[], N]],
) -> N | None:
    """Build one part from its description and fill it; every entry must fit."""
    if not state:
        return None
    field = f"{METADATA_KEY}.{part}"
    card = checkpoint.metadata.get(part)
    if not isinstance(card, dict):
        raise InputError(
            f"the file has {part} tensors but does not describe them", file=checkpoint.file, field=field
        )
    try:
        check_description(card)
        # The text encoder's tensors are those of the BERT inside of it.
        return built_for(state, choose(card), _inner)
    except InputError as error:
        named = str(error).startswith(str(checkpoint.file.parent))
        raise error if named else InputError(str(error), file=checkpoint.file, field=field) from None
    except Exception as error:
        # What a library says to a description that it cannot build has any class.
        raise InputError(
            f"description and tensors disagree: {clean(first_line(error))}", file=checkpoint.file, field=field
        ) from None


def _inner(module: nn.Module) -> nn.Module:
    inner = getattr(module, "bert", module)
    assert isinstance(inner, nn.Module)
    return inner


def _text(
    checkpoint: Checkpoint, card: dict[str, Any], state: Mapping[str, Tensor]
) -> Callable[[], TextEncoder]:
    from g2d_bench.encoders.text import TextEncoder

    source, options = card["source"], card.get("options", {})
    layers = options.get("layers")
    if layers is not None and not (type(layers) is int and 1 <= layers <= len(state)):
        raise ValueError(f"{layers!r} layers, but {len(state)} tensors")
    if source == "small":
        tokenizer = load_tokenizer(_tokenizer(checkpoint))
        return lambda: TextEncoder.small(tokenizer, **options)
    folder = source_folder(source, checkpoint.file) if isinstance(source, str) else None
    if folder is not None:
        return lambda: TextEncoder.untrained(folder, **options)
    if not isinstance(source, str) or not source.startswith((HUB, LOCAL)):
        raise InputError(f"{source!r} must be '{HUB}NAME' or '{LOCAL}PATH'", field="source")
    name = source.removeprefix(HUB).removeprefix(LOCAL).split("/")[-1]
    raise InputError(
        f"no tokenizer: {clean(source)} is not on this machine, and is fetched for no file; "
        f"put a copy of it at {checkpoint.file.parent / clean(name)}",
        file=checkpoint.file,
        field="text",
    )


def _tokenizer(checkpoint: Checkpoint) -> Path:
    """Find the tokenizer: beside the file, as pre-training leaves it, or the shipped one.

    Where several files lie in one folder, each may have one of its own: ``NAME.tokenizer.json`` beside
    ``NAME.safetensors``, or any other whose hash is the stated one.
    """
    expected = checkpoint.metadata.get("tokenizer")
    folder = checkpoint.file.parent
    own = folder / f"{checkpoint.file.stem}.{TOKENIZER}"
    places = [own, folder / TOKENIZER, *sorted(folder.glob(f"*{TOKENIZER}")), PACKAGE / "weights" / TOKENIZER]
    found = [path for path in dict.fromkeys(places) if path.is_file()]
    for path in found:
        if expected is None or digest_file(path) == expected:
            return path
    reason = "is not the one that the text encoder was trained with" if found else "is missing"
    raise InputError(
        f"{TOKENIZER} {reason}; keep it beside the weights, as {own.name} where there are several",
        file=checkpoint.file,
        field="tokenizer",
    )


def _heads(card: dict[str, Any], image: ImageEncoder, text_width: int) -> Callable[[], Heads]:
    from g2d_bench.encoders.heads.make import make_heads

    return lambda: make_heads(
        card["method"],
        channels=image.channels,
        strides=image.strides,
        num_features=image.num_features,
        text_width=text_width,
        **card.get("options", {}),
    )


def _decoder(card: dict[str, Any], image: ImageEncoder) -> Callable[[], UNetDecoder]:
    from g2d_bench.encoders.decoder import UNetDecoder

    return lambda: UNetDecoder(image.channels, image.strides, **card)
