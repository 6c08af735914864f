"""The tokenizer is BERT's, and the same in every process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tokenizers.models import BPE

from g2d_bench.encoders.tokenizer import (
    SPECIAL,
    load_tokenizer,
    no_panic,
    save_tokenizer,
    train_tokenizer,
    wordpiece,
)
from g2d_bench.errors import InputError

TEXTS = [
    "There is a small right pleural effusion, unchanged.",
    "No pneumothorax; the heart is of normal size.",
    "Bibasilar atelectasis and a left-sided opacity.",
    "Pneumonia cannot be excluded. Pneumoperitoneum is not seen.",
] * 3

AGAIN = """
import sys
from g2d_bench.encoders.tokenizer import train_tokenizer
print(train_tokenizer(eval(sys.stdin.read()), vocabulary=160).to_str())
"""


def test_special_tokens_come_first_and_frame_the_text() -> None:
    tokenizer = train_tokenizer(TEXTS, vocabulary=160)
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == [0, 1, 2, 3, 4]
    encoding = tokenizer.encode("PLEURAL Effusion.")
    assert encoding.tokens[0] == "[CLS]"
    assert encoding.tokens[-1] == "[SEP]"
    assert tokenizer.decode(encoding.ids) == "pleural effusion."
    assert len(tokenizer.get_vocab()) <= 160


def test_every_word_of_the_texts_is_known_and_others_are_not() -> None:
    tokenizer = train_tokenizer(TEXTS, vocabulary=160)
    assert all("[UNK]" not in tokenizer.encode(text).tokens for text in TEXTS)
    assert tokenizer.encode("日").tokens == ["[CLS]", "[UNK]", "[SEP]"]


def test_other_process_and_other_order_give_the_same() -> None:
    command = [sys.executable, "-c", AGAIN]
    other = subprocess.run(command, input=repr(TEXTS[::-1]), capture_output=True, text=True, check=True)
    here = json.loads(train_tokenizer(TEXTS, vocabulary=160).to_str())
    assert json.loads(other.stdout) == here


def test_saved_and_loaded_by_file_and_by_folder(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, vocabulary=160)
    save_tokenizer(tokenizer, tmp_path / "new" / "tokenizer.json")
    for path in (tmp_path / "new", tmp_path / "new" / "tokenizer.json"):
        assert load_tokenizer(path).encode(TEXTS[0]).ids == tokenizer.encode(TEXTS[0]).ids
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["tokenizer.json"]


@pytest.mark.parametrize(("config", "tokens"), [(None, ["heart"]), ({"do_lower_case": False}, ["[UNK]"])])
def test_vocab_txt(tmp_path: Path, config: dict[str, bool] | None, tokens: list[str]) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, "heart", "##s"]) + "\n")
    if config is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    assert load_tokenizer(tmp_path).encode("Heart").tokens == ["[CLS]", *tokens, "[SEP]"]


def test_texts_without_words_and_narrow_vocabularies_are_refused() -> None:
    with pytest.raises(InputError, match="no text"):
        train_tokenizer([" ", ""])
    with pytest.raises(InputError, match="vocabulary: 20 word pieces are too few"):
        train_tokenizer(TEXTS, vocabulary=20)
    with pytest.raises(InputError, match=r"lacks \[CLS\], \[SEP\]"):
        wordpiece({"[PAD]": 0, "[UNK]": 1, "heart": 2})


def test_bad_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{tmp_path}: folder without tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match="no such tokenizer"):
        load_tokenizer(tmp_path / "none.json")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "vocab.txt").write_text("heart\n")
    with pytest.raises(InputError, match=r"vocab\.txt.*lacks \[PAD\]"):
        load_tokenizer(tmp_path)


def test_code_beside_a_vocabulary_is_never_run(tmp_path: Path) -> None:
    """Where code is all that there is, one line says so; where it is not, the files are read."""
    ran = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(ran)!r}, 'w')\nclass Evil: pass\n")
    mapped = '{"auto_map": {"AutoTokenizer": ["evil.Evil", null]}, "tokenizer_class": "Evil"}'
    for name in ("tokenizer_config.json", "config.json"):
        (tmp_path / name).write_text(mapped)
        with pytest.raises(InputError, match=r"code of its own \(auto_map\), which is never run; ") as caught:
            load_tokenizer(tmp_path)
        assert len(str(caught.value).splitlines()) == 1
        (tmp_path / name).unlink()
    (tmp_path / "tokenizer_config.json").write_text(mapped)
    save_tokenizer(train_tokenizer(TEXTS, vocabulary=160), tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path).encode("heart").ids
    assert not ran.exists()
    assert "evil" not in sys.modules


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written: a file is where a folder should be"):
        save_tokenizer(train_tokenizer(TEXTS, vocabulary=160), tmp_path / "file" / "tokenizer.json")


def test_byte_level_folder(tmp_path: Path) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    pieces = {piece: k for k, piece in enumerate([*special, "n", "o", "\u0120", "no", "\u0120n"])}
    BPE(pieces, [("n", "o"), ("\u0120", "n")]).save(str(tmp_path))
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode("no no").tokens == ["<s>", "no", "\u0120", "no", "</s>"]
    assert tokenizer.encode("").tokens == ["<s>", "</s>"]
    BPE({"n": 0, "<s>": 1}, []).save(str(tmp_path))
    with pytest.raises(InputError, match="the vocabulary lacks one of <s>, </s>, <pad>"):
        load_tokenizer(tmp_path)


def panicking(folder: Path) -> Path:
    """Write a tokenizer over which the library panics while it reads it."""
    raw = json.loads(train_tokenizer(TEXTS, vocabulary=160).to_str())
    raw["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}
    (folder / "tokenizer.json").write_text(json.dumps(raw))
    return folder / "tokenizer.json"


def test_a_panic_of_the_library_costs_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = panicking(tmp_path)
    for path in (file, tmp_path):
        with pytest.raises(InputError, match=r"tokenizer\.json: not a tokenizer: ") as caught:
            load_tokenizer(path)
        assert len(str(caught.value).splitlines()) == 1
    assert capfd.readouterr().err == ""
    with pytest.raises(KeyboardInterrupt), no_panic():
        raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "vocab.json"])
def test_files_that_never_end_are_not_read(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as stream:
        stream.truncate(20 << 30)
    (tmp_path / "merges.txt").write_text("")
    with pytest.raises(InputError, match=rf"^{re.escape(str(tmp_path / name))}: is larger than the 64 MiB"):
        load_tokenizer(tmp_path)
