"""The image encoder: a timm backbone that gives a pyramid of maps and one pooled vector."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import timm
import torch
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from g2d_bench.errors import InputError, did_you_mean

VIT_LEVELS = 4
"""How many evenly spaced blocks of a ViT make its pyramid."""


class ImageFeatures(NamedTuple):
    """What an image encoder gives.

    Attributes:
        pyramid: maps [B, C_k, H_k, W_k], fine to coarse.
        pooled: one vector per image, [B, D].
    """

    pyramid: list[Tensor]
    pooled: Tensor


class ImageEncoder(nn.Module):
    """A timm ResNet or ViT without classifier.

    A ResNet gives the stem's output before max-pooling and the outputs of its four stages; its pooled
    vector is the spatial mean of the last. A ViT gives the patch tokens of four evenly spaced blocks as
    maps, the last of them normalised; its pooled vector is the normalised class token.

    Args:
        model: name of a timm model, for example ``resnet50`` or ``vit_base_patch16_224``.
        upsample_inside: side to which the input is upsampled (bilinear, corners aligned) before the
            backbone, as GLoRIA and MGCA do for ResNets (224 to 299); None to leave it.
        options: further keyword arguments of ``timm.create_model``.
        pretrained: start from timm's weights, which must be in its cache or within reach.

    Attributes:
        channels: C_k of the pyramid.
        strides: input pixels per map cell of the pyramid, of the (upsampled) input.
        num_features: D.
        body: the timm model; its state-dict keys are the canonical names of checkpoints.

    Raises:
        InputError: timm does not know the model or an option, or it is neither ResNet nor ViT.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    num_features: int

    def __init__(
        self,
        model: str,
        *,
        upsample_inside: int | None = None,
        options: Mapping[str, Any] = MappingProxyType({}),
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        self.upsample_inside = upsample_inside
        body = _create(model, options, pretrained)
        self.body: nn.Module = body
        self.num_features = int(body.num_features)
        self.blocks: tuple[int, ...] = ()
        if isinstance(body, ResNet):
            infos = body.feature_info
            self.channels = tuple(int(info["num_chs"]) for info in infos)
            self.strides = tuple(int(info["reduction"]) for info in infos)
        elif isinstance(body, VisionTransformer):
            _require_class_token(model, options, body)
            depth, patch = len(body.blocks), int(body.patch_embed.patch_size[0])
            self.blocks = tuple(depth * (k + 1) // VIT_LEVELS - 1 for k in range(VIT_LEVELS))
            self.channels = (self.num_features,) * VIT_LEVELS
            self.strides = (patch,) * VIT_LEVELS
        else:
            raise InputError(f"{model!r} is neither a ResNet nor a ViT of timm", field="image.model")

    @property
    def input_size(self) -> int | None:
        """The only side that the backbone takes, or None where any will do."""
        body: Any = self.body
        return None if isinstance(body, ResNet) else int(body.patch_embed.img_size[0])

    def forward(self, x: Tensor) -> ImageFeatures:
        """Compute the features of normalised images [B, 3, S, S]."""
        if self.upsample_inside is not None:
            side = (self.upsample_inside, self.upsample_inside)
            x = F.interpolate(x, size=side, mode="bilinear", align_corners=True)
        return self._resnet(x) if isinstance(self.body, ResNet) else self._vit(x)

    def _resnet(self, x: Tensor) -> ImageFeatures:
        body: Any = self.body
        if not x.is_cuda or not torch.is_grad_enabled() or torch.is_autocast_enabled("cuda"):
            # Twice as fast; what differs is the order of sums, by less than 1e-5.
            x = x.contiguous(memory_format=torch.channels_last)
        stem = body.act1(body.bn1(body.conv1(x)))
        pyramid, x = [stem], body.maxpool(stem)
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = stage(x)
            pyramid.append(x)
        return ImageFeatures(pyramid, x.mean(dim=(2, 3)))

    def _vit(self, x: Tensor) -> ImageFeatures:
        body: Any = self.body
        tokens, maps = body.forward_intermediates(x, indices=list(self.blocks), norm=False, output_fmt="NCHW")
        patches = tokens[:, body.num_prefix_tokens :]
        maps[-1] = patches.transpose(1, 2).reshape(maps[-1].shape)
        return ImageFeatures(list(maps), tokens[:, 0])


def seeded_encoder(
    model: str,
    *,
    seed: int,
    upsample_inside: int | None = None,
    options: Mapping[str, Any] = MappingProxyType({}),
) -> ImageEncoder:
    """Build an encoder whose random initialisation depends on ``seed`` alone.

    The caller's random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return ImageEncoder(model, upsample_inside=upsample_inside, options=options)


def hold_batchnorm(module: nn.Module) -> None:
    """Put all BatchNorm layers of a module in eval mode, so that their statistics stay."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


_RESERVED = frozenset(
    ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "num_classes")
)
"""Arguments of timm that would fetch or open other weights, or that are set here."""


def _require_class_token(model: str, options: Mapping[str, Any], body: VisionTransformer) -> None:
    """Refuse a ViT whose first token is a patch, or that pools otherwise: a probe would read the wrong one.

    Raises:
        InputError: it has no class token, or a pooling other than ``token``.
    """
    if body.cls_token is None or body.num_prefix_tokens == 0:
        key = "image.options.class_token" if "class_token" in options else "image.model"
        raise InputError(f"{model} has no class token, which is what is probed of a ViT", field=key)
    if body.global_pool != "token":
        key = "image.options.global_pool" if "global_pool" in options else "image.model"
        raise InputError(
            f"{model} pools by {body.global_pool!r}; of a ViT the class token is probed ('token')", field=key
        )


def _create(model: str, options: Mapping[str, Any], pretrained: bool) -> Any:
    # TOML gives lists where timm compares tuples.
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    if not timm.is_model(model):
        raise InputError(f"timm has no {model!r}; {_nearest(model)}", field="image.model")
    for key in options:
        if key in _RESERVED:
            raise InputError("is not for a card to say", field=f"image.options.{key}")
    try:
        return timm.create_model(model, pretrained=pretrained, num_classes=0, **arguments)
    except Exception as error:
        # timm checks little: a wrong option ends in whatever class of error it happens to meet.
        if isinstance(error, OSError) and not pretrained:
            raise
        if pretrained and isinstance(error, OSError | RuntimeError):
            raise InputError(f"timm's weights cannot be had: {error}", field="image.model") from None
        raise InputError(f"timm's {model} refuses {arguments}: {error}", field="image.options") from None


def _nearest(model: str) -> str:
    bare = model.split(".")[0]
    hint = did_you_mean(bare, timm.list_models())
    return hint if hint.startswith("did you mean") else "see timm.list_models()"
