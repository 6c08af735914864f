"""Bad input is one line on stderr that names file and field, exit code 2, and nothing half-written."""

from __future__ import annotations

import math
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from g2d_bench.cli.main import main
from g2d_bench.readers.rle import encode_relative


@pytest.fixture(scope="module")
def siim(tmp_path_factory: pytest.TempPathFactory, write_dicom: Callable[..., Path]) -> Path:
    """A data root with 20 tiny SIIM films, every second one positive."""
    root = tmp_path_factory.mktemp("siim-root")
    generator = np.random.default_rng(0)
    lines = ["ImageId, EncodedPixels"]
    for n in range(20):
        pixels = generator.integers(0, 255, (32, 32), dtype=np.uint8)
        path = root / "siim" / "dicom-images-train" / f"1.2.{n}" / f"1.2.{n}.1" / f"1.2.{n}.1.{n}.dcm"
        write_dicom(path, pixels, PatientID=f"p{n}")
        mask = np.zeros((32, 32), dtype=bool)
        mask[4:9, n % 16 : n % 16 + 6] = n % 2
        lines.append(f"{path.stem}, {encode_relative(mask) if n % 2 else -1}")
    (root / "siim" / "train-rle.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def call(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    quick_protocols: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., str]:
    """Run a command that must fail; return its one line."""
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.chdir(tmp_path)
    # On a busy machine the work before the complaint may take long enough to say how far it is.
    monkeypatch.setattr("g2d_bench.progress.FIRST", math.inf)

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, [*arguments, "--protocols-dir", str(quick_protocols)])
        assert result.exit_code == 2, result.output
        # The made-up films are not SIIM's, which is said once per process.
        notice = "siim: no image is in siim-clean.csv.gz"
        [line] = [line for line in result.stderr.splitlines() if not line.startswith(notice)]
        assert line.startswith("g2d-bench: ")
        assert result.stdout == ""
        assert not Path("runs").exists()
        return line

    return run


RUN = ("run", "--task", "siim-seg", "--encoder", "random", "--fraction", "1", "--protocol", "quick")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--task", "siim-sag"), "unknown task 'siim-sag'; did you mean 'siim-seg'?"),
        (("--task", "siim-seg", "--encoder", "mcga"), "unknown encoder 'mcga'; did you mean 'mgca'?"),
        (("--task", "siim-seg", "--fraction", "0"), "fraction: '0' is outside (0, 1]"),
        (("--task", "siim-seg", "--fraction", "150 %"), "fraction: '150 %' is outside (0, 1]"),
        (("--task", "siim-seg", "--fraction", "some"), "fraction: 'some' is not a fraction"),
        (("--task", "siim-seg", "--seed", "x"), "--seed: 'x' is not a seed"),
        (("--task", "siim-seg", "--seed", "4-"), "--seed: '4-' is not a seed"),
        (("--task", "siim-seg", "--protocol", "clan"), "unknown protocol 'clan'; did you mean 'clean'?"),
        (("--task", "siim-seg", "--fraction", ""), "--fraction: is empty"),
        (("--task", ","), "--task: is empty"),
        ((), "Missing option '--task'. (see g2d-bench run --help)"),
        (("--task", "siim-seg", "--jobs", "0"), "Invalid value for '--jobs': 0"),
        (("--task", "siim-seg", "--tsak", "x"), "No such option"),
        (("--task", "siim-seg", "--results", "/dev/null/x"), "/dev/null: results: is not a folder"),
        (("--task", "siim-seg", "--data-root", "/dev/null"), "/dev/null: --data-root: is not a folder"),
        (("--task", "siim-seg", "--data-root", "nowhere"), "nowhere: --data-root: no such folder"),
        (("--task", "siim-seg", "--checkpoint", "g2d"), "--checkpoint: 'g2d' is not NAME=FILE"),
        (("--task", "siim-seg", "--checkpoint", "g2d=none.pt"), "none.pt: checkpoint of g2d: no such"),
        (("--task", "siim-seg", "--tasks-dir", "none"), "none: tasks: no such folder"),
    ],
)
def test_flags(call: Callable[..., str], arguments: tuple[str, ...], message: str) -> None:
    assert message in call("run", *arguments)


def test_an_unreadable_data_root(
    call: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Permissions do not bind the superuser, as whom tests may run.
    real = os.access
    monkeypatch.setattr("os.access", lambda path, *mode: Path(path) != tmp_path and real(path, *mode))
    assert "is not readable" in call(*RUN, "--data-root", str(tmp_path))
    monkeypatch.setenv("G2D_BENCH_DATA", str(tmp_path))
    assert f"{tmp_path}: data root: cannot be read (permissions)" in call(*RUN)


def test_through_a_real_process(tmp_path: Path) -> None:
    """What a shell sees: exit code 2, one line, nothing on stdout, no folder."""
    for arguments, message in (
        (["run", "--task", "siim-sag"], "unknown task 'siim-sag'; did you mean 'siim-seg'?"),
        (["run", "--task", "siim-seg", "--data-root", str(tmp_path)], "no folder siim/"),
        (["rnu"], "No such command 'rnu'."),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "g2d_bench", *arguments], cwd=tmp_path, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (2, "")
        [line] = done.stderr.splitlines()
        assert line.startswith("g2d-bench: ")
        assert message in line
    assert not list(tmp_path.iterdir())


def test_data_root_without_the_data_set(call: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    line = call(*RUN, "--data-root", str(tmp_path / "empty"))
    assert "no folder siim/" in line


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1000 30", "train-rle.csv:3"),
        ("5 3 9", "train-rle.csv:3"),
        ("5 x", "train-rle.csv:3"),
        ("5 -3", "train-rle.csv:3"),
    ],
)
def test_run_lengths(call: Callable[..., str], siim: Path, tmp_path: Path, value: str, message: str) -> None:
    root = tmp_path / "data"
    shutil.copytree(siim, root)
    table = root / "siim" / "train-rle.csv"
    lines = table.read_text().splitlines()
    lines[2] = f"{lines[2].split(',')[0]}, {value}"
    table.write_text("\n".join(lines) + "\n")
    line = call(*RUN, "--data-root", str(root))
    assert message in line
    assert "EncodedPixels" in line


