"""Reads pickled checkpoints without ever running what they bring along.

`torch.load(weights_only=True)` refuses files of Lightning, which keep an OmegaConf object beside the
weights. Here a name from another package becomes an empty shell: nothing of it is imported, nothing called.
A name from the standard library that could do something (`os.system`, `builtins.eval`) is an attack or a
mistake, and the file is refused.
"""

from __future__ import annotations

import pickle
import sys
import tarfile
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from g2d_bench.errors import InputError

_REBUILD = {
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
}
_PLAIN_BUILTINS = {
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "long", "object"),
    *("range", "set", "slice", "str", "tuple", "type", "unicode", "xrange"),
}
# What training scripts leave in checkpoints beside the weights: options, counters, paths, clocks.
_DATA_MODULES = {
    *("_codecs", "abc", "argparse", "codecs", "collections", "copy_reg", "copyreg", "dataclasses"),
    *(
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "logging",
        "math",
        "numbers",
        "operator",
        "pathlib",
    ),
    *("random", "re", "string", "threading", "time", "typing", "uuid", "weakref"),
}


class CodeInPickleError(pickle.UnpicklingError):
    """The pickle names a function that could act on this machine."""


class Shell:
    """Stands for any object whose class is not wanted; swallows everything that pickle does to it."""

    def __new__(cls, *args: object, **kwargs: object) -> Shell:
        """Make a shell, whatever the real class would have been given."""
        return super().__new__(cls)

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __call__(self, *args: object, **kwargs: object) -> Shell:
        """Stand in for a call; nothing is called."""
        return Shell()

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, item: object) -> None:
        """Take one item of a pickled list."""

    def extend(self, items: object) -> None:
        """Take some items of a pickled list."""

    def add(self, item: object) -> None:
        """Take one item of a pickled set."""


class _Unpickler(pickle.Unpickler):
    """Resolves tensors and plain containers, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        root = module.split(".")[0]
        if module == "torch._utils" and name in _REBUILD:
            return getattr(torch._utils, name)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if (module, name) == ("torch", "Size"):
            return torch.Size
        if module in ("torch", "torch.storage") and name.endswith("Storage"):
            return getattr(torch.storage if module == "torch.storage" else torch, name, Shell)
        if (module, name) == ("collections", "OrderedDict"):
            import collections

            return collections.OrderedDict
        if root in ("builtins", "__builtin__"):
            if name not in _PLAIN_BUILTINS:
                raise CodeInPickleError(f"{module}.{name}")
            return Shell
        if (root in sys.stdlib_module_names or root in ("nt", "posix")) and root not in _DATA_MODULES:
            raise CodeInPickleError(f"{module}.{name}")
        return Shell


def _load(file: Any, **arguments: Any) -> Any:
    return _Unpickler(file, **arguments).load()


_MODULE = SimpleNamespace(Unpickler=_Unpickler, load=_load, __name__="g2d_bench.encoders.safe_pickle")


def load_pickle(path: Path) -> Any:
    """Read what `torch.save` wrote, on the CPU; foreign objects come back as :class:`Shell`.

    Raises:
        InputError: the file is no checkpoint, is damaged, or has code in it.
    """
    arguments: dict[str, Any] = {"map_location": "cpu", "mmap": _is_torch_zip(path)}
    with warnings.catch_warnings():
        # torch remarks on unusual pickle protocols; whoever reads a table cannot act on it.
        warnings.simplefilter("ignore")
        return _load_pickle(path, arguments)


def _load_pickle(path: Path, arguments: dict[str, Any]) -> Any:
    try:
        return torch.load(path, weights_only=True, **arguments)
    except pickle.UnpicklingError:
        pass  # perhaps only a foreign class: read again with shells
    except Exception as error:
        raise _damaged(path, error) from None
    try:
        return torch.load(path, weights_only=False, pickle_module=_MODULE, **arguments)
    except CodeInPickleError as error:
        raise InputError(
            f"has code in it ({error}), which was not run; not a checkpoint to trust", file=path
        ) from None
    except Exception as error:
        # A pickle stream of unknown origin can fail in any way; nothing of it is worth a traceback.
        raise _damaged(path, error) from None


def _is_torch_zip(path: Path) -> bool:
    """Tell torch's zip format from its old one, and refuse archives that torch would run or unpack."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("constants.pkl") for name in names):
            raise InputError("is a TorchScript program, not a state dict", file=path)
        return True
    if tarfile.is_tarfile(path):
        raise InputError("is a tar archive, not a checkpoint", file=path)
    return False


def _damaged(path: Path, error: Exception) -> InputError:
    reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
    return InputError(f"not a readable checkpoint: {reason}", file=path)
