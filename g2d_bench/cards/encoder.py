"""The encoder card: everything that must be known of an encoder before its weights are opened.

Importing this module does not import torch, so that listing encoders stays quick.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from g2d_bench.cards.objective import CONTROLS, OBJECTIVES, OTHER
from g2d_bench.cards.pretraining import ENTRY
from g2d_bench.errors import did_you_mean
from g2d_bench.hashing import digest_json, set_fields
from g2d_bench.paths import shipped

TIMM = "timm:"
"""How the field ``weights`` of a card begins that takes its weights from timm."""
HUB = "hf-hub:"
"""How the source of a text encoder begins that is a name on the Hugging Face hub."""
LOCAL = "local-dir:"
"""How the source of a text encoder begins that is a folder."""
FOLDER = "folder:"
"""How a name begins that is looked for in the weights of the text encoder's folder, not in the checkpoint."""

NAME = r"^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)?$"
"""What an encoder's name may be: ``model`` or ``model.tag``."""

Channels = Annotated[list[float], Field(min_length=3, max_length=3)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]*$")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class ImageInput(_Table):
    """``[image]``: the architecture and what it wants to be fed.

    Attributes:
        model: name of a timm model.
        options: keyword arguments for ``timm.create_model`` (channel widths, depth, stem).
        size: side of the square input in pixels.
        resize_inside: bilinear upsampling (corners aligned) inside of the encoder, as GLoRIA and MGCA do
            for their ResNets (224 to 299).
        mean: subtracted from grey values in [0, 1]; one number or one per channel.
        std: then divided by; one number or one per channel.
    """

    model: str
    options: dict[str, Any] = Field(default_factory=dict)
    size: int = Field(ge=32, le=2048)
    resize_inside: int | None = Field(default=None, ge=32, le=2048)
    mean: float | Channels = 0.5
    std: float | Channels = 0.5

    @field_validator("std")
    @classmethod
    def _positive(cls, value: float | list[float]) -> float | list[float]:
        if min(value if isinstance(value, list) else [value]) <= 0:
            raise ValueError("must be above 0")
        return value


class Part(_Table):
    """``[checkpoint.text]``, ``[checkpoint.heads]``: where a file keeps what goes with its image encoder.

    Attributes:
        names: start of a name in the file to what stands in its place in ours; names that start otherwise
            belong to something else. A start may begin with ``folder:``, see :data:`FOLDER`.
        drop: patterns of names (after their start) that are known and of no use here, such as
            ``embeddings.position_ids``.
        seen: whether the names were seen in a published file; if not, they come from the code that wrote it.
    """

    names: dict[str, str] = Field(min_length=1)
    drop: list[str] = Field(default_factory=list)
    seen: bool = True


class Layout(_Table):
    """``[[checkpoint]]``: one way in which the weights are laid out in a file.

    Attributes:
        layout: its name, for messages.
        container: key under which the state dict hangs; empty for a plain state dict.
        prefix: what stands before the canonical (timm) names; removed by ``startswith`` only.
        drop: patterns of names (after the prefix) that are known and of no use here, such as ``fc.*``.
        rename: start of a name (after the prefix) to its canonical start, such as ``"4." = "layer1."``.
        expect: how many entries must match at least.
        missing_ok: patterns of canonical names that the file may lack (MedKLIP has no ``layer4.*``).
        decoder_prefix: what stands before ``decoder.`` and ``segmentation_head.`` of a pre-trained U-Net of
            segmentation-models-pytorch; absent where the file has none.
        md5: of the published file; empty where unknown.
        sha256: of the published file; empty where unknown.
        note: where the file comes from.
        text: the text encoder in the file; absent where it has none.
        heads: the projection heads in the file; absent where it has none.
    """

    layout: str
    container: Literal["", "state_dict", "model", "model_state_dict"] = ""
    prefix: str = ""
    drop: list[str] = Field(default_factory=list)
    rename: dict[str, str] = Field(default_factory=dict)
    expect: int = Field(ge=1)
    missing_ok: list[str] = Field(default_factory=list)
    decoder_prefix: str | None = None
    md5: Hash = ""
    sha256: Hash = ""
    note: str = ""
    text: Part | None = None
    heads: Part | None = None

    @model_validator(mode="after")
    def _both_sides(self) -> Layout:
        if (self.text is None) != (self.heads is None):
            raise ValueError("text and heads are of use together only; give both or none")
        return self


SHIPPED = "shipped"
"""Source of a text encoder that lies, with its tokenizer, inside or beside the weights file."""


class HeadsOptions(_Table):
    """``[heads]``: the projection heads of a published file, where they are not its objective's defaults.

    Attributes:
        method: whose heads, see :func:`g2d_bench.encoders.heads.make.make_heads`; the objective's if empty.
        options: their keyword arguments.
    """

    method: str = ""
    options: dict[str, Any] = Field(default_factory=dict)