@pytest.mark.parametrize("damage", ["truncated", "text", "missing"])
def test_dicom(call: Callable[..., str], siim: Path, tmp_path: Path, damage: str) -> None:
    root = tmp_path / "data"
    shutil.copytree(siim, root)
    file = sorted(root.rglob("*.dcm"))[0]
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-200])
    elif damage == "text":
        file.write_text("this is not a radiograph")
    else:
        file.unlink()
    assert file.stem in call(*RUN, "--data-root", str(root))


def test_mask_of_another_size(call: Callable[..., str], tiny_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(tiny_root, root)
    mask = root / "covid-cxr" / "annotations" / "v7labs-lung-masks" / "f3.png"
    Image.fromarray(np.zeros((60, 64), dtype=np.uint8)).save(mask)
    arguments = ("--encoder", "random", "--fraction", "1", "--protocol", "quick", "--data-root", str(root))
    line = call("run", "--task", "covid-cxr-seg", *arguments)
    assert "f3" in line
    assert "60" in line


def test_empty_split(call: Callable[..., str], siim: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(siim, root)
    table = root / "siim" / "train-rle.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:2]) + "\n")
    for file in sorted(root.rglob("*.dcm")):
        if file.stem not in lines[1]:
            file.unlink()
    assert "is empty" in call(*RUN, "--data-root", str(root))


class _Bomb:
    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, (f"open({str(self.witness)!r}, 'w').write('executed')",))


def test_a_pickle_with_code_is_never_executed(call: Callable[..., str], siim: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    bomb = tmp_path / "bomb.pt"
    bomb.write_bytes(pickle.dumps({"state_dict": _Bomb(witness)}))
    arguments = [*RUN, "--data-root", str(siim), "--checkpoint", f"g2d={bomb}"]
    arguments[arguments.index("random")] = "g2d"
    assert "bomb.pt" in call(*arguments)
    assert not witness.exists()


def _saved(content: object) -> Callable[[Path], object]:
    return lambda path: torch.save(content, path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n"), "Git LFS"),
        (lambda path: path.write_bytes(b"<!DOCTYPE html><p>quota"), "a web page in place of the file"),
        (lambda path: path.write_bytes(bytes(20_000)), "nothing but zeros"),
        (lambda path: path.write_bytes(b"\x80\x02K\x01r\xff\xff\xff\x0f."), "a plain pickle"),
        (_saved({"image.conv1.weight": torch.eye(3).to_sparse()}), "is a sparse tensor"),
        (_saved({"image.conv1.weight": torch.empty(3, device="meta")}), "is a meta (without values) tensor"),
        (_saved({"image.conv1.weight": torch.zeros(1).expand(99_999, 99_999)}), "repeats a storage"),
        (_saved(torch.nn.Linear(1, 1)), "a whole pickled torch.nn.modules.linear.Linear"),
    ],
    ids=["lfs", "html", "zeros", "memo", "sparse", "meta", "stride", "module"],
)
def test_a_file_that_is_no_checkpoint(
    write: Callable[[Path], object], message: str, call: Callable[..., str], siim: Path, tmp_path: Path
) -> None:
    write(tmp_path / "x.pth")
    arguments = [*RUN, "--data-root", str(siim), "--checkpoint", f"g2d={tmp_path / 'x.pth'}"]
    arguments[arguments.index("random")] = "g2d"
    line = call(*arguments)
    assert "x.pth: " in line
    assert message in line


def test_a_copied_card_has_no_weights(call: Callable[..., str], siim: Path, tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    cards.mkdir()
    shipped = Path(__file__).resolve().parents[2] / "baselines" / "convirt.toml"
    (cards / "mine.toml").write_text(shipped.read_text())
    arguments = [*RUN, "--data-root", str(siim), "--encoders-dir", str(cards)]
    arguments[arguments.index("random")] = "mine"
    line = call(*arguments)
    assert "a card of your own takes no shipped weights; put it there, or give --checkpoint mine=" in line


def test_a_checkpoint_of_another_architecture(call: Callable[..., str], siim: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    torch.save({"image.conv1.weight": torch.zeros(64, 3, 7, 7)}, other)
    arguments = [*RUN, "--data-root", str(siim), "--checkpoint", f"mgca={other}"]
    arguments[arguments.index("random")] = "mgca"
    assert "other.pt" in call(*arguments)


def test_a_card_with_a_typo(call: Callable[..., str], tmp_path: Path) -> None:
    cards = tmp_path / "cards"
    cards.mkdir()
    shipped = Path(__file__).resolve().parents[2] / "tasks" / "siim-seg.toml"
    (cards / "mine.toml").write_text(shipped.read_text().replace("kind =", "knd ="))
    line = call("run", "--task", "mine", "--tasks-dir", str(cards))
    assert "mine.toml" in line
    assert "did you mean 'kind'?" in line
