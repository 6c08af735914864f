"""Files that strangers may hand over: each is refused in one line, or loads, in bounded memory and time."""

from __future__ import annotations

import os
import random
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from refusing import refused, with_pickle

from g2d_bench.encoders.image import seeded_encoder
from g2d_bench.encoders.load import load_encoder
from g2d_bench.errors import InputError

ROUNDS = int(os.environ.get("G2D_BENCH_FUZZ", "40"))
"""Mutations of each file; more with ``G2D_BENCH_FUZZ=2000``."""


BOMBS = {
    "memo place": b"\x80\x02K\x01r\xff\xff\xff\x0f.",
    "memo name": b"\x80\x02K\x01p" + b"9" * 4000 + b"\n.",
    "nested keys": b"\x80\x02})" + b"2\x86" * 60 + b"Ns.",
    "nested tuples": b"\x80\x02)" + b"2\x86" * 100 + b".",
    "instructions": b"\x80\x02" + b"]0" * 600_000 + b"].",
    "deep lists": b"\x80\x02" + b"]" * 490_000 + b"a" * 489_999 + b".",
    "marks": b"\x80\x02" + b"(" * 900_000 + b".",
    "duplicates": b"\x80\x02]" + b"2" * 900_000 + b".",
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
    "long text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"x.",
    "long number": b"\x80\x02\x8b" + struct.pack("<i", 1 << 20) + b"\x01" * (1 << 20) + b".",
    "digits": b"I" + b"9" * 5001 + b"\n.",
    "extension": b"\x80\x02\x82\x01.",
    "buffer": b"\x80\x05\x97.",
    "nothing": b"\x80\x02.",
    "only a mark": b"\x80\x02(.",
    "no end": b"\x80\x02]",
    "text frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 50) + b"N.",
    "colliding keys": b"\x80\x02}("
    + b"".join(b"\x8a\x10" + (k * ((1 << 61) - 1)).to_bytes(16, "little") + b"N" for k in range(60_000))
    + b"u.",
}


def test_bombs_cost_neither_memory_nor_time(strangers: Any, tmp_path: Path) -> None:
    files = []
    for name, stream in BOMBS.items():
        files.append(with_pickle(tmp_path / f"{name}.pth", stream))
        if len(stream) > 100_000:
            continue  # the same machine reads them in every form
        files.append(with_pickle(tmp_path / f"{name} old.pth", stream, old=True))
        bare = tmp_path / f"{name} bare.pth"
        bare.write_bytes(stream)
        files.append(bare)
    files.append(with_pickle(tmp_path / "deflated.pth", b"\0" * (64 << 20), compress=True))
    for name, (found, seconds) in strangers.outcomes(files).items():
        assert found.startswith(f"{tmp_path / name}: "), (name, found)
        assert "not a readable checkpoint: " in found or "holds no state dict" in found, (name, found)
        assert seconds < 15, name


def test_what_bombs_are_called(tmp_path: Path) -> None:
    def said(name: str) -> str:
        return refused(with_pickle(tmp_path / "x.pth", BOMBS[name]))

    assert said("instructions") == "not a readable checkpoint: more than 1,000,000 instructions"
    assert said("extension").endswith("instruction EXT1 belongs in no checkpoint")
    assert said("memo place").startswith("holds no state dict")
    assert said("nested keys") == "holds no state dict (keys )"
    text = refused(with_pickle(tmp_path / "x.pth", b"\x80\x02N.", compress=True))
    assert "compressed archive, which torch never writes" in text


def test_whole_numbers_are_no_weights(strangers: Any, tmp_path: Path) -> None:
    body = seeded_encoder("resnet18", seed=1, options={"channels": [8, 8, 8, 8]}).body
    state = {
        name: (10 * tensor).to(torch.int8) if tensor.ndim == 4 else tensor
        for name, tensor in body.state_dict().items()
    }
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"21 of another type \(conv1\.weight is int8, not torch\.float32\)"):
        load_encoder(strangers.card(tmp_path)[1], checkpoint=tmp_path / "x.pth")


