"""Files in which weights come."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import torch
from checkpoints import state_of
from refusing import refusal
from safetensors.torch import save_file
from torch import Tensor, nn

from g2d_bench.encoders.checkpoint import (
    open_checkpoint,
)

MakeState = Callable[[str], "OrderedDict[str, Tensor]"]


def refused(path: Path) -> str:
    """The line with which a file is refused, without its name."""
    text = refusal(lambda: open_checkpoint(path))
    assert "\x1b" not in text
    return text.removeprefix(f"{path}: ")


"""Mutations of each file; more with ``G2D_BENCH_FUZZ=2000``."""


def test_old_torch_format(trained_state: MakeState, tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    state = trained_state("resnet18")
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    read = state_of(path)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)


def test_things_that_are_no_checkpoints(tmp_path: Path, trained_state: MakeState) -> None:
    def reading(name: str, content: bytes | None = None) -> str:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        text = refusal(lambda: open_checkpoint(path))
        assert text.startswith(f"{path}: ")
        return text.removeprefix(f"{path}: ")

    assert reading("absent.pth") == "no such file"
    (tmp_path / "folder.pth").mkdir()
    assert reading("folder.pth") == "not a file"
    assert reading("empty.pth", b"") == "is empty"
    assert reading("text.pth", b"<html>quota exceeded</html>").startswith("not a readable checkpoint: ")
    whole = tmp_path / "whole.pth"
    torch.save({"state_dict": trained_state("resnet18")}, whole)
    content = whole.read_bytes()
    assert reading("half.pth", content[: len(content) // 2]).startswith("not a readable checkpoint: ")
    old = tmp_path / "old.pth"
    torch.save(trained_state("resnet18"), old, _use_new_zipfile_serialization=False)
    content = old.read_bytes()
    assert reading("half-old.pth", content[: len(content) // 2]).startswith("not a readable checkpoint: ")
    assert reading("broken.safetensors", content).startswith("not a readable safetensors file: ")
    save_file({}, tmp_path / "none.safetensors")
    assert reading("none.safetensors") == "holds no tensors"
    save_file({"a": torch.zeros(1)}, tmp_path / "card.safetensors", metadata={"g2d_bench": "{"})
    assert reading("card.safetensors").startswith("g2d_bench: its model card is not JSON")


def test_other_things_that_torch_saves(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"epoch": 3, "args": {}}, path)
    assert refusal(lambda: open_checkpoint(path)) == f"{path}: holds no state dict (keys epoch, args)"
    torch.save([torch.zeros(1)], path)
    assert refusal(lambda: open_checkpoint(path)) == f"{path}: holds no state dict (no dictionary)"
    torch.save(nn.Linear(2, 2), path)
    assert "holds no state dict" in refusal(lambda: open_checkpoint(path))
    torch.jit.script(nn.Linear(2, 2)).save(str(path))  # type: ignore[no-untyped-call]
    assert "TorchScript" in refusal(lambda: open_checkpoint(path))
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "x")
    assert "tar archive" in refusal(lambda: open_checkpoint(path))


def test_files_are_called_what_they_are(tmp_path: Path) -> None:
    def said(content: bytes, name: str = "x.pth") -> str:
        (tmp_path / name).write_bytes(content)
        return refused(tmp_path / name)

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


def test_headers_of_safetensors_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")
    assert f"a header of {1 << 62:,} bytes" in refused(path)
    for text, expected in (("[" * 100_000, "nested too deeply"), ("9" * 5000, "not JSON: ")):
        save_file({"a": torch.zeros(1)}, path, metadata={"g2d_bench": text})
        assert expected in refused(path)
