"""What a run leaves: one file of weights with its model card, and how well it finds its own reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.encoders.checkpoint import METADATA_KEY, open_checkpoint
from g2d_bench.encoders.heads.make import HEADS
from g2d_bench.encoders.words import bare_sentences
from g2d_bench.errors import InputError
from g2d_bench.files import write_out
from g2d_bench.metrics.retrieval import RANKS, first_places
from g2d_bench.pretrain.augment import plain
from g2d_bench.pretrain.pairs import PairData
from g2d_bench.pretrain.presets import Recipe
from g2d_bench.pretrain.train import Model

RETRIEVAL_PAIRS = 200
MAX_BYTES = 6_000_000
"""A shipped file may be no larger."""


@torch.no_grad()
def similarities(model: Model, data: PairData, chosen: NDArray[np.intp], recipe: Recipe) -> Tensor:
    """Compare the images of some pairs with the whole reports of the same pairs.

    Args:
        model: of the run; left in evaluation mode.
        data: the pairs.
        chosen: indices of N pairs.
        recipe: of the run.

    Returns:
        Cosines [N, N], on the CPU: row = image, column = report.
    """
    model.eval()
    device = next(model.parameters()).device
    images, texts = [], []
    for start in range(0, len(chosen), 50):
        part = chosen[start : start + 50]
        pixels = torch.from_numpy(np.array(data.images[part])).to(device)
        grey = plain(pixels, recipe.size, share=recipe.size / recipe.store)
        words = [_whole(recipe.method, data.sentences[index]) for index in part]
        tokens = model.text.tokenize(words, recipe.max_length)
        heads = model.objective.heads
        images.append(heads.embed_image(model.image(model.normalise(grey))).vector.float().cpu())
        texts.append(heads.embed_text(model.text(tokens), tokens).vector.float().cpu())
    found: Tensor = model.objective.heads.global_similarity(torch.cat(images), torch.cat(texts))
    return found


def retrieval(scores: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """Rank the own partner of each image and of each report.

    Ranks are those of :func:`g2d_bench.metrics.retrieval.first_places`, with one partner each.

    Args:
        scores: [N, N], row = image, column = report, partners on the diagonal.

    Returns:
        ``pairs`` N, and under ``image_to_text``, ``text_to_image`` and ``chance`` the shares of partners up
        to that rank, ``r@1``, ``r@5`` and ``r@10``, and the mean reciprocal rank, ``mrr``.
    """
    count = len(scores)
    found: dict[str, Any] = {"pairs": count}
    for name, matrix in (("image_to_text", scores), ("text_to_image", scores.T)):
        places = first_places(matrix, np.eye(count, dtype=np.bool_))
        recalls = [float(places.within(rank).mean()) for rank in RANKS]
        found[name] = _summary(recalls, float(places.reciprocal().mean()))
    harmonic = float((1 / np.arange(1, count + 1)).mean())
    found["chance"] = _summary([min(rank / count, 1.0) for rank in RANKS], harmonic)
    return found


def evaluate_retrieval(
    model: Model, data: PairData, recipe: Recipe, *, part: str = "held", count: int = RETRIEVAL_PAIRS
) -> dict[str, Any]:
    """Retrieve among up to ``count`` pairs of a part with different reports; see :func:`retrieval`."""
    chosen = data.distinct(part, count)
    return retrieval(similarities(model, data, chosen, recipe).numpy())


def export(
    model: Model, recipe: Recipe, card: Mapping[str, Any], path: Path, *, limit: int | None = None
) -> dict[str, Any]:
    """Write the trained parts as one safetensors file.

    Weights are stored in half precision, batch statistics in single: the loss of a variance's digits would
    change features. Prefixes: ``image.``, ``text.``, ``heads.`` and, where the objective has one,
    ``decoder.``.

    Args:
        model: of the run.
        recipe: of the run.
        card: what the model card says of data, seed and results; what a loader needs to rebuild the modules
            is added here.
        path: the file.
        limit: largest size in bytes; None for any.

    Returns:
        The complete model card; ``tensors`` is the sha256 of the tensors' names, shapes and values.

    Raises:
        InputError: a value does not fit half precision, the file would be too large or cannot be written.
    """
    from safetensors.torch import save

    modules = {"image": model.image.body, "text": model.text.bert, "heads": model.objective.heads}
    decoder = getattr(model.objective, "decoder", None)
    if decoder is not None:
        modules["decoder"] = decoder
    tensors: dict[str, Tensor] = {}
    for prefix, module in modules.items():
        for name, value in module.state_dict().items():
            tensors[f"{prefix}.{name}"] = _stored(f"{prefix}.{name}", value.detach().cpu().contiguous(), path)
    small = recipe.text == "small"
    objective = model.objective
    variant: Any = recipe.variant
    complete = dict(card) | {
        "format": 1,
        "method": recipe.method,
        "image": {
            "model": recipe.model,
            "options": dict(recipe.options),
            "size": recipe.size,
            "resize_inside": recipe.resize_inside,
            **(
                {"standardise": True}
                if recipe.standardise
                else {"mean": list(recipe.mean), "std": list(recipe.std)}
            ),
        },
        "text": {
            "source": recipe.text,
            "options": model.text.options if small else {"layers": recipe.text_layers, **model.text.reads},
            "max_length": recipe.max_length,
        },
        "heads": {
            "method": recipe.method,
            "options": dict(objective.head_options.get(variant, {})) | dict(recipe.heads),
        },
        "tensors": _digest(tensors),
    }
    if decoder is not None:
        complete["decoder"] = decoder.options
    blob = save(tensors, {METADATA_KEY: json.dumps(complete, sort_keys=True)})
    if limit is not None and len(blob) > limit:
        raise InputError(f"weights have {len(blob):,} bytes, {limit:,} are allowed", file=path)
    write_out(path, blob)
    return complete


def learnt(path: Path) -> str:
    """Hash the weights in a file, as ``tensors`` of its model card does.

    Raises:
        InputError: it is damaged.
    """
    return _digest(open_checkpoint(path).states.get("", {}))


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}{tuple(tensors[name].shape)}".encode() + tensors[name].numpy().tobytes())
    return digest.hexdigest()


def _whole(method: str, sentences: Sequence[str]) -> str:
    """Return a whole report in the form in which the method reads text."""
    return " ".join(bare_sentences(sentences) if HEADS[method].bare_words else sentences)


def _stored(name: str, value: Tensor, path: Path) -> Tensor:
    if not value.is_floating_point() or name.endswith(("running_mean", "running_var")):
        return value
    half = value.half()
    if not torch.isfinite(half).all():
        raise InputError("a weight does not fit half precision; the run has diverged", file=path, field=name)
    return half


def _summary(recalls: Sequence[float], mrr: float) -> dict[str, float]:
    return {f"r@{rank}": recall for rank, recall in zip(RANKS, recalls, strict=True)} | {"mrr": mrr}
