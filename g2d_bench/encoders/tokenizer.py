"""A WordPiece tokenizer trained on given texts, the same on every machine and in every run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer

from g2d_bench.errors import InputError, first_line
from g2d_bench.files import write_out
from g2d_bench.safe_files import read_strangers
from g2d_bench.terminal import silenced

PAD, UNK, CLS, SEP, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
"""BERT's special tokens; their ids are 0 to 4 in a vocabulary trained here."""
PADS = (PAD, "<pad>")
"""What padding is called, in BERT and in RoBERTa."""
CONTINUES = "##"
"""What a word piece starts with that is not the start of a word."""

LARGEST = 64 << 20
"""Bytes that a file of a tokenizer may have; those of 250,000 pieces have a quarter of it."""
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "vocab.json")
"""In which files a folder's tokenizer is looked for, in this order."""


@contextmanager
def no_panic() -> Iterator[None]:
    """Make an exception of the usual kind of the library's panics, of which ``except Exception`` takes none.

    Raises:
        RuntimeError: the library gave up; its text is what it said.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        raise RuntimeError(first_line(error)) from None


def read_tokenizer(text: str) -> Tokenizer:
    """Make a tokenizer of the text of a ``tokenizer.json``, which may be a stranger's.

    Raises:
        Exception: it is none; the library has no class of its own for that.
    """
    # Where the library panics, it first writes to the terminal, past Python.
    with no_panic(), silenced():
        return Tokenizer.from_str(text)


def train_tokenizer(texts: Iterable[str], *, vocabulary: int = 1500, min_frequency: int = 2) -> Tokenizer:
    """Train a lower-case WordPiece tokenizer with BERT's special tokens.

    Args:
        texts: reports or sentences; their order does not matter.
        vocabulary: largest number of word pieces, specials and single characters included.
        min_frequency: how often a pair of pieces must occur to become one.

    Raises:
        InputError: the texts hold no word, or the vocabulary has no room for the characters.
    """
    lines = list(texts)
    normalise = _normaliser(lowercase=True)
    characters = sorted(set("".join(normalise.normalize_str(line) for line in lines)) - {" ", "\t", "\n"})
    if not characters:
        raise InputError("no text to train a tokenizer on")
    # The trainer numbers the characters inside of words in the order of a randomly seeded hash map, and
    # breaks ties between merges by these numbers; listing them beforehand makes the result reproducible.
    alphabet = [*SPECIAL, *characters, *(CONTINUES + character for character in characters)]
    if len(alphabet) > vocabulary:
        raise InputError(
            f"{vocabulary} word pieces are too few: the texts' characters alone need {len(alphabet)}",
            field="vocabulary",
        )
    draft = Tokenizer(WordPiece(unk_token=UNK))
    draft.normalizer, draft.pre_tokenizer = normalise, pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=vocabulary, min_frequency=min_frequency, special_tokens=alphabet, show_progress=False
    )
    draft.train_from_iterator(lines, trainer)
    # The draft takes its whole alphabet for special tokens; only its vocabulary is of use.
    return wordpiece(draft.get_vocab(with_added_tokens=True))


def wordpiece(vocabulary: dict[str, int], *, lowercase: bool = True) -> Tokenizer:
    """Make the tokenizer of BERT for a vocabulary (word piece to id).

    Raises:
        InputError: a special token is missing.
    """
    missing = [token for token in SPECIAL[:4] if token not in vocabulary]
    if missing:
        raise InputError(f"the vocabulary lacks {', '.join(missing)}", field="tokenizer")
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNK))
    tokenizer.normalizer = _normaliser(lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUES)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS} $A {SEP}", special_tokens=[(token, vocabulary[token]) for token in (CLS, SEP)]
    )
    tokenizer.add_special_tokens([token for token in SPECIAL if token in vocabulary])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write a tokenizer as JSON, whole or not at all."""
    write_out(path, (tokenizer.to_str(pretty=True) + "\n").encode())


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer from its JSON file, or from the folder that holds one.

    A folder may hold ``tokenizer.json`` or, as the older BERT releases do, ``vocab.txt``; the latter is taken
    for lower-case unless ``tokenizer_config.json`` says otherwise. Older RoBERTa releases have ``vocab.json``
    and ``merges.txt``.

    Raises:
        InputError: there is none, or it cannot be read; the folder is named.
    """
    file = path
    if path.is_dir():
        found = [path / name for name in TOKENIZER_FILES if (path / name).is_file()]
        if not found:
            code = (
                "its tokenizer is code of its own (auto_map), which is never run; " if _is_code(path) else ""
            )
            message = f"{code}folder without tokenizer (neither tokenizer.json nor vocab.txt)"
            raise InputError(message, file=path)
        file = found[0]
    if not file.is_file():
        raise InputError("no such tokenizer", file=file)
    try:
        if file.name == "vocab.txt":
            words = _text(file).splitlines()
            return wordpiece({word: k for k, word in enumerate(words)}, lowercase=_lowercase(file.parent))
        if file.name == "vocab.json":
            return _byte_level(file, file.with_name("merges.txt"))
        return read_tokenizer(_text(file))
    except InputError as error:
        named = str(error).startswith(str(file.parent))
        raise (error if named else InputError(str(error), file=file)) from None
    except Exception as error:  # the library raises the bare class, and OSError and UnicodeError come too
        raise InputError(f"not a tokenizer: {error}", file=file) from None


def _is_code(folder: Path) -> bool:
    """Say whether a folder names Python code as its tokenizer."""
    for name in ("tokenizer_config.json", "config.json"):
        try:
            said = json.loads(_text(folder / name))
        except (InputError, ValueError, RecursionError):
            continue
        if isinstance(said, dict) and said.get("auto_map"):
            return True
    return False


def _byte_level(vocabulary: Path, merges: Path) -> Tokenizer:
    """Make the tokenizer of RoBERTa: pairs of bytes, with <s> and </s> around a text."""
    for file in (vocabulary, merges):
        _text(file)  # nothing that never ends
    with no_panic(), silenced():
        tokenizer = Tokenizer(models.BPE.from_file(str(vocabulary), str(merges), unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = {piece: tokenizer.token_to_id(piece) for piece in ("<s>", "</s>", PADS[1])}
    known = [(piece, number) for piece, number in special.items() if number is not None]
    if len(known) < len(special):
        raise InputError(f"the vocabulary lacks one of {', '.join(special)}", field="tokenizer")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=known)
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def encoded(tokenizer: Tokenizer, texts: list[str]) -> list[list[int]]:
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


def _lowercase(folder: Path) -> bool:
    config = folder / "tokenizer_config.json"
    return bool(json.loads(_text(config)).get("do_lower_case", True)) if config.is_file() else True


def _text(file: Path) -> str:
    return read_strangers(file, LARGEST).decode("utf-8")


def _normaliser(lowercase: bool) -> normalizers.BertNormalizer:
    return normalizers.BertNormalizer(lowercase=lowercase)