def _mutated(content: bytes, choose: random.Random, start: int, stop: int) -> bytes:
    """Change some bytes between two places: flips, interesting numbers, cuts, repeats."""
    data = bytearray(content)
    for _ in range(choose.choice((1, 1, 2, 5))):
        place = choose.randrange(start, max(min(stop, len(data)), start + 1))
        match choose.randrange(5):
            case 0:
                data[place : place + 1] = bytes([choose.randrange(256)])
            case 1:
                number = choose.choice((0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 40, 1 << 62))
                data[place : place + 8] = struct.pack("<Q", number)[: choose.choice((1, 2, 4, 8))]
            case 2:
                del data[place : place + choose.choice((1, 3, 20))]
            case 3:
                other = choose.randrange(start, max(min(stop, len(data)), start + 1))
                data[place:place] = data[other : other + choose.choice((1, 8, 60))]
            case _:
                data[place : place + 1] = choose.choice(
                    (b"2", b"\x86", b"R", b"b", b"Q", b"u", b"(", b"t", b".")
                )
    return bytes(data)


def _fuzzed(kind: str, base: Path, folder: Path, rounds: int) -> list[Path]:
    choose = random.Random(kind)
    content, files = base.read_bytes(), []
    stream = b""
    if kind == "zip":
        with zipfile.ZipFile(base) as archive:
            records = {name: archive.read(name) for name in archive.namelist()}
            [name] = [name for name in records if name.endswith("data.pkl")]
            stream = records[name]
    for number in range(rounds):
        path = folder / f"{kind}-{number}{base.suffix}"
        if kind == "zip" and number % 4:
            # The pickle alone, in an archive that is whole.
            changed = {**records, name: _mutated(stream, choose, 0, len(stream))}
            with zipfile.ZipFile(path, "w") as archive:
                for one, text in changed.items():
                    archive.writestr(one, text)
        else:
            # Where the structure is: at the start, for an archive at the end, too.
            head = choose.random() < 0.6 or kind != "zip"
            start, stop = (0, min(20_000, len(content))) if head else (len(content) - 2000, len(content))
            path.write_bytes(_mutated(content, choose, max(start, 0), stop))
        files.append(path)
    return files


@pytest.mark.parametrize("kind", ["zip", "old", "tar", "safetensors"])
def test_mutated_files_load_or_are_refused(strangers: Any, kind: str, tmp_path: Path) -> None:
    card, _ = strangers.card(tmp_path)
    base = tmp_path / ("base.safetensors" if kind == "safetensors" else "base.pth")
    if kind == "safetensors":
        strangers.own(base)
    else:
        state = seeded_encoder("resnet18", seed=4, options={"channels": [8, 8, 8, 8]}).body.state_dict()
        torch.save({"state_dict": state, "epoch": 3}, base, _use_new_zipfile_serialization=kind != "old")
    if kind == "tar":
        with tarfile.open(tmp_path / "packed.pth", "w") as archive:
            archive.add(base, "base.pth")
        base = tmp_path / "packed.pth"
    folder = tmp_path / "mutated"
    folder.mkdir()
    if kind == "safetensors":
        (folder / "tokenizer.json").write_bytes((tmp_path / "tokenizer.json").read_bytes())
    files = [base, *_fuzzed(kind, base, folder, ROUNDS)]
    found = strangers.outcomes(files, card)
    assert (found[base.name][0] == "loads") == (kind != "tar")
    wrong = {name: text for name, (text, _) in found.items() if text != "loads" and text.startswith("!!")}
    assert not wrong
    assert max(seconds for _, seconds in found.values()) < 15
    refused = [text for text, _ in found.values() if text != "loads"]
    assert all("\n" not in text for text in refused)
    assert len(refused) > ROUNDS // 4, "mutations that change nothing prove nothing"
