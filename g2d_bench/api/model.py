"""A model that is in memory, wrapped so that every kind of task can ask it."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Protocol, cast, runtime_checkable

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from g2d_bench.api.asked import sets_of
from g2d_bench.api.features import features_of
from g2d_bench.api.parts import (
    as_in_training,
    as_module,
    class_of,
    decides,
    evaluating,
    inner_of,
    kind_of,
    owners,
    watched,
)
from g2d_bench.api.spec import ImageSpec
from g2d_bench.cards.encoder import EncoderCard, ImageInput
from g2d_bench.cards.io import explain
from g2d_bench.cells.resolve import Model
from g2d_bench.encoders.checkpoint import tensor_hash
from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding
from g2d_bench.encoders.image import ImageEncoder, ImageFeatures
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.errors import InputError, first_line
from g2d_bench.hashing import digest_json


@runtime_checkable
class ImageTextModel(Protocol):
    """An object with an image and a text side that share a space, as a CLIP has them.

    ``encode_cells(images) -> [B, d, h, w]`` may be there too; grounding and phrase tasks need it.
    """

    def encode_image(self, images: Tensor) -> Tensor:
        """Project normalised images [B, 3, S, S] to vectors [B, d]."""

    def encode_text(self, texts: list[str]) -> Tensor:
        """Project texts to vectors [B, d]."""


class UserImage(nn.Module):
    """A user's image side in the place of an :class:`~g2d_bench.encoders.image.ImageEncoder`.

    Args:
        model: the user's object.
        size: side of its input.

    Attributes:
        model: what was given, as a module.
        hidden: modules that it computes with, and does not show as its parts.

    Raises:
        InputError: it has no values, does not take the images of its spec, gives something else than
            features, or computes with what cannot be held.
    """

    def __init__(self, model: Any, size: int) -> None:
        super().__init__()
        self.model, self.size = as_module(model), size
        self.hidden = nn.ModuleList()
        if any(one.is_meta for one in (*self.model.parameters(), *self.model.buffers())):
            raise InputError(
                f"{class_of(model)} lies on the device 'meta', which holds no values; give it some first",
                field="model",
            )
        # Not the module itself, which would be listed twice.
        self._names = ("encode_image", "encode_cells") if hasattr(model, "encode_image") else ("", "")
        self.has_cells = bool(self._names[1]) and hasattr(model, self._names[1])
        probe = self._tried()
        # Cells stand last in the pyramid; a decoder over them alone would be none.
        levels = probe.pyramid if len(probe.pyramid) > self.has_cells else []
        self.channels = tuple(int(level.shape[1]) for level in levels)
        self.strides = tuple(round(size / int(level.shape[-1])) for level in levels)
        self.num_features = int(probe.pooled.shape[1])

    def _tried(self) -> ImageFeatures:
        """Compute features of blank images, and take hold of what that needs."""
        features: ImageFeatures | None = None
        with watched(self.modules()) as called:
            try:
                features = self._try()
            except InputError:
                # What was called may want another type of numbers, or lie on another device.
                if not called:
                    raise
            self._try_texts()
        if called:
            self.hidden.extend(owners(inner_of(self.model), called))
            with watched(self.modules()) as called:
                features = self._try()
            fresh = [class_of(one) for one in called if decides(one)]
            if fresh:
                raise InputError(
                    f"{fresh[0]} is made anew in every call, so that nobody can say what is "
                    "measured; make it once",
                    field="model",
                )
        if any(one.is_inference() for one in self.parameters()):
            raise InputError(
                "has parameters that were made under torch.inference_mode, which nothing can be put back "
                "into; make it outside",
                field="model",
            )
        assert features is not None
        return features

    def _try(self) -> ImageFeatures:
        device, size = next((p.device for p in self.parameters()), torch.device("cpu")), self.size
        try:
            with evaluating(self), torch.inference_mode():
                # Two, as a forgotten batch dimension shows only then.
                features: ImageFeatures = self(torch.zeros(2, 3, size, size, device=device))
        except InputError:
            raise
        except Exception as error:
            text = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(f"does not take images [2, 3, {size}, {size}]: {text}", field="model") from error
        if any(len(part) != 2 for part in (features.pooled, *features.pyramid)):
            raise InputError("gives another number of rows than it was given images", field="model")
        return features

    def _try_texts(self) -> None:
        """Let the text side show its modules; what is wrong with it, the cells say that need it."""
        inner = inner_of(self.model)
        if isinstance(inner, ImageTextModel):
            with suppress(Exception), evaluating(self), torch.no_grad():
                inner.encode_text(["a chest radiograph"])

    def __deepcopy__(self, memo: dict[int, Any]) -> UserImage:
        """Copy the model with all that it computes with.

        Raises:
            InputError: the copy would go on computing with parts of the original.
        """
        found = type(self).__new__(type(self))
        memo[id(self)] = found
        with torch.no_grad():  # a scripted module's parameters would be no leaves
            found.__dict__.update(copy.deepcopy(self.__dict__, memo))
        with watched(found.modules()) as called:
            found._try()
        if {part for one in called for part in one.modules()} & set(self.modules()):
            raise InputError("a copy goes on computing with the original; give the module itself")
        return found

    def state(self) -> dict[str, Tensor]:
        """Return parameters and buffers, by name."""
        named = {**self.model.state_dict(), **self.hidden.state_dict(prefix="hidden.")}
        return {name: value for name, value in named.items() if isinstance(value, Tensor)}

    def forward(self, x: Tensor) -> ImageFeatures:
        """Compute the features of normalised images [B, 3, S, S]."""
        with as_in_training(x) as images:
            return self._features(images.to(kind_of(self)))

    def _features(self, x: Tensor) -> ImageFeatures:
        inner = inner_of(self.model)
        features = features_of(getattr(inner, self._names[0])(x) if self._names[0] else inner(x))
        if not self.has_cells:
            return features
        cells = features_of(getattr(inner, self._names[1])(x)).pyramid
        if len(cells) != 1:
            raise InputError("encode_cells must give one map [B, d, h, w]", field="model")
        return ImageFeatures([*features.pyramid, cells[0]], features.pooled)


class _Vocabulary:
    def get_vocab(self, *, with_added_tokens: bool) -> dict[str, int]:
        return {}


class UserText(nn.Module):
    """A user's text side in the place of a :class:`~g2d_bench.encoders.text.TextEncoder`.

    Args:
        model: the user's object.
        dim: d of the vectors that its image side gives.
    """

    def __init__(self, model: Any, dim: int) -> None:
        super().__init__()
        self.bert = as_module(model)
        self.tokenizer = _Vocabulary()
        self._dim, self._called = dim, f"{class_of(model)}.encode_text"

    def tokenize(self, texts: Sequence[str], max_length: int | None = None) -> dict[str, Any]:
        """Hand the texts on as they are."""
        return {"texts": list(texts)}

    def forward(self, tokens: dict[str, Any]) -> Tensor:
        """Project the texts: [B, d].

        Raises:
            InputError: the model does not take texts, or gives something else than finite vectors of the
                images' width.
        """
        texts = tokens["texts"]
        try:
            with as_in_training(torch.empty(0)):
                vectors = inner_of(self.bert).encode_text(list(texts))
        except (InputError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            said = f"{type(error).__name__}: {first_line(error)}"
            raise InputError(
                f"{self._called} must take a list of texts, tokenizing them itself; it says {said}",
                field="model",
            ) from error
        if not isinstance(vectors, Tensor) or tuple(vectors.shape) != (len(texts), self._dim):
            shape = list(vectors.shape) if isinstance(vectors, Tensor) else type(vectors).__name__
            raise InputError(
                f"{self._called} must give a tensor [{len(texts)}, {self._dim}], a vector per text, as wide "
                f"as those of images, not {shape}",
                field="model",
            )
        if not torch.isfinite(vectors).all():
            raise InputError(
                f"{self._called} gives NaN or infinity; finite numbers are wanted", field="model"
            )
        return vectors.detach().float()


class UserHeads(Heads):
    """Nothing to project: both sides already give vectors of one space."""

    method = "other"

    def __init__(self, dim: int, *, cells: bool) -> None:
        super().__init__()
        self.dim, self.has_cells = dim, cells

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Take the vector, and the cells where the model gives some."""
        return ImageEmbedding(features.pooled, features.pyramid[-1] if self.has_cells else None)

    def embed_text(self, states: Any, tokens: Any) -> TextEmbedding:
        """Take the vectors."""
        return TextEmbedding(states)


