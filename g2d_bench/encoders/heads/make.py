"""From the name of a method to its projection heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from g2d_bench.errors import InputError, did_you_mean

if TYPE_CHECKING:
    pass
from g2d_bench.encoders.heads.base import Heads
from g2d_bench.encoders.heads.convirt import ConVIRTHeads
from g2d_bench.encoders.heads.gloria import GLoRIAHeads
from g2d_bench.encoders.heads.mgca import MGCAHeads


def make_heads(
    method: str,
    *,
    channels: Sequence[int],
    strides: Sequence[int],
    num_features: int,
    text_width: int,
    **options: Any,
) -> Heads:
    """Make the heads of a method for given encoders.

    Words are compared with the second coarsest map (layer3 of a ResNet); where all maps have one stride, as
    in a ViT, with the last one.

    Args:
        method: ``convirt``, ``gloria``, ``mgca``, ``g2d`` or, for its published weights, ``biovil``.
        channels: of :class:`~g2d_bench.encoders.image.ImageEncoder`.
        strides: of the same.
        num_features: of the same.
        text_width: of :class:`~g2d_bench.encoders.text.TextEncoder`.
        options: further keyword arguments of the heads.

    Raises:
        InputError: unknown method or option.
    """
    if method == "g2d":
        from g2d_bench.encoders.heads.g2d import make_g2d_heads

        return make_g2d_heads(channels=channels, text_width=text_width, **options)
    level = -1 if len(set(strides)) == 1 else -2
    from g2d_bench.encoders.heads.biovil import BioViLHeads

    known = (ConVIRTHeads, GLoRIAHeads, MGCAHeads, BioViLHeads)
    kinds: dict[str, type[Heads]] = {kind.method: kind for kind in known}
    if method not in kinds:
        raise InputError(
            f"no heads for {method!r}; {did_you_mean(method, sorted([*kinds, 'g2d']))}", field="objective"
        )
    arguments: dict[str, Any] = {"image_width": num_features, "text_width": text_width}
    if method in ("gloria", "mgca"):
        arguments |= {"local_width": channels[level], "level": level}
    try:
        return kinds[method](**arguments, **options)
    except TypeError as error:
        raise InputError(f"heads of {method}: {str(error).split('__init__() ')[-1]}", field="heads") from None
