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

from g2d_bench.cards.image import ImageInput as ImageInput
from g2d_bench.cards.library import CONVERTERS
from g2d_bench.cards.objective import CONTROLS, OBJECTIVES, OTHER
from g2d_bench.cards.parts import Embeddings, HeadsOptions
from g2d_bench.cards.patterns import require_tame
from g2d_bench.cards.pretraining import Entry
from g2d_bench.cards.scorer import SCORERS
from g2d_bench.cards.wording import formed
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

GIVEN = "embeddings"
"""Model of a card whose vectors were computed elsewhere."""
HUB_FILE = re.compile(
    rf"{HUB}(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w.-]+))?:(?P<file>[\w.-]+(/[\w.-]+)*)"
)
"""One file of a repository of the Hugging Face hub."""

BESIDE = r"[\w.-]+\.safetensors"
"""What the name of a weights file beside a card may be."""
NAME = r"[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)?"
"""What an encoder's name may be: ``model`` or ``model.tag``."""
NAME_IN_WORDS = "MODEL or MODEL.TAG of small letters, digits and single hyphens, such as g2d or my-g2d.r50"

Hash = Annotated[str, formed(r"[0-9a-f]*", "the sha256 of the weights file in hexadecimal digits")]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


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
        container: key under which the state dict hangs, with points between nested ones; empty for a plain
            state dict.
        prefix: what stands before the library's own names; removed by ``startswith`` only. Of several the
            first that fits a name is removed.
        drop: patterns of names (after the prefix) that are known and of no use here, such as ``fc.*``.
        rename: start of a name (after the prefix) to its canonical start, such as ``"4." = "layer1."``.
        replace: regular expression, searched in a name after ``rename``, to what stands in its place.
        convert: a named conversion of published entries, before all names are looked at: ``openai-clip``,
            ``dinov2-chunked``, ``eva`` or ``torchvision-sequential``.
        expect: how many entries must match at least; all that the file may not lack if it is left out.
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
    container: str = ""
    prefix: str | list[str] = ""
    drop: list[str] = Field(default_factory=list)
    rename: dict[str, str] = Field(default_factory=dict)
    replace: dict[str, str] = Field(default_factory=dict)
    convert: str = ""
    expect: int | None = Field(default=None, ge=1)
    missing_ok: list[str] = Field(default_factory=list)
    decoder_prefix: str | None = None
    md5: Hash = ""
    sha256: Hash = ""
    note: str = ""
    text: Part | None = None
    heads: Part | None = None

    @field_validator("convert")
    @classmethod
    def _known_converter(cls, value: str) -> str:
        if value and value not in CONVERTERS:
            raise ValueError(f"unknown converter {value!r}; {did_you_mean(value, CONVERTERS.names)}")
        return value

    @field_validator("replace")
    @classmethod
    def _ends(cls, value: dict[str, str]) -> dict[str, str]:
        for pattern, instead in value.items():
            require_tame(pattern)
            try:
                re.sub(pattern, instead, "")
            except (re.error, IndexError) as error:
                raise ValueError(f"{instead!r} is no replacement for {pattern!r}: {error}") from None
        return value

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What may stand before the library's own names."""
        return (self.prefix,) if isinstance(self.prefix, str) else tuple(self.prefix)

    @model_validator(mode="after")
    def _both_sides(self) -> Layout:
        if (self.text is None) != (self.heads is None):
            raise ValueError("text and heads are of use together only; give both or none")
        return self


SHIPPED = "shipped"
"""Source of a text encoder that lies, with its tokenizer, inside or beside the weights file."""
LIBRARY = "library"
"""Source of a text encoder that comes with its image encoder from one model of its library."""


