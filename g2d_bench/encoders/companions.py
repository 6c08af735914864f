"""What our own pre-training writes beside the image encoder: text encoder, heads, decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from g2d_bench.encoders.checkpoint import Checkpoint
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.encoders.decoder import UNetDecoder
    from g2d_bench.encoders.text import TextEncoder


class Companions(NamedTuple):
    """The modules of a pre-trained file beside the image encoder; None for what it does not bring."""

    text: TextEncoder | None
    heads: nn.Module | None
    decoder: UNetDecoder | None


def load_companions(checkpoint: Checkpoint, image: ImageEncoder) -> Companions:
    """Build and load what a g2d-bench file brings along.

    Raises:
        InputError: its model card does not describe what its tensors need, or they do not fit.
    """
    state = checkpoint.states[""]
    return Companions(None, None, _decoder(checkpoint, _part(state, "decoder."), image))


def _decoder(checkpoint: Checkpoint, state: dict[str, Tensor], image: ImageEncoder) -> UNetDecoder | None:
    if not state:
        return None
    from g2d_bench.encoders.decoder import UNetDecoder

    description = checkpoint.metadata.get("decoder", {})
    decoder = UNetDecoder(image.channels, image.strides, **description)
    _load(decoder, state, checkpoint, "decoder")
    return decoder


def _part(state: object, prefix: str) -> dict[str, Tensor]:
    assert isinstance(state, dict)
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _load(module: nn.Module, state: dict[str, Tensor], checkpoint: Checkpoint, part: str) -> None:
    try:
        module.load_state_dict(
            {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
        )
    except RuntimeError as error:
        raise InputError(f"does not fit: {error}", file=checkpoint.file, field=part) from None
