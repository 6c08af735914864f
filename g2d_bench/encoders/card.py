"""The encoder card: everything that must be known of an encoder before its weights are opened.

Importing this module does not import torch, so that listing encoders stays quick.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from g2d_bench.cards_io import load_card
from g2d_bench.hashing import digest_json, set_fields

TIMM = "timm:"
"""How the field ``weights`` of a card begins that takes its weights from timm."""

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


class Text(_Table):
    """``[text]``: the text encoder that was trained along, for the kinds that need one.

    Attributes:
        source: ``shipped`` (inside the weights file), ``hf-hub:NAME`` or ``local-dir:PATH``.
        layers: how many transformer layers are used; all where empty.
        aggregation: how a text becomes one vector.
        max_length: longest text in word pieces.
    """

    source: str
    layers: int | None = Field(default=None, ge=1)
    aggregation: Literal["cls", "max", "mean", "sum-last-4-mean"] = "cls"
    max_length: int = Field(default=112, ge=4)

    @field_validator("source")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if value != "shipped" and not value.startswith(("hf-hub:", "local-dir:")):
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
            shipped file, or empty where the user must give a file.
        decoder: whether the weights bring a pre-trained decoder along.
        local_features: what the method compares words with.
        text: the text encoder, where there is one.
        pretraining: data sets it has seen, by the names of ``g2d-bench list datasets`` where one exists.
        notes: anything a reader of the table should know.
    """

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)?$")
    title: str
    paper: str = ""
    licence: str = ""
    objective: Literal["none", "supervised", "convirt", "gloria", "mgca", "g2d", "other"]
    scale: Literal["phantom", "published"]
    image: ImageInput
    checkpoint: list[Layout] = Field(default_factory=list)
    weights: str = ""
    decoder: bool = False
    local_features: str = ""
    text: Text | None = None
    pretraining: list[str] = Field(default_factory=list)
    notes: str = ""

    @field_validator("weights")
    @classmethod
    def _known_source(cls, value: str) -> str:
        if value in ("", "none") or re.fullmatch(rf"{TIMM}[\w.-]+|[\w.-]+\.safetensors", value):
            return value
        raise ValueError(
            "must be 'none', 'timm:MODEL.TAG', the name of a shipped .safetensors file, or empty"
        )

    @model_validator(mode="after")
    def _loadable(self) -> EncoderCard:
        names = [layout.layout for layout in self.checkpoint]
        if len(set(names)) < len(names):
            raise ValueError("two checkpoint layouts share a name")
        if not self.weights and not self.checkpoint:
            raise ValueError("needs 'weights' or at least one [[checkpoint]] layout")
        return self

    @property
    def digest(self) -> str:
        """Hash of everything that can move a number; titles and notes cannot."""
        prose: dict[str, Any] = dict.fromkeys(
            ("title", "paper", "licence", "notes", "local_features", "pretraining"), True
        )
        prose["checkpoint"] = {"__all__": {"note"}}
        return digest_json(set_fields(self, exclude=prose))

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


def load_encoder_card(path: Path) -> EncoderCard:
    """Read one encoder card.

    Raises:
        InputError: one line with file, key, what is wrong and what is allowed.
    """
    return load_card(path, EncoderCard)
