"""What a record says of the code that made it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from g2d_bench import provenance


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    provenance.commit.cache_clear()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with code, a card and a result, committed."""
    for name in ("g2d_bench/cells/run.py", "tasks/a.toml", "baselines/b.toml", "results/phantom/c.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1")
    for command in (
        "init -q",
        "add -A",
        "-c user.name=x -c user.email=x@example.org commit -q -m first",
    ):
        subprocess.run(["git", "-C", str(tmp_path), *command.split()], check=True)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "g2d_bench")
    return tmp_path


def said() -> str:
    provenance.commit.cache_clear()
    return provenance.commit()


def test_results_and_texts_leave_the_commit_clean(checkout: Path) -> None:
    clean = said()
    assert len(clean) == 12
    (checkout / "results/phantom/c.json").write_text("2")
    (checkout / "results/phantom/d.json").write_text("2")
    (checkout / "README.md").write_text("2")
    assert said() == clean


@pytest.mark.parametrize(
    "name", ["g2d_bench/cells/run.py", "tasks/a.toml", "baselines/b.toml", "g2d_bench/new.py"]
)
def test_what_moves_numbers_does_not(checkout: Path, name: str) -> None:
    clean = said()
    (checkout / name).write_text("2")
    assert said() == f"{clean}-dirty"


def test_no_checkout_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path / "g2d_bench")
    assert said() == ""


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("processor\t: 0\nmodel name\t: Some  CPU @ 2 GHz \nmodel name\t: Other\n", "Some CPU @ 2 GHz"),
        ("processor\t: 0\nmodel name\t: \n", "as Python says"),
        (None, "as Python says"),
    ],
)
def test_the_processor_has_the_name_that_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, name: str
) -> None:
    if told is not None:
        (tmp_path / "cpuinfo").write_text(told)
    monkeypatch.setattr(provenance, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(platform, "processor", lambda: "as Python says")
    provenance.processor.cache_clear()
    try:
        assert provenance.processor() == name
    finally:
        provenance.processor.cache_clear()


@pytest.mark.parametrize(("asked", "kernels"), [("default", "DEFAULT"), ("avx2", "AVX2")])
def test_the_kernels_are_those_that_torch_takes(asked: str, kernels: str) -> None:
    script = "import torch\nfrom g2d_bench.provenance import hardware\nprint(hardware()['kernels'])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ATEN_CPU_CAPABILITY": asked},
    )
    if asked == "avx2" and done.stdout.strip() == "DEFAULT":
        pytest.skip("a processor without AVX2")
    assert done.stdout.strip() == kernels


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak of a part")
def test_the_peak_is_that_since_it_was_forgotten() -> None:
    # In a process of its own: in one that has run a thousand tests, freed memory need not go back at once.
    script = """
from g2d_bench import provenance
large = bytearray(200 << 20)
high = provenance.peak_memory_mb()
del large
provenance.forget_peak_memory()
low = provenance.peak_memory_mb()
large = bytearray(200 << 20)
print(high, low, provenance.peak_memory_mb())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    high, low, again = map(int, done.stdout.split())
    assert low <= high - 150
    assert again >= high - 50


@pytest.mark.skipif(not provenance._STATUS.exists(), reason="Linux tells the peak beside the process's name")
def test_a_process_may_have_a_name_that_was_cut_within_a_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray calls a process by its unit, ``siim-seg · g2d``; the kernel keeps 15 bytes of it."""
    (tmp_path / "status").write_bytes("Name:\tray::siim-seg ·".encode()[:-1] + b"\nVmHWM:\t 2097152 kB\n")
    monkeypatch.setattr(provenance, "_STATUS", tmp_path / "status")
    assert provenance.peak_memory_mb() == 2048


def test_a_tag_need_not_be_utf8(checkout: Path) -> None:
    git = ["git", "-C", str(checkout), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "tag", "-am", "x", b"v\xff1"], check=True)
    assert said() == "v\ufffd1"
