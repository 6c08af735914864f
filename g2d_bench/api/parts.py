"""Which modules a model in memory computes with, wherever it keeps them."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

DEPTH, WIDTH = 5, 1000
"""How many steps from a model, and how many things at each, are looked at for the owner of what ran."""


@contextmanager
def as_in_training(x: Tensor) -> Iterator[Tensor]:
    """Leave inference mode for the user's code: what it keeps of a call must be of use in training, too."""
    if not torch.is_inference_mode_enabled():
        yield x
        return
    with torch.inference_mode(False), torch.no_grad():
        yield x.clone()


def kind_of(module: nn.Module) -> torch.dtype:
    """Return the floating type of a module's parameters."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put a module into evaluation mode, and each of its parts back into its own in the end."""
    training = modes(module)
    module.eval()
    try:
        yield
    finally:
        restore(training)


def modes(module: nn.Module) -> dict[nn.Module, bool]:
    """Return the mode of a module and of each of its parts."""
    return {part: part.training for part in module.modules()}


def restore(training: Mapping[nn.Module, bool]) -> None:
    """Put modules back into the modes that they had."""
    for module, mode in training.items():
        module.training = mode


class _Plain(nn.Module):
    """Holds an object that is no module, the modules among its attributes, and the one that it belongs to."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner
        for name, value in vars(inner).items() if hasattr(inner, "__dict__") else ():
            if isinstance(value, nn.Module):
                self.add_module(f"{name}_of_inner", value)
        if isinstance(owner := getattr(inner, "__self__", None), nn.Module):
            self.add_module("owner_of_inner", owner)


def as_module(model: Any) -> nn.Module:
    """Return a model as a module, which shows the state of what it is made of."""
    return model if isinstance(model, nn.Module) else _Plain(model)


def class_of(model: Any) -> str:
    """Name the class of a model, with its module."""
    return f"{type(model).__module__}.{type(model).__qualname__}"


def inner_of(module: nn.Module) -> Any:
    """Return what was given to :func:`as_module`."""
    return module.inner if isinstance(module, _Plain) else module


@contextmanager
def watched(known: Iterable[nn.Module]) -> Iterator[list[nn.Module]]:
    """Note which other modules are called within, in this thread; they run in evaluation mode.

    A module may lie where its owner does not show it: in a list, in an object, around a function. Left to
    itself it would run in the mode of a training loop, and move its statistics.

    Args:
        known: modules with all their parts.

    Yields:
        Those that were called, without their parts; all are back in their modes afterwards.
    """
    known, here = set(known), threading.get_ident()
    found: list[nn.Module] = []
    before: dict[nn.Module, bool] = {}

    def note(module: nn.Module, _: Any) -> None:
        if threading.get_ident() != here or module in known or module in before:
            return
        fresh = {part: mode for part, mode in modes(module).items() if part not in known}
        before.update({part: mode for part, mode in fresh.items() if part not in before})
        module.eval()
        found.append(module)
        if hasattr(module, "_orig_mod"):
            aside(module)

    def aside(compiled: nn.Module) -> None:
        # With the hook in it, it would be compiled anew.
        hooks.pop().remove()
        after = compiled.register_forward_hook(lambda *_: again(), always_call=True)

        def again() -> None:
            after.remove()
            hooks.append(register_module_forward_pre_hook(note))

    compiled = any(hasattr(one, "_orig_mod") for one in known)
    hooks = [] if compiled else [register_module_forward_pre_hook(note)]
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*global hooks on modules")
            yield found
    finally:
        for hook in hooks:
            hook.remove()
        restore(before)
        inside = {part for one in found for part in one.modules() if part is not one}
        found[:] = [one for one in found if one not in inside]


def decides(module: nn.Module) -> bool:
    """Say whether it matters which module of a class is called: it has a state, or draws in training."""
    stateful = bool([*module.parameters(), *module.buffers()])
    return stateful or any(isinstance(part, nn.modules.dropout._DropoutNd) for part in module.modules())


def owners(model: Any, called: Iterable[nn.Module]) -> list[nn.Module]:
    """Return the modules near a model that hold some that were called, and those that none holds.

    Who asks a module for something else than its call, such as timm's ``forward_features``, calls its parts
    alone; parameters and mode of the whole take part nevertheless.
    """
    called = list(called)
    near = list(_near(model)) if called else []
    found: list[nn.Module] = []
    for one in called:
        holders = [owner for owner in near if any(part is one for part in owner.modules())]
        owner = min(holders, key=lambda owner: len(list(owner.modules())), default=one)
        found += [] if any(owner is other for other in found) else [owner]
    return found


def _near(model: Any) -> Iterator[nn.Module]:
    """Yield the modules that an object refers to, the nearest first."""
    seen, layer = set[int](), [model]
    for _ in range(DEPTH):
        fresh = [one for one in {id(one): one for one in layer}.values() if id(one) not in seen]
        seen.update(map(id, fresh))
        yield from (one for one in fresh if isinstance(one, nn.Module))
        layer = [other for one in fresh for other in islice(_referred(one), WIDTH)]


def _referred(one: Any) -> Iterable[Any]:
    if isinstance(one, Mapping):
        return list(one.values())
    if isinstance(one, list | tuple | set | frozenset):
        return one
    if isinstance(one, partial):
        return (one.func, *one.args, *one.keywords.values())
    if isinstance(one, MethodType):
        return (one.__self__, one.__func__)
    if isinstance(one, FunctionType):
        with suppress(ValueError):  # a name that has no value yet
            names = inspect.getclosurevars(one)
            return (*names.nonlocals.values(), *names.globals.values())
        return ()
    if isinstance(one, type | ModuleType | Tensor | np.ndarray) or not hasattr(one, "__dict__"):
        return ()
    parts = list(one.modules()) if isinstance(one, nn.Module) else [one]
    return [value for part in parts for name, value in vars(part).items() if name != "_modules"]
