"""Published files of the encoders that people compare, in miniature.

Each is written by the library's own model class, so with the names that its releases have, and comes with the
vectors that this very model gives. Nothing of the package makes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
)
from word_tokens import write_word_tokenizer

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.io import load_card
from g2d_bench.paths import shipped

Reference = Callable[[Tensor], Tensor]
"""From normalised images to the vectors of the model that wrote the file."""

VIT = {"embed_dim": 24, "num_heads": 2}
TINY: dict[str, dict[str, Any]] = {
    "resnet50": {"channels": [8, 8, 8, 8]},
    "densenet121": {"growth_rate": 4},
    "vit_base_patch16_224": {**VIT, "img_size": 32},
    "vit_base_patch14_dinov2": {**VIT, "img_size": 56},
    "vit_large_patch14_dinov2": {**VIT, "img_size": 32, "patch_size": 16},
    "vit_base_patch16_dinov3": {**VIT, "img_size": 32, "global_pool": "token"},
    "eva02_small_patch14_224": {**VIT, "img_size": 32, "patch_size": 16, "ref_feat_shape": [14, 14]},
    "eva02_base_patch14_224": {**VIT, "img_size": 32, "patch_size": 16, "ref_feat_shape": [14, 14]},
    "swin_base_patch4_window7_224": {
        "embed_dim": 8,
        "num_heads": [1, 1, 2, 2],
        "img_size": 64,
        "window_size": 2,
    },
}
"""Options with which timm's models have as many entries of the same names, in a few kilobytes."""
_PLAIN = {"hidden_size": 24, "num_attention_heads": 2}
_TOWER = {**_PLAIN, "intermediate_size": 32}
HF: dict[str, dict[str, Any]] = {
    "dinov2": {**_PLAIN, "num_hidden_layers": 12, "patch_size": 14, "image_size": 56},
    "dinov2_with_registers": {**_PLAIN, "num_hidden_layers": 12, "patch_size": 14, "image_size": 56},
    "swin": {"embed_dim": 8, "num_heads": [1, 1, 2, 2], "image_size": 64, "window_size": 2},
    "siglip_vision_model": {
        **_TOWER,
        "num_hidden_layers": 4,
        "patch_size": 16,
        "image_size": 64,
        "vision_use_head": False,
    },
    "clip": {
        "projection_dim": 16,
        "vision_config": {**_TOWER, "num_hidden_layers": 4, "patch_size": 16, "image_size": 64},
        "text_config": {
            **_TOWER,
            "num_hidden_layers": 2,
            "vocab_size": 40,
            "max_position_embeddings": 77,
            "eos_token_id": 2,
        },
    },
    "siglip": {
        "vision_config": {**_TOWER, "num_hidden_layers": 4, "patch_size": 16, "image_size": 64},
        "text_config": {
            **_TOWER,
            "num_hidden_layers": 2,
            "vocab_size": 40,
            "max_position_embeddings": 64,
            "projection_size": 24,
        },
    },
}
CLIP: dict[str, Any] = {
    "embed_dim": 16,
    "quick_gelu": True,
    "vision_cfg": {"image_size": 64, "layers": 12, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}
_HF_TEXT: dict[str, Any] = {
    "hf_proj_type": "mlp",
    "hf_pooler_type": "cls_last_hidden_state_pooler",
    "hf_model_pretrained": False,
    "context_length": 256,
}
WORDS = ["no", "acute", "process", "left", "lower", "lobe", "pneumonia", "with", "a", "small", "effusion"]


def tiny(name: str) -> EncoderCard:
    """Return a shipped card of a model made narrow; everything else stays as it is."""
    card = load_card(shipped("baselines") / f"{name}.toml", EncoderCard)
    image, options, size = card.image, dict(card.image.options), 64
    if image.library == "timm":
        options = TINY[image.model]
        size = options.get("img_size", 64)
    elif image.library == "transformers":
        options, size = HF[image.model], 56 if "dinov2" in image.model else 64
    elif "timm_model_name" not in options.get("vision_cfg", {}):
        told = {key: value for key, value in options.get("text_cfg", {}).items() if key.startswith("hf_")}
        options = {**CLIP, "text_cfg": {**CLIP["text_cfg"], **told} if not told else {**_HF_TEXT, **told}}
    else:
        vision = {**options["vision_cfg"], "timm_model_name": "vit_tiny_patch16_224"}
        options, size = {**options, "embed_dim": 16, "vision_cfg": vision}, 224
    narrow = image.model_copy(update={"options": options, "size": size, "resize": None})
    return card.model_copy(update={"image": narrow})


def bert_folder(folder: Path) -> BertModel:
    """Write configuration, tokenizer and weights of a small BERT as the hub has them; return the model."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True})
    )
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    with _quiet():
        model.save_pretrained(folder)
    return model


@contextmanager
def _quiet() -> Any:
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    yield


def stirred(model: nn.Module, seed: int = 5) -> nn.Module:
    """Give every entry values of its own, running statistics and what starts at nought or one included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                value.copy_(noise.abs() * 0.1 + 0.9 if "var" in name else value + 0.05 * noise)
    return model.eval()


def _timm(model: str, **more: Any) -> Any:
    options = {
        key: tuple(v) if isinstance(v, list) else v for key, v in {**TINY.get(model, {}), **more}.items()
    }
    return stirred(timm.create_model(model, num_classes=0, **options))


def write(name: str, folder: Path) -> tuple[Path, Reference]:
    """Write the published file (or folder) of a card, in miniature.

    Returns:
        The file, and the vectors that the model which wrote it gives.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state, reference = _written(name, folder)
    if state is None:
        return folder / "model.safetensors", reference
    file = folder / f"{name}.pt"
    torch.save(state, file)
    return file, reference


def _transformers(model: str, folder: Path) -> tuple[Any, Any]:
    whole = stirred(AutoModel.from_config(AutoConfig.for_model(model, **HF[model])))
    with _quiet():
        whole.save_pretrained(folder)  # type: ignore[operator]
    if hasattr(whole, "text_model"):
        write_word_tokenizer(folder, WORDS)
    return whole, getattr(whole, "vision_model", whole)


def _written(name: str, folder: Path) -> tuple[Any, Reference]:
    known, _, tag = name.partition(".")
    if name in ("rad-dino", "rad-dino-maira-2", "cxformer.b14", "cxformer.s14"):
        _, tower = _transformers("dinov2" if "rad" in name else "dinov2_with_registers", folder)
        return None, lambda x: tower(pixel_values=x).pooler_output
    if known in ("medsiglip", "xraysiglip"):
        _, tower = _transformers("siglip", folder)
        return None, lambda x: tower(pixel_values=x).pooler_output
    if known == "xrayclip":
        _, tower = _transformers("clip", folder)
        return None, lambda x: tower(pixel_values=x).pooler_output
    if known == "medgemma":
        return _medgemma(folder)
    if tag == "swin-t":
        _, tower = _transformers("swin", folder / "own")
        state = load_file(folder / "own" / "model.safetensors")
        state["encoder.layers.0.blocks.0.attention.self.relative_position_index"] = torch.zeros(4, 4)
        prefix = "vision_model.model." if known == "medclip" else "image_encoder.image_encoder."
        entries = {prefix + key: value for key, value in state.items()}
        return _sides(known, entries, 64), lambda x: tower(pixel_values=x).pooler_output
    if known in ("rad-dino", "dinov2", "chexfound"):
        model = "vit_large_patch14_dinov2" if known == "chexfound" else "vit_base_patch14_dinov2"
        body = _timm(model)
        blocks = len(body.blocks) // 4
        state = {"mask_token": torch.zeros(1, 24)}
        for key, value in body.state_dict().items():
            # In chunks, as DINOv2's code trains.
            state[re.sub(r"^blocks\.(\d+)", lambda m: f"blocks.{int(m[1]) // blocks}.{m[1]}", key)] = value
        if known == "chexfound":
            teacher = {f"backbone.{key}": value for key, value in state.items()}
            return {"teacher": {**teacher, "dino_head.mlp.0.weight": torch.zeros(2, 2)}}, body
        return state, body
    if known == "dinov3":
        body = _timm("vit_base_patch16_dinov3")
        return body.state_dict(), body
    if known == "eva-x":
        body = _timm("eva02_small_patch14_224" if tag == "s16" else "eva02_base_patch14_224")
        return {"model": _eva(body)}, body
    if known == "ark":
        body = _timm("swin_base_patch4_window7_224")
        old = {
            re.sub(r"layers\.(\d)\.downsample", lambda m: f"layers.{int(m[1]) - 1}.downsample", key): value
            for key, value in body.state_dict().items()
        }
        extra = {"layers.0.blocks.1.attn_mask": torch.zeros(4, 4), "omni_heads.0.weight": torch.zeros(2, 2)}
        return {"teacher": {**old, **extra}}, body
    if name == "torchxrayvision.densenet121":
        dense = torchvision.models.DenseNet(4, (6, 12, 24, 16), num_init_features=8, num_classes=18)
        dense.features.conv0 = nn.Conv2d(1, 8, 7, 2, 3, bias=False)
        stirred(dense)
        # The names of old versions of torch, which the release still has.
        old = {
            re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value
            for key, value in dense.state_dict().items()
        }
        return {**old, "op_threshs": torch.zeros(18)}, lambda x: torch.relu(dense.features(x)).mean((2, 3))
    if name in ("biomedclip", "unimed-clip.b16", "chexzero"):
        return _open_clip(name, folder)
    if known in ("carzero", "ecamp"):
        body = _timm("vit_base_patch16_224")
        if known == "carzero":
            found = {f"CARZero.img_encoder.model.{key}": value for key, value in body.state_dict().items()}
            return {"state_dict": {**found, "CARZero.text_encoder.x": torch.zeros(2)}}, body
        return {"model": {**body.state_dict(), "decoder_pred.weight": torch.zeros(2, 2)}}, body
    single = name == "torchxrayvision.r50"
    body = _timm("resnet50", **({"in_chans": 1} if single else {}))
    state = dict(body.state_dict())
    if known in ("kad", "mavl"):
        children = ["conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3", "layer4"]
        cut = nn.Sequential(*(getattr(body, child) for child in children))
        inside = {f"module.res_features.{key}": value for key, value in cut.state_dict().items()}
        where = "image_encoder" if known == "kad" else "model"
        return {where: {**inside, "module.res_l1.weight": torch.zeros(2, 2)}, "epoch": 3}, body
    prefix = {
        "medclip": "vision_model.model.",
        "cxr-clip": "image_encoder.resnet.",
        "torchxrayvision": "model.",
        "prior": "",
        "dlilp": "vision_model.model.",
        "biovil-t": "encoder.encoder.",
    }[known]
    entries = {prefix + key: value for key, value in state.items()}
    if known in ("medclip", "cxr-clip"):
        return _sides(known, entries, 32), body
    return {**entries, f"{prefix}fc.weight": torch.zeros(3, 32)}, body


def _medgemma(folder: Path) -> tuple[Any, Reference]:
    """Return what is in a file of Gemma 3 with its image tower, as it is saved, and that tower's mean."""
    words = {"num_key_value_heads": 1, "head_dim": 12, "num_hidden_layers": 1, "vocab_size": 40}
    config = Gemma3Config(
        text_config={**_TOWER, **words},
        vision_config={**HF["siglip_vision_model"], "model_type": "siglip_vision_model"},
        mm_tokens_per_image=4,
        image_token_index=39,
        boi_token_index=38,
        eoi_token_index=37,
    )
    whole: Any = stirred(Gemma3ForConditionalGeneration(config))
    with _quiet():
        whole.save_pretrained(folder / "own")
    tower = whole.model.vision_tower
    return load_file(folder / "own" / "model.safetensors"), lambda x: tower(
        pixel_values=x
    ).last_hidden_state.mean(1)


def _sides(known: str, entries: dict[str, Tensor], width: int) -> Any:
    """Put the entries of an image side where a file of a pair has them."""
    if known == "cxr-clip":
        return {"model": entries}
    if "vision_model.model.conv1.weight" in entries:
        entries["vision_model.model.fc.weight"] = torch.zeros(512, width)
    return entries


def _eva(body: Any) -> dict[str, Tensor]:
    """Return a model of timm in the names of EVA-02's code, as a file of masked pre-training has them."""
    words = {
        ".mlp.norm.": ".mlp.ffn_ln.",
        ".attn.norm.": ".attn.inner_attn_ln.",
        ".mlp.fc1_g.": ".mlp.w1.",
        ".mlp.fc1_x.": ".mlp.w2.",
        ".mlp.fc1.": ".mlp.w12.",
        ".mlp.fc2.": ".mlp.w3.",
        ".q_proj.bias": ".q_bias",
        ".v_proj.bias": ".v_bias",
        "fc_norm.": "norm.",
    }
    found = {"mask_token": torch.zeros(1, 1, 24), "rope.freqs_cos": torch.zeros(4, 4)}
    for key, value in body.state_dict().items():
        for ours, theirs in words.items():
            key = key.replace(ours, theirs)
        found[key] = value
    return found


def _open_clip(name: str, folder: Path) -> tuple[Any, Reference]:
    import open_clip

    options = tiny(name).image.options
    told = dict(options["text_cfg"])
    if told.get("hf_model_name"):
        place = folder / str(told["hf_model_name"]).split("/")[-1]
        bert_folder(place)
        told |= {"hf_model_name": str(place), "hf_model_pretrained": False}
    kind = open_clip.CustomTextCLIP if told.get("hf_model_name") else open_clip.CLIP
    said = {
        "vision_cfg": options["vision_cfg"],
        "text_cfg": told,
        "quick_gelu": options.get("quick_gelu", False),
    }
    model: Any = stirred(kind(embed_dim=options["embed_dim"], **said))
    state = model.state_dict()
    return state, lambda x: model.encode_image(x)
