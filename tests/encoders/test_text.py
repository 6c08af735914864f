"""The text encoder: words, states, freezing, and what stands in a folder."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM

from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.text_models import ready_mask
from g2d_bench.encoders.tokenizer import SPECIAL, save_tokenizer, train_tokenizer, wordpiece
from g2d_bench.errors import InputError

SAID = [
    "There is a small right pleural effusion.",
    "",
    "Cardiomegaly, 日 and pneumothorax are not seen in this examination of the chest.",
]
SHAPE = {"hidden": 16, "layers": 3, "heads": 2, "intermediate": 24, "positions": 40}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer([*SAID[::2], "heart effusion size"], vocabulary=90, min_frequency=1)


@pytest.fixture
def encoder(tokenizer: Tokenizer) -> TextEncoder:
    torch.manual_seed(0)
    return TextEncoder.small(tokenizer, **SHAPE).eval()


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    """A BERT as it lies on the hub: with a head that is of no use, and the names prefixed."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer.get_vocab()),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=40,
    )
    BertForMaskedLM(config).save_pretrained(tmp_path)
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    return tmp_path


def test_tokens(encoder: TextEncoder) -> None:
    tokens = encoder.tokenize(SAID, max_length=12)
    assert tokens["input_ids"].shape == (3, 12)
    assert tokens["attention_mask"].sum(dim=1).tolist() == [12, 2, 12]
    for ids, mask in zip(tokens["input_ids"], tokens["attention_mask"], strict=True):
        assert ids[mask][-1] == encoder.tokenizer.token_to_id("[SEP]")
    assert (tokens["input_ids"][~tokens["attention_mask"]] == 0).all()
    assert encoder.tokenize(["heart " * 100])["input_ids"].shape == (1, 40)
    assert encoder.tokenize([])["input_ids"].shape[0] == 0


def test_padding_does_not_change_states(encoder: TextEncoder) -> None:
    together = encoder(encoder.tokenize(SAID))
    for row, text in enumerate(SAID):
        alone = encoder(encoder.tokenize([text]))
        count = int(together.mask[row].sum())
        torch.testing.assert_close(together.hidden[-1][row, :count], alone.hidden[-1][0, :count])
    assert len(together.hidden) == 4
    assert together.attention is not None
    width = together.mask.shape[1]
    assert together.attention.shape == (3, 2, width, width)
    assert not together.attention[1, :, :, 2:].any()


@pytest.mark.parametrize("texts", [["a small effusion", "heart", ""], ["heart", "heart"]])
def test_a_ready_mask_gives_the_states_of_the_mask_it_is_made_of(
    encoder: TextEncoder, texts: list[str]
) -> None:
    tokens = encoder.tokenize(texts)
    mask = ready_mask(tokens["attention_mask"], torch.float32)
    assert mask.shape == (len(texts), 1, *(2 * tokens["attention_mask"].shape[1:]))
    given = {"input_ids": tokens["input_ids"], "output_hidden_states": True, "output_attentions": True}
    expected = encoder.bert(**given, attention_mask=tokens["attention_mask"].long())
    found = encoder.bert(**given, attention_mask=mask)
    for name in ("hidden_states", "attentions"):
        assert all(torch.equal(a, b) for a, b in zip(found[name], expected[name], strict=True))


def test_attention_is_whole_in_training(encoder: TextEncoder) -> None:
    states = encoder.train()(encoder.tokenize(SAID))
    torch.testing.assert_close(states.attention.sum(dim=-1), torch.ones_like(states.attention[..., 0]))


def test_default_size() -> None:
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *map(str, range(2895))])}
    encoder = TextEncoder.small(wordpiece(vocabulary))
    assert sum(value.numel() for value in encoder.parameters()) <= 900_000


