"""One way to name a thing: it is declared in the module that defines it, and found there by name.

Kinds of task, readers, writers, metrics, objectives, projection heads, table formats and executors are all
looked up so. A module of the right package that says ``READER = …`` at its top level adds a reader; it is
imported when that reader is asked for, not before. Packages of others add theirs by entry points in the
group of the registry; the value names a module with the same declaration, or the thing itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar, cast

from g2d_bench.errors import InputError, did_you_mean

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one sort, by name.

    Args:
        what: the sort, in words, for messages: ``data set``.
        package: whose modules declare things: ``g2d_bench.readers``. A thing has the name of its module, with
            hyphens in the place of underscores.
        mark: the name that a module gives its declaration: ``READER``.
        group: of the entry points that add more.
        load: how a module is imported; for those that make noise.
    """

    def __init__(
        self,
        what: str,
        *,
        package: str,
        mark: str,
        group: str,
        load: Callable[[str], ModuleType] = import_module,
    ) -> None:
        self.what, self.group, self.mark = what, group, mark
        self._package, self._load = package, load
        self._found: dict[str, T] = {}

    @cached_property
    def _own(self) -> dict[str, str]:
        return {
            module.rpartition(".")[2].replace("_", "-"): module
            for module in declaring(self._package, self.mark)
        }

    @cached_property
    def _foreign(self) -> dict[str, EntryPoint]:
        """Entry points by name.

        Raises:
            InputError: two packages, or one and this one, take the same name.
        """
        found: dict[str, EntryPoint] = {}
        for point in points(self.group):
            taken = found.get(point.name)
            if point.name in self._own or (taken is not None and taken.value != point.value):
                other = taken.value if taken is not None else self._own[point.name]
                raise InputError(
                    f"the {self.what} {point.name!r} is declared twice: by {other} and by {point.value}",
                    field=self.group,
                )
            found[point.name] = point
        return found

    @property
    def names(self) -> list[str]:
        """All names, sorted; nothing is imported."""
        return sorted([*self._own, *self._foreign])

    def __contains__(self, name: object) -> bool:
        return name in self._foreign or name in self._own

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __getitem__(self, name: str) -> T:
        """Import and return one thing.

        Raises:
            InputError: nothing has this name; the nearest ones are named.
        """
        if name not in self._found:
            if name not in self:
                raise InputError(f"unknown {self.what} {name!r}; {did_you_mean(name, self.names)}")
            self._found[name] = self._import(name)
        return self._found[name]

    def module(self, name: str) -> str:
        """Return the dotted name of the module that declares a thing; see :meth:`__getitem__`."""
        return self._own[name] if name in self._own else self._foreign[name].value.partition(":")[0]

    def _import(self, name: str) -> T:
        if name in self._own:
            return cast(T, getattr(self._load(self._own[name]), self.mark))
        return cast(T, declared(self._foreign[name], self.mark))


def points(group: str) -> EntryPoints:
    """Return the entry points of a group."""
    return cast(EntryPoints, _points(tuple(sys.path)).select(group=group))


@cache
def _points(_: tuple[str, ...]) -> Any:
    # The metadata of all packages are read for this, whatever group is asked for. Python 3.11 returns
    # another type than later ones, with the same method.
    return entry_points()


def declared(point: EntryPoint, mark: str) -> Any:
    """Load an entry point: what it names, or what the module that it names declares.

    Raises:
        InputError: it cannot be imported, or its module declares nothing.
    """
    try:
        loaded = point.load()
    except Exception as error:
        reason = f"cannot be imported from {point.value}: {type(error).__name__}: {error}"
        raise InputError(reason, field=f"{point.group}.{point.name}") from error
    if not isinstance(loaded, ModuleType):
        return loaded
    if not hasattr(loaded, mark):
        raise InputError(f"{point.value} declares no {mark}", field=f"{point.group}.{point.name}")
    return getattr(loaded, mark)


@cache
def declaring(package: str, mark: str) -> tuple[str, ...]:
    """Return the modules of a package that declare ``mark`` at their top level, sorted, importing none."""
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    line = re.compile(rf"^{re.escape(mark)}\s*(:[^=\n]+)?=", re.MULTILINE)
    return tuple(
        f"{package}.{path.stem}"
        for folder in folders
        for path in sorted(Path(folder).glob("*.py"))
        if line.search(path.read_text(encoding="utf-8"))
    )
