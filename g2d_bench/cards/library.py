"""Libraries by name: whose model classes an encoder's architecture is taken from."""

from __future__ import annotations

from typing import Any

from g2d_bench.registry import Registry


class _Libraries(Registry[Any]):
    """Libraries, named as cards spell them."""

    @property
    def names(self) -> list[str]:
        """All names, sorted; nothing is imported."""
        return sorted(name.replace("-", "_") for name in super().names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(known(name))

    def __getitem__(self, name: str) -> Any:
        """Import and return one library; see :meth:`Registry.__getitem__`."""
        return super().__getitem__(known(name))


LIBRARIES = _Libraries(
    "library", package="g2d_bench.encoders.libraries", mark="LIBRARY", group="g2d_bench.libraries"
)
"""Objects of :class:`g2d_bench.encoders.library.Library`; a module of that package that says ``LIBRARY = …``
adds one. Looking at their names imports nothing."""

CONVERTERS: Registry[Any] = Registry(
    "converter", package="g2d_bench.encoders.converters", mark="CONVERTER", group="g2d_bench.converters"
)
"""Functions that give the entries of a published file the names, and the form, that a library uses; see
:data:`g2d_bench.encoders.converter.Converter`."""


def known(library: str) -> str:
    """Return a library's name in the registry; cards may write it as its package is called."""
    return library.replace("_", "-")