def test_options_make_the_same_shape(encoder: TextEncoder, tokenizer: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(tokenizer, tmp_path / "tokenizer.json")
    again = TextEncoder.small(tmp_path / "tokenizer.json", **encoder.options)
    again.bert.load_state_dict(encoder.bert.state_dict())
    tokens = encoder.tokenize(SAID)
    assert torch.equal(again.eval()(tokens).hidden[-1], encoder(tokens).hidden[-1])


@pytest.mark.parametrize(("layers", "embeddings"), [(2, True), (1, False), (0, False)])
def test_frozen_parts_stay(encoder: TextEncoder, layers: int, embeddings: bool) -> None:
    encoder.freeze(layers, embeddings=embeddings)
    before = {key: value.clone() for key, value in encoder.bert.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=1.0)
    torch.autograd.backward(encoder(encoder.tokenize(SAID)).hidden[-1].square()[..., 0].sum())
    optimiser.step()
    moved = {key for key, value in encoder.bert.state_dict().items() if not torch.equal(value, before[key])}
    assert embeddings == (not any(key.startswith("embeddings") for key in moved))
    assert {number for number in range(3) if any(f"layer.{number}." in key for key in moved)} == set(
        range(layers, 3)
    )


def test_freezing_too_much(encoder: TextEncoder) -> None:
    with pytest.raises(InputError, match="freeze: 4 layers cannot be frozen, there are 3"):
        encoder.freeze(4)


def test_a_folder_is_read_without_a_word(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    TextEncoder.from_folder(folder)  # it holds a head for masked words, which transformers reports at length
    assert capfd.readouterr() == ("", "")


def test_folder(folder: Path) -> None:
    encoder = TextEncoder.open(f"local-dir:{folder}").eval()
    reference = BertForMaskedLM.from_pretrained(folder).eval()
    tokens = encoder.tokenize(SAID)
    states = encoder(tokens)
    expected = reference.bert(
        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"].long()
    ).last_hidden_state
    torch.testing.assert_close(states.hidden[-1][states.mask], expected[states.mask])
    assert encoder.source == f"local-dir:{folder}"
    first = TextEncoder.from_folder(folder, layers=2).eval()(tokens)
    torch.testing.assert_close(first.hidden[-1], states.hidden[2])


def test_old_folder_with_pickled_weights_and_vocab_txt(folder: Path, tokenizer: Tokenizer) -> None:
    expected = TextEncoder.from_folder(folder).eval()
    weights = load_file(folder / "model.safetensors")
    weights["bert.embeddings.position_ids"] = torch.arange(40)[None]
    torch.save({key: value.half() for key, value in weights.items()}, folder / "pytorch_model.bin")
    vocabulary = tokenizer.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=lambda piece: vocabulary[piece])))
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).unlink()
    encoder = TextEncoder.from_folder(folder).eval()
    tokens = encoder.tokenize(SAID)
    assert torch.equal(tokens["input_ids"], expected.tokenize(SAID)["input_ids"])
    states = encoder(tokens).hidden[-1]
    assert states.dtype == torch.float32
    torch.testing.assert_close(states, expected(tokens).hidden[-1], rtol=0, atol=1e-2)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_folder_with_something_missing(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"^{folder}: .*without") as caught:
        TextEncoder.from_folder(folder)
    assert "tokenizer" in str(caught.value) or name in str(caught.value)


def test_folder_with_bad_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "layer.1." not in k}, folder / "model.safetensors")
    with pytest.raises(InputError, match=r"weights lack 16 entries, the first is encoder\.layer\.1\."):
        TextEncoder.from_folder(folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="weights cannot be loaded") as caught:
        TextEncoder.from_folder(folder)
    assert "\n" not in str(caught.value)


def test_folder_with_bad_config(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config\.json: cannot be read"):
        TextEncoder.from_folder(folder)
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "roberta"}))
    with pytest.raises(InputError, match="is a 'roberta', not a 'bert'"):
        TextEncoder.from_folder(folder)
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="layers: 4 layers asked, it has 3"):
        TextEncoder.from_folder(folder, layers=4)


def test_tokenizer_of_another_model(folder: Path) -> None:
    save_tokenizer(train_tokenizer(SAID, vocabulary=200, min_frequency=1), folder / "tokenizer.json")
    with pytest.raises(InputError, match="tokenizer knows"):
        TextEncoder.from_folder(folder)


def test_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="hf-hub:nobody/nothing: neither cached nor within reach") as caught:
        TextEncoder.open("hf-hub:nobody/nothing")
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda name, **_: str(folder))
    assert TextEncoder.from_hub("a/b").source == "hf-hub:a/b"


def test_unknown_scheme() -> None:
    with pytest.raises(InputError, match=r"text\.source: 'bert' must be"):
        TextEncoder.open("bert")


def test_a_pattern_that_goes_back_without_end_is_one_line() -> None:
    words = train_tokenizer([*SAID[::2], "heart effusion size"], vocabulary=90, min_frequency=1)
    words.pre_tokenizer = pre_tokenizers.Split(Regex("(a+)+$"), "isolated")
    encoder = TextEncoder.small(words, **SHAPE)
    start = time.monotonic()
    with pytest.raises(InputError, match=r"^tokenizer: its tokenizer cannot read a text .*limit") as caught:
        encoder.tokenize(["a" * 40 + "b"])
    assert "\n" not in str(caught.value)
    assert time.monotonic() - start < 30
