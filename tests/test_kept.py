"""What can be made again is believed only as far as its checksums hold."""

from __future__ import annotations

import io
import os
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from g2d_bench import kept

SHAPE = (5, 3, 7)


def table(path: Path, rows: npt.NDArray[np.uint8]) -> None:
    """Keep a table at a path."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        start = kept.begin_table(handle, rows.shape)
        kept.write_at(handle, rows.tobytes(), start)
        kept.finish_table(handle, path, rows.shape)
    finally:
        os.close(handle)


@pytest.fixture
def rows() -> npt.NDArray[np.uint8]:
    """Rows of a table."""
    return np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)


def test_a_seal_is_of_content_and_name() -> None:
    data = kept.sealed(b"content", "a")
    assert kept.unsealed(data, "a") == b"content"
    assert kept.unsealed(data, "b") is None
    assert len(data) == len(b"content") + kept.SEAL
    for n in range(len(data)):
        assert kept.unsealed(data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :], "a") is None
    assert kept.unsealed(data[:-1], "a") is None
    assert kept.unsealed(b"", "a") is None
    assert kept.unsealed(kept.sealed(b"", "a"), "a") == b""


def test_what_is_kept_is_read_or_said_to_be_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "below" / "a"
    assert kept.read_kept(path) is None
    kept.write_kept(path, b"content")
    assert kept.read_kept(path) == b"content"
    assert kept.read_kept(path / "under-a-file") is None
    assert capsys.readouterr().err == ""
    path.rename(path.with_name("b"))
    assert kept.read_kept(path.with_name("b"), say=False) is None
    assert capsys.readouterr().err == ""
    assert kept.read_kept(path.with_name("b")) is None
    assert capsys.readouterr().err.splitlines() == [
        f"{path.with_name('b')}: its checksum does not hold (damaged, or of an earlier version); "
        "it is made again"
    ]


def test_a_kept_table_is_an_npy_file(tmp_path: Path, rows: npt.NDArray[np.uint8]) -> None:
    table(tmp_path / "t.npy", rows)
    assert (tmp_path / "t.npy").stat().st_size == kept.table_size(SHAPE)
    found = kept.open_table(tmp_path / "t.npy", SHAPE)
    assert found is not None
    np.testing.assert_array_equal(found, rows)
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy"), rows)
    assert not found.flags.writeable


def test_blocks_have_checksums_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "BLOCK", 64)
    many = np.arange(200, dtype=np.uint8).reshape(100, 2)
    table(tmp_path / "t.npy", many)
    data = (tmp_path / "t.npy").read_bytes()
    body = len(kept.npy_header(many.shape, "|u1")) + many.size
    checks = np.frombuffer(data[body : -kept.SEAL], "<u4")
    assert checks.tolist() == [zlib.crc32(data[n : min(n + 64, body)]) for n in range(0, body, 64)]
    assert kept.open_table(tmp_path / "t.npy", many.shape) is not None


@pytest.mark.parametrize("place", [0, 20, 130, 200, -1, -kept.SEAL - 1])
def test_any_changed_byte_is_seen(
    place: int, tmp_path: Path, rows: npt.NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.npy"
    table(path, rows)
    assert kept.open_table(path, SHAPE) is not None
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert kept.open_table(path, SHAPE) is None
    assert "its checksum does not hold" in capsys.readouterr().err


def test_another_shape_or_place_is_another_table(tmp_path: Path, rows: npt.NDArray[np.uint8]) -> None:
    path = tmp_path / "t.npy"
    table(path, rows)
    assert kept.open_table(path, (5, 3, 8), say=False) is None
    assert kept.open_table(path, (5, 7, 3), say=False) is None, "as many bytes, another header"
    path.rename(tmp_path / "u.npy")
    assert kept.open_table(tmp_path / "u.npy", SHAPE, say=False) is None
    assert kept.open_table(path, SHAPE, say=False) is None, "nothing there"
    assert kept.open_table(tmp_path, SHAPE, say=False) is None, "a folder"


def test_what_was_verified_is_not_verified_again_until_it_changes(
    tmp_path: Path, rows: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "_known", {})
    path = tmp_path / "t.npy"
    table(path, rows)
    assert kept.open_table(path, SHAPE) is not None
    assert kept.known() == {}, "it is too young to be known by its times"
    monkeypatch.setattr(kept, "SETTLED", -1.0)
    assert kept.open_table(path, SHAPE) is not None
    known = kept.known()
    assert list(known) == [str(path)]
    monkeypatch.setattr(kept, "_known", {})
    kept.trust(known)
    checked: list[int] = []
    monkeypatch.setattr(kept, "_checks", lambda content: checked.append(len(content)))
    assert kept.open_table(path, SHAPE) is not None
    assert checked == []
    path.write_bytes(path.read_bytes())
    kept.open_table(path, SHAPE, say=False)
    assert len(checked) == 1


@pytest.mark.parametrize(("shape", "kind"), [((2, 3), "<f4"), ((7,), "|u1"), ((0, 4), "<f8")])
def test_header_is_numpy_s(shape: tuple[int, ...], kind: str) -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros(shape, kind))
    header = kept.npy_header(shape, kind)
    assert stream.getvalue() == header + bytes(len(stream.getvalue()) - len(header))