class Text(_Table):
    """``[text]``: the text encoder that was trained along, for the kinds that need one.

    Attributes:
        source: ``shipped`` (inside the weights file), ``library`` (the other tower of the image encoder's own
            model, with that one's tokenizer), or where configuration and tokenizer are:
            ``hf-hub:NAME`` (a folder of that name beside the weights file, or the hub's cache) or
            ``local-dir:PATH``.
        model: what the configuration must say it is, its ``model_type``: any text model of transformers whose
            states do not depend on the padding of a text; a ``cxr-bert`` is a BERT with heads of its own.
        layers: how many transformer layers are used; all where empty.
        aggregation: how a text becomes one vector.
        max_length: longest text in word pieces.
        places: ``zero`` where every token stands at position 0, as in the released MGCA.
        token_types: whether the model has embeddings of token types.
    """

    source: str
    model: str = "bert"
    layers: int | None = Field(default=None, ge=1)
    aggregation: Literal["cls", "max", "mean", "pooler", "sum-last-4-mean"] = "cls"
    max_length: int = Field(default=112, ge=4)
    places: Literal["counted", "zero"] = "counted"
    token_types: bool = True

    @field_validator("model")
    @classmethod
    def _model_type(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", value):
            raise ValueError(f"must be the model_type of a configuration, such as 'bert', not {value!r}")
        return value

    @field_validator("source")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if value not in (SHIPPED, LIBRARY) and not value.startswith((HUB, LOCAL)):
            raise ValueError("must be 'shipped', 'library', 'hf-hub:NAME' or 'local-dir:PATH'")
        return value


class EncoderCard(_Table):
    """An encoder under comparison (``baselines/*.toml``).

    Attributes:
        name: file stem; ``model``, or ``model.tag`` where a method has several encoders.
        title: as it stands in tables.
        paper: citation, one line; empty for the references (random, ImageNet).
        licence: of the weights, as far as known.
        licence_id: its SPDX identifier, or ``LicenseRef-NAME`` for one that SPDX does not list; empty where
            it is not known.
        terms: address at which the terms are read, and accepted where ``gated``.
        gated: whether the publisher gives the weights to those alone who accepted the terms.
        source: where the weights are, in a clause.
        objective: the loss with which it was pre-trained.
        scale: ``phantom`` for the small encoders that ship with the package, ``published`` otherwise.
        image: architecture and input.
        checkpoint: the layouts that its files are known to come in.
        weights: ``none`` (seeded random), ``timm:MODEL.TAG`` or ``hf-hub:ORGANISATION/NAME@REVISION:FILE``
            (from the Hugging Face cache; the revision may be left out), the name of a
            file beside the card (of the package's own cards: of a shipped file), or empty where the user must
            give a file.
        embeddings: vectors of images in the place of weights; then there need be no ``[image]``.
        scorer: name of the plug-in that scores images and texts, for a method whose score is no cosine; see
            :mod:`g2d_bench.encoders.scorer`.
        sha256: of the file that ``weights`` names; another file is refused. Empty where it is not known.
        ensemble: how many files make the encoder, in one folder; what they say of an image in words is
            averaged.
        decoder: whether the weights bring a pre-trained decoder along.
        local_features: what the method compares words with.
        text: the text encoder, where there is one.
        no_text: why there is none that could be asked, in a clause.
        heads: the projection heads.
        pretraining: data sets it has seen, by the names of ``g2d-bench list datasets`` where one exists;
            ``NAME:labels`` where it saw their labels, too. See :mod:`g2d_bench.cards.pretraining`.
        notes: anything a reader of the table should know.
    """

    name: Annotated[str, formed(NAME, NAME_IN_WORDS), Field(max_length=100)]
    title: str
    paper: str = ""
    licence: str = ""
    licence_id: Annotated[str, formed(r"[A-Za-z0-9.+-]*", "an SPDX identifier, such as Apache-2.0")] = ""
    terms: Annotated[str, formed(r"(https://\S+)?", "an address that begins with https://")] = ""
    gated: bool = False
    source: str = ""
    objective: str
    scale: Literal["phantom", "published"]
    image: ImageInput
    checkpoint: list[Layout] = Field(default_factory=list)
    weights: str = ""
    embeddings: Embeddings | None = None
    scorer: str = ""
    sha256: Hash = ""
    ensemble: int = Field(default=1, ge=1, le=100)
    decoder: bool = False
    local_features: str = ""
    text: Text | None = None
    no_text: str = ""
    heads: HeadsOptions = HeadsOptions()
    pretraining: list[Entry] = Field(default_factory=list)
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

    @model_validator(mode="before")
    @classmethod
    def _no_image(cls, values: Any) -> Any:
        """Embeddings were computed elsewhere: of their images nothing need be known."""
        if isinstance(values, dict) and "embeddings" in values and "image" not in values:
            return values | {"image": {"model": GIVEN, "size": 32}}
        return values

    @field_validator("scorer")
    @classmethod
    def _known_scorer(cls, value: str) -> str:
        if value and value not in SCORERS:
            known = did_you_mean(value, SCORERS.names) if SCORERS.names else "no package here declares one"
            raise ValueError(f"unknown scorer {value!r}; {known}")
        return value

    @property
    def form(self) -> Literal["", "embeddings", "scorer"]:
        """What it is where it is no encoder whose weights are here; empty for one that is."""
        return "embeddings" if self.embeddings is not None else "scorer" if self.scorer else ""

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
        local = rf"{TIMM}[\w.-]+|{BESIDE}"
        if value in ("", "none") or re.fullmatch(local, value) or HUB_FILE.fullmatch(value):
            return value
        raise ValueError(
            "must be 'none', 'timm:MODEL.TAG', 'hf-hub:ORGANISATION/NAME@REVISION:FILE', the name of a "
            ".safetensors file beside the card, or empty"
        )

    @model_validator(mode="after")
    def _loadable(self) -> EncoderCard:
        names = [layout.layout for layout in self.checkpoint]
        if len(set(names)) < len(names):
            raise ValueError("two checkpoint layouts share a name")
        if self.text is not None and self.no_text:
            raise ValueError("'no_text' says why there is no [text], but there is one")
        if any(layout.text is not None for layout in self.checkpoint) and (
            self.text is None or self.text.source in (SHIPPED, LIBRARY)
        ):
            raise ValueError("a layout has a text encoder; [text] must say where its tokenizer is")
        if self.embeddings is not None:
            if self.weights or self.checkpoint or self.text or self.scorer or self.decoder:
                raise ValueError(
                    "[embeddings] stand in the place of weights, [text] and scorer; leave them out"
                )
            return self
        if not self.weights and not self.checkpoint:
            raise ValueError("needs 'weights' or at least one [[checkpoint]] layout")
        return self

    @property
    def digest(self) -> str:
        """Hash of everything that can move a number; titles and notes cannot."""
        prose: dict[str, Any] = dict.fromkeys(
            (
                *("title", "paper", "licence", "notes", "local_features", "no_text", "pretraining"),
                *("licence_id", "terms", "gated", "source", "sha256"),
            ),
            True,
        )
        prose["checkpoint"] = {"__all__": {"note": True, "text": {"seen"}, "heads": {"seen"}}}
        return digest_json(set_fields(self, exclude=prose))

    @property
    def seen(self) -> tuple[str, ...] | None:
        """Data sets of the pre-training: none for an encoder without one, None where the card is silent."""
        return None if not self.pretraining and self.objective != "none" else tuple(self.pretraining)

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean per channel of the input, on grey values in the input's range."""
        return _each(self.image.mean, self.image.channels)

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation per channel of the input, on grey values in the input's range."""
        return _each(self.image.std, self.image.channels)


def _each(value: float | list[float], channels: int) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list) else (value,) * channels
