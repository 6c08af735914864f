"""Runs a pickle as the list of instructions that it is, without the objects that it asks for.

A pickle is a program for a small stack machine. Here that machine makes plain containers, numbers and texts,
and nothing else: whatever a class of another package would have become is a :class:`Shell` that knows its
name. No attribute of a living object is read or set, nothing is imported, nothing of the pickle is called.
Opcodes and bytes are bounded, and so is the time of each: of dictionaries only what stands under a text is
kept, since other keys can be chosen so that their hashes collide, or nested so that a hash takes hours.

The instructions are taken apart by :func:`pickletools.genops`.
"""

from __future__ import annotations

import pickletools
import sys
from collections.abc import Callable, Iterable
from typing import Any

MAX_OPCODES = 1_000_000
"""More than any checkpoint has: a ResNet-50 with its optimiser takes some 27,000."""
MAX_BYTES = 128 << 20
"""Bytes of one pickle; tensors lie beside it, not in it."""
_LINE = 1 << 16
_DIGITS = 64
"""Bytes of a whole number; torch's magic number has ten."""

_PLAIN_BUILTINS = {
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "long", "object"),
    *("range", "set", "slice", "str", "tuple", "type", "unicode", "xrange"),
}
# What training scripts leave in checkpoints beside the weights: options, counters, paths, clocks.
_DATA_MODULES = {
    *("_codecs", "abc", "argparse", "codecs", "collections", "copy_reg", "copyreg", "dataclasses"),
    *("datetime", "decimal", "enum", "fractions", "functools", "logging", "math", "numbers", "operator"),
    *("pathlib", "random", "re", "string", "threading", "time", "typing", "uuid", "weakref"),
}


class PickleError(Exception):
    """The stream is no pickle, is damaged, or asks for more than a checkpoint needs."""


class CodeInPickleError(PickleError):
    """The pickle names a function that could act on this machine."""


class Shell:
    """Stands for an object whose class is not wanted.

    Attributes:
        name: of the class or function that would have made it.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Name:
    """A class or function that the pickle names; it is neither imported nor called.

    Attributes:
        module: where it would be.
        name: what it would be called there.
    """

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


Make = Callable[[Name, tuple[Any, ...]], object]
"""Makes what a name gives for some arguments, or returns None for a shell."""


class Stream:
    """Bytes to be read from the start to the end, never more than there are.

    Args:
        data: anything that gives bytes for a slice.
        place: where to begin.
        stop: where the bytes end.
    """

    def __init__(self, data: Any, place: int, stop: int) -> None:
        self.data, self.place, self.stop = data, place, stop

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        end = min(self.place + max(size, 0), self.stop)
        found = bytes(self.data[self.place : end])
        self.place = end
        return found

    def readline(self) -> bytes:
        """Return the bytes up to the next line feed."""
        start = self.place
        found = self.read(_LINE)
        length = found.find(b"\n") + 1
        if not length and len(found) == _LINE:
            raise PickleError("a line without end")
        self.place = start + (length or len(found))
        return found[: length or len(found)]


_MARK = object()


class Machine:
    """Runs one pickle.

    Args:
        make: asked for what the names that it knows give.
        persistent: makes an object of a persistent id, with which torch names storages.
    """

    def __init__(self, make: Make, persistent: Callable[[object], object]) -> None:
        self._make, self._persistent = make, persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: Stream) -> Any:
        """Return what the pickle describes; the stream then stands behind it.

        Raises:
            CodeInPickleError: it names a function that could act on this machine.
            PickleError: it is damaged or past the bounds.
        """
        bounded = Stream(stream.data, stream.place, min(stream.stop, stream.place + MAX_BYTES))
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(bounded)):  # type: ignore[arg-type]
                if count >= MAX_OPCODES:
                    raise PickleError(f"more than {MAX_OPCODES:,} instructions")
                step = _STEPS.get(opcode.name)
                if step is None:
                    raise PickleError(f"instruction {opcode.name} belongs in no checkpoint")
                step(self, argument)
            (result,) = self._stack
        except PickleError:
            raise
        except (IndexError, KeyError, ValueError, TypeError, AttributeError, OverflowError):
            # What pickletools and a stack in disorder raise; their words explain nothing to a reader.
            full = bounded.place >= bounded.stop < stream.stop
            raise PickleError(f"more than {MAX_BYTES:,} bytes" if full else "a damaged pickle") from None
        stream.place = bounded.place
        return result

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self._stack.append(value)

    def number(self, value: int) -> None:
        """Put a whole number of a reasonable length on the stack."""
        if value.bit_length() > 8 * _DIGITS:
            raise PickleError("a number without end")
        self.push(value)

    def pop(self) -> Any:
        """Take the topmost value."""
        value = self._stack.pop()
        if value is _MARK:
            raise PickleError("a damaged pickle")
        return value

    def to_mark(self) -> list[Any]:
        """Take all values down to the last mark."""
        place = len(self._stack) - 1
        while self._stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise PickleError("a damaged pickle")
        found = self._stack[place + 1 :]
        del self._stack[place:]
        return found

    def discard(self, _: object) -> None:
        """Drop the topmost value, which may be a mark."""
        self._stack.pop()

    def tuple_of(self, size: int) -> None:
        """Make a tuple of the topmost values."""
        if size > len(self._stack):
            raise PickleError("a damaged pickle")
        values = self._stack[len(self._stack) - size :]
        if any(value is _MARK for value in values):
            raise PickleError("a damaged pickle")
        del self._stack[len(self._stack) - size :]
        self.push(tuple(values))

    def name(self, text: str) -> None:
        """Resolve ``module name``."""
        module, _, name = text.partition(" ")
        self.push(known(module, name))

    def stack_name(self, _: object) -> None:
        """Resolve a module and a name from the stack."""
        name, module = self.pop(), self.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise PickleError("a damaged pickle")
        self.push(known(module, name))

    def call(self, _: object) -> None:
        """Stand in for calling the second value with the first."""
        arguments, function = self.pop(), self.pop()
        self.push(self._made(function, arguments))

    def call_named(self, _: object) -> None:
        """Stand in for calling a class with positional and named arguments."""
        self.pop()
        self.call(None)

    def call_marked(self, _: object) -> None:
        """Stand in for calling the first value above the mark with the others."""
        function, *arguments = self.to_mark()
        self.push(self._made(function, tuple(arguments)))

    def call_inst(self, text: str) -> None:
        """Stand in for calling a name with all values above the mark."""
        arguments = tuple(self.to_mark())
        module, _, name = text.partition(" ")
        self.push(self._made(known(module, name), arguments))

    def _made(self, function: object, arguments: object) -> object:
        if isinstance(function, Name):
            made = self._make(function, arguments) if isinstance(arguments, tuple) else None
            return Shell(str(function)) if made is None else made
        if isinstance(function, Shell):
            return Shell(function.name)
        raise PickleError("a damaged pickle")

    def build(self, _: object) -> None:
        """Drop an object's state: shells need none, and nothing else has one."""
        self.pop()
        if not self._stack:
            raise PickleError("a damaged pickle")

    def persist(self, identity: object) -> None:
        """Make an object of a persistent id."""
        self.push(self._persistent(identity))

    def append(self, values: list[Any]) -> None:
        """Add values to a list; a shell takes none."""
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif not isinstance(target, Shell):
            raise PickleError("a damaged pickle")

    def store(self, values: list[Any]) -> None:
        """Add keys and values to a dictionary; a shell takes none."""
        target = self._stack[-1]
        if len(values) % 2:
            raise PickleError("a damaged pickle")
        if isinstance(target, dict):
            fill(target, zip(values[::2], values[1::2], strict=True))
        elif not isinstance(target, Shell):
            raise PickleError("a damaged pickle")

    def add(self, _: object) -> None:
        """Drop the members of a set; sets are shells."""
        self.to_mark()
        if not isinstance(self._stack[-1], Shell):
            raise PickleError("a damaged pickle")

    def remember(self, place: int | None) -> None:
        """Note the topmost value; memory is taken by what is noted, not by the number that it bears."""
        value = self._stack[-1]
        if value is _MARK:
            raise PickleError("a damaged pickle")
        number = len(self._memo) if place is None else int(place)
        if not 0 <= number < 1 << 32:
            raise PickleError("a damaged pickle")
        self._memo[number] = value

    def recall(self, place: int) -> None:
        """Put a noted value on the stack."""
        self.push(self._memo[int(place)])


