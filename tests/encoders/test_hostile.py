"""Files that strangers may hand over: each is refused in one line, or loads, in bounded memory and time."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.encoders.checkpoint import open_checkpoint
from g2d_bench.encoders.heads.make import make_heads
from g2d_bench.encoders.image import seeded_encoder
from g2d_bench.encoders.load import load_encoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.tokenizer import save_tokenizer, train_tokenizer
from g2d_bench.errors import InputError

CHILD = Path(__file__).with_name("hostile_child.py")
ROUNDS = int(os.environ.get("G2D_BENCH_FUZZ", "40"))
"""Mutations of each file; more with ``G2D_BENCH_FUZZ=2000``."""
CARD = """
title = "Tiny"
objective = "convirt"
scale = "phantom"
[image]
model = "resnet18"
options = { channels = [8, 8, 8, 8] }
size = 32
[text]
source = "shipped"
[[checkpoint]]
layout = "plain"
container = "state_dict"
expect = 122
"""


def outcomes(files: list[Path], card: Path | None = None) -> dict[str, tuple[str, float]]:
    """What comes of each file in a process without network and with 1 GB of memory."""
    jobs = [{"file": str(file), "card": card and str(card)} for file in files]
    done = subprocess.run(
        [sys.executable, str(CHILD)],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(files), f"died at {files[len(lines)].name}: {done.stderr[-2000:]}"
    return {file.name: tuple(json.loads(line)) for file, line in zip(files, lines, strict=True)}


def refusal(path: Path) -> str:
    """The line with which a file is refused, without its name."""
    with pytest.raises(InputError) as caught:
        open_checkpoint(path)
    text = str(caught.value)
    assert "\n" not in text
    assert "\x1b" not in text
    return text.removeprefix(f"{path}: ")


def with_pickle(path: Path, stream: bytes, *, compress: bool = False, old: bool = False) -> Path:
    """Write a file of `torch.save` whose pickle is the given one."""
    if old:
        head = [pickle.dumps(one, 2) for one in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
        path.write_bytes(b"".join(head) + stream + pickle.dumps([], 2))
        return path
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("archive/data.pkl", stream)
        archive.writestr("archive/version", "3\n")
    return path


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


def test_bombs_cost_neither_memory_nor_time(tmp_path: Path) -> None:
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
    for name, (found, seconds) in outcomes(files).items():
        assert found.startswith(f"{tmp_path / name}: "), (name, found)
        assert "not a readable checkpoint: " in found or "holds no state dict" in found, (name, found)
        assert seconds < 15, name


def test_what_bombs_are_called(tmp_path: Path) -> None:
    def said(name: str) -> str:
        return refusal(with_pickle(tmp_path / "x.pth", BOMBS[name]))

    assert said("instructions") == "not a readable checkpoint: more than 1,000,000 instructions"
    assert said("extension").endswith("instruction EXT1 belongs in no checkpoint")
    assert said("memo place").startswith("holds no state dict")
    assert said("nested keys") == "holds no state dict (keys )"
    text = refusal(with_pickle(tmp_path / "x.pth", b"\x80\x02N.", compress=True))
    assert "compressed archive, which torch never writes" in text


def test_live_objects_keep_their_attributes(tmp_path: Path) -> None:
    """BUILD with slot state sets attributes on whatever the pickle got hold of, here a function of torch."""
    before = torch._utils._rebuild_tensor_v2.__defaults__
    attack = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__K\x01K\x02\x86s\x86b."
    )
    assert "holds no state dict" in refusal(with_pickle(tmp_path / "evil.pth", attack))
    assert torch._utils._rebuild_tensor_v2.__defaults__ == before
    torch.save({"state_dict": {"a": torch.arange(3)}}, tmp_path / "honest.pth")
    state = open_checkpoint(tmp_path / "honest.pth").states["state_dict"]
    assert torch.equal(state["a"], torch.arange(3))


@pytest.mark.parametrize("old", [False, True])
def test_names_in_every_instruction_that_calls(old: bool, tmp_path: Path) -> None:
    """INST, OBJ, NEWOBJ_EX and STACK_GLOBAL reach for functions as GLOBAL and REDUCE do."""
    word = b"X\x02\x00\x00\x00osX\x06\x00\x00\x00system"
    for stream in (
        b"(X\x04\x00\x00\x00trueios\nsystem\n.",
        b"(cos\nsystem\nX\x04\x00\x00\x00trueo.",
        b"\x80\x04" + word + b"\x93)\x81.",
        b"\x80\x04" + word + b"\x93)}\x92.",
        b"\x80\x02cposix\nsystem\n.",
        b"\x80\x02c__builtin__\neval\n.",
    ):
        text = refusal(with_pickle(tmp_path / "x.pth", stream, old=old))
        assert text.startswith("has code in it (")


def test_odd_tensors_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    quantised = torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.quint8)
    for word, tensor in (
        ("sparse", torch.eye(3).to_sparse()),
        ("sparse", torch.eye(3).to_sparse_csr()),
        ("meta (without values)", torch.empty(3, device="meta")),
        ("quantised", quantised),
    ):
        torch.save({"state_dict": {"conv.weight": tensor}}, path)
        assert refusal(path) == (
            f"conv.weight: is a {word} tensor; only dense ones of plain numbers are read"
        )
    torch.save({"w": torch.zeros(1).expand(100_000, 100_000)}, path)
    assert refusal(path).endswith(
        "a tensor of shape (100000, 100000) repeats a storage of 1 elements; save a contiguous copy"
    )
    torch.save({"w": torch.zeros(4).expand(1, 4)}, path)
    assert open_checkpoint(path).states[""]["w"].shape == (1, 4)


def test_whole_numbers_are_no_weights(tmp_path: Path) -> None:
    body = seeded_encoder("resnet18", seed=1, options={"channels": [8, 8, 8, 8]}).body
    state = {
        name: (10 * tensor).to(torch.int8) if tensor.ndim == 4 else tensor
        for name, tensor in body.state_dict().items()
    }
    torch.save({"state_dict": state}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"21 of another type \(conv1\.weight is int8, not torch\.float32\)"):
        load_encoder(_card(tmp_path)[1], checkpoint=tmp_path / "x.pth")


@pytest.mark.parametrize("new", [True, False])
def test_views_and_types_come_back_as_they_were(new: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0)
    tagged: Any = torch.arange(3.0)
    tagged.note = "attributes of its own"
    state = {
        "view": base[3:15].reshape(3, 4).t(),
        "same": base[3:15],
        "scalar": torch.tensor(7),
        "empty": torch.zeros(0, 3),
        "half": torch.arange(5).half(),
        "bfloat": torch.arange(5).bfloat16(),
        "bool": torch.tensor([True, False]),
        "byte": torch.arange(3, dtype=torch.uint8),
        "double": torch.arange(3).double(),
        "complex": torch.tensor([1 + 2j]),
        "uint16": torch.tensor([1, 2, 65535], dtype=torch.uint16),
        "parameter": nn.Parameter(torch.ones(2)),
        "tagged": tagged,
    }
    path = tmp_path / "x.pth"
    torch.save({"model": state, "odd": base[1:2]}, path, _use_new_zipfile_serialization=new)
    read = open_checkpoint(path).states["model"]
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        assert read[name].dtype == tensor.dtype, name
        assert torch.equal(read[name], tensor.detach()), name


def test_files_are_called_what_they_are(tmp_path: Path) -> None:
    def said(content: bytes, name: str = "x.pth") -> str:
        (tmp_path / name).write_bytes(content)
        return refusal(tmp_path / name)

    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"
    for name in ("x.pth", "x.safetensors"):
        assert "a Git LFS pointer in place of the file; run `git lfs pull`" in said(pointer, name)
        assert "a web page in place of the file" in said(b"\n<!DOCTYPE html><title>Sign in</title>", name)
        assert said(b"\0" * 20_000, name).endswith("nothing but zeros: a download or copy that did not end")
    assert "a gzip archive; unpack it" in said(b"\x1f\x8b\x08\0rest")
    assert "a plain pickle, not what torch.save writes" in said(pickle.dumps({"a": 1}))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("model/weights.pth", b"x")
    assert "a zip archive of other files (model/weights.pth)" in said(packed.getvalue())
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive_:
        archive_.add(__file__, "x")
    assert "a tar archive" in said(packed.getvalue())
    torch.save({"a": torch.arange(1000)}, tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    assert "an archive that ends early" in said(whole[: len(whole) // 2])
    torch.save({"a": torch.arange(1000)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    old = (tmp_path / "old.pth").read_bytes()
    assert said(old[:-100]).endswith("it ends inside of storage 1 of 1")
    save_file({"a": torch.arange(3.0)}, tmp_path / "a.safetensors")
    renamed = tmp_path / "renamed.bin"
    renamed.write_bytes((tmp_path / "a.safetensors").read_bytes())
    assert torch.equal(open_checkpoint(renamed).states[""]["a"], torch.arange(3.0))


def test_whole_models_are_called_so(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    for new in (True, False):
        torch.save(nn.Linear(2, 2), path, _use_new_zipfile_serialization=new)
        assert refusal(path) == (
            "holds no state dict but a whole pickled torch.nn.modules.linear.Linear; "
            "where its code is at hand, save its state_dict() instead"
        )
    torch.save({"model": nn.Linear(2, 2), "epoch": 3}, path)
    assert "holds no state dict: 'model' is a whole pickled torch.nn.modules.linear.Linear" in refusal(path)
    torch.jit.script(nn.Linear(2, 2)).save(str(path))  # type: ignore[no-untyped-call]
    assert refusal(path) == (
        "not a readable checkpoint: a TorchScript program, not a state dict; save its state_dict() instead"
    )


def test_names_cannot_move_the_cursor(tmp_path: Path) -> None:
    torch.save({"\x1b[2Jx" + "y" * 500: 1}, tmp_path / "x.pth")
    text = refusal(tmp_path / "x.pth")
    assert text.startswith("holds no state dict (keys ?[2Jxyyy")
    assert len(text) < 250


# Files of our own kind, with descriptions that lie


def _card(folder: Path) -> tuple[Path, EncoderCard]:
    from g2d_bench.cards.encoder import EncoderCard
    from g2d_bench.cards.io import load_card

    (folder / "cards").mkdir(exist_ok=True)
    path = folder / "cards" / "tiny.toml"
    path.write_text(CARD)
    return path, load_card(path, EncoderCard)


def own(path: Path, change: Callable[[dict[str, Any]], object] = lambda metadata: None) -> Path:
    """Write a file as pre-training does, its description changed."""
    tokenizer = train_tokenizer(["the heart is normal", "lungs are clear"], min_frequency=1)
    save_tokenizer(tokenizer, path.parent / "tokenizer.json")
    image = seeded_encoder("resnet18", seed=4, options={"channels": [8, 8, 8, 8]})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        text = TextEncoder.small(tokenizer, hidden=8, layers=1, heads=2, intermediate=8, positions=16)
        heads = make_heads(
            "convirt",
            channels=image.channels,
            strides=image.strides,
            num_features=image.num_features,
            text_width=8,
            dim=4,
        )
    parts = {"image": image.body, "text": text.bert, "heads": heads}
    tensors = {
        f"{part}.{name}": tensor.clone()
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    metadata: dict[str, Any] = {
        "text": {"source": "small", "options": text.options},
        "heads": {"method": "convirt", "options": {"dim": 4}},
    }
    change(metadata)
    save_file(tensors, path, metadata={"g2d_bench": json.dumps(metadata)})
    return path


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


LIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "wide": (lambda m: m["text"]["options"].update(hidden=40_000, intermediate=160_000), "text: description"),
    "layers": (
        lambda m: m["text"]["options"].update(layers=100_000),
        "text: description and tensors disagree",
    ),
    "many layers": (lambda m: m["text"]["options"].update(layers=1 << 40), "a number is out of range"),
    "no layers": (lambda m: m["text"]["options"].update(layers=-1), "-1 layers, but "),
    "words": (lambda m: m["text"]["options"].update(layers="3"), "'3' layers, but "),
    "positions": (lambda m: m["text"]["options"].update(positions=1_000_000), "position_embeddings"),
    "unknown": (lambda m: m["text"]["options"].update(hiden=3), "text: description and tensors disagree"),
    "number for a source": (lambda m: m["text"].update(source=5), "text: source: 5 must be 'hf-hub:NAME'"),
    "hub": (
        lambda m: m["text"].update(source="hf-hub:stranger/model"),
        "no tokenizer: hf-hub:stranger/model is not on this machine, and is fetched for no file; put a copy",
    ),
    "hub way out": (lambda m: m["text"].update(source="hf-hub:../.."), "is not on this machine"),
    "nobody's home": (lambda m: m["text"].update(source="local-dir:~nosuchuser/x"), "is not on this machine"),
    "deep": (lambda m: m["text"].update(options=_deep(900)), "nested too deeply"),
    "deep heads": (lambda m: m["heads"]["options"].update(dim=_deep(30)), "nested too deeply"),
    "wide heads": (lambda m: m["heads"]["options"].update(dim=1_000_000), "heads: description and tensors"),
    "g2d heads": (
        lambda m: m.update(heads={"method": "g2d", "options": {"dim": 1 << 20, "grid": 1 << 20, "heads": 1}}),
        "heads: description and tensors disagree",
    ),
    "list for a method": (lambda m: m["heads"].update(method=["g2d"]), "heads: description and tensors"),
    "list for heads": (lambda m: m.update(heads=[1]), "has heads tensors but does not describe them"),
    "a number without end": (lambda m: m["heads"]["options"].update(dim=float("inf")), "out of range"),
    "another's tokenizer": (lambda m: m.update(tokenizer=5), "tokenizer.json is not the one"),
}


def test_descriptions_are_held_against_the_tensors_first(tmp_path: Path) -> None:
    card, _ = _card(tmp_path)
    files = {"honest": own(tmp_path / "honest.safetensors")}
    for name, (change, _) in LIES.items():
        files[name] = own(tmp_path / f"{name}.safetensors", change)
    found = outcomes(list(files.values()), card)
    assert found["honest.safetensors"][0] == "loads"
    for name, (_, expected) in LIES.items():
        text, seconds = found[f"{name}.safetensors"]
        assert text.startswith(f"{tmp_path}"), (name, text)
        assert expected in text, (name, text)
        assert seconds < 5, name


def test_headers_of_safetensors_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    assert f"a header of {1 << 62:,} bytes" in refusal(path)
    for text, expected in (("[" * 100_000, "nested too deeply"), ("9" * 5000, "not JSON: ")):
        save_file({"a": torch.zeros(1)}, path, metadata={"g2d_bench": text})
        assert expected in refusal(path)


def test_building_leaves_the_random_state_as_one_building_does(tmp_path: Path) -> None:
    """The shadow that is held against the tensors draws nothing."""
    from g2d_bench.encoders.shadow import built_for, shadow

    torch.manual_seed(0)
    linear = nn.Linear(3, 2)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    assert shadow(lambda: nn.Linear(3, 2)).weight.is_meta
    made = built_for(linear.state_dict(), lambda: nn.Linear(3, 2))
    assert torch.equal(made.weight, linear.weight)
    assert torch.equal(torch.get_rng_state(), after)


# Mutations


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
def test_mutated_files_load_or_are_refused(kind: str, tmp_path: Path) -> None:
    card, _ = _card(tmp_path)
    base = tmp_path / ("base.safetensors" if kind == "safetensors" else "base.pth")
    if kind == "safetensors":
        own(base)
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
    found = outcomes(files, card)
    assert (found[base.name][0] == "loads") == (kind != "tar")
    wrong = {name: text for name, (text, _) in found.items() if text != "loads" and text.startswith("!!")}
    assert not wrong
    assert max(seconds for _, seconds in found.values()) < 15
    refused = [text for text, _ in found.values() if text != "loads"]
    assert all("\n" not in text for text in refused)
    assert len(refused) > ROUNDS // 4, "mutations that change nothing prove nothing"
