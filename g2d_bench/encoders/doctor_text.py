"""The text side of an encoder, looked over: widths, embeddings, and whether they are what was trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from g2d_bench.cards.encoder import LOCAL, EncoderCard
from g2d_bench.encoders.checkpoint import LoadReport
from g2d_bench.encoders.heads.base import Heads
from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.pair import PairHeads
from g2d_bench.encoders.published import expected, initial_heads, initial_text
from g2d_bench.encoders.text import TextEncoder

SAID = ("no acute cardiopulmonary process", "left lower lobe pneumonia with a small pleural effusion")
"""Two texts that no encoder of radiographs should take for the same."""


@dataclass(frozen=True)
class Check:
    """One property that an encoder must have.

    Attributes:
        name: what was looked at.
        ok: whether it holds.
        detail: figures, or what is wrong.
    """

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True)
class TextFindings:
    """What was found of a text side.

    Attributes:
        source: where configuration and tokenizer come from.
        layers: of the text encoder.
        width: D of its states.
        parameters: of text encoder and heads.
        method: whose heads.
        dim: d of the common space.
        cells: [d, h, w] that grounding compares with a text.
        words: whether words are compared, or the whole text.
        loads: how a published file's text encoder and heads fitted; empty for other files.
        seen: whether the card's names for them were seen in a published file.
        checks: the properties.
        entries: what the heads take from a file, with shapes.
    """

    source: str
    layers: int
    width: int
    parameters: int
    method: str
    dim: int
    cells: tuple[int, ...]
    words: bool
    loads: tuple[LoadReport, ...]
    seen: bool
    checks: tuple[Check, ...]
    entries: str = ""


@torch.inference_mode()
def look_at_text(encoder: Encoder, features: ImageFeatures, seed: int) -> TextFindings | None:
    """Ask the text side two texts.

    Args:
        encoder: loaded.
        features: of some images.
        seed: of the initialisation to compare with.

    Returns:
        None where the encoder has no text side.
    """
    text, heads = encoder.text, encoder.heads
    if text is None or heads is None:
        return None
    states, vectors, words = _read(text, heads)
    again = _read(text, heads)
    image = heads.embed_image(features)
    same = torch.equal(states, again[0]) and torch.equal(vectors, again[1])
    finite = all(bool(torch.isfinite(part).all()) for part in (states, vectors, image.vector))
    spread = float((vectors[0] - vectors[1]).abs().max())
    checks = [
        Check("text deterministic", same, "the same texts twice give the same bits" if same else "differs"),
        Check("text finite", finite, "no NaN or infinity" if finite else "NaN or infinity"),
        Check("reads the text", spread > 0, f"two texts differ by up to {spread:.3g} in their vectors"),
    ]
    # A pair's towers are built by their library, which draws no initialisation by a seed.
    if encoder.text_reports and heads.method != PairHeads.method:
        checks += _moved(encoder.card, encoder, text, features, states, image.vector, seed)
    cells = image.cells
    return TextFindings(
        source=text.source,
        layers=int(text.bert.config.num_hidden_layers),
        width=text.width,
        parameters=sum(one.numel() for part in (text, heads) for one in part.parameters()),
        method=heads.method,
        dim=heads.dim,
        cells=() if cells is None else tuple(cells.shape[1:]),
        words=words,
        loads=encoder.text_reports,
        seen=_seen(encoder),
        checks=tuple(checks),
        entries=expected(heads) if encoder.text_reports else "",
    )


def render_text(findings: TextFindings) -> list[str]:
    """Write findings as lines of plain text."""
    compared = "words" if findings.words else "the text"
    lines = [
        f"text        {findings.source}",
        f"            {findings.layers} layers, width {findings.width}, "
        f"{findings.parameters:,} parameters with heads",
    ]
    for what, load in zip(("text encoder", "heads"), findings.loads, strict=False):
        lines.append(f"            {what}: {load.matched} of {load.expected} entries loaded")
        if load.dropped:
            lines.append(f"            {what}, left aside: {listed(load.dropped)}")
    if not findings.seen:
        lines.append("            the card has these names from the code of the release, not from a file")
    entries = f"; their entries: {findings.entries}" if findings.entries else ""
    lines.append(f"heads       {findings.method}, {findings.dim} dimensions in common{entries}")
    cells = (
        f"{' x '.join(map(str, findings.cells))} compared with {compared}"
        if findings.cells
        else "n/a: no cells"
    )
    lines.append(f"grounding   {cells}")
    return lines


def listed(names: tuple[str, ...]) -> str:
    """Count names and show the first three."""
    return f"{len(names)} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"


def _seen(encoder: Encoder) -> bool:
    layouts = {layout.layout: layout for layout in encoder.card.checkpoint}
    parts = [
        part
        for report in encoder.text_reports
        for part in (layouts[report.layout].text, layouts[report.layout].heads)
    ]
    return all(part is None or part.seen for part in parts)


def _read(text: TextEncoder, heads: Heads) -> tuple[Tensor, Tensor, bool]:
    """Return the last states of [CLS], the texts' vectors, and whether there are words."""
    tokens = text.tokenize(SAID)
    states = text(tokens)
    embedded = heads.embed_text(states, tokens)
    return states.hidden[-1][:, 0], embedded.vector, embedded.words is not None


def _moved(
    card: EncoderCard,
    encoder: Encoder,
    text: TextEncoder,
    features: ImageFeatures,
    states: Tensor,
    image: Tensor,
    seed: int,
) -> list[Check]:
    fresh = initial_text(card, Path(text.source.removeprefix(LOCAL)), seed).to(encoder.device)
    heads = initial_heads(card, encoder.image, text.width, seed).to(encoder.device)
    far = _distance(_read(fresh, heads)[0], states)
    vectors = _distance(heads.embed_image(features).vector, image)
    return [
        Check(
            "text differs from its initialisation",
            far > 1e-6,
            f"relative distance {far:.3g} from the initialisation's states",
        ),
        Check(
            "heads differ from their initialisation",
            vectors > 1e-6,
            f"relative distance {vectors:.3g} of the image vectors from the initialisation's",
        ),
    ]


def _distance(fresh: Tensor, loaded: Tensor) -> float:
    return float((fresh - loaded).norm() / loaded.norm())