class Text(_Table):
    """``[text]``: the text encoder that was trained along, for the kinds that need one.

    Attributes:
        source: ``shipped`` (inside the weights file), or where configuration and tokenizer are:
            ``hf-hub:NAME`` (a folder of that name beside the weights file, or the hub's cache) or
            ``local-dir:PATH``.
        model: what the configuration must say it is; a ``cxr-bert`` is a BERT with heads of its own.
        layers: how many transformer layers are used; all where empty.
        aggregation: how a text becomes one vector.
        max_length: longest text in word pieces.
    """

    source: str
    model: Literal["bert", "cxr-bert", "roberta"] = "bert"
    layers: int | None = Field(default=None, ge=1)
    aggregation: Literal["cls", "max", "mean", "pooler", "sum-last-4-mean"] = "cls"
    max_length: int = Field(default=112, ge=4)

    @field_validator("source")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if value != SHIPPED and not value.startswith((HUB, LOCAL)):
            raise ValueError("must be 'shipped', 'hf-hub:NAME' or 'local-dir:PATH'")
        return value


class EncoderCard(_Table):
    """An encoder under comparison (``baselines/*.toml``).

    Attributes:
        name: file stem; ``model`` at phantom scale, ``model.tag`` at published scale.
        title: as it stands in tables.
        paper: citation, one line; empty for the references (random, ImageNet).
        licence: of the weights, as far as known.
        objective: the loss with which it was pre-trained.
        scale: ``phantom`` for the small encoders that ship with the package, ``published`` otherwise.
        image: architecture and input.
        checkpoint: the layouts that its files are known to come in.
        weights: ``none`` (seeded random), ``timm:MODEL.TAG`` (from the Hugging Face cache), the name of a
            file beside the card (of the package's own cards: of a shipped file), or empty where the user must
            give a file.
        decoder: whether the weights bring a pre-trained decoder along.
        local_features: what the method compares words with.
        text: the text encoder, where there is one.
        no_text: why there is none that could be asked, in a clause.
        heads: the projection heads.
        pretraining: data sets it has seen, by the names of ``g2d-bench list datasets`` where one exists;
            ``NAME:labels`` where it saw their labels, too. See :mod:`g2d_bench.cards.pretraining`.
        notes: anything a reader of the table should know.
    """

    name: str = Field(pattern=NAME, max_length=100)
    title: str
    paper: str = ""
    licence: str = ""
    objective: str
    scale: Literal["phantom", "published"]
    image: ImageInput
    checkpoint: list[Layout] = Field(default_factory=list)
    weights: str = ""
    decoder: bool = False
    local_features: str = ""
    text: Text | None = None
    no_text: str = ""
    heads: HeadsOptions = HeadsOptions()
    pretraining: list[Annotated[str, Field(pattern=ENTRY)]] = Field(default_factory=list)
    notes: str = ""
    _folder: Path | None = PrivateAttr(default=None)

    @property
    def folder(self) -> Path | None:
        """Where the card lies, its weights beside it; None for the package's own and those made in code."""
        return self._folder

    @model_validator(mode="after")
    def _found(self, info: ValidationInfo) -> EncoderCard:
        folder = (info.context or {}).get("folder")
        if folder is not None and Path(folder).resolve() != shipped("baselines").resolve():
            self._folder = Path(folder)
        return self

    @field_validator("objective")
    @classmethod
    def _known_objective(cls, value: str) -> str:
        known = [*CONTROLS, *OBJECTIVES, OTHER]
        if value not in known:
            raise ValueError(f"unknown objective {value!r}; {did_you_mean(value, known)}")
        return value

    @field_validator("weights")
    @classmethod
    def _known_source(cls, value: str) -> str:
        if value in ("", "none") or re.fullmatch(rf"{TIMM}[\w.-]+|[\w.-]+\.safetensors", value):
            return value
        raise ValueError(
            "must be 'none', 'timm:MODEL.TAG', the name of a .safetensors file beside the card, or empty"
        )

    @model_validator(mode="after")
    def _loadable(self) -> EncoderCard:
        names = [layout.layout for layout in self.checkpoint]
        if len(set(names)) < len(names):
            raise ValueError("two checkpoint layouts share a name")
        if self.text is not None and self.no_text:
            raise ValueError("'no_text' says why there is no [text], but there is one")
        if any(layout.text is not None for layout in self.checkpoint) and (
            self.text is None or self.text.source == SHIPPED
        ):
            raise ValueError("a layout has a text encoder; [text] must say where its tokenizer is")
        if not self.weights and not self.checkpoint:
            raise ValueError("needs 'weights' or at least one [[checkpoint]] layout")
        return self

    @property
    def digest(self) -> str:
        """Hash of everything that can move a number; titles and notes cannot."""
        prose: dict[str, Any] = dict.fromkeys(
            ("title", "paper", "licence", "notes", "local_features", "no_text", "pretraining"), True
        )
        prose["checkpoint"] = {"__all__": {"note": True, "text": {"seen"}, "heads": {"seen"}}}
        return digest_json(set_fields(self, exclude=prose))

    @property
    def seen(self) -> tuple[str, ...] | None:
        """Data sets of the pre-training: none for an encoder without one, None where the card is silent."""
        return None if not self.pretraining and self.objective != "none" else tuple(self.pretraining)

    @property
    def mean(self) -> tuple[float, float, float]:
        """Per-channel mean on grey values in [0, 1]."""
        return _three(self.image.mean)

    @property
    def std(self) -> tuple[float, float, float]:
        """Per-channel standard deviation on grey values in [0, 1]."""
        return _three(self.image.std)


def _three(value: float | list[float]) -> tuple[float, float, float]:
    return (value[0], value[1], value[2]) if isinstance(value, list) else (value, value, value)
