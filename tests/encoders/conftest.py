"""Checkpoints with the real key layouts of the published files, in miniature."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from g2d_bench.cards_io import load_card
from g2d_bench.encoders.card import EncoderCard
from g2d_bench.encoders.decoder import UNetDecoder
from g2d_bench.encoders.image import seeded_encoder
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


@pytest.fixture(scope="session")
def small_card() -> MakeCard:
    """A shipped card with the same architecture made narrow, at 32 px."""

    def make(name: str) -> EncoderCard:
        card = load_card(shipped("baselines") / f"{name}.toml", EncoderCard)
        options = SMALL[card.image.model]
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
