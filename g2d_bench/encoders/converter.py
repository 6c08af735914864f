"""Named conversions of published files whose entries have other names, or another form, than a library's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from g2d_bench.cards.encoder import Layout
from g2d_bench.cards.library import CONVERTERS
from g2d_bench.errors import InputError

State = Mapping[str, Tensor]

Converter = Callable[[State], dict[str, Tensor]]
"""From the entries under a layout's prefix, which is off, to entries with the names of a library.

What a converter does not know it leaves as it is: the entry then counts as unexpected, or is dropped.
"""


def converted(state: State, layout: Layout, file: Path) -> dict[str, Tensor]:
    """Convert what stands under a layout's prefixes, and leave other entries as they are.

    Raises:
        InputError: an entry has not the form that the converter asks for.
    """
    prefixes: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in layout.prefixes}
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        prefix = next((one for one in layout.prefixes if name.startswith(one)), None)
        if prefix is None:
            found[name] = tensor
        else:
            prefixes[prefix][name.removeprefix(prefix)] = tensor
    convert: Converter = CONVERTERS[layout.convert]
    for prefix, inside in prefixes.items():
        try:
            found |= {prefix + name: tensor for name, tensor in convert(inside).items()}
        except (RuntimeError, ValueError, IndexError) as error:
            raise InputError(f"{layout.convert}: {error}", file=file, field="checkpoint.convert") from None
    return found
