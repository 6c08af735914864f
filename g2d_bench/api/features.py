"""What a model in memory gave, read as features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from g2d_bench.encoders.image import ImageFeatures
from g2d_bench.errors import InputError

FORMS = "must give a vector [B, D], maps [B, C, H, W], or a mapping of maps with the vector under 'pooled'"


def features_of(output: Any) -> ImageFeatures:
    """Read what a module gave as a pyramid and a pooled vector.

    Args:
        output: a vector [B, D]; a map [B, C, H, W]; a sequence of maps; a mapping of maps, fine to coarse,
            with the vector under ``pooled`` where there is one; or (maps, vector).

    Returns:
        The maps, fine to coarse (none where the module gives a vector alone), and the vector: that given, or
        the mean of the coarsest map.

    Raises:
        InputError: the output is none of these, has a width of 0, or maps that are not square, as those of a
            square image are.
    """
    pooled: Tensor | None = None
    if isinstance(output, Mapping):
        maps = [value for name, value in output.items() if name != "pooled"]
        pooled = output.get("pooled")
    elif isinstance(output, Tensor):
        maps, pooled = ([output], None) if output.ndim == 4 else ([], output)
    elif isinstance(output, Sequence) and len(output) == 2 and isinstance(output[0], list | tuple):
        maps, pooled = list(output[0]), output[1]
    else:
        maps = list(output) if isinstance(output, Sequence) else [output]
    if any(not isinstance(level, Tensor) or level.ndim != 4 for level in maps):
        raise InputError(FORMS, field="model")
    for level in maps:
        _require_square(level)
    maps.sort(key=lambda level: -int(level.shape[-1]))
    if pooled is None:
        if not maps:
            raise InputError(FORMS, field="model")
        pooled = maps[-1].mean(dim=(2, 3))
    if not isinstance(pooled, Tensor) or pooled.ndim != 2:
        raise InputError(FORMS, field="model")
    if not all(level.shape[1] for level in (*maps, pooled)):
        raise InputError("gives features of width 0", field="model")
    return ImageFeatures([level.float() for level in maps], pooled.float())


def _require_square(level: Tensor) -> None:
    """Refuse maps that do not lie on a square image, which has channels last or is of something else."""
    _, first, second, third = level.shape
    if second == third:
        return
    guess = (
        "which looks like channels last, [B, H, W, C]; give [B, C, H, W], as by permute(0, 3, 1, 2)"
        if first == second
        else "which is not as high as wide; an image is square, and so are its maps"
    )
    raise InputError(f"gives a map {list(level.shape)}, {guess}", field="model")
