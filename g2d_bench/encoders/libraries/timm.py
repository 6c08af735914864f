"""Any model of timm that tells its intermediate maps: one rule for all families."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from g2d_bench.encoders.library import Library, Plan, as_map, spaced
from g2d_bench.errors import InputError, did_you_mean

POOLS = {"token": "token", "avg": "mean", "map": "map"}
"""What timm calls ``global_pool``, in the words of a card."""

_RESERVED = frozenset(
    ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir", "num_classes")
)
"""Arguments of timm that would fetch or open other weights, or that are set here."""


class Timm(Library):
    """A model of timm without classifier.

    The pyramid is what ``forward_intermediates`` gives: all maps of a model whose maps shrink from stage to
    stage; of a model with tokens of one size four evenly spaced blocks, the last of them normalised. The
    vector is ``forward_head(..., pre_logits=True)`` of the same pass.
    """

    def build(
        self,
        model: str,
        options: Mapping[str, Any],
        *,
        channels: int = 3,
        folder: Path | None = None,
        pretrained: bool = False,
    ) -> nn.Module:
        """Make a model; see :meth:`Library.build`."""
        # TOML gives lists where timm compares tuples.
        arguments = {
            key: tuple(value) if isinstance(value, list) else value for key, value in options.items()
        }
        if not timm.is_model(model):
            raise InputError(f"timm has no {model!r}; {_nearest(model)}", field="image.model")
        for key in options:
            if key in _RESERVED:
                raise InputError("is not for a card to say", field=f"image.options.{key}")
        if channels != 3:
            arguments["in_chans"] = channels
        try:
            body: nn.Module = timm.create_model(model, pretrained=pretrained, num_classes=0, **arguments)
        except Exception as error:
            # timm checks little: a wrong option ends in whatever class of error it happens to meet.
            if isinstance(error, OSError) and not pretrained:
                raise
            if pretrained and isinstance(error, OSError | RuntimeError):
                raise InputError(f"timm's weights cannot be had: {error}", field="image.model") from None
            raise InputError(f"timm's {model} refuses {arguments}: {error}", field="image.options") from None
        return body

    def plan(self, body: nn.Module, model: str, options: Mapping[str, Any], pool: str | None) -> Plan:
        """Say what is read; see :meth:`Library.plan`."""
        told = getattr(body, "feature_info", None)
        infos: list[Any] = list(getattr(told, "info", told) or [])
        if not hasattr(body, "forward_intermediates") or not infos:
            raise InputError(f"timm's {model} does not tell its intermediate maps", field="image.model")
        channels = tuple(int(info["num_chs"]) for info in infos)
        strides = tuple(int(info["reduction"]) for info in infos)
        blocks: tuple[int, ...] = ()
        if len(set(strides)) == 1:
            blocks = spaced(len(infos))
            channels, strides = (tuple(values[block] for block in blocks) for values in (channels, strides))
        prefix = getattr(body, "num_prefix_tokens", None)
        inside: Any = getattr(body, "patch_embed", None)
        fixed = getattr(inside, "strict_img_size", False) and getattr(inside, "img_size", None)
        widths: dict[str, Any] = {
            name: getattr(body, name, None) for name in ("head_hidden_size", "num_features")
        }
        return Plan(
            channels,
            strides,
            int(widths["head_hidden_size"] or widths["num_features"]),
            int(fixed[0]) if fixed else None,
            blocks,
            prefix=int(prefix or 0),
            pool=_pooling(body, model, options, pool, tokens=prefix is not None),
        )

    def version(self) -> str:
        """Name the installed version; see :meth:`Library.version`."""
        return str(timm.__version__)

    def features(self, body: nn.Module, plan: Plan, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute pyramid and vector; see :meth:`Library.features`."""
        model: Any = body
        if not plan.tokens and not (x.is_cuda and torch.is_grad_enabled() and not _halved()):
            # Convolutions are twice as fast; what differs is the order of sums, by less than 1e-5.
            x = x.contiguous(memory_format=torch.channels_last)
        indices = list(plan.blocks) or None
        last, maps = model.forward_intermediates(x, indices=indices, norm=False, output_fmt="NCHW")
        maps = list(maps)
        if plan.tokens and last.ndim == 3:
            maps[-1] = as_map(last, maps[-1].shape, plan.prefix)
        return maps, model.forward_head(last, pre_logits=True)


def _halved() -> bool:
    return torch.is_autocast_enabled("cuda")


def _pooling(body: Any, model: str, options: Mapping[str, Any], pool: str | None, *, tokens: bool) -> str:
    """Name the model's own pooling, and refuse one that the card does not expect.

    Raises:
        InputError: a model with tokens pools otherwise than by the first, and the card does not say so; or
            the card says another pooling than the model has, or none.
    """
    if options.get("global_pool", "avg") == "":
        raise InputError(
            f"{model} makes no vector without pooling; leave it out or say 'avg', or 'token' of a ViT",
            field="image.options.global_pool",
        )
    own = getattr(body, "global_pool", "avg")
    own = POOLS.get(own if isinstance(own, str) else "avg", str(own))
    if pool is None and tokens:
        _require_class_token(body, model, options, own)
    if pool in ("token", "mean", "map") and own != pool:
        key = "image.options.global_pool" if "global_pool" in options else "image.pool"
        wanted = next(word for word, said in POOLS.items() if said == pool)
        raise InputError(
            f"{model} pools by {own!r}, the card says {pool!r}; "
            f"image.options.global_pool = {wanted!r} may change the model",
            field=key,
        )
    if own == "token" and not getattr(body, "num_prefix_tokens", 1):
        raise InputError(f"{model} has no class token to pool by", field="image.pool")
    return own


def _require_class_token(body: Any, model: str, options: Mapping[str, Any], own: str) -> None:
    """Refuse what a card without ``pool`` may not mean: a probe would read another vector than expected."""
    if getattr(body, "cls_token", None) is None or body.num_prefix_tokens == 0:
        key = "image.options.class_token" if "class_token" in options else "image.model"
        raise InputError(
            f"{model} has no class token, which is what is probed of a ViT; say image.pool = {own!r} "
            "to take the vector that it makes otherwise",
            field=key,
        )
    if own != "token":
        key = "image.options.global_pool" if "global_pool" in options else "image.model"
        raise InputError(
            f"{model} pools by {body.global_pool!r}; of a ViT the class token is probed ('token'); "
            f"say image.pool = {own!r} for the model's own vector, or set image.options.global_pool",
            field=key,
        )


def _nearest(model: str) -> str:
    bare = model.split(".")[0]
    hint = did_you_mean(bare, timm.list_models())
    return hint if hint.startswith("did you mean") else "see timm.list_models()"


LIBRARY = Timm()
