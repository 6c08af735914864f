"""Archives of predictions, from strangers."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import packed, replace_predictions

from g2d_bench.cells.verify import verify
from g2d_bench.errors import InputError
from g2d_bench.records.archives import array_names, unpack


def test_only_what_is_wanted_is_unpacked() -> None:
    data, path = packed(id=np.array(["a"]), scores=np.ones(1)), Path("x.npz")
    assert sorted(unpack(data, path)) == ["id", "scores"]
    assert list(unpack(data, path, only=("id", "group_sex"))) == ["id"]


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def npy(shape: tuple[int, ...], dtype: str, data: bytes = b"") -> bytes:
    stream = io.BytesIO()
    formats: Any = np.lib.format
    formats.write_array_header_1_0(stream, {"shape": shape, "fortran_order": False, "descr": dtype})
    return stream.getvalue() + data


BOMB = zipped(*((f"a{n}.npy", npy((1 << 26,), "|u1", bytes(1 << 26))) for n in range(5)))
"""320 MiB of zeros in 320 kB."""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no archive as numpy writes them"),
        (b"PK\x05\x06" + bytes(18), "the array 'id' is missing"),
        (b"x" * 1000, "is no archive as numpy writes them"),
        (zipped(("id.npy", b"x")), "cannot be unpacked"),
        (zipped(("../id.npy", npy((1,), "<U1", bytes(4)))), "holds a file that is no array"),
        (zipped(("id", b"x")), "holds a file that is no array"),
        (zipped(*((f"a{n}.npy", b"") for n in range(65))), "holds more than 64 arrays"),
        (packed(id=np.array([{}, []], dtype=object)), "id: holds object"),
        (packed(id=np.zeros(3, [("a", "i4")])), "id: holds"),
        (packed(id=np.zeros(3, "S3")), "id: holds"),
        (zipped(("id.npy", npy((3_000_000_000,), "|u1"))), "id: has the shape"),
        (zipped(("id.npy", npy((1 << 30,), "<U0"))), "id: has the shape"),
        (zipped(("id.npy", npy((3_000_000,), "|u1", bytes(100)))), "id: does not hold the"),
        (zipped(("id.npy", npy((-1,), "|u1"))), "id: has the shape"),
        (BOMB, "declares more than 256 MiB of arrays"),
        (packed(id=np.array([], "U1")), "id: holds no sample"),
        (packed(id=np.zeros((2, 2), "U1")), "id: is <U1 [2, 2], not text [N]"),
        (packed(id=np.array(["a", "b"]), patient=np.array(["a"])), "patient: is [1]: 2 were expected for N"),
    ],
    # An archive bears the time at which it was made: processes side by side would name the test otherwise.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_archives(folder: Any, data: bytes, said: str) -> None:
    path = folder.add("g2d").path
    replace_predictions(path, data)
    tracemalloc.start()
    (problem,) = verify(folder.root).problems
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert said in problem
    assert peak < 100 << 20


def test_names_are_read_without_unpacking(tmp_path: Path) -> None:
    assert array_names(zipped(("id.npy", b"no array"), ("group_sex.npy", b"")), tmp_path) == (
        "id",
        "group_sex",
    )
    for data in (b"", b"PK\x05\x06" + bytes(18) + b"more", BOMB[:-4]):
        with pytest.raises(InputError):
            array_names(data, tmp_path)
