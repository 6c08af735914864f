"""What a refusal says, and files of strangers that are to be refused."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from g2d_bench.encoders.checkpoint import open_checkpoint
from g2d_bench.errors import InputError


def refusal(action: Callable[[], object]) -> str:
    """Return the one line with which something is refused."""
    with pytest.raises(InputError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    return text


def refused(path: Path) -> str:
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
