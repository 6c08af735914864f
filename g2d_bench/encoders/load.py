"""From a card to an encoder that is ready to use."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from g2d_bench.cards.encoder import HUB, LIBRARY, TIMM, EncoderCard, Layout
from g2d_bench.cards.kind import Gift
from g2d_bench.devices import Precision
from g2d_bench.encoders.checkpoint import Checkpoint, LoadReport, open_checkpoint
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.image_side import OWN, build_image, fill_image
from g2d_bench.encoders.pace import Pace
from g2d_bench.encoders.tone import standardised
from g2d_bench.encoders.weights import (
    check_hash,
    download_hub,
    download_timm,
    members,
    weights_digest,
    weights_file,
    weights_state,
)

if TYPE_CHECKING:
    from g2d_bench.encoders.decoder import UNetDecoder
    from g2d_bench.encoders.heads.base import Heads
    from g2d_bench.encoders.text import TextEncoder

__all__ = ["Encoder", "load_encoder", "weights_digest", "weights_file", "weights_state"]


@dataclass
class Encoder:
    """A loaded encoder.

    Attributes:
        card: what it is.
        image: the image encoder, in eval mode.
        weights_hash: sha256 of the weights file, or the name of the random initialisation.
        text: the text encoder, where the weights bring one.
        heads: the projection heads, where the weights bring them.
        decoder: the pre-trained decoder, where the weights bring one.
        scorer: compares images with texts in the place of text encoder and heads; code of another package.
        report: how the file fitted; None for a random encoder.
        text_reports: how published text encoder and heads fitted; empty otherwise.
        no_text: why there is no text encoder, in a clause, where more is known than that there is none.
        precision: in which its features are computed.
        salt: keeps its features apart from those of an encoder with the same state but other code.
        folder: where its features are kept; the cache folder if None.
        others: the other members of an ensemble. What a probe reads is of this one alone.
        pace: how many images it took in a second, where it computed some.
    """

    card: EncoderCard
    image: ImageEncoder
    weights_hash: str
    text: TextEncoder | None = None
    heads: Heads | None = None
    decoder: UNetDecoder | None = None
    scorer: Any = None
    report: LoadReport | None = None
    text_reports: tuple[LoadReport, ...] = ()
    no_text: str = ""
    precision: Precision = "fp32"
    salt: str = ""
    folder: Path | None = None
    others: tuple[Encoder, ...] = ()
    pace: Pace = field(default_factory=Pace, init=False, repr=False, compare=False)
    _copied: dict[torch.device, tuple[Tensor, Tensor]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def gives(self) -> frozenset[Gift]:
        """What a kind of task may ask of it."""
        found: set[Gift] = {"vector"}
        if self.image.channels:
            found.add("maps")
        if self.text is not None and self.heads is not None:
            found.add("text")
            if self.heads.has_cells:
                found.add("cells")
        if self.scorer is not None:
            found |= {"text", "cells"} if hasattr(self.scorer, "heat") else {"text"}
        return frozenset(found)

    @property
    def device(self) -> torch.device:
        """Where the image encoder is."""
        # A user's object may hide its parameters.
        return next((p.device for p in self.image.parameters()), torch.device("cpu"))

    def to(self, device: torch.device) -> Encoder:
        """Move all modules, and return the encoder."""
        for module in (self.image, self.text, self.heads, self.decoder):
            if module is not None:
                module.to(device)
        for other in self.others:
            other.to(device)
        return self

    def computing(self, precision: Precision) -> Encoder:
        """Let it and its fellows of an ensemble compute in a precision, and return it."""
        for one in (self, *self.others):
            one.precision = precision
        return self

    def preprocess(self, images: Tensor) -> Tensor:
        """Normalise square images as the card says.

        Args:
            images: uint8 [B, S, S], S the card's size.

        Returns:
            float32 [B, C, S, S] on the device of ``images``, C the card's channels.

        Raises:
            ValueError: the images are not uint8 or not of the card's size.
        """
        size = self.card.image.size
        if images.dtype != torch.uint8 or images.ndim != 3 or images.shape[1:] != (size, size):
            raise ValueError(f"expected uint8 [B, {size}, {size}], got {images.dtype} {tuple(images.shape)}")
        grey = images.to(torch.float32).div_(255.0).unsqueeze(1)
        if self.card.image.standardise:
            return standardised(grey).repeat(1, self.card.image.channels, 1, 1)
        black, white = self.card.image.range
        if (black, white) != (0.0, 1.0):
            grey = grey.mul_(white - black).add_(black)
        mean, std = self._constants(grey.device)
        return (grey - mean) / std

    def _constants(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation, copied once: a copy per batch would let a GPU wait."""
        if device not in self._copied:
            with torch.inference_mode(False):
                mean, std = (torch.tensor(v).view(1, -1, 1, 1) for v in (self.card.mean, self.card.std))
                self._copied[device] = mean.to(device), std.to(device)
        return self._copied[device]


