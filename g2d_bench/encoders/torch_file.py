"""The files of `torch.save`, old and new: what their pickle describes, and the tensors beside it.

Tensors are described first and made only when they are asked for, over the mapped file: a tensor can never
take more room than its file has bytes, whatever shape and strides it claims.
"""

from __future__ import annotations

import mmap
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from g2d_bench.encoders.pickle_machine import Machine, Name, PickleError, Shell, Stream, fill

MAX_DIRECTORY = 16 << 20
"""Bytes of a zip archive's directory: room for some 200,000 tensors."""
_MAX_DIMENSIONS = 16
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
"""What the old format begins with."""

_DTYPES = {
    **{"DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16},
    **{"BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32},
    **{"ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8},
    **{"BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64},
    **{"ComplexDoubleStorage": torch.complex128, "UntypedStorage": torch.uint8},
}
_STORAGES = ("torch", "torch.storage", "torch.cuda")
_NEWER = ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")
"""Types of which a tensor says itself that it has them; their storages do not."""
_KINDS = {
    "_rebuild_sparse_tensor": "sparse",
    "_rebuild_sparse_csr_tensor": "sparse",
    "_rebuild_qtensor": "quantised",
    "_rebuild_meta_tensor_no_storage": "meta (without values)",
    "_rebuild_nested_tensor": "nested",
    "_rebuild_wrapper_subclass": "wrapped",
    "_rebuild_device_tensor_from_numpy": "foreign",
    "_rebuild_device_tensor_from_cpu_tensor": "foreign",
}


@dataclass(frozen=True, eq=False)
class Storage:
    """A run of equal elements in the file.

    Attributes:
        key: its name in the file.
        dtype: of the elements.
        size: how many elements.
        first: the element with which a view of it begins (old format).
    """

    key: str
    dtype: torch.dtype
    size: int
    first: int = 0


@dataclass(frozen=True, eq=False)
class Described:
    """A tensor that the file holds.

    Attributes:
        storage: where its elements are.
        dtype: of the elements.
        offset: its first element, counted from the storage's.
        shape: its sizes.
        strides: elements from one place to the next, per dimension.
    """

    storage: Storage
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Odd:
    """A tensor of a kind that is no plain array of numbers.

    Attributes:
        kind: which, in a word.
    """

    kind: str


class TorchFile:
    """An opened file of `torch.save`.

    Attributes:
        root: what the pickle describes: containers, numbers, texts, :class:`Described`, :class:`Odd` and
            :class:`~g2d_bench.encoders.pickle_machine.Shell`.
    """

    root: Any

    def __init__(self, data: Any) -> None:
        self._data = data
        self._bases: dict[tuple[str, torch.dtype], Tensor] = {}

    def place(self, storage: Storage) -> tuple[int, int]:
        """Return where a storage's bytes begin and how many there are.

        Raises:
            PickleError: there is none, or it lies outside of the file.
        """
        raise NotImplementedError

    def tensor(self, described: Described) -> Tensor:
        """Return a tensor over the mapped file.

        Raises:
            PickleError: it claims elements that its storage does not have.
        """
        storage, width = described.storage, described.dtype.itemsize
        start, length = self.place(storage)
        start, length = start + storage.first * storage.dtype.itemsize, length // width
        _check(described, min(length, storage.size * storage.dtype.itemsize // width))
        # A view of another view (old format) begins elsewhere in the same storage.
        key = (f"{storage.key}@{storage.first}", described.dtype)
        if key not in self._bases:
            flat = torch.empty(0, dtype=torch.uint8)
            if length:
                flat = torch.frombuffer(self._data, dtype=torch.uint8, count=length * width, offset=start)
            # Old files do not align their elements.
            flat = flat.clone() if start % width else flat
            self._bases[key] = flat.view(described.dtype)
        return self._bases[key].as_strided(described.shape, described.strides, described.offset)

    def _read(self, stream: Stream, persistent: Callable[[object], object]) -> Any:
        return Machine(_make, persistent).run(stream)


class ZipFile(TorchFile):
    """The format since torch 1.6: a zip archive with one uncompressed record per storage."""

    def __init__(self, path: Path, data: Any) -> None:
        super().__init__(data)
        _check_directory(data)
        with zipfile.ZipFile(path) as archive:
            self._records = {record.filename: record for record in archive.infolist()}
        named = [name for name in self._records if name == "data.pkl" or name.endswith("/data.pkl")]
        if any(name.rsplit("/", 1)[-1] == "constants.pkl" for name in self._records):
            raise PickleError("a TorchScript program, not a state dict; save its state_dict() instead")
        if not named:
            names = ", ".join([name[:40] for name in self._records][:2]) or "empty"
            raise PickleError(f"a zip archive of other files ({names}); unpack it and name the one meant")
        self._top = min(named, key=len).removesuffix("data.pkl")
        order = self._records.get(f"{self._top}byteorder")
        if order is not None:
            start, length = self._bytes(order)
            if bytes(data[start : start + min(length, 8)]) == b"big":
                raise PickleError("written by a big-endian machine; save it anew on this one")
        start, length = self._bytes(self._records[f"{self._top}data.pkl"])
        self.root = self._read(Stream(data, start, start + length), _storage)

    def place(self, storage: Storage) -> tuple[int, int]:
        """Find the record of a storage."""
        record = self._records.get(f"{self._top}data/{storage.key}")
        if record is None:
            raise PickleError(f"storage {storage.key[:20]!r} is missing")
        return self._bytes(record)

    def _bytes(self, record: zipfile.ZipInfo) -> tuple[int, int]:
        """Return where a record's bytes begin and how many there are."""
        if record.compress_type != zipfile.ZIP_STORED:
            raise PickleError("a compressed archive, which torch never writes; unpack and save it anew")
        if record.flag_bits & 1:
            raise PickleError("an encrypted archive")
        header = bytes(self._data[record.header_offset : record.header_offset + 30])
        if len(header) < 30 or header[:4] != b"PK\x03\x04":
            raise PickleError("a damaged archive")
        name, extra = struct.unpack("<HH", header[26:30])
        start = record.header_offset + 30 + name + extra
        if record.file_size != record.compress_size or start + record.file_size > len(self._data):
            raise PickleError("a damaged archive")
        return start, record.file_size


class OldFile(TorchFile):
    """The format before torch 1.6: five pickles, then the storages one after the other."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        stream = Stream(data, 0, len(data))
        magic = self._read(stream, _refuse)
        if magic != _MAGIC or type(magic) is not int:
            what = f" of {magic.name[:80]}" if isinstance(magic, Shell) else ""
            raise PickleError(f"a plain pickle{what}, not what torch.save writes")
        if self._read(stream, _refuse) != _PROTOCOL:
            raise PickleError("an unknown version of torch's old format")
        system = self._read(stream, _refuse)
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise PickleError("written by a big-endian machine; save it anew on this one")
        found: dict[str, Storage] = {}
        self.root = self._read(stream, lambda identity: _noted(_storage(identity), found))
        keys = self._read(stream, _refuse)
        if not isinstance(keys, list):
            raise PickleError("a damaged pickle")
        self._places: dict[str, tuple[int, int]] = {}
        for key in keys:
            if not isinstance(key, str) or key not in found:
                raise PickleError("a damaged pickle")
            (size,) = struct.unpack("<q", stream.read(8).ljust(8, b"\xff"))
            length = size * found[key].dtype.itemsize
            if size < 0 or stream.place + length > stream.stop:
                raise PickleError(f"it ends inside of storage {len(self._places) + 1} of {len(keys)}")
            self._places[key] = stream.place, length
            stream.place += length

    def place(self, storage: Storage) -> tuple[int, int]:
        """Find a storage."""
        if storage.key not in self._places:
            raise PickleError(f"storage {storage.key[:20]!r} is missing")
        start, length = self._places[storage.key]
        skipped = storage.first * storage.dtype.itemsize
        if not 0 <= skipped <= length:
            raise PickleError("a damaged pickle")
        return start, length - skipped


def open_torch_file(path: Path) -> TorchFile:
    """Open what `torch.save` wrote.

    Raises:
        PickleError: it is none, is damaged, or has code in it.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        # Private to this process, so that torch may take it for writable; nothing is ever written.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    try:
        if zipfile.is_zipfile(path):
            return ZipFile(path, data)
        if data[:4] == b"PK\x03\x04":
            raise PickleError("an archive that ends early, as a download or copy does that was cut off")
        return OldFile(data)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, struct.error):
        raise PickleError("a damaged archive") from None


def _check_directory(data: Any) -> None:
    """Refuse an archive whose directory alone would fill the memory, before it is read."""
    start = max(0, len(data) - (1 << 16) - 22)
    tail = bytes(data[start:])
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        raise PickleError("a damaged archive")
    (size,) = struct.unpack("<L", tail[end + 12 : end + 16])
    wide = tail.rfind(b"PK\x06\x06", 0, end)
    if size == 0xFFFFFFFF and wide >= 0 and len(tail) >= wide + 56:
        (size,) = struct.unpack("<Q", tail[wide + 40 : wide + 48])
    if size > MAX_DIRECTORY:
        raise PickleError(f"a directory of {size:,} bytes, more than any checkpoint needs")


def _check(described: Described, elements: int) -> None:
    """Hold a tensor against the elements that its storage has.

    Raises:
        PickleError: it lies outside of them, or repeats them to more than there are.
    """
    shape, strides = described.shape, described.strides
    if 0 in shape:
        last = described.offset
    else:
        steps = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
        last = described.offset + sum(steps) + 1
    if last > elements:
        raise PickleError(f"a tensor of shape {shape} lies outside of its storage of {elements} elements")
    if prod(shape) > elements:
        raise PickleError(
            f"a tensor of shape {shape} repeats a storage of {elements} elements; save a contiguous copy"
        )


def _make(name: Name, arguments: tuple[Any, ...]) -> object | None:
    """Make what a name of torch or of the plain containers gives; None for all others."""
    match (name.module, name.name):
        case ("collections", "OrderedDict"):
            made: dict[str, Any] = {}
            if arguments and isinstance(arguments[0], list | tuple):
                pairs = [tuple(pair) for pair in arguments[0] if isinstance(pair, list | tuple)]
                fill(made, (pair for pair in pairs if len(pair) == 2))
            return made
        case ("torch", "Size"):
            return arguments[0] if arguments and isinstance(arguments[0], tuple) else None
        case ("torch._utils", word) if word in _KINDS:
            return Odd(_KINDS[word])
        case ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2"):
            return _described(arguments[:4])
        case ("torch._utils", "_rebuild_tensor_v3"):
            kind = arguments[6] if len(arguments) > 6 else None
            if isinstance(kind, Name) and kind.module == "torch" and kind.name in _NEWER:
                return _described(arguments[:4], getattr(torch, kind.name, None))
            return Odd("foreign")
        case ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state"):
            return arguments[0] if arguments and isinstance(arguments[0], Described | Odd) else None
        case ("torch._tensor", "_rebuild_from_type_v2"):
            # A tensor with attributes of its own: the function that makes it, its class, arguments, state.
            match arguments:
                case (Name(module="torch._utils") as function, _, tuple(inner), *_):
                    return _make(function, inner)
    return None


def _described(arguments: tuple[Any, ...], dtype: torch.dtype | None = None) -> Described | Odd:
    if len(arguments) != 4:
        raise PickleError("a damaged pickle")
    storage, offset, shape, strides = arguments
    if isinstance(storage, Odd):
        return storage
    if not isinstance(storage, Storage) or not isinstance(shape, tuple) or not isinstance(strides, tuple):
        raise PickleError("a damaged pickle")
    numbers = (offset, *shape, *strides)
    if any(type(number) is not int or not 0 <= number < 1 << 62 for number in numbers):
        raise PickleError("a tensor with a negative or fractional size")
    if len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise PickleError(f"a tensor of {len(shape)} dimensions and {len(strides)} strides")
    return Described(storage, dtype or storage.dtype, offset, shape, strides)


def _storage(identity: object) -> Storage | Odd | Shell:
    """Read ``("storage", type, key, device, size)``; old files add a view of a part of it."""
    match identity:
        case (
            "storage",
            Name(module="torch" | "torch.storage" | "torch.cuda") as kind,
            str(key),
            _,
            int(size),
            *rest,
        ):
            if kind.name not in _DTYPES:
                return Odd("quantised" if kind.name.startswith("Q") else "foreign")
            first = 0
            if rest and rest[0] is not None:
                _, first, size = _view(rest[0])
            if not 0 <= size < 1 << 62:
                raise PickleError("a damaged pickle")
            return Storage(key, _DTYPES[kind.name], int(size), first)
        case ("module", Name() as kind, *_):
            return Shell(str(kind))
    raise PickleError("an unknown persistent object")


def _view(view: object) -> tuple[str, int, int]:
    match view:
        case (str(key), int(first), int(size)) if first >= 0:
            return key, first, size
    raise PickleError("a damaged pickle")


def _noted(storage: Storage | Odd | Shell, found: dict[str, Storage]) -> Storage | Odd | Shell:
    if isinstance(storage, Storage):
        found.setdefault(storage.key, storage)
    return storage


def _refuse(_: object) -> NoReturn:
    raise PickleError("a damaged pickle")
