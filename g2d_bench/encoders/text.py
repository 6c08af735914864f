"""The text encoder: a text model and its tokenizer, from a folder, from the hub, or small and new."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from g2d_bench.cards.encoder import HUB, LOCAL
from g2d_bench.encoders.text_models import (
    PADDED,
    folder_tokenizer,
    longest_text,
    make_model,
    read_config,
    ready_mask,
    require_unpadded,
    takes_ready_masks,
)
from g2d_bench.encoders.tokenizer import CONTINUES, PAD, PADS, load_tokenizer, no_panic
from g2d_bench.encoders.weights import WEIGHTS_FILES
from g2d_bench.encoders.words import word_index
from g2d_bench.errors import InputError, first_line

_PAD_TO = 8
# A data loader's workers fork after the tokenizer was used; its threads would not be there, and it says so.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


Places = Literal["counted", "zero"]
"""How tokens are told where they stand; see :class:`TextEncoder`."""


class _NoTokenTypes(nn.Module):
    """Stands where a BERT has the embeddings of token types, and adds nothing."""

    def forward(self, types: Tensor) -> Tensor:
        return types.new_zeros((*types.shape, 1), dtype=torch.get_default_dtype())


class TextStates(NamedTuple):
    """What a text encoder gives.

    Attributes:
        hidden: hidden states [B, T, D], the embeddings first, then those of each layer; the last as the model
            gives them, normalised where it does so.
        attention: attention probabilities of the last layer, [B, H, T, T], from row to column.
        mask: bool [B, T], true for tokens ([CLS] and [SEP] included), false for padding.
        pooled: the model's own vector [B, D], or None where it makes none.
    """

    hidden: tuple[Tensor, ...]
    attention: Tensor | None
    mask: Tensor
    pooled: Tensor | None = None


class TextEncoder(nn.Module):
    """A BERT, or another text model of transformers, with its tokenizer.

    Args:
        bert: the model, with eager attention (so that attentions can be read).
        tokenizer: its tokenizer; where its pieces do not begin with ``##`` inside of words, as in BERT, every
            piece counts as a word.
        source: where it comes from, for records and messages.
        places: ``counted`` from the first token on, or ``zero``: every token stands at position 0, as the
            released MGCA hands its BERT the token types (all 0) in the place of the positions.
        token_types: whether the BERT has embeddings of token types; MGCA's has none, nor entries for them.

    Attributes:
        bert: its state-dict keys are the canonical names of checkpoints.
        width: D.
        longest: how many tokens its positions suffice for.
        padded: whether every text is padded to the longest and the padding read, as SigLIP does.

    Raises:
        InputError: tokenizer and model do not fit, or the model's states depend on the padding of a text.
    """

    _starts: Tensor

    def __init__(
        self,
        bert: Any,
        tokenizer: Tokenizer,
        *,
        source: str = "small",
        places: Places = "counted",
        token_types: bool = True,
    ) -> None:
        from transformers import BertModel, RobertaModel

        super().__init__()
        self.bert = bert
        self.places, self.token_types = places, token_types
        if not token_types and isinstance(bert, BertModel | RobertaModel):
            self.bert.embeddings.token_type_embeddings = _NoTokenTypes()
        self.tokenizer = tokenizer
        self.source = source
        self.width = int(self.bert.config.hidden_size)
        self.longest = longest_text(self.bert)
        self.padded = str(self.bert.config.model_type).startswith(PADDED)
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        if max(vocabulary.values()) >= self.bert.config.vocab_size:
            raise InputError(
                f"the tokenizer knows {max(vocabulary.values()) + 1} pieces, "
                f"the model only {self.bert.config.vocab_size}",
                file=source,
                field="tokenizer",
            )
        pads = [int(vocabulary[pad]) for pad in PADS if pad in vocabulary and not self.padded]
        # Padding that is read is the configuration's; what is masked may be any token.
        self._pad = pads[0] if pads else int(getattr(self.bert.config, "pad_token_id", None) or 0)
        starts = torch.ones(int(self.bert.config.vocab_size), dtype=torch.bool)
        starts[[number for piece, number in vocabulary.items() if piece.startswith(CONTINUES)]] = False
        self.register_buffer("_starts", starts, persistent=False)
        self._host_starts = starts
        self._reads_ready_masks = isinstance(bert, BertModel | RobertaModel) and takes_ready_masks()
        if isinstance(bert, BertModel | RobertaModel):
            # The last layer's attention is read as the weights of words: dropout would set some to zero.
            self.bert.encoder.layer[-1].attention.self.dropout.p = 0.0
            return
        if places == "zero" or not token_types:
            raise InputError(f"are for a 'bert', not a {self.bert.config.model_type!r}", field="text.places")
        if not self.padded and not any(value.is_meta for value in bert.parameters()):
            require_unpadded(bert, self._pad)

    @classmethod
    def open(cls, source: str, *, layers: int | None = None, **reads: Any) -> TextEncoder:
        """Open ``hf-hub:NAME`` or ``local-dir:PATH``; ``reads`` are ``places`` and ``token_types``.

        Raises:
            InputError: another scheme, or see :meth:`from_hub` and :meth:`from_folder`.
        """
        if source.startswith(HUB):
            return cls.from_hub(source.removeprefix(HUB), layers=layers, **reads)
        if source.startswith(LOCAL):
            return cls.from_folder(Path(source.removeprefix(LOCAL)), layers=layers, **reads)
        raise InputError(f"{source!r} must be '{HUB}NAME' or '{LOCAL}PATH'", field="text.source")

    @classmethod
    def from_folder(cls, path: Path, *, layers: int | None = None, **reads: Any) -> TextEncoder:
        """Load a BERT in the hub's layout: ``config.json``, weights, ``tokenizer.json`` or ``vocab.txt``.

        Args:
            path: for example a copy of ``emilyalsentzer/Bio_ClinicalBERT``.
            layers: use only the first so many layers (6 in MGCA); all if None.
            reads: ``places`` and ``token_types`` of :class:`TextEncoder`.

        Raises:
            InputError: something is missing or is not a BERT; the folder is named.
        """
        for names in (("config.json",), WEIGHTS_FILES):
            if not any((path / name).is_file() for name in names):
                raise InputError(f"text encoder folder without {' or '.join(names)}", file=path)
        tokenizer = load_tokenizer(path)
        # Seconds, which whoever has no such encoder need not wait.
        from transformers import BertConfig, BertModel

        try:
            config = BertConfig.from_pretrained(path)
        except Exception as error:  # each fault of a JSON file has its own class in the library
            raise InputError(f"cannot be read: {first_line(error)}", file=path / "config.json") from None
        if config.model_type != "bert":
            raise InputError(f"is a {config.model_type!r}, not a 'bert'", file=path / "config.json")
        _cut(config, layers, path)
        try:
            bert, report = BertModel.from_pretrained(
                path,
                config=config,
                add_pooling_layer=False,
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
                local_files_only=True,
            )
        except Exception as error:  # as above: pickle, safetensors, shapes
            raise InputError(f"weights cannot be loaded: {first_line(error)}", file=path) from None
        missing = sorted(report["missing_keys"])
        if missing:
            raise InputError(f"weights lack {len(missing)} entries, the first is {missing[0]}", file=path)
        return cls(bert, tokenizer, source=f"{LOCAL}{path}", **reads)

    @classmethod
    def untrained(
        cls,
        path: Path,
        model: str = "bert",
        *,
        layers: int | None = None,
        seed: int = 0,
        pooler: bool = False,
        **reads: Any,
    ) -> TextEncoder:
        """Make a model with random weights after a folder's ``config.json``, with its tokenizer.

        Args:
            path: a folder in the hub's layout; weights in it are not read.
            model: the ``model_type`` that the configuration must have; see
                :mod:`g2d_bench.encoders.text_models`.
            layers: use only the first so many layers; all if None.
            seed: of the weights; the caller's random state is left as it was.
            pooler: keep the model's own pooling behind its last layer, where it has one.
            reads: ``places`` and ``token_types`` of :class:`TextEncoder`.

        Raises:
            InputError: configuration or tokenizer is missing, wrong, or of another model.
        """
        file = path / "config.json"
        tokenizer = folder_tokenizer(path, model)
        config = read_config(file, model)
        _cut(config, layers, path)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            bert = make_model(config, pooler=pooler, file=file)
        return cls(bert, tokenizer, source=f"{LOCAL}{path}", **reads)

    @classmethod
    def from_hub(cls, name: str, *, layers: int | None = None, **reads: Any) -> TextEncoder:
        """Load a BERT by its name on the Hugging Face hub, from the cache if it is there.

        Raises:
            InputError: it is neither in the cache nor within reach, or see :meth:`from_folder`.
        """
        from huggingface_hub import snapshot_download

        patterns = ["config.json", "tokenizer*.json", "vocab.txt", *WEIGHTS_FILES]
        try:
            folder = snapshot_download(name, allow_patterns=patterns)
        except Exception as error:  # offline, unknown name, full disk: each library version raises its own
            raise InputError(
                f"neither cached nor within reach ({first_line(error)}); "
                f"give a copy as '{LOCAL}PATH' or unset HF_HUB_OFFLINE",
                file=HUB + name,
            ) from None
        encoder = cls.from_folder(Path(folder), layers=layers, **reads)
        encoder.source = HUB + name
        return encoder

    @classmethod
    def small(
        cls,
        tokenizer: Path | Tokenizer,
        *,
        hidden: int = 128,
        layers: int = 3,
        heads: int = 4,
        intermediate: int = 384,
        positions: int = 128,
        dropout: float = 0.1,
        **reads: Any,
    ) -> TextEncoder:
        """Make a small BERT with random weights: below 0.9 million parameters for up to 2,900 word pieces.

        Args:
            tokenizer: of the phantom reports, or its JSON file.
            hidden: D.
            layers: transformer layers.
            heads: attention heads per layer.
            intermediate: width inside of a layer's perceptron.
            positions: longest text in tokens.
            dropout: of hidden states and attention.
            reads: ``places`` and ``token_types`` of :class:`TextEncoder`.
        """
        from transformers import BertConfig, BertModel

        if isinstance(tokenizer, Path):
            tokenizer = load_tokenizer(tokenizer)
        config = BertConfig(
            vocab_size=tokenizer.get_vocab_size(with_added_tokens=True),
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=intermediate,
            max_position_embeddings=positions,
            type_vocab_size=1,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            pad_token_id=tokenizer.token_to_id(PAD),
            attn_implementation="eager",
        )
        return cls(BertModel(config, add_pooling_layer=False), tokenizer, **reads)

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments with which :meth:`small` makes a model of the same shape."""
        config = self.bert.config
        return {
            "hidden": config.hidden_size,
            "layers": config.num_hidden_layers,
            "heads": config.num_attention_heads,
            "intermediate": config.intermediate_size,
            "positions": config.max_position_embeddings,
            "dropout": config.hidden_dropout_prob,
            **self.reads,
        }

    @property
    def reads(self) -> dict[str, Any]:
        """How it reads, where that is not as usual: keyword arguments of the class."""
        usual = {"places": (self.places, "counted"), "token_types": (self.token_types, True)}
        return {name: mine for name, (mine, other) in usual.items() if mine != other}

    def freeze(self, layers: int, *, embeddings: bool = True) -> None:
        """Exclude the first layers, and the embeddings, from training; layers after them train.

        ConVIRT: 6 layers and the embeddings. The released G2D: 9 layers without the embeddings.

        Raises:
            InputError: there are fewer layers.
        """
        if not 0 <= layers <= len(self.bert.encoder.layer):
            raise InputError(
                f"{layers} layers cannot be frozen, there are {len(self.bert.encoder.layer)}",
                file=self.source,
                field="freeze",
            )
        self.bert.embeddings.requires_grad_(not embeddings)
        for number, layer in enumerate(self.bert.encoder.layer):
            layer.requires_grad_(number >= layers)

    def tokenize(
        self, texts: Sequence[str], max_length: int | None = None, *, host: bool = False
    ) -> dict[str, Tensor]:
        """Turn texts into tokens, padded to the longest of them (to the next multiple of 8).

        Args:
            texts: B texts; an empty one becomes [CLS] [SEP].
            max_length: tokens at which a text is cut, [CLS] and [SEP] included; all positions if None.
            host: leave the tokens on the processor.

        Returns:
            On the model's device, unless told otherwise: ``input_ids`` long [B, T], ``attention_mask`` bool
            [B, T] and ``word_index`` long [B, T] (see :mod:`g2d_bench.encoders.words`).
        """
        limit = min(max_length or self.longest, self.longest)
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(limit)
        rows = _encoded(self.tokenizer, list(texts))
        longest = max(map(len, rows), default=2)
        # Few distinct lengths spare the allocator; never past the positions.
        width = limit if self.padded else min(-(-longest // _PAD_TO) * _PAD_TO, limit)
        ids = torch.tensor([row + [self._pad] * (width - len(row)) for row in rows], dtype=torch.long)
        ids = ids.reshape(len(rows), width)
        lengths = [width if self.padded else len(row) for row in rows]
        mask = torch.arange(width) < torch.tensor(lengths, dtype=torch.long)[:, None]
        starts = self._host_starts if host else self._starts
        ids, mask = ids.to(starts.device), mask.to(starts.device)
        return {"input_ids": ids, "attention_mask": mask, "word_index": word_index(starts[ids], mask)}

    def forward(self, tokens: dict[str, Tensor]) -> TextStates:
        """Encode what :meth:`tokenize` gave."""
        where = {"position_ids": torch.zeros_like(tokens["input_ids"])} if self.places == "zero" else {}
        mask = tokens["attention_mask"]
        ready = self._reads_ready_masks and mask.is_cuda
        output = self.bert(
            input_ids=tokens["input_ids"],
            **where,
            attention_mask=ready_mask(mask, self.bert.dtype) if ready else mask.long(),
            output_hidden_states=True,
            output_attentions=True,
        )
        return TextStates(
            (*output.hidden_states[:-1], output.last_hidden_state),
            output.attentions[-1] if output.attentions else None,
            tokens["attention_mask"].bool(),
            output.get("pooler_output"),
        )


def _cut(config: Any, layers: int | None, path: Path) -> None:
    """Keep only the first layers."""
    if layers is None:
        return
    if not 1 <= layers <= config.num_hidden_layers:
        raise InputError(
            f"{layers} layers asked, it has {config.num_hidden_layers}", file=path, field="layers"
        )
    config.num_hidden_layers = layers


def _encoded(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
    """Return the tokens of texts.

    Raises:
        InputError: the tokenizer gives up, as over a pattern of a stranger's that goes back without end.
    """
    try:
        # The library's own search has a limit of tries.
        with no_panic():
            return [encoding.ids for encoding in tokenizer.encode_batch(texts)]
    except Exception as error:
        raise InputError(
            f"its tokenizer cannot read a text ({first_line(error)})", field="tokenizer"
        ) from None