def load_encoder(
    card: EncoderCard,
    *,
    checkpoint: Path | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    download: bool = False,
    text: bool = True,
) -> Encoder:
    """Build and load an encoder.

    Args:
        card: which one.
        checkpoint: a weights file that goes before what the card says.
        seed: of the initialisation, which is all that a random encoder has; a loaded file overwrites it.
        device: where to put the modules.
        download: fetch timm's weights, and the tokenizer of a published text encoder, by network where they
            are not in the cache.
        text: load text encoder and projection heads, too; kinds that ask nothing do without.

    Raises:
        InputError: card and architecture disagree, no weights, or a file that does not fit.

    Example:
        >>> from g2d_bench import Catalogue
        >>> encoder = load_encoder(Catalogue.open().encoders["random"])
        >>> images = torch.zeros(2, encoder.card.image.size, encoder.card.image.size, dtype=torch.uint8)
        >>> tuple(encoder.image(encoder.preprocess(images)).pooled.shape)
        (2, 192)
    """
    if download and checkpoint is None and card.weights.startswith(TIMM):
        checkpoint = download_timm(card)
    if download and checkpoint is None and card.weights.startswith(HUB):
        checkpoint = download_hub(card)
    file = weights_file(card, checkpoint)
    if file is not None and file.is_dir():
        return _ensemble(card, file, seed=seed, device=device, download=download, text=text)
    if checkpoint is None and file is not None:
        check_hash(card, file)
    image = build_image(card, seed, file)
    encoder = Encoder(card, image, weights_digest(card, checkpoint, seed), no_text=card.no_text)
    if file is not None:
        _fill(encoder, file, seed=seed, download=download, text=text)
    if card.scorer:
        from g2d_bench.encoders.scorer import make_scorer

        encoder.scorer = make_scorer(card, file, torch.device(device))
    modules: tuple[nn.Module | None, ...] = (encoder.image, encoder.text, encoder.heads, encoder.decoder)
    for module in modules:
        if module is not None:
            module.eval().to(device)
    return encoder


def _fill(encoder: Encoder, file: Path, *, seed: int, download: bool, text: bool) -> None:
    """Load a file into a fresh encoder: the image side, then what else it brings."""
    card, image = encoder.card, encoder.image
    layouts = {layout.layout: layout for layout in card.checkpoint}
    encoder.report, opened = fill_image(card, image, file, seed=seed)
    if opened is not None and encoder.report.layout == OWN:
        from g2d_bench.encoders.own import load_companions

        parts = load_companions(opened, image, text=text)
        encoder.text, encoder.heads, encoder.decoder = parts.text, parts.heads, parts.decoder
        return
    from g2d_bench.encoders.published import load_decoder, load_text_side

    layout = layouts.get(encoder.report.layout, Layout(layout=encoder.report.layout, expect=1))
    if layout.decoder_prefix is not None:
        opened = opened or open_checkpoint(file)
        encoder.decoder = load_decoder(layout, opened, image)
    if text:
        # A text side that comes from the library is loaded there, and the file not opened here.
        needed = card.text is not None and card.text.source != LIBRARY
        opened = opened or (open_checkpoint(file) if needed else Checkpoint(file, {}))
        side = load_text_side(card, layout, opened, image, seed=seed, download=download)
        encoder.text, encoder.heads = side.text, side.heads
        encoder.text_reports, encoder.no_text = side.reports, side.reason


def _ensemble(card: EncoderCard, folder: Path, *, seed: int, **more: Any) -> Encoder:
    """Load every file of an ensemble; the first is the encoder, and knows the others."""
    one = card.model_copy(update={"ensemble": 1})
    loaded = [load_encoder(one, checkpoint=file, seed=seed, **more) for file in members(folder)]
    first = loaded[0]
    first.card, first.weights_hash = card, weights_digest(card, folder, seed)
    first.others = tuple(loaded[1:])
    return first
