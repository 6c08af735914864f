"""Text models of transformers by one rule, after a folder's configuration; never remote code.

A model's class is the one that bears its configuration's name (``ElectraConfig``, ``ElectraModel``). Whatever
takes ``input_ids`` and ``attention_mask`` and gives hidden states can be read; no family has code of its own.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from g2d_bench.encoders.tokenizer import load_tokenizer, no_panic, read_tokenizer
from g2d_bench.errors import InputError, first_line
from g2d_bench.files import read_regular
from g2d_bench.safe_files import LARGEST_JSON

SIZES = {
    "num_hidden_layers": 200,
    "num_attention_heads": 1 << 10,
    "hidden_size": 1 << 15,
    "intermediate_size": 1 << 17,
    "vocab_size": 1 << 22,
    "max_position_embeddings": 1 << 17,
    "type_vocab_size": 1 << 10,
}
"""Largest sizes that a configuration may ask for."""
_LARGEST = max(SIZES.values())
_OLDER = ("bert", "cxr-bert", "roberta")
"""Families that must have every one of these sizes; others may lack one, or have no types of tokens."""
PADDED = "siglip"
"""How the names of those families begin that were trained on texts padded to one length, padding read."""


def read_config(file: Path, model: str) -> Any:
    """Read the configuration of a text model.

    Args:
        file: a ``config.json``.
        model: what it must say it is; a ``cxr-bert`` is a BERT with heads of its own, which are left out.

    Raises:
        InputError: it cannot be read, is of another model, of none that transformers has, or asks for a size
            that no model has.
    """
    from transformers import BertConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    try:
        said = json.loads(read_regular(file, LARGEST_JSON))
        kind = said.pop("model_type", "bert")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from None
    except Exception as error:  # no JSON, no table, nested without end
        raise InputError(f"cannot be read: {first_line(error)}", file=file) from None
    if kind != model:
        raise InputError(f"is a {kind!r}, not a {model!r}", file=file)
    try:
        config = (BertConfig if kind == "cxr-bert" else CONFIG_MAPPING[kind]).from_dict(said)
    except KeyError:
        raise InputError(f"transformers has no {kind!r}", file=file, field="model_type") from None
    except Exception as error:  # each fault has its own class in the library
        raise InputError(f"cannot be read: {first_line(error)}", file=file) from None
    for key, most in SIZES.items():
        size = getattr(config, key, None)
        if kind not in _OLDER and (size is None or (size == 0 and key == "type_vocab_size")):
            continue
        if type(size) is not int or not 1 <= size <= most:
            raise InputError(f"must lie between 1 and {most:,}, not {size!r}", file=file, field=key)
    for key, size in config.to_dict().items():
        if type(size) is int and abs(size) > _LARGEST:
            raise InputError(f"must lie below {_LARGEST:,}, not {size!r}", file=file, field=key)
    config._attn_implementation = "eager"
    return config


def make_model(config: Any, *, pooler: bool = False, file: Path | None = None) -> nn.Module:
    """Make a text model with random weights, drawn from torch's default generator.

    Args:
        config: its configuration.
        pooler: keep the pooling that many families have behind their last layer, where it can be left out.
        file: the configuration's, for messages.

    Raises:
        InputError: transformers has no such model, it takes no texts, or it refuses its configuration.
    """
    import transformers

    name = type(config).__name__.removesuffix("Config") + "Model"
    kind: Any = getattr(transformers, name, None)
    if kind is None or "input_ids" not in inspect.signature(kind.forward).parameters:
        raise InputError(f"transformers has no {name} that reads texts", file=file, field="model_type")
    choice = "add_pooling_layer" in inspect.signature(kind.__init__).parameters
    try:
        model: nn.Module = kind(config, **({"add_pooling_layer": pooler} if choice else {}))
    except Exception as error:  # each model checks its configuration in its own way
        raise InputError(f"transformers refuses it: {first_line(error)}", file=file) from None
    return model


def unused_places(model: nn.Module) -> int:
    """Count the positions that no token takes: RoBERTa and its kin count from their padding's number on."""
    padding = getattr(getattr(model, "embeddings", None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def longest_text(model: Any) -> int:
    """Return how many tokens a model's positions suffice for.

    Raises:
        InputError: its configuration says nothing of it.
    """
    places = getattr(model.config, "max_position_embeddings", None)
    if places is None:
        raise InputError(
            f"a {model.config.model_type!r} does not say how long a text may be",
            field="max_position_embeddings",
        )
    return int(places) - unused_places(model)


@torch.inference_mode()
def require_unpadded(model: Any, pad: int) -> None:
    """See that a text's states do not depend on the padding behind it, hence on the texts beside it.

    Raises:
        InputError: they do.
    """
    ids = torch.tensor([[min(5, model.config.vocab_size - 1)] * 4 + [pad] * 4])
    mask = torch.tensor([[1] * 4 + [0] * 4])
    was = model.training
    model.eval()
    try:
        whole = model(input_ids=ids, attention_mask=mask).last_hidden_state[:, :4]
        alone = model(input_ids=ids[:, :4], attention_mask=mask[:, :4]).last_hidden_state
    except Exception as error:  # each model fails in its own way
        raise InputError(f"a {model.config.model_type!r} cannot be asked: {first_line(error)}") from None
    finally:
        model.train(was)
    if not torch.allclose(whole, alone, atol=1e-4, rtol=1e-4):
        raise InputError(
            f"a {model.config.model_type!r} reads its padding: its numbers would depend on the other texts "
            "of a batch",
            field="text.model",
        )


def folder_tokenizer(path: Path, model: str) -> Tokenizer:
    """Load the tokenizer in a folder: ours reads the usual files, transformers those of other families.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    from transformers import AutoTokenizer

    try:
        return load_tokenizer(path)
    except InputError:
        if model in _OLDER:
            raise
        try:
            with no_panic():
                found = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        except Exception:  # each fault has its own class in the library
            found = None
        backend = getattr(found, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise
        return read_tokenizer(backend.to_str())


def ready_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return what is added to the scores of attention.

    transformers makes it of a mask by tokens, but first asks the device whether there is any padding.

    Args:
        mask: bool [B, T].
        dtype: of the scores.

    Returns:
        [B, 1, T, T], zero for tokens, the least number for padding.
    """
    length = mask.shape[1]
    added = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    added = added.masked_fill(~mask.bool(), torch.finfo(dtype).min)
    return added[:, None, None].expand(-1, 1, length, length)


def takes_ready_masks() -> bool:
    """Say whether BERTs of this transformers leave a mask [B, 1, T, T] as it is; older ones refuse it."""
    try:
        from transformers.masking_utils import create_bidirectional_mask  # noqa: F401
    except ImportError:
        return False
    return True
