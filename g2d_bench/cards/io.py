"""Reads a TOML card into its model; whatever is wrong with it becomes one line."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.files import read_regular
from g2d_bench.plain import counted
from g2d_bench.safe_files import LARGEST_TOML, parse_toml

M = TypeVar("M", bound=BaseModel)

# How pydantic calls the members of a union in an error's place ("list[...]" and the like have brackets).
_UNION_TAGS = frozenset({"float", "int", "str", "bool", "none", "constrained-str", "constrained-float"})


def load_card(path: Path, model: type[M]) -> M:
    """Read and validate one card.

    The file stem becomes the field ``name`` where the model has one and the card does not give it.

    Args:
        path: a TOML file.
        model: the pydantic model that says what is allowed; it should forbid extra keys.

    Returns:
        The validated card.

    Raises:
        InputError: one line with file, key, what is wrong, and what is allowed or the nearest word.
    """
    try:
        data = parse_toml(read_regular(path, LARGEST_TOML), path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", file=path) from None
    if "name" in model.model_fields:
        data.setdefault("name", path.stem)
    try:
        # Validators may look for what lies beside the card.
        return model.model_validate(data, context={"folder": path.parent})
    except ValidationError as error:
        raise explain(error, model, file=path) from None


def explain(
    error: ValidationError, model: type[BaseModel], *, file: Path | None = None, inside: str = ""
) -> InputError:
    """Turn pydantic's findings into one line: an unknown key first, since it often causes the others.

    Args:
        error: what pydantic found.
        model: of which it found it.
        file: that was read, if any.
        inside: what stands before the key, such as the name of a class.
    """
    findings = error.errors(include_url=False)
    first = min(findings, key=lambda item: item["type"] != "extra_forbidden")
    where = first["loc"]
    key = _dotted(where) or None
    if first["type"] == "extra_forbidden":
        message = f"unknown key; {did_you_mean(str(where[-1]), _keys_at(model, where[:-1]))}"
    elif first["type"] == "missing":
        message = "required key is missing"
    elif first["type"] == "literal_error":
        allowed = _literals_at(model, where)
        given = first["input"]
        message = f"{given!r} is not allowed; {did_you_mean(str(given), allowed)}"
    else:
        message = first["msg"].removeprefix("Value error, ")
        if not isinstance(first["input"], dict | list):
            message += f" (got {first['input']!r})"
    more = len(findings) - 1
    if more:
        message += f" (and {counted(more, 'more problem')})"
    return InputError(message, file=file, field=".".join(filter(None, (inside, key))) or None)


def _dotted(where: Sequence[str | int]) -> str:
    """``("checkpoint", 0, "prefix")`` as ``checkpoint[0].prefix``; tags of unions are left out."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part}]"
        elif "[" not in part and part not in _UNION_TAGS:
            text += f".{part}" if text else part
    return text


def _types_at(annotation: Any, where: Sequence[str | int]) -> Iterator[Any]:
    """Yield the leaf types to which a path of keys leads, through unions, lists and tables."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _types_at(member, where)
        return
    if origin is not None and hasattr(annotation, "__metadata__"):  # Annotated
        yield from _types_at(get_args(annotation)[0], where)
        return
    if not where:
        yield annotation
        return
    head, rest = where[0], where[1:]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, found in _fields_of(annotation).items():
            if head == name:
                yield from _types_at(found, rest)
        return
    if origin in (list, tuple, dict) or (isinstance(origin, type) and not isinstance(head, int)):
        arguments = [item for item in get_args(annotation) if item is not Ellipsis]
        if arguments:
            yield from _types_at(arguments[-1], rest)
    elif isinstance(head, str):  # the tag of a union member: same type, shorter path
        yield from _types_at(annotation, rest)


def _keys_at(model: type[BaseModel], where: Sequence[str | int]) -> list[str]:
    return [
        name
        for found in _types_at(model, where)
        if isinstance(found, type) and issubclass(found, BaseModel)
        for name in _fields_of(found)
    ]


def _fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return keys and their types: the model's own, and the tables that others declare for it."""
    own = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    return own | (model.tables_of() if hasattr(model, "tables_of") else {})


def _literals_at(model: type[BaseModel], where: Sequence[str | int]) -> list[str]:
    return [
        str(value)
        for found in _types_at(model, where)
        if get_origin(found) is Literal
        for value in get_args(found)
    ]
