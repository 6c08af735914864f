"""What published files bring beside the image encoder: text encoder, projection heads, decoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from g2d_bench.cards.encoder import FOLDER, LIBRARY, EncoderCard, Layout, Part
from g2d_bench.encoders.checkpoint import Checkpoint, LoadReport, load_into, match_part, open_checkpoint
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.library import TextSide, library_of
from g2d_bench.encoders.shadow import shadow
from g2d_bench.encoders.text_folder import absent, download_folder, folder_weights, text_folder
from g2d_bench.encoders.wrapped import layout_state
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.encoders.decoder import UNetDecoder
    from g2d_bench.encoders.heads.base import Heads
    from g2d_bench.encoders.text import TextEncoder


def load_decoder(layout: Layout, opened: Checkpoint, image: ImageEncoder) -> UNetDecoder | None:
    """Load the pre-trained decoder where the layout has one.

    Raises:
        InputError: see :func:`g2d_bench.encoders.decoder.load_smp_decoder`.
    """
    if layout.decoder_prefix is None:
        return None
    from g2d_bench.encoders.decoder import load_smp_decoder

    return load_smp_decoder(
        layout_state(opened.states, layout) or {},
        image.channels,
        image.strides,
        prefix=layout.decoder_prefix,
        file=opened.file,
    )


def load_text_side(
    card: EncoderCard,
    layout: Layout,
    opened: Checkpoint,
    image: ImageEncoder,
    *,
    seed: int = 0,
    download: bool = False,
) -> TextSide:
    """Build and load text encoder and heads as the card and the layout say.

    Args:
        card: the encoder.
        layout: the one that the file has.
        opened: the file.
        image: the image encoder, whose shape the heads follow.
        seed: of the initialisation, which the file overwrites whole.
        download: fetch the folder of the text encoder from the hub where it is not here.

    Returns:
        Both modules; or neither, where the card has no text encoder, the file holds none, or its tokenizer is
        not to be had.

    Raises:
        InputError: what is there does not fit: an entry is missing, unknown or of another shape.
    """
    if card.text is None:
        return _without(card.no_text)
    of_library = library_of(card.image.library).text_side(card, image, opened.file, download=download)
    if of_library is not None:
        return of_library
    if card.text.source == LIBRARY:
        return _without(f"models of {card.image.library} have no text side")
    if layout.text is None or layout.heads is None:
        return _without(f"files of layout {layout.layout!r} hold none")
    state = dict(layout_state(opened.states, layout) or {})
    inside = tuple(start for start in layout.text.names if not start.startswith(FOLDER))
    if inside and not any(name.startswith(inside) for name in state):
        return _without(f"{opened.file.name} has no entry under {' or '.join(map(repr, inside))}")
    folder = text_folder(card, opened.file)
    if folder is None:
        if not download:
            return _without(absent(card, opened.file))
        try:
            folder = download_folder(card, opened.file)
        except InputError as error:
            return _without(str(error))
    if any(start.startswith(FOLDER) for part in (layout.text, layout.heads) for start in part.names):
        state |= {FOLDER + name: tensor for name, tensor in _folder_state(folder).items()}
    # A shadow is held against the file first: a folder's configuration may ask for any size.
    blank = shadow(lambda: initial_text(card, folder, seed))
    first = _fit(blank.bert, "text encoder", opened.file, layout, layout.text, state)
    width = blank.width
    blank_heads = shadow(lambda: initial_heads(card, image, width, seed))
    second = _fit(blank_heads, "projection heads", opened.file, layout, layout.heads, state)
    text, heads = initial_text(card, folder, seed), initial_heads(card, image, width, seed)
    load_into(text.bert, first)
    load_into(heads, second)
    return TextSide(text, heads, (first, second), "")


def initial_text(card: EncoderCard, folder: Path, seed: int) -> TextEncoder:
    """Build a card's text encoder with a seeded initialisation, after the configuration in a folder.

    Raises:
        InputError: see :meth:`g2d_bench.encoders.text.TextEncoder.untrained`.
    """
    from g2d_bench.encoders.text import TextEncoder

    assert card.text is not None
    text = card.text
    return TextEncoder.untrained(
        folder,
        text.model,
        layers=text.layers,
        seed=seed,
        pooler=card.heads.options.get("pooling") == "pooler",
        places=text.places,
        token_types=text.token_types,
    ).eval()


def initial_heads(card: EncoderCard, image: ImageEncoder, text_width: int, seed: int) -> Heads:
    """Build a card's projection heads with a seeded initialisation.

    Raises:
        InputError: the card names no known heads or an unknown option.
    """
    from g2d_bench.encoders.heads.make import make_heads

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        try:
            heads = make_heads(
                card.heads.method or card.objective,
                channels=image.channels,
                strides=image.strides,
                num_features=image.num_features,
                text_width=text_width,
                **card.heads.options,
                **({} if card.heads.neck is None else {"neck": card.heads.neck.model_dump()}),
            )
        except InputError as error:
            raise InputError(str(error), file=f"{card.name}.toml") from None
    return heads.eval()


def _without(reason: str) -> TextSide:
    return TextSide(None, None, (), reason)


def _folder_state(folder: Path) -> Mapping[str, Tensor]:
    file = folder_weights(folder)
    state = open_checkpoint(file).states.get("")
    if state is None:
        raise InputError("no plain state dict", file=file)
    return state


def _fit(
    module: nn.Module, what: str, file: Path, layout: Layout, part: Part, state: Mapping[str, Tensor]
) -> LoadReport:
    report = match_part(file, layout.layout, state, part, module)
    if not report.ok:
        wanted = f"; heads expect {expected(module)}" if what.startswith("projection") else ""
        unseen = "" if part.seen else "; these names come from the code of the release, not from a file"
        raise InputError(
            f"{what} of layout {layout.layout!r}: {report.reason}{wanted}{unseen}",
            file=file,
            field="checkpoint",
        )
    return report


def expected(module: nn.Module) -> str:
    """List the entries that a module takes from a file, with their shapes."""
    return ", ".join(f"{name} {list(value.shape)}" for name, value in module.state_dict().items())
