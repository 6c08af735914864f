"""Progress on a terminal and in a log."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator

import pytest

from g2d_bench import progress
from g2d_bench.progress import Meter, speaking_for, tell, track


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(progress, "time", found)
    return found


def work(clock: Clock, seconds: float, count: int) -> Iterator[int]:
    for n in range(count):
        clock.now += seconds
        yield n


def test_a_log_gets_whole_lines_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(work(clock, 1, 60), "decoding", 60, "img")) == list(range(60))
    assert capsys.readouterr().err.splitlines() == [
        "decoding: 5/60 img, about 55 s left",
        "decoding: 25/60 img, about 35 s left",
        "decoding: 45/60 img, about 15 s left",
        "decoding: 60/60 img, in 60 s",
    ]


def test_no_guess_from_the_first_steps(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    meter = Meter("generating", 1500, "img")
    for _ in range(2):
        clock.now += 30
        meter.step(70)
    assert capsys.readouterr().err.splitlines() == [
        "generating: 70/1500 img, after 30 s",
        "generating: 140/1500 img, about 9:43 min left",
    ]


def test_short_work_says_nothing_in_a_log(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track([1, 2, 3], "hashing")) == [1, 2, 3]
    assert list(track(work(clock, 0.01, 100), "hashing", 100)) == list(range(100))
    assert capsys.readouterr().err == ""


def test_without_a_total_there_is_no_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in track(work(clock, 3, 3), "reading", unit="rows"):
        pass
    assert capsys.readouterr().err.splitlines() == ["reading: 2 rows, after 6 s", "reading: 3 rows, in 9 s"]


def test_one_of_several_processes_names_itself(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with speaking_for("siim-seg · g2d"):
        list(track(work(clock, 6, 1), "training", 1, "steps"))
    list(track(work(clock, 6, 1), "training", 1, "steps"))
    assert capsys.readouterr().err.splitlines() == [
        "siim-seg · g2d: training: 1/1 steps, in 6 s",
        "training: 1/1 steps, in 6 s",
    ]


def test_a_terminal_gets_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    assert list(track(range(3), "decoding", unit="img")) == [0, 1, 2]
    drawn = stream.getvalue()
    assert "decoding" in drawn
    assert "\n" not in drawn
    assert re.search(r"\r *\r?$", drawn), "the last thing drawn is blank"
    with speaking_for("one of several"):
        stream.seek(0)
        stream.truncate()
        list(track(range(3), "decoding"))
    assert stream.getvalue() == "", "bars of several processes would draw over each other"


def test_a_meter_keeps_its_stream(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = Meter("training", 100, "steps")
    monkeypatch.setattr("sys.stderr", io.StringIO())
    clock.now = 200.0
    meter.step(50)
    assert capsys.readouterr().err == "training: 50/100 steps, about 3:20 min left\n"


def test_without_a_stream_for_it_nothing_is_said(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", None)
    assert list(track(work(clock, 9, 3), "reading")) == [0, 1, 2]
    tell("a remark")
    # print() would take stdout in the place of None.
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (99, "99 s"), (185, "3:05 min"), (5999, "99:59 min"), (7620, "2:07 h")],
)
def testclock(seconds: float, text: str) -> None:
    assert progress.clock(seconds) == text
