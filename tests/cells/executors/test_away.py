"""What goes to machines that share no results, what comes back, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from g2d_bench.cells.bench import Bench, Options
from g2d_bench.cells.executors.away import Made, Order, Parcel, carry_out, run_away
from g2d_bench.cells.executors.base import Work, WorkerDied
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.sharing import Outcome, Unit, lease_path
from g2d_bench.cells.workers import Report, execute
from g2d_bench.errors import InputError
from g2d_bench.locks import Lease
from g2d_bench.records.cell import Cell
from g2d_bench.records.record import Failure

CELLS = [Cell("covid-cxr-seg", 1.0, "quick", seed, "random") for seed in range(4)]
Answer = Callable[[Unit, int], Parcel | BaseException]


@pytest.fixture
def bench(tiny_root: Path, quick_protocols: Path, own_cache: Path, tmp_path: Path) -> Bench:
    return Bench(Settings(data_root=tiny_root, results=tmp_path / "runs", protocol_dirs=(quick_protocols,)))


def ran(unit: Unit, place: str = "") -> Parcel:
    """Stand for a unit that went through (a failure is the smaller thing to make)."""
    made = [
        Failure(key="", cell=cell, bad_input=False, error="ran", traceback="", created="now") for cell in unit
    ]
    return Parcel("host", place, tuple(Made("", one.model_dump_json().encode()) for one in made))


class Here:
    """Sends to nowhere: answers come from a function, the last sent first."""

    retries = 1

    def __init__(self, answer: Answer, *, elsewhere: bool = False) -> None:
        self.answer, self._elsewhere = answer, elsewhere
        self.sent: list[Unit] = []
        self.most = 0

    def send(self, units: Sequence[Unit]) -> Sequence[Hashable]:
        self.sent += units
        return range(len(self.sent) - len(units), len(self.sent))

    def arrived(self, out: Sequence[Hashable]) -> Sequence[tuple[Hashable, Parcel | BaseException]]:
        self.most = max(self.most, len(out))
        last = out[-1]
        assert isinstance(last, int)
        unit = self.sent[last]
        return [(last, self.answer(unit, self.sent[: last + 1].count(unit)))]

    def elsewhere(self, parcel: Parcel) -> bool:
        return self._elsewhere


def run(bench: Bench, sender: Here, window: int = 256) -> Report:
    class Executor:
        def run(self, units: Sequence[Unit], work: Work) -> Iterator[tuple[Unit, Sequence[Outcome] | None]]:
            return run_away(units, work, sender, window)

    return execute(CELLS, bench, executor=Executor())


def errors(report: Report) -> list[str]:
    return [failure.error for failure in sorted(report.failures, key=lambda one: one.cell.seed)]


def test_as_many_are_out_as_may_be(bench: Bench) -> None:
    sender = Here(lambda unit, _: ran(unit))
    assert errors(run(bench, sender, 2)) == ["ran"] * 4
    assert sender.most == 2
    assert not list(Path(bench.settings.results).rglob("*.lease")), "every claim is given back"


@pytest.mark.parametrize(("window", "handfuls"), [(3, [3, 1]), (16, [4])])
def test_whoever_is_free_gets_the_next(bench: Bench, window: int, handfuls: list[int]) -> None:
    sender = Here(lambda unit, _: ran(unit))
    send, sizes = sender.send, list[int]()

    def counted(units: Sequence[Unit]) -> Sequence[Hashable]:
        sizes.append(len(units))
        return send(units)

    sender.send = counted  # type: ignore[method-assign]
    run(bench, sender, window)
    assert sizes == handfuls, "none waits until several are free"


def test_what_dies_is_sent_once_more_and_then_fails(bench: Bench) -> None:
    def answer(unit: Unit, tries: int) -> Parcel | BaseException:
        dies = unit[0].seed == 2 or (unit[0].seed == 1 and tries == 1)
        return WorkerDied("no word") if dies else ran(unit)

    sender = Here(answer)
    assert errors(run(bench, sender)) == ["ran", "ran", "WorkerDied: no word", "ran"]
    assert len(sender.sent) == 6


def test_another_exception_is_a_failure_at_once(bench: Bench) -> None:
    sender = Here(lambda unit, _: ValueError("odd") if unit[0].seed == 3 else ran(unit))
    assert errors(run(bench, sender)) == ["ran", "ran", "ran", "ValueError: odd"]
    assert len(sender.sent) == 4


def test_a_machine_without_data_is_one_line(bench: Bench) -> None:
    lacks = Parcel("n7", "", lacks="/data: data root: not there, or not readable")
    with pytest.raises(InputError, match=r"^n7: /data: data root: not there"):
        run(bench, Here(lambda *_: lacks))
    sender = Here(lambda unit, tries: lacks if tries == 1 else ran(unit), elsewhere=True)
    assert errors(run(bench, sender)) == ["ran"] * 4
    assert len(sender.sent) == 8


def test_what_another_run_is_at_is_left_to_it(bench: Bench) -> None:
    lease = Lease.take(lease_path(bench.resolve(CELLS[0])))
    assert lease is not None

    def answer(unit: Unit, _: int) -> Parcel:
        lease.release()
        return ran(unit)

    sender = Here(answer)
    assert errors(run(bench, sender)) == ["ran"] * 4
    assert sender.sent[-1] == (CELLS[0],)


def test_bytes_come_back_as_they_were_made(bench: Bench, tmp_path: Path) -> None:
    order = Order.of(bench)
    sender = Here(lambda unit, _: carry_out(order, unit, "node") if unit[0].seed < 1 else ran(unit))
    [record] = run(bench, sender).records
    path = bench.resolve(CELLS[0]).path
    alone = Bench(replace(bench.settings, results=tmp_path / "alone"))
    execute(CELLS[:1], alone, jobs=1)
    other = alone.resolve(CELLS[0]).path
    assert path.with_suffix(".npz").read_bytes() == other.with_suffix(".npz").read_bytes()
    assert bench.store.find(path, record.key) == record
    again = execute(CELLS[:1], bench, jobs=1)
    assert again.reused == 1


def test_a_failure_away_leaves_the_record_that_is_there(bench: Bench) -> None:
    """As one at home: it stands beside the record, which `--force` had measured anew, and is no record."""
    [done] = execute(CELLS[:1], bench, jobs=1).found
    assert done.path is not None
    before = done.path.read_bytes(), done.path.with_suffix(".npz").read_bytes()
    forced = Bench(bench.settings, Options(force=True))
    assert errors(run(forced, Here(lambda unit, _: ran(unit)))) == ["ran"] * 4
    assert (done.path.read_bytes(), done.path.with_suffix(".npz").read_bytes()) == before
    assert [one.cell for one in bench.store.failures()] == CELLS
    assert bench.store.find(done.path, done.record.key) == done.record
    assert [path for path, _ in bench.store] == [done.path]


def test_a_machine_with_other_data_is_told(bench: Bench) -> None:
    wrong = Made("0" * 64, b"{}")
    sender = Here(lambda unit, _: Parcel("n7", "", (wrong,)) if unit[0].seed else ran(unit))
    assert sum("n7 has other data or weights" in error for error in errors(run(bench, sender))) == 3


def test_an_order_says_what_is_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    bench = Bench(Settings(data_root=Path("data"), checkpoints={"g2d": Path("w.pt")}), Options())
    order = Order.of(bench)
    assert order.settings.data_root == tmp_path / "data"
    assert order.lacking() == f"{tmp_path}/w.pt: checkpoint of g2d: not there, or not readable"
    (tmp_path / "w.pt").touch()
    assert order.lacking() == ""
    (tmp_path / "data").rmdir()
    assert order.lacking().startswith(f"{tmp_path}/data: data root")
    parcel = carry_out(order, (CELLS[0],), "node")
    assert (parcel.place, parcel.made) == ("node", ())
    assert parcel.lacks == order.lacking()
    assert "is needed" in replace(order, version="0.0").lacking()
