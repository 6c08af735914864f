"""What training tools put around a state dict, taken off where a layout does not know it.

``DataParallel`` writes ``module.`` before all names, ``torch.compile`` ``_orig_mod.`` into them; averages of
weights lie in a container of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from g2d_bench.cards.encoder import Layout

WRAPPER = "module."
COMPILED = "_orig_mod."
AVERAGES = ("ema", "model_ema", "ema_state_dict", "state_dict_ema", "ema_model", "shadow", "teacher")
"""How the containers of averaged weights are called."""


def layout_state(states: Mapping[str, Mapping[str, Tensor]], layout: Layout) -> Mapping[str, Tensor] | None:
    """Return the entries of a file that a layout speaks of, under names that it can know.

    The container that the layout names is taken; where that is absent and the file has no other than one, or
    none but an average of weights, that one. Nothing else is guessed: of a file with two state dicts the card
    says which is meant.

    Args:
        states: state dict per container.
        layout: of a card.

    Returns:
        None where there is none.
    """
    state = states.get(layout.container)
    if state is None and not layout.container:
        averages = [name for name in states if name.rpartition(".")[2] in AVERAGES]
        if len(averages) == len(states) == 1:
            state = states[averages[0]]
    if state is None:
        return None
    parts = [part for part in (layout.text, layout.heads) if part is not None]
    starts = [start for part in parts for start in part.names]
    return bare(state, layout.prefixes, [*starts, layout.decoder_prefix or ""])


def bare(
    state: Mapping[str, Tensor], prefixes: Sequence[str], others: Sequence[str] = ()
) -> Mapping[str, Tensor]:
    """Take wrappers off the names of a state dict, unless a layout counts on them.

    Args:
        state: entries by name.
        prefixes: of the image encoder; where one fits a name with its ``module.``, that one is left.
        others: how names of other parts begin.
    """
    known = [start for start in (*prefixes, *others) if COMPILED in start]

    def inside(name: str) -> str:
        start = next((one for one in known if name.startswith(one)), "")
        return start + name.removeprefix(start).replace(COMPILED, "")

    names = {name: inside(name) for name in state}
    expected = tuple(prefix for prefix in prefixes if prefix)
    if not any(short.startswith(expected) for short in names.values()) and all(
        short.startswith(WRAPPER) for short in names.values()
    ):
        names = {name: short.removeprefix(WRAPPER) for name, short in names.items()}
    return {short: state[name] for name, short in names.items()}


def wrapping(state: Mapping[str, Tensor]) -> str:
    """Say which wrappers the names of a state dict bear; empty for none."""
    found = [COMPILED] if any(COMPILED in name for name in state) else []
    if state and all(name.replace(COMPILED, "").startswith(WRAPPER) for name in state):
        found.append(WRAPPER)
    return " and ".join(found)