def wrap(
    model: Any, spec: ImageSpec, *, name: str = "", pretraining: Sequence[str] = ()
) -> tuple[EncoderCard, Model]:
    """Make an encoder of a model that is in memory.

    Args:
        model: a module that gives features (see :func:`~g2d_bench.api.features.features_of`), or an
            :class:`ImageTextModel`.
        spec: what it takes.
        name: in tables; by default that of its class.
        pretraining: data sets that it has seen.

    Returns:
        A card, and the encoder with the digest of its state.

    Raises:
        InputError: it takes or gives something else.
    """
    known_as = name or type(model).__name__
    pretraining = sets_of(pretraining)
    try:
        card = EncoderCard(
            name=slug(known_as),
            title=known_as,
            objective="other",
            scale=spec.scale,
            image=ImageInput.model_validate(
                {"model": class_of(model), "size": spec.size, "mean": spec.mean, "std": spec.std}
            ),
            weights="none",
            pretraining=pretraining,
        )
    except ValidationError as error:
        raise explain(error, EncoderCard) from None
    image = UserImage(model, spec.size)
    digest = state_digest(image.state(), card)
    encoder = Encoder(card, cast(ImageEncoder, image), digest)
    # Features are not kept for another process: code may change there while the state stays.
    encoder.salt = f"{id(image):x}-{torch.randint(1 << 62, (1,), generator=_fresh()).item():x}"
    if isinstance(model, ImageTextModel):
        encoder.text = cast(TextEncoder, UserText(model, image.num_features))
        encoder.heads = UserHeads(image.num_features, cells=image.has_cells)
    named = f", name={name!r}" if name else ""
    seen = f", pretraining={pretraining!r}" if pretraining else ""
    return card, Model(encoder, digest, notes_of(image.state(), card, spec), f"spec=gb.{spec!r}{named}{seen}")


CODE_IS_NO_PART = "its code is not part of its identity: the same state under other code has the same key"


def notes_of(state: Mapping[str, Tensor], card: EncoderCard, spec: ImageSpec) -> dict[str, Any]:
    """Say in a record what a model in memory was, and what the record cannot know."""
    return {
        "in_memory": {
            "class": card.image.model,
            "spec": {**asdict(spec), "mean": card.image.mean, "std": card.image.std},
            "state": "digest of parameters and buffers" if state else "none that can be read",
            "code": CODE_IS_NO_PART,
        }
    }


def _fresh() -> torch.Generator:
    generator = torch.Generator()
    generator.seed()
    return generator


def state_digest(state: Mapping[str, Tensor], card: EncoderCard) -> str:
    """Name the state of a model: its parameters and buffers, its class and its input; not its code."""
    values = tensor_hash(state[name] for name in sorted(state))
    return "memory:" + digest_json([sorted(state), values, card.image.model_dump(mode="json")])


def slug(name: str) -> str:
    """Bring a name into the form that cards have: lower case, digits, hyphens.

    Example:
        >>> slug("My ResNet_18 (v2)")
        'my-resnet-18-v2'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "model"
