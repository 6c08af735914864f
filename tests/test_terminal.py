"""The one way to the terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from g2d_bench.terminal import Neutral, make_neutral, neutral_output, present, raw, silenced


def test_a_neutral_stream() -> None:
    below = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream = Neutral(below)
    stream.write("a\x1b[1m\n")
    stream.writelines(["é\n", "b"])
    below.flush()
    assert below.buffer.getvalue() == b"a\\x1b[1m\n\\xe9\nb"
    assert stream.encoding == "ascii"
    assert not hasattr(stream, "buffer")
    assert raw(stream) is below  # type: ignore[arg-type]
    assert raw(below) is below


def test_all_that_is_printed_passes_through(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with neutral_output():
        print("\x1b[2J")
        print("\u202e", file=sys.stderr)
        with neutral_output():
            print("\x07")
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("\\x1b[2J\n\\x07\n", "\\u202e\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = [sys.executable, "-m", "g2d_bench", "list", "tasks"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_streams_are_neutral_once_and_those_of_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", first)
    monkeypatch.setattr(sys, "stderr", None)
    with neutral_output():
        made = sys.stdout
        make_neutral()
        assert sys.stdout is made
        print("kept by nobody", file=sys.stderr)
        sys.stdout = second
    assert (sys.stdout, sys.stderr) == (second, None)
    assert raw(made) is first


def test_what_is_not_there_or_closed_keeps_nothing() -> None:
    closed, there = io.StringIO(), io.StringIO()
    closed.close()
    for stream in (present(None), present(closed)):
        print("a line", file=stream, flush=True)
        assert not stream.isatty()
    assert present(there) is there


@pytest.mark.parametrize("closed", ["1>&-", "2>&-", "2</dev/null", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("arguments", ["list tasks", "show nothing-of-this-name", "verify nowhere"])
def test_a_command_ends_alike_without_its_streams(arguments: str, closed: str, tmp_path: Path) -> None:
    command = f"exec {sys.executable} -m g2d_bench {arguments}"
    whole, cut = (
        subprocess.run(["sh", "-c", text], capture_output=True, text=True, cwd=tmp_path, check=False)
        for text in (command, f"{command} {closed}")
    )
    assert cut.returncode == whole.returncode
    assert cut.stdout == ("" if "1>" in closed else whole.stdout)
    assert cut.stderr == ("" if "2" in closed else whole.stderr)


def test_records_are_verified_and_shown_without_stderr(several: list[Path], tmp_path: Path) -> None:
    for name in ("verify", "table --summary --results"):
        command = f"exec {sys.executable} -m g2d_bench {name} {tmp_path / 'runs'}"
        whole, cut = (
            subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=False)
            for text in (command, f"{command} 2>&-")
        )
        assert (cut.returncode, cut.stdout) == (whole.returncode, whole.stdout)
        assert cut.stdout


def test_what_libraries_write_past_python_is_dropped(capfd: pytest.CaptureFixture[str]) -> None:
    with silenced(), silenced():
        os.write(2, b"from below")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(_speak, range(200)))
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def _speak(_: int) -> None:
    with silenced():
        os.write(2, b"from below")
