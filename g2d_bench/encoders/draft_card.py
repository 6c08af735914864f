"""What is known of an encoder before it has a card, and how that is written as one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from g2d_bench.plain import in_toml, visible


@dataclass
class Draft:
    """What is known of an encoder from its file.

    Attributes:
        container: of the state dict.
        prefix: before the image encoder's entries.
        library: whose model.
        model: its name, "" where it could not be told.
        options: for the model.
        size: side of the input.
        drop: patterns of entries that are left.
        convert: a named conversion.
        pool: how tokens become a vector, "" for the library's own way.
        range: what black and white become, before ``mean`` and ``std``.
        mean: of the input.
        std: of the input.
        fit: how a film becomes a square, "" where it is not known.
        interpolation: likewise.
        resize: shortest side before a crop.
        text: where the text side comes from, "" where there is none.
        length: longest text in word pieces, where that is known.
        asks: what the file does not say, in sentences.
    """

    container: str = ""
    prefix: str = ""
    library: str = "timm"
    model: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    size: int = 224
    drop: list[str] = field(default_factory=list)
    convert: str = ""
    pool: str = ""
    range: tuple[float, float] = (0.0, 1.0)
    mean: float | list[float] = 0.5
    std: float | list[float] = 0.5
    fit: str = ""
    interpolation: str = ""
    resize: int | None = None
    text: str = ""
    length: int | None = None
    asks: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether its library loads the file whole, so that a card need not say how entries are called."""
        return self.library == "transformers"

    def ask_rest(self) -> None:
        """Ask for what no file says."""
        self.asks += [
            "pretraining: which data sets did it see, with labels or not?",
            "licence, paper: of the weights",
        ]


def card_text(made: Draft, title: str, weights: str) -> str:
    """Write a draft as a card; what it could not know stands as comments."""
    lines = [
        "# Drafted from the file alone. What it could not know:",
        *(f"#  - {visible(ask)}" for ask in made.asks),
        f"title = {in_toml(visible(title))}",
        'paper = ""',
        'licence = ""',
        'objective = "other"',
        'scale = "published"',
        "pretraining = []",
        *([f"weights = {in_toml(weights)}"] if weights else []),
        "",
        "[image]",
        *([f"library = {in_toml(made.library)}"] if made.library != "timm" else []),
        f"model = {in_toml(made.model or 'FILL-IN')}",
        *([f"options = {in_toml(made.options)}"] if made.options else []),
        f"size = {made.size}",
        *([f"pool = {in_toml(made.pool)}"] if made.pool else []),
        *([f"fit = {in_toml(made.fit)}"] if made.fit else []),
        *([f"interpolation = {in_toml(made.interpolation)}"] if made.interpolation else []),
        *([f"resize = {made.resize}"] if made.resize and made.fit == "crop" else []),
        *([f"range = {in_toml(list(made.range))}"] if made.range != (0.0, 1.0) else []),
        f"mean = {in_toml(made.mean)}",
        f"std = {in_toml(made.std)}",
        "",
        *(["[text]", f"source = {in_toml(made.text)}"] if made.text else []),
        *([f"max_length = {in_toml(made.length)}"] if made.text and made.length else []),
        *([""] if made.text else []),
    ]
    if made.whole and weights:
        return "\n".join(lines)
    lines += [
        "[[checkpoint]]",
        'layout = "drafted"',
        *([f"container = {in_toml(made.container)}"] if made.container else []),
        *([f"prefix = {in_toml(made.prefix)}"] if made.prefix else []),
        *([f"convert = {in_toml(made.convert)}"] if made.convert else []),
        *([f"drop = {in_toml(made.drop)}"] if made.drop else []),
    ]
    return "\n".join(lines) + "\n"