def known(module: str, name: str) -> Name:
    """Return a name that is neither an attack nor a mistake.

    Raises:
        CodeInPickleError: it is a thing of the standard library that could do something (``os.system``,
            ``builtins.eval``).
    """
    root = module.split(".")[0]
    if root in ("builtins", "__builtin__"):
        allowed = name in _PLAIN_BUILTINS
    else:
        standard = root in sys.stdlib_module_names or root in ("nt", "posix")
        allowed = not standard or root in _DATA_MODULES
    if not allowed:
        raise CodeInPickleError(f"{module}.{name}")
    return Name(module, name)


def fill(target: dict[str, Any], pairs: Iterable[tuple[Any, Any]]) -> None:
    """Put pairs into a dictionary, those whose key is a text."""
    for key, value in pairs:
        if isinstance(key, str):
            target[key] = value


def _pushes(value: Callable[[Any], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, argument: machine.push(value(argument))


def _frozen(machine: Machine, _: object) -> None:
    machine.to_mark()
    machine.push(Shell("builtins.frozenset"))


def _forget(machine: Machine, _: object) -> None:
    machine.to_mark()


def _dict(machine: Machine, _: object) -> None:
    values = machine.to_mark()
    machine.push({})
    machine.store(values)


_STEPS: dict[str, Callable[[Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, argument: None),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), Machine.number),
    **dict.fromkeys(("FLOAT", "BINFLOAT"), Machine.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), Machine.push),
    **dict.fromkeys(("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), Machine.push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), Machine.push),
    "NONE": _pushes(lambda _: None),
    "NEWTRUE": _pushes(lambda _: True),
    "NEWFALSE": _pushes(lambda _: False),
    "MARK": _pushes(lambda _: _MARK),
    "POP": Machine.discard,
    "POP_MARK": _forget,
    "DUP": lambda machine, _: machine.push(machine._stack[-1]),
    "EMPTY_LIST": _pushes(lambda _: []),
    "EMPTY_TUPLE": _pushes(lambda _: ()),
    "EMPTY_DICT": _pushes(lambda _: {}),
    "EMPTY_SET": _pushes(lambda _: Shell("builtins.set")),
    "FROZENSET": _frozen,
    "LIST": lambda machine, _: machine.push(machine.to_mark()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.to_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "DICT": _dict,
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.to_mark()),
    "SETITEM": lambda machine, _: machine.store([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.store(machine.to_mark()),
    "ADDITEMS": Machine.add,
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), Machine.remember),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.recall),
    "GLOBAL": Machine.name,
    "STACK_GLOBAL": Machine.stack_name,
    "REDUCE": Machine.call,
    "NEWOBJ": Machine.call,
    "NEWOBJ_EX": Machine.call_named,
    "OBJ": Machine.call_marked,
    "INST": Machine.call_inst,
    "BUILD": Machine.build,
    "PERSID": Machine.persist,
    "BINPERSID": lambda machine, _: machine.persist(machine.pop()),
}
