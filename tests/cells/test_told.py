"""What predictions tell is the same whoever derives it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.cells import ahead, told
from g2d_bench.cells.verify import require_sound, verify
from g2d_bench.errors import InputError
from g2d_bench.records.recompute import Facts
from g2d_bench.records.selection import Found, select

Edit = Callable[[Path, Callable[[dict[str, Any]], None]], None]


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few records are enough, whatever the machine."""
    monkeypatch.setattr(told, "FEW", 1)
    monkeypatch.setattr(told, "cores", lambda: 2)


def never(*_: Any) -> None:
    pytest.fail("all is kept")


def all_told(found: list[Found], *, fresh: bool = False) -> list[Any]:
    with closing(told.told_by_each(found, fresh=fresh)) as each:
        return [str(one) if isinstance(one, InputError) else one for one in each]


@pytest.mark.usefixtures("processes")
def test_processes_tell_what_one_tells(folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, seeds=2)
    broken = folder.add("mgca").path.with_suffix(".npz")
    broken.write_bytes(broken.read_bytes() + b"x")
    found = list(select(folder.root))
    without = replace(found[0], record=found[0].record.model_copy(update={"predictions": None}))
    found += [without, replace(found[1], path=None)]
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "one"))
    monkeypatch.setattr(told, "cores", lambda: 1)
    alone = all_told(found)
    assert [type(one) for one in alone].count(Facts) == 4
    (wrong,) = (one for one in alone if isinstance(one, str))
    assert "changed after the record was written" in wrong
    assert alone[-2:] == [None, None]
    monkeypatch.setattr(told, "cores", lambda: 2)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "two"))
    assert all_told(found) == alone
    # What is kept needs no process; asked for anew, it is derived by them again.
    sound = [one for one, said in zip(found, alone, strict=True) if isinstance(said, Facts)]
    facts = [one for one in alone if isinstance(one, Facts)]
    assert all_told(sound, fresh=True) == facts
    monkeypatch.setattr(told, "worker_pool", never)
    assert all_told(sound) == facts


class Killed:
    """A pool whose processes are killed over each task."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        task: Future[Any] = Future()
        task.set_exception(BrokenProcessPool("killed"))
        return task


@pytest.fixture
def unread(folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Found]:
    """Two records of which the cache, ``cache`` in the test's folder, keeps nothing."""
    folder.grid({"random": 0.4, "g2d": 0.6}, seeds=1)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    return select(folder.root)


@pytest.mark.usefixtures("processes")
def test_what_killed_processes_leave_is_derived_here(
    unread: list[Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (told, ahead):
        monkeypatch.setattr(module, "FEW", 1)
        monkeypatch.setattr(module, "cores", lambda: 2)
        monkeypatch.setattr(module, "worker_pool", lambda *_: nullcontext(Killed()))
    assert [type(one) for one in all_told(unread)] == [Facts, Facts]
    assert [type(one) for one in all_told(unread, fresh=True)] == [Facts, Facts]
    lacking = ahead.undrawn(unread)
    assert len(lacking) == 2
    ahead.draw_ahead(lacking)
    assert ahead.undrawn(unread) == lacking


@pytest.mark.usefixtures("processes")
def test_a_folder_is_verified_by_processes(folder: Any, edit: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6})
    edit(folder.add("mgca").path, lambda raw: raw["metrics"].update(dice_positive=0.9))
    several = verify(folder.root)
    assert len(several.problems) == 1
    assert "dice_positive" in several.problems[0]
    with pytest.raises(InputError, match="dice_positive"):
        require_sound(select(folder.root))
    monkeypatch.setattr(told, "cores", lambda: 1)
    monkeypatch.setattr(told, "worker_pool", never)
    assert verify(folder.root) == several


@pytest.mark.usefixtures("processes")
def test_kept_facts_that_were_changed_do_not_pass_a_fresh_look(unread: list[Found], tmp_path: Path) -> None:
    honest = all_told(unread)
    for path in (tmp_path / "cache" / "facts").iterdir():
        path.write_text("{}")
    assert all_told(unread) == honest
    assert all_told(unread, fresh=True) == honest
