"""Builds a module for the tensors of a file, after a shadow of it, which takes no memory, was seen to fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

N = TypeVar("N", bound=nn.Module)

LARGEST = 1 << 20
"""The largest number in a description; widths, layers and positions are far below."""
_DEPTH, _LENGTH = 4, 64


def check_description(value: Any, depth: int = 0) -> None:
    """See that a description that a stranger wrote has numbers and words of reasonable size, and little else.

    Raises:
        ValueError: it is nested deeply, long, or has a number that no module has.
    """
    if depth > _DEPTH:
        raise ValueError("nested too deeply")
    match value:
        case bool() | None:
            return
        case int():
            if abs(value) > LARGEST:
                raise ValueError("a number is out of range")
        case float():
            if not abs(value) <= LARGEST:
                raise ValueError("a number is out of range")
        case str():
            if len(value) > _LENGTH**2:
                raise ValueError("a word is too long")
        case dict():
            check_description(list(value), depth + 1)
            check_description(list(value.values()), depth + 1)
        case list():
            if len(value) > _LENGTH:
                raise ValueError("a list is too long")
            for item in value:
                check_description(item, depth + 1)
        case _:
            raise ValueError(f"a {type(value).__name__} says nothing here")


def shadow(build: Callable[[], N]) -> N:
    """Build a module that has shapes and no values: it takes no memory, whatever its size.

    The state of the random generators is left as it was.
    """
    with torch.device("meta"):
        return build()


def built_for(
    state: Mapping[str, Tensor],
    build: Callable[[], N],
    inner: Callable[[N], nn.Module] = lambda module: module,
) -> N:
    """Build a module and fill it; a shadow of it must fit first.

    Args:
        state: all its entries.
        build: makes the module.
        inner: the part of it that the entries belong to.

    Raises:
        ValueError: an entry is missing, unknown or of another shape.
    """
    ours = inner(shadow(build)).state_dict()
    for what, names in (("Missing", ours.keys() - state.keys()), ("Unexpected", state.keys() - ours.keys())):
        if names:
            raise ValueError(f"{what} among the tensors: {min(names)} ({len(names)} such)")
    for name, tensor in state.items():
        if tensor.shape != ours[name].shape:
            raise ValueError(f"{name} is {tuple(tensor.shape)}, not {tuple(ours[name].shape)}")
        if tensor.is_floating_point() != ours[name].is_floating_point():
            raise ValueError(f"{name} holds {tensor.dtype}, not {ours[name].dtype}")
    module = build()
    inner(module).load_state_dict(dict(state))
    return module
