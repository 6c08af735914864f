"""Embeddings that somebody else computed, in the place of an encoder.

A file of one data set, ``.npz`` (without pickles) or ``.safetensors``, holds:

``ids`` (N texts)
    of the images, as ``g2d-bench export-images`` writes them; in safetensors a JSON list in the metadata.
``vectors`` [N, D]
    one per image: what linear probes read.
``joint`` [N, d], optional
    images in the space of the texts; ``vectors`` where it is absent.
``texts`` (T texts) and ``text_vectors`` [T, d], optional
    prompts and what they became; ``texts`` in safetensors as ``ids``.
``reports`` (R texts) and ``report_vectors`` [R, d], optional
    the first column of the export's ``reports.csv``, and what those reports became: which ones, not what they
    say; in safetensors as ``ids``.
``content``, optional
    of the export's ``export.json``: which pixels were embedded.

Nothing of it can be checked but its form: such an encoder is called *self-reported* wherever its numbers
stand.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.heads.base import Heads, ImageEmbedding, TextEmbedding
from g2d_bench.encoders.image import ImageEncoder, ImageFeatures
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.weights import file_hash
from g2d_bench.errors import InputError, first_line
from g2d_bench.hashing import digest_text

Values = NDArray[np.float32]

ARRAYS = ("ids", "vectors", "joint", "texts", "text_vectors", "reports", "report_vectors", "content")
SAID = {"texts": "text_vectors", "reports": "report_vectors"}
"""Names of texts to the array of their vectors."""
PACKED = 100
"""How many times larger than its file an archive of vectors may be, beyond 64 MiB."""
WIDEST = 1 << 16


class Given(NamedTuple):
    """What a file holds; see the module."""

    ids: tuple[str, ...]
    vectors: Values
    joint: Values
    texts: tuple[str, ...]
    text_vectors: Values | None
    content: str
    reports: tuple[str, ...] = ()
    report_vectors: Values | None = None


def read_given(file: Path) -> Given:
    """Read a file of embeddings.

    Raises:
        InputError: it is none, an array is missing, unknown, of another shape or holds no numbers, or an id
            or a text stands twice.
    """
    if file.suffix not in (".npz", ".safetensors"):
        raise InputError(f"{file.suffix or 'no suffix'}; embeddings are .npz or .safetensors", file=file)
    found = _npz(file) if file.suffix == ".npz" else _safetensors(file)
    for name in found:
        if name not in ARRAYS:
            raise InputError(f"unknown array; known are {', '.join(ARRAYS)}", file=file, field=str(name)[:60])
    for name in ("ids", "vectors"):
        if name not in found:
            raise InputError("is missing", file=file, field=name)
    for name, array in SAID.items():
        if (name in found) != (array in found):
            raise InputError(f"{name} and {array} go together", file=file, field=name)
    ids, texts, reports = (_words(found.get(name, ()), file, name) for name in ("ids", *SAID))
    vectors = _numbers(found["vectors"], len(ids), file, "vectors")
    joint = _numbers(found["joint"], len(ids), file, "joint") if "joint" in found else vectors
    said: dict[str, Values | None] = {}
    for names, array in ((texts, "text_vectors"), (reports, "report_vectors")):
        said[array] = _numbers(found[array], len(names), file, array) if names else None
        if (values := said[array]) is not None and values.shape[1] != joint.shape[1]:
            where = "joint" if "joint" in found else "vectors"
            raise InputError(
                f"{values.shape[1]} values each, but {where} has {joint.shape[1]}: they share no space",
                file=file,
                field=array,
            )
    content = str(found.get("content", ""))
    return Given(ids, vectors, joint, texts, said["text_vectors"], content, reports, said["report_vectors"])


def require_ids(given: Given, file: Path, known: Iterable[str], needed: Iterable[str], dataset: str) -> None:
    """Hold the ids of a file against a task.

    Args:
        given: the file's.
        file: for messages.
        known: ids of the data set.
        needed: ids that the task uses.
        dataset: for messages.

    Raises:
        InputError: an image of the task is missing, or the file has one that the data set does not know.
    """
    there = set(given.ids)
    missing = sorted(set(needed) - there)
    extra = sorted(there - set(known))
    for ids, what in ((extra, f"are no images of {dataset}"), (missing, "of the task are missing")):
        if ids:
            shown = ", ".join(map(repr, ids[:3])) + (", ..." if len(ids) > 3 else "")
            raise InputError(f"{len(ids)} ids {what} ({shown})", file=file, field="ids")


class GivenImage(nn.Module):
    """Vectors in the order of a data set's images, where an image encoder would compute them.

    Args:
        given: the file's.
        known: ids of the data set, in its order; those without a vector have zeros and are never asked for.

    Attributes:
        vectors: [N, D].
        joint: [N, d].
    """

    vectors: Tensor
    joint: Tensor
    channels: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()

    def __init__(self, given: Given, known: Sequence[str]) -> None:
        super().__init__()
        place = {image: n for n, image in enumerate(known)}
        rows = [place[image] for image in given.ids]
        for name in ("vectors", "joint"):
            values = getattr(given, name)
            table = torch.zeros(len(known), values.shape[1])
            table[rows] = torch.from_numpy(values)
            self.register_buffer(name, table)
        self.num_features = int(self.vectors.shape[1])

    def forward(self, images: Tensor) -> ImageFeatures:
        """Vectors belong to ids; of pixels nothing can be said."""
        raise TypeError("embeddings are given: no image can be encoded")


class _Vocabulary:
    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts

    def get_vocab(self, *, with_added_tokens: bool) -> dict[str, int]:
        return {text: n for n, text in enumerate(self._texts)}


class GivenText(nn.Module):
    """Vectors of texts, where a text encoder would compute them; reports are known by their digest alone."""

    def __init__(self, given: Given, file: Path) -> None:
        super().__init__()
        found = [values for values in (given.text_vectors, given.report_vectors) if values is not None]
        vectors = torch.from_numpy(np.concatenate(found))
        names = (*given.texts, *given.reports)
        self.bert = nn.Embedding(len(vectors), vectors.shape[1]).requires_grad_(False)
        self.bert.weight.copy_(vectors)
        self.tokenizer = _Vocabulary(names)
        self._texts = {text: n for n, text in enumerate(given.texts)}
        self._reports = {name: len(self._texts) + n for n, name in enumerate(given.reports)}
        self._file = file

    def _place(self, text: str) -> int | None:
        place = self._texts.get(text)
        return self._reports.get(digest_text(text)) if place is None and self._reports else place

    def known(self, texts: Sequence[str]) -> int:
        """Count the texts that have a vector."""
        return sum(self._place(text) is not None for text in texts)

    def tokenize(self, texts: Sequence[str], max_length: int | None = None) -> dict[str, Tensor]:
        """Look texts up.

        Raises:
            InputError: the file has no vector for one; what a report says is not repeated.
        """
        places = []
        for text in texts:
            place = self._place(text)
            if place is None:
                name = f"{digest_text(text)}, a text or report of {len(text)} characters"
                missing = name if self._reports else f"the text {text!r}"
                raise InputError(
                    f"no vector for {missing}; `g2d-bench export-images` lists all that a task asks",
                    file=self._file,
                    field="texts",
                )
            places.append(place)
        return {"rows": torch.tensor(places)}

    def forward(self, tokens: dict[str, Tensor]) -> Tensor:
        """Return the vectors: [B, d]."""
        found: Tensor = self.bert(tokens["rows"].to(self.bert.weight.device))
        return found


class GivenHeads(Heads):
    """Nothing to project: both sides are given in one space, and no image has cells."""

    method = "given"
    has_cells = False

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def embed_image(self, features: ImageFeatures) -> ImageEmbedding:
        """Take the vector."""
        return ImageEmbedding(features.pooled)

    def embed_text(self, states: Any, tokens: Any) -> TextEmbedding:
        """Take the vectors."""
        return TextEmbedding(states)


def load_given(
    card: EncoderCard, file: Path, known: Sequence[str], needed: Iterable[str], *, dataset: str, content: str
) -> Encoder:
    """Make an encoder of a file of embeddings.

    Args:
        card: the encoder's.
        file: of the data set.
        known: ids of the data set, in the order of its manifest.
        needed: ids that the task uses.
        dataset: its name.
        content: hash of the data set, which the file must state if it states any.

    Raises:
        InputError: see :func:`read_given` and :func:`require_ids`; or the file is of other pixels.
    """
    given = read_given(file)
    if given.content and given.content != content:
        raise InputError(
            f"embeds other images than these ({given.content[:8]}, not {content[:8]}); export them again",
            file=file,
            field="content",
        )
    require_ids(given, file, known, needed, dataset)
    image = GivenImage(given, known)
    encoder = Encoder(card, cast(ImageEncoder, image.eval()), file_hash(file))
    if given.text_vectors is None and given.report_vectors is None:
        encoder.no_text = f"{file.name} has no text_vectors"
    else:
        encoder.text = cast(TextEncoder, GivenText(given, file).eval())
        encoder.heads = GivenHeads(given.joint.shape[1]).eval()
    return encoder


def _npz(file: Path) -> dict[str, Any]:
    try:
        _require_bounded(file)
        with np.load(file, allow_pickle=False) as opened:
            return {name: opened[name] for name in opened.files}
    except FileNotFoundError:
        raise InputError("no such file", file=file) from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise InputError(f"cannot be read: {first_line(error)[:160]}", file=file) from None
    except MemoryError:
        raise InputError("needs more memory than there is", file=file) from None


def _require_bounded(file: Path) -> None:
    """Refuse an archive that unpacks to far more than vectors do, before anything is unpacked.

    Raises:
        InputError: it does.
        OSError: it cannot be read.
        zipfile.BadZipFile: it is no archive.
    """
    if file.exists() and not file.is_file():
        raise InputError("is no regular file", file=file)
    size = file.stat().st_size
    with zipfile.ZipFile(file) as archive:
        whole = sum(member.file_size for member in archive.infolist())
    if whole > PACKED * size + (64 << 20):
        raise InputError(f"unpacks to {whole >> 20:,} MiB from {size >> 20:,}, as no vectors do", file=file)


def _safetensors(file: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as opened:
            found: dict[str, Any] = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            said: Mapping[str, str] = opened.metadata() or {}
    except FileNotFoundError:
        raise InputError("no such file", file=file) from None
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0][:160]}", file=file) from None
    for name in ("ids", *SAID):
        if name in said:
            try:
                found[name] = json.loads(said[name])
            except (ValueError, RecursionError):
                raise InputError("is no JSON list in the metadata", file=file, field=name) from None
    return found | ({"content": said["content"]} if "content" in said else {})


def _words(values: Any, file: Path, name: str) -> tuple[str, ...]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    if not isinstance(listed, list | tuple) or not all(isinstance(one, str) for one in listed):
        raise InputError("must be texts, one per line of vectors", file=file, field=name)
    twice = [word for word, count in Counter(listed).items() if count > 1]
    if twice:
        raise InputError(f"{len(twice)} stand twice (the first is {twice[0]!r})", file=file, field=name)
    return tuple(listed)


def _numbers(values: Any, rows: int, file: Path, name: str) -> Values:
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.ndim != 2:
        shape = getattr(values, "shape", ())
        kind = getattr(values, "dtype", type(values).__name__)
        raise InputError(f"must be floating point [N, D], not {kind} {list(shape)}", file=file, field=name)
    if len(values) != rows:
        of = next((names for names, array in SAID.items() if array == name), "ids")
        raise InputError(f"{len(values)} lines for {rows} {of}", file=file, field=name)
    if not 1 <= values.shape[1] <= WIDEST:
        raise InputError(f"{values.shape[1]} values each, above {WIDEST} or none", file=file, field=name)
    with np.errstate(over="ignore"):
        found = values.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if wrong.size:
        what = "NaN or infinity" if not np.isfinite(values).all() else "a number beyond float32"
        raise InputError(f"{what} in {wrong.size} lines, the first is {wrong[0]}", file=file, field=name)
    return np.ascontiguousarray(found)
