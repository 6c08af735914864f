"""A tokenizer of a few words."""

from __future__ import annotations

from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SPECIAL = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def write_word_tokenizer(folder: Path, words: list[str]) -> None:
    """Write a tokenizer as the hub has them: four special tokens, then the words."""
    numbers = {word: number for number, word in enumerate([*SPECIAL.values(), *words])}
    plain = Tokenizer(models.WordLevel(numbers, unk_token=SPECIAL["unk_token"]))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=plain, **SPECIAL).save_pretrained(folder)
