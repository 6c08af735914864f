"""Checkpoints with the real key layouts of the published files, text side included, in miniature."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.encoders.decoder import UNetDecoder
from g2d_bench.encoders.features import forward
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import seeded_encoder
from g2d_bench.encoders.load import Encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.tokenizer import save_tokenizer, train_tokenizer
from g2d_bench.paths import shipped

# As many entries, with the same names, as the real architectures have; but a few kilobytes.
SMALL: dict[str, dict[str, Any]] = {
    "resnet50": {"channels": [8, 8, 8, 8]},
    "vit_base_patch16_224": {"embed_dim": 12, "num_heads": 2, "img_size": 32},
    "resnet18": {"channels": [8, 8, 8, 8], "stem_type": "deep", "stem_width": 8, "avg_down": True},
}

MakeCard = Callable[[str], EncoderCard]
MakeState = Callable[[str], "OrderedDict[str, Tensor]"]
MakePublished = Callable[[str], Any]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small only lose by threads, badly so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def forwarded(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], list[int]]:
    """List the images that a module sends through an encoder from now on, in order."""

    def watch(module: ModuleType) -> list[int]:
        computed: list[int] = []

        def counting(encoder: Encoder, pixels: NDArray[np.uint8], rows: NDArray[np.int64]) -> Any:
            computed.extend(rows.tolist())
            return forward(encoder, pixels, rows)

        monkeypatch.setattr(module, "forward", counting)
        return computed

    return watch


@pytest.fixture(scope="session")
def small_card() -> MakeCard:
    """A shipped card with the same architecture made narrow, at 32 px."""

    def make(name: str) -> EncoderCard:
        card = load_card(shipped("baselines") / f"{name}.toml", EncoderCard)
        kept = {key: value for key, value in card.image.options.items() if key == "global_pool"}
        options = SMALL[card.image.model] | kept
        inside = 40 if card.image.resize_inside else None
        image = card.image.model_copy(update={"options": options, "size": 32, "resize_inside": inside})
        return card.model_copy(update={"image": image})

    return make


@pytest.fixture(scope="session")
def trained_state() -> MakeState:
    """State dict of a narrow model of another seed than any test loads into."""

    def make(model: str) -> OrderedDict[str, Tensor]:
        return OrderedDict(seeded_encoder(model, seed=987, options=SMALL[model]).body.state_dict())

    return make


@pytest.fixture(scope="session")
def published(trained_state: MakeState) -> MakePublished:
    """What `torch.save` was given for a published file, with everything that it holds besides.

    The names and containers are those of the releases; the card under test must make sense of them.
    """

    def put(prefix: str, model: str) -> dict[str, Tensor]:
        return {prefix + name: tensor for name, tensor in trained_state(model).items()}

    def junk(*names: str) -> dict[str, Tensor]:
        return {name: torch.zeros(3) for name in names}

    def smp_decoder(prefix: str) -> dict[str, Tensor]:
        decoder = UNetDecoder((64, 32, 32, 32, 32), (2, 4, 8, 16, 32), (8, 8, 4, 4, 4))
        names = {"blocks.": "decoder.blocks.", "head.": "segmentation_head.0."}
        return {
            prefix + names[start] + name.removeprefix(start): tensor
            for name, tensor in decoder.state_dict().items()
            for start in names
            if name.startswith(start)
        }

    r50, vit = "resnet50", "vit_base_patch16_224"

    def make(name: str) -> Any:
        match name:
            case "imagenet.r50":
                return {**put("", r50), **junk("fc.weight", "fc.bias")}
            case "imagenet.r50 old":
                state = {**put("", r50), **junk("fc.weight", "fc.bias")}
                return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
            case "imagenet.vit-b16":
                return {**put("", vit), **junk("head.weight", "head.bias")}
            case "gloria.chexpert-r50":
                other = junk(
                    "gloria.img_encoder.global_embedder.weight",
                    "gloria.img_encoder.local_embedder.weight",
                    "gloria.text_encoder.model.embeddings.position_ids",
                )
                return {"epoch": 1, "state_dict": {**put("gloria.img_encoder.model.", r50), **other}}
            case "gloria.mimic-r50":
                return {"state_dict": put("gloria.img_encoder.model.", r50)}
            case "mgca.r50" | "mgca.vit-b16":
                other = junk(
                    "img_encoder_q.global_embed.head.0.weight",
                    "img_encoder_q.local_embed.head.0.weight",
                    "text_encoder_q.model.encoder.layer.0.crossattention.self.query.weight",
                    "prototype_layer.weight",
                )
                model = r50 if name == "mgca.r50" else vit
                return {"state_dict": {**put("img_encoder_q.model.", model), **other}, "callbacks": {}}
            case "convirt.benchx-r50":
                other = junk("vis_proj.0.weight", "lin_proj.0.weight", "linguistic.encoder.x")
                return {"model": {**put("visual.model.", r50), **other}, "config": {"lr": 1e-4}}
            case "g2d.r50":
                other = junk("attnpool.q_proj.weight", "proj_v.0.weight", "lm_model.embeddings.x")
                state = {**put("img_model.encoder.", r50), **smp_decoder("img_model."), **other}
                return {"epoch": 9, "model_state_dict": state, "optimizer_state_dict": {"state": {}}}
            case "g2d.r50 encoder-decoder":
                return {**put("encoder.", r50), **smp_decoder("")}
            case "g2d.r50 checkpoint no-decoder":
                other = junk("attnpool.q_proj.weight", "proj_v.0.weight", "lm_model.embeddings.x")
                state = {**put("encoder.backbone.", r50), **other}
                return {"epoch": 9, "model_state_dict": state, "optimizer_state_dict": {"state": {}}}
            case "g2d.r50 no-decoder":
                return put("backbone.", r50)
            case "g2d.r50 encoder" | "mflag.r50 encoder":
                return put("", r50)
            case "biovil.r50":
                other = junk(
                    "encoder.encoder.fc.weight", "encoder.encoder.fc.bias", "projector.model.0.weight"
                )
                return {**put("encoder.encoder.", r50), **other}
            case "medklip.r50":
                stages = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6"}
                state = {}
                for key, value in trained_state(r50).items():
                    stage, rest = key.split(".", 1)
                    if stage in stages:
                        state[f"module.res_features.{stages[stage]}.{rest}"] = value
                return {"model": {**state, **junk("module.res_l1.weight", "module.decoder.norm.weight")}}
            case "mflag.r50":
                return {**put("encoder.", r50), **junk("proj_v.0.weight", "lm_model.embeddings.x")}
            case "mrm.vit-b16":
                other = junk("decoder_embed.weight", "bert_encoder.x", "mask_token", "decoder_pos_embed")
                return {"model": {**put("", vit), **other}, "scaler": {}}
        raise KeyError(name)

    return make


@pytest.fixture
def saved(published: MakePublished, tmp_path: Path) -> Callable[[str], Path]:
    """Save a published layout as a file and return its path."""

    def make(name: str) -> Path:
        path = tmp_path / f"{name.replace(' ', '_')}.pth"
        torch.save(published(name), path)
        return path

    return make


# Text side: the layers of the releases, with their names, in miniature.

SAID = ("no pneumothorax is seen", "left pneumonia", "")
WIDTH, LAYERS = 16, 12
MAP = 32
"""Channels of both coarse maps of the narrow ResNet-50."""
OPTIONS: dict[str, dict[str, Any]] = {
    "convirt.benchx-r50": {"dim": 12, "pooling": "pooler"},
    "mgca.r50": {"dim": 8, "hidden": 20},
    "mgca.vit-b16": {"dim": 8, "hidden": 20},
    "g2d.r50": {"dim": 8, "heads": 4, "grid": 2},
    "biovil.r50": {"dim": 8, "smooth": 1.5},
    "mflag.r50": {"dim": 8, "image": "mlp", "text": "mlp", "hidden": 20, "norm": "batch"},
}


@dataclass(frozen=True)
class Release:
    """A file of a release and its reference.

    Attributes:
        card: the shipped card, narrow.
        file: as `torch.save` left it, with the tokenizer's folder beside.
        text: reference text encoder.
        parts: reference heads, by their names in the release.
    """

    card: EncoderCard
    file: Path
    folder: Path
    text: Any
    parts: dict[str, nn.Module]


def _bert(vocabulary: int, layers: int) -> Any:
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": layers, "num_attention_heads": 2}
    torch.manual_seed(5)
    config = BertConfig(
        **sizes,
        vocab_size=vocabulary,
        intermediate_size=24,
        max_position_embeddings=64,
        attn_implementation="eager",
    )
    return BertModel(config).eval()


def _roberta(vocabulary: int) -> Any:
    torch.manual_seed(6)
    config = RobertaConfig(
        hidden_size=WIDTH,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        vocab_size=vocabulary,
        max_position_embeddings=40,
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
    )
    return RobertaModel(config).eval()


def _norms(parts: dict[str, nn.Module]) -> None:
    """Give running statistics values that matter."""
    for part in parts.values():
        for module in part.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2.0)
        part.eval()


def _mgca_head(width: int, local: bool) -> nn.Module:
    linear: Any = (lambda a, b: nn.Conv1d(a, b, 1)) if local else nn.Linear
    layers = [
        linear(width, 20),
        nn.BatchNorm1d(20),
        nn.ReLU(),
        linear(20, 8),
        nn.BatchNorm1d(8, affine=False),
    ]
    return nn.Sequential(*layers)


def _parts(name: str, image: int, local: int) -> dict[str, nn.Module]:
    """The heads of a release, by the start of their names."""
    match name.split(".")[0]:
        case "gloria":
            start = "gloria.img_encoder."
            return {
                f"{start}global_embedder.": nn.Linear(image, WIDTH),
                f"{start}local_embedder.": nn.Conv2d(local, WIDTH, 1, bias=False),
            }
        case "mgca":
            return {
                "img_encoder_q.global_embed.head.": _mgca_head(image, False),
                "img_encoder_q.local_embed.head.": _mgca_head(local, True),
                "text_encoder_q.global_embed.head.": _mgca_head(WIDTH, False),
                "text_encoder_q.local_embed.head.": _mgca_head(WIDTH, True),
            }
        case "convirt":
            return {
                start: nn.Sequential(nn.Linear(width, 12), nn.ReLU(), nn.Linear(12, 12))
                for start, width in (("vis_proj.", image), ("lin_proj.", WIDTH))
            }
        case "g2d":
            pool = nn.Module()
            pool.positional_embedding = nn.Parameter(torch.randn(5, 8))
            pool.mhsa = nn.MultiheadAttention(8, 4)
            pool.c_proj = nn.Linear(8, 8)
            two, one = (
                nn.Sequential(
                    kind(width, 8, 1, bias=False), norm(8, affine=False), nn.ReLU(), kind(8, 8, 1, bias=False)
                )
                for kind, norm, width in (
                    (nn.Conv2d, nn.BatchNorm2d, image),
                    (nn.Conv1d, nn.BatchNorm1d, WIDTH),
                )
            )
            return {"proj_v.": two, "proj_t.": one, "attnpool.": pool}
        case "mflag":
            return {"proj_v.": _mgca_head(image, False), "proj_t.": _mgca_head(WIDTH, False)}
        case "biovil":
            projector = nn.Sequential(
                nn.Conv2d(image, 8, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1)
            )
            head = nn.Module()
            head.dense_to_hidden, head.dense_to_output = nn.Linear(WIDTH, 8), nn.Linear(8, 8)
            head.LayerNorm = nn.LayerNorm(8, eps=1e-12)
            return {"projector.model.": projector, "cls_projection_head.": head}
    raise KeyError(name)


TEXT_STARTS = {
    "gloria": "gloria.text_encoder.model.",
    "mgca": "text_encoder_q.model.",
    "convirt": "linguistic.encoder.",
    "g2d": "lm_model.",
    "mflag": "lm_model.bert.",
}


def _folder(path: Path, text: Any, kind: str) -> None:
    path.mkdir(parents=True, exist_ok=True)
    config = text.config.to_dict() | {"model_type": kind}
    if kind != "roberta":
        # The hub's folder has all layers, whatever a method uses of them.
        config["num_hidden_layers"] = LAYERS
    (path / "config.json").write_text(json.dumps(config))


@pytest.fixture
def release(small_card: MakeCard, published: Callable[[str], Any], tmp_path: Path) -> Callable[..., Release]:
    """Write a release of a card: checkpoint and, unless told otherwise, the folder beside it."""

    def make(
        name: str, change: Callable[[dict[str, Tensor]], None] | None = None, *, folder: bool = True
    ) -> Release:
        card = small_card(name)
        spec = card.heads.model_copy(update={"options": OPTIONS.get(name, {})})
        size = 64 if name == "g2d.r50" else card.image.size
        image = card.image.model_copy(update={"size": size})
        card = card.model_copy(update={"heads": spec, "image": image})
        assert card.text is not None
        widths = (12, 12) if "vit" in name else (MAP, MAP)
        torch.manual_seed(8)
        parts = _parts(name, *widths)
        _norms(parts)
        place = tmp_path / card.text.source.split("/")[-1]
        method = name.split(".")[0]
        if card.text.model == "roberta":
            tokenizer = _byte_tokenizer()
            text = _roberta(tokenizer.get_vocab_size())
        else:
            tokenizer = train_tokenizer([*SAID, "right lung clear opacity"], min_frequency=1)
            text = _bert(tokenizer.get_vocab_size(with_added_tokens=True), card.text.layers or LAYERS)
        if folder:
            _folder(place, text, card.text.model)
            if card.text.model == "roberta":
                tokenizer.model.save(str(place))
            else:
                tokenizer.save(str(place / "tokenizer.json"))
        head_names = {
            start + key: value.clone()
            for start, part in parts.items()
            for key, value in part.state_dict().items()
        }
        written = dict(text.state_dict())
        root = published(name)
        container = card.checkpoint[0].container
        # What stood there for a text side gives way to a real one.
        image_names = {
            key: value
            for key, value in (root[container] if container else root).items()
            if key.startswith(card.checkpoint[0].prefix) or key.startswith(("img_model.", "prototype"))
        }
        if method == "biovil":
            own = {key: head_names.pop(key) for key in list(head_names) if key.startswith("cls_")}
            stored = {f"bert.{key}": value for key, value in written.items()} | own
            stored |= {"bert.embeddings.position_ids": torch.arange(9), "cls.predictions.bias": torch.ones(4)}
            if folder:
                torch.save(stored, place / "pytorch_model.bin")
            state = {**image_names, **head_names}
        else:
            start = TEXT_STARTS[method]
            extra = {f"{start}embeddings.position_ids": torch.arange(9)[None]}
            if method == "mgca":
                written = {key: value for key, value in written.items() if not key.startswith("pooler.")}
                cross = "encoder.layer.0.crossattention.self.query.weight"
                extra[start + cross] = torch.ones(WIDTH, WIDTH)
                # Its BERT has no token types; of the reference they add nothing then.
                del written["embeddings.token_type_embeddings.weight"]
                text.embeddings.token_type_embeddings.weight.data.zero_()
            state = {
                **image_names,
                **{start + key: value for key, value in written.items()},
                **extra,
                **head_names,
            }
        if change is not None:
            change(state)
        file = tmp_path / f"{name}.pth"
        torch.save({container: state, "epoch": 3} if container else state, file)
        return Release(card, file, place, text, parts)

    return make


def _byte_tokenizer() -> Tokenizer:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = {piece: k for k, piece in enumerate([*special, *letters, "no", "Ġn"])}
    return Tokenizer(models.BPE(pieces, [("n", "o"), ("Ġ", "n")], unk_token="<unk>"))


TINY = """
title = "Tiny"
objective = "convirt"
scale = "phantom"
[image]
model = "resnet18"
options = { channels = [8, 8, 8, 8] }
size = 32
[text]
source = "shipped"
[[checkpoint]]
layout = "plain"
container = "state_dict"
expect = 122
"""


class Strangers:
    """Files that anybody may have made, and what becomes of them."""

    @staticmethod
    def outcomes(files: list[Path], card: Path | None = None) -> dict[str, tuple[str, float]]:
        """What comes of each file in a process without network and with 1 GB of memory."""
        jobs = [{"file": str(file), "card": card and str(card)} for file in files]
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("hostile_child.py"))],
            input=json.dumps(jobs),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        )
        lines = done.stdout.splitlines()
        assert len(lines) == len(files), f"died at {files[len(lines)].name}: {done.stderr[-2000:]}"
        return {file.name: tuple(json.loads(line)) for file, line in zip(files, lines, strict=True)}

    @staticmethod
    def card(folder: Path) -> tuple[Path, EncoderCard]:
        """Write the card that strangers' files are loaded with."""
        (folder / "cards").mkdir(exist_ok=True)
        path = folder / "cards" / "tiny.toml"
        path.write_text(TINY)
        return path, load_card(path, EncoderCard)

    @staticmethod
    def own(path: Path, change: Callable[[dict[str, Any]], object] = lambda metadata: None) -> Path:
        """Write a file as pre-training does, its description changed."""
        tokenizer = train_tokenizer(["the heart is normal", "lungs are clear"], min_frequency=1)
        save_tokenizer(tokenizer, path.parent / "tokenizer.json")
        image = seeded_encoder("resnet18", seed=4, options={"channels": [8, 8, 8, 8]})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            text = TextEncoder.small(tokenizer, hidden=8, layers=1, heads=2, intermediate=8, positions=16)
            heads = make_heads(
                "convirt",
                channels=image.channels,
                strides=image.strides,
                num_features=image.num_features,
                text_width=8,
                dim=4,
            )
        parts = {"image": image.body, "text": text.bert, "heads": heads}
        tensors = {
            f"{part}.{name}": tensor.clone()
            for part, module in parts.items()
            for name, tensor in module.state_dict().items()
        }
        metadata: dict[str, Any] = {
            "text": {"source": "small", "options": text.options},
            "heads": {"method": "convirt", "options": {"dim": 4}},
        }
        change(metadata)
        save_file(tensors, path, metadata={"g2d_bench": json.dumps(metadata)})
        return path


@pytest.fixture(scope="session")
def strangers() -> Strangers:
    """Makers of hostile files, and the process in which they are opened."""
    return Strangers()
