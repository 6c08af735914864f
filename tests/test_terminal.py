"""The one way to the terminal."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from g2d_bench.terminal import Neutral, make_neutral, neutral_output, raw


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
        assert sys.stderr is None
        sys.stdout = second
    assert sys.stdout is second
    assert raw(made) is first
