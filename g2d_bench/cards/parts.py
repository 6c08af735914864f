"""Tables of an encoder card: its heads, and vectors in the place of weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from g2d_bench.cards.wording import formed


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Neck(_Table):
    """``[heads.neck]``: a projection of image vector and cells before the heads.

    Attributes:
        kind: ``linear`` (entries ``neck.projection.weight``, ...) or ``mlp`` (``neck.projection.0.weight``).
        dim: width behind it.
        hidden: width inside of an ``mlp``; ``dim`` where empty.
        bias: whether linear layers have an offset.
        activation: inside of an ``mlp``.
        norm: ``batch`` for batch normalisation behind each layer of an ``mlp``.
        transposed: a linear map is stored as [in, out], without offset.
        appended: how many trained constants follow (entry ``neck.constant``), as in BioViL-T.
    """

    kind: Literal["linear", "mlp"] = "linear"
    dim: int = Field(ge=1, le=1 << 16)
    hidden: int | None = Field(default=None, ge=1, le=1 << 16)
    bias: bool = True
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    norm: Literal["", "batch"] = ""
    transposed: bool = False
    appended: int = Field(default=0, ge=0, le=1 << 16)


class HeadsOptions(_Table):
    """``[heads]``: the projection heads of a published file, where they are not its objective's defaults.

    Attributes:
        method: whose heads, see :func:`g2d_bench.encoders.heads.make.make_heads`; the objective's if empty.
        options: their keyword arguments.
        neck: what stands between image encoder and heads; the entries of the heads are then under ``heads.``.
    """

    method: str = ""
    options: dict[str, Any] = Field(default_factory=dict)
    neck: Neck | None = None

    @model_validator(mode="after")
    def _one_neck(self) -> HeadsOptions:
        if self.neck is not None and "neck" in self.options:
            raise ValueError("the neck stands twice, under [heads] and under its options")
        return self


class Embeddings(_Table):
    """``[embeddings]``: vectors that somebody else computed, in the place of an encoder.

    Attributes:
        spec: what computed them, and what it was fed, in a sentence; it stands in every record.
        files: data set to its file beside the card; see :mod:`g2d_bench.encoders.given`.
    """

    spec: str = Field(min_length=10)
    files: dict[
        str,
        Annotated[
            str, formed(r"[\w.-]+\.(npz|safetensors)", "a file beside the card, FILE.npz or FILE.safetensors")
        ],
    ] = Field(default_factory=dict)
