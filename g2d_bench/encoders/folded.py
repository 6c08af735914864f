"""A frozen image encoder with its batch normalisation in its convolutions, for half precision."""

from __future__ import annotations

import copy
from itertools import pairwise

import torch
from torch import nn

from g2d_bench.encoders.image import ImageEncoder


def folded(image: ImageEncoder) -> ImageEncoder:
    """Return a copy in which no batch normalisation stands behind a convolution, in eval mode.

    In eval mode ``(conv(x) - mean) / sqrt(var + eps) * weight + bias`` is a convolution again, in single
    precision the same but for rounding. It saves a pass over every map. What is not followed by a
    normalisation of its own stays as it is.
    """
    found = copy.deepcopy(image).eval().requires_grad_(False)
    for module in list(found.modules()):
        names = [name for name, _ in module.named_children()]
        for first, second in pairwise(names):
            conv, norm = module.get_submodule(first), module.get_submodule(second)
            if isinstance(conv, nn.Sequential) and len(conv) and isinstance(conv[-1], nn.Conv2d):
                # A deep stem: what is normalised is what its last convolution gives.
                inner: nn.Module = conv[-1]
            else:
                inner = conv
            if isinstance(inner, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                _fold(inner, norm)
                setattr(module, second, nn.Identity())
    return found.to(memory_format=torch.channels_last)


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            scale = scale * norm.weight.double()
        shift = -norm.running_mean.double() if conv.bias is None else conv.bias.double() - norm.running_mean
        shift = shift * scale
        if norm.bias is not None:
            shift = shift + norm.bias.double()
        conv.weight = nn.Parameter((conv.weight.double() * scale[:, None, None, None]).float(), False)
        conv.bias = nn.Parameter(shift.float(), False)
