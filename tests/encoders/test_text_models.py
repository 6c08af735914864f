"""Text models of transformers: whatever family, by one rule, with the numbers of the library's own class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import AutoConfig

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.text_models import (
    folder_tokenizer,
    longest_text,
    make_model,
    read_config,
    require_unpadded,
    unused_places,
)
from g2d_bench.errors import InputError

SIZE = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 20,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
RELATIVE = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "distilbert": {"hidden_dim": 32},
    "electra": {"embedding_size": 16},
    "deberta": RELATIVE,
    "deberta-v2": {**RELATIVE, "position_buckets": 4},
    "albert": {"embedding_size": 16},
    "mpnet": {},
    "camembert": {},
    "xlm-roberta": {},
    "ernie": {},
    "megatron-bert": {},
    "rembert": {},
    "roformer": {},
    "data2vec-text": {},
    "modernbert": {"cls_token_id": 0, "sep_token_id": 2},
    "clip_text_model": {"projection_dim": 24},
    "siglip_text_model": {"projection_size": 24},
}
FROM_PADDING = ("roberta", "mpnet", "camembert", "xlm-roberta", "data2vec-text")
WORDS = ["<s>", "<pad>", "</s>", "<unk>", "no", "acute", "process", "left", "effusion", "small"]
SAID = ["no acute process", "small left effusion no process", "effusion"]


def words() -> Tokenizer:
    plain = Tokenizer(models.WordLevel({word: k for k, word in enumerate(WORDS)}, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    plain.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return plain


def folder(family: str, place: Path, **more: Any) -> Any:
    """Write configuration and tokenizer of a small model, and return the library's, with random weights."""
    place.mkdir(parents=True, exist_ok=True)
    config = AutoConfig.for_model(family, **{**SIZE, **FAMILIES.get(family, {}), **more})
    (place / "config.json").write_text(config.to_json_string(use_diff=False))
    words().save(str(place / "tokenizer.json"))
    torch.manual_seed(7)
    name = type(config).__name__.removesuffix("Config") + "Model"
    return getattr(transformers, name)(config).eval()


def released(family: str, place: Path, pooling: str) -> tuple[Encoder, Any, nn.Linear]:
    """Write a file with image encoder, text model and projections, and load it by a card."""
    text = folder(family, place / "words")
    image = timm.create_model("resnet50", num_classes=0, channels=[8, 8, 8, 8])
    torch.manual_seed(8)
    seen, said = nn.Linear(32, 12), nn.Linear(24, 12)
    state = {f"image.{key}": value for key, value in image.state_dict().items()}
    state |= {f"text.{key}": value for key, value in text.state_dict().items()}
    state |= {f"see.{key}": value for key, value in seen.state_dict().items()}
    state |= {f"say.{key}": value for key, value in said.state_dict().items()}
    torch.save(state, place / "file.pt")
    drop = [] if pooling == "pooler" or family not in FAMILIES or "clip" in family else ["pooler.*"]
    layout = {
        "layout": "mine",
        "prefix": "image.",
        "expect": 318,
        "text": {"names": {"text.": ""}, "drop": ["embeddings.position_ids", *drop]},
        "heads": {"names": {"see.": "image.", "say.": "text."}},
    }
    card = EncoderCard.model_validate(
        {
            **{"name": "mine", "title": "Mine", "objective": "other", "scale": "published"},
            "image": {"model": "resnet50", "options": {"channels": [8, 8, 8, 8]}, "size": 32},
            "checkpoint": [layout],
            "text": {"source": f"local-dir:{place / 'words'}", "model": family, "max_length": 20},
            "heads": {"method": "clip", "options": {"dim": 12, "pooling": pooling}},
        }
    )
    return load_encoder(card, checkpoint=place / "file.pt"), text, said


def own(text: Any, tokens: dict[str, Tensor], pooling: str) -> Tensor:
    """Compute what the library's own model says of the same tokens, text by text without padding."""
    found = []
    for ids, mask in zip(tokens["input_ids"], tokens["attention_mask"], strict=True):
        output = text(input_ids=ids[mask][None])
        last = output.last_hidden_state[0]
        pools = {"cls": last[0], "mean": last.mean(0), "eos": last[-1], "max": last.amax(0)}
        found.append(pools[pooling] if pooling in pools else output.pooler_output[0])
    return torch.stack(found)


@pytest.mark.parametrize(
    ("family", "pooling"),
    [
        *((family, "mean") for family in FAMILIES),
        *(("distilbert", "cls"), ("deberta-v2", "max"), ("clip_text_model", "eos")),
    ],
)
def test_a_file_of_any_family_gives_the_librarys_own_numbers(
    family: str, pooling: str, tmp_path: Path
) -> None:
    encoder, text, project = released(family, tmp_path, pooling)
    assert encoder.text is not None, encoder.no_text
    assert encoder.heads is not None
    assert all(report.ok and not report.missing for report in encoder.text_reports)
    with torch.inference_mode():
        tokens = encoder.text.tokenize(SAID)
        states = encoder.text(tokens)
        vectors = encoder.heads.embed_text(states, tokens).vector
        torch.testing.assert_close(vectors, project(own(text, tokens, pooling)), atol=1e-5, rtol=1e-5)
    assert len(states.hidden) == 4


