"""Reads pickled checkpoints without ever running what they bring along, and names files that are none.

`torch.load(weights_only=True)` refuses files of Lightning, which keep an OmegaConf object beside the weights,
and bounds neither time nor memory. Here a name from another package becomes an empty shell: nothing of it is
imported, nothing called (:mod:`g2d_bench.encoders.pickle_machine`). A name from the standard library that
could do something (`os.system`, `builtins.eval`) is an attack or a mistake, and the file is refused.
"""

from __future__ import annotations

import warnings
from pathlib import Path

from g2d_bench.encoders.pickle_machine import CodeInPickleError, PickleError
from g2d_bench.encoders.torch_file import TorchFile, open_torch_file
from g2d_bench.errors import InputError

_HEAD = 4096
_SHOWN = 160
"""Letters of a stranger's words that an error shows."""
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"(\xb5/\xfd": "zstd",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}
_OTHER = {b"\x89HDF": "an HDF5 file (Keras)", b"\x93NUMPY": "a NumPy array", b"%PDF": "a PDF document"}


def load_pickle(path: Path) -> TorchFile:
    """Open what `torch.save` wrote; tensors are read when they are asked for.

    Raises:
        InputError: the file is no checkpoint, is damaged, or has code in it.
    """
    said = not_a_checkpoint(path)
    if said:
        raise InputError(f"not a readable checkpoint: {said}", file=path)
    with warnings.catch_warnings():
        # The taking apart of old pickles remarks on their escapes, with which nobody can do anything.
        warnings.simplefilter("ignore")
        try:
            return open_torch_file(path)
        except (PickleError, OSError, MemoryError) as error:
            raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> InputError:
    """Say why a file cannot be read."""
    if isinstance(error, CodeInPickleError):
        return InputError(
            f"has code in it ({clean(str(error))}), which was not run; not a checkpoint to trust", file=path
        )
    return InputError(f"not a readable checkpoint: {clean(str(error)) or type(error).__name__}", file=path)


def not_a_checkpoint(path: Path) -> str:
    """Name what a file is that begins as no checkpoint does: what a failed download leaves, or an archive.

    Returns:
        A clause, and the way out; empty where the file may be a checkpoint.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer in place of the file; run `git lfs pull` where it was cloned"
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<script", b"<!--")):
        return "a web page in place of the file (a login, a quota, an error); fetch the file itself"
    if not head.strip(b"\0"):
        return "nothing but zeros: a download or copy that did not end"
    for magic, name in _PACKED.items():
        if head.startswith(magic):
            return f"a {name} archive; unpack it"
    for magic, name in _OTHER.items():
        if head.startswith(magic):
            return name
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it (torch's own tar format is older than version 0.2)"
    return ""


def clean(text: str) -> str:
    """Make a stranger's words fit for a terminal: short, and without control characters."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
