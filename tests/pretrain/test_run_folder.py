"""The folder of a run: one configuration, whole files, a log that ends with its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

from g2d_bench.errors import InputError
from g2d_bench.pretrain.pretrain import Pretrained
from g2d_bench.pretrain.run_folder import RunFolder, differences


class Go(Protocol):
    def __call__(self, out: Path, method: str = "convirt", **changes: Any) -> Pretrained: ...


def test_another_configuration_is_refused(go: Go, tmp_path: Path) -> None:
    go(tmp_path, steps=2)
    with pytest.raises(
        InputError, match=r"config\.json: .* recipe\.lr: 0\.001 there, 0\.5 here; seed: 0 there, 1 here"
    ):
        go(tmp_path, steps=2, lr=0.5, seed=1)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="not a run's configuration"):
        go(tmp_path, steps=2)


def test_damaged_or_unwritable_folders(go: Go, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/out: --out: folder cannot be written"):
        go(tmp_path / "file" / "out")
    go(tmp_path / "run", steps=2)
    (tmp_path / "run/result.json").unlink()
    (tmp_path / "run/checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(InputError, match=r"checkpoint\.pt: damaged checkpoint"):
        go(tmp_path / "run", steps=2)
    folder = RunFolder(tmp_path / "gone", {})
    (tmp_path / "gone/config.json").unlink()
    (tmp_path / "gone").rmdir()
    with pytest.raises(InputError, match=r"checkpoint\.pt: checkpoint cannot be written"):
        folder.save({"step": 1})


def test_differences_name_leaves() -> None:
    there, here = {"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": 1, "c": [2]}, "e": None, "f": 0}
    assert list(differences(there, here)) == [
        "a.c: [1] there, [2] here",
        "d: 2 there, null here",
        "f: null there, 0 here",
    ]


def test_log_is_cut_back_to_the_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, {})
    for step in range(4):
        folder.log({"step": step})
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('\n3\n{"step": 4, "lo')
    folder.log_until(2)
    assert [entry["step"] for entry in folder.entries()] == [0, 1]