@pytest.mark.parametrize("family", ["bert", "roberta", "albert", "mpnet", "clip_text_model"])
def test_the_models_own_vector_may_be_taken(family: str, tmp_path: Path) -> None:
    encoder, text, project = released(family, tmp_path, "pooler")
    assert encoder.text is not None, encoder.no_text
    assert encoder.heads is not None
    with torch.inference_mode():
        tokens = encoder.text.tokenize(SAID)
        vectors = encoder.heads.embed_text(encoder.text(tokens), tokens).vector
        torch.testing.assert_close(vectors, project(own(text, tokens, "pooler")), atol=1e-5, rtol=1e-5)


def test_siglip_reads_texts_of_one_length_with_their_padding(tmp_path: Path) -> None:
    encoder, text, project = released("siglip_text_model", tmp_path, "pooler")
    assert encoder.text is not None
    assert encoder.heads is not None
    with torch.inference_mode():
        tokens = encoder.text.tokenize(SAID)
        assert tokens["input_ids"].shape == (3, 20)
        assert (tokens["input_ids"][0, 5:] == 1).all()
        vectors = encoder.heads.embed_text(encoder.text(tokens), tokens).vector
        pooled = text(input_ids=tokens["input_ids"]).pooler_output
        torch.testing.assert_close(vectors, project(pooled), atol=1e-5, rtol=1e-5)


def test_a_model_without_a_vector_of_its_own_says_so(tmp_path: Path) -> None:
    encoder, _, _ = released("distilbert", tmp_path, "pooler")
    assert encoder.text is not None
    assert encoder.heads is not None
    tokens = encoder.text.tokenize(SAID)
    with pytest.raises(InputError, match=r"heads\.options\.pooling: the text encoder makes no vector itself"):
        encoder.heads.embed_text(encoder.text(tokens), tokens)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_longest_text_is_the_longest_that_the_model_takes(family: str, tmp_path: Path) -> None:
    model = folder(family, tmp_path)
    longest = longest_text(model)
    assert longest == (18 if family in FROM_PADDING else 20)
    assert unused_places(model) == 20 - longest
    model(input_ids=torch.full((1, longest), 5))
    if family in FROM_PADDING:
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, longest + 1), 5))


@pytest.mark.parametrize("family", ["convbert", "fnet"])
def test_a_model_that_reads_its_padding_is_refused(family: str, tmp_path: Path) -> None:
    model = folder(family, tmp_path)
    with pytest.raises(InputError, match=rf"text\.model: a '{family}' reads its padding"):
        require_unpadded(model, 1)
    with pytest.raises(InputError, match="reads its padding"):
        TextEncoder.untrained(tmp_path, family)


def test_the_first_layers_alone_may_be_taken(tmp_path: Path) -> None:
    model = folder("electra", tmp_path)
    encoder = TextEncoder.untrained(tmp_path, "electra", layers=2).eval()
    state = model.state_dict()
    encoder.bert.load_state_dict({key: state[key] for key in encoder.bert.state_dict()})
    tokens = encoder.tokenize(SAID)
    with torch.inference_mode():
        whole = model(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"].long(),
            output_hidden_states=True,
        )
        torch.testing.assert_close(encoder(tokens).hidden[-1], whole.hidden_states[2])


@pytest.mark.parametrize(
    ("said", "model", "line"),
    [
        ({"model_type": "electra"}, "bert", "is a 'electra', not a 'bert'"),
        ({"model_type": "nobert"}, "nobert", "model_type: transformers has no 'nobert'"),
        ({"model_type": "electra", "vocab_size": 1 << 30}, "electra", "vocab_size: must lie between 1 and"),
        ({"model_type": "electra", "embedding_size": 1 << 30}, "electra", "embedding_size: must lie below"),
        ({"model_type": "bert", "hidden_size": -4}, "bert", "hidden_size: must lie between 1 and"),
    ],
)
def test_a_configuration_that_is_none_is_one_line(
    said: dict[str, Any], model: str, line: str, tmp_path: Path
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(said))
    with pytest.raises(InputError) as caught:
        read_config(file, model)
    assert line in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_model_of_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="transformers has no Dinov2Model that reads texts"):
        make_model(AutoConfig.for_model("dinov2"), file=tmp_path / "config.json")


def test_positions_and_token_types_are_a_matter_of_bert(tmp_path: Path) -> None:
    folder("distilbert", tmp_path)
    with pytest.raises(InputError, match="are for a 'bert', not a 'distilbert'"):
        TextEncoder.untrained(tmp_path, "distilbert", places="zero")


def test_a_tokenizer_of_another_family_is_read_by_transformers(tmp_path: Path) -> None:
    pieces = ["<s>", "<pad>", "</s>", "[UNK]", "<mask>", "no", "effusion", "##s"]
    (tmp_path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mpnet"}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MPNetTokenizer"}))
    found = folder_tokenizer(tmp_path, "mpnet")
    assert found.encode("No effusions").tokens == ["<s>", "no", "effusion", "##s", "</s>"]
    with pytest.raises(InputError, match="the vocabulary lacks"):
        folder_tokenizer(tmp_path, "bert")
