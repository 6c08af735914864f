"""Pools of workers end when they should."""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from g2d_bench import processes
from g2d_bench.errors import InputError
from g2d_bench.processes import (
    DEVICE,
    accelerator_forbidden,
    cores,
    deaf_to_interrupts,
    free_memory,
    give_back_memory,
    one_thread_each,
    patient_interrupts,
    worker_pool,
)


def square(number: int) -> int:
    return number * number


def sleep(folder: str, seconds: float) -> None:
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(seconds)


def note(folder: str) -> None:
    (Path(folder) / "started").touch()


def gone(pid: int, within: float = 20.0) -> bool:
    """Say whether a process ends soon (a zombie has)."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def waiting_for(folder: Path, count: int) -> list[int]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = [int(path.name) for path in folder.iterdir() if path.name.isdigit()]
        if len(found) == count:
            return found
        time.sleep(0.05)
    raise AssertionError("workers did not start")


def test_work_is_done(tmp_path: Path) -> None:
    assert cores() >= 1
    with worker_pool(2, note, (str(tmp_path),)) as pool:
        assert [task.result() for task in [pool.submit(square, n) for n in range(5)]] == [0, 1, 4, 9, 16]
    assert (tmp_path / "started").exists()


def test_an_exception_ends_the_workers_at_once(tmp_path: Path) -> None:
    workers: list[int] = []

    def work() -> None:
        with worker_pool(2) as pool:
            for _ in range(4):
                pool.submit(sleep, str(tmp_path), 600)
            workers.extend(waiting_for(tmp_path, 2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert all(gone(pid) for pid in workers)


def test_ctrl_c_in_a_terminal_is_for_the_parent(tmp_path: Path) -> None:
    with worker_pool(1) as pool:
        with deaf_to_interrupts():
            task = pool.submit(sleep, str(tmp_path), 1)
        [worker] = waiting_for(tmp_path, 1)
        os.kill(worker, signal.SIGINT)
        assert task.result() is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_processes import sleep\n"
        "from g2d_bench.processes import worker_pool\n"
        "if __name__ == '__main__':\n"
        "    with worker_pool(1) as pool:\n"
        "        pool.submit(sleep, sys.argv[2], 600).result()\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    marks = tmp_path / "marks"
    marks.mkdir()
    parent = subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parent), str(marks)], stderr=subprocess.DEVNULL
    )
    [worker] = waiting_for(marks, 1)
    parent.kill()
    parent.wait()
    assert gone(worker)


UNGUARDED = """
from g2d_bench.processes import deaf_to_interrupts, worker_pool

print("once")
with worker_pool(2) as pool:
    with deaf_to_interrupts():
        found = [pool.submit(abs, number) for number in (-1, -2)]
    print([one.result() for one in found])
"""


@pytest.mark.parametrize("how", ["-c", "file", "module"])
def test_workers_do_not_run_the_users_script_again(how: str, tmp_path: Path) -> None:
    (tmp_path / "unguarded.py").write_text(UNGUARDED)
    arguments = {"-c": ["-c", UNGUARDED], "file": ["unguarded.py"], "module": ["-m", "unguarded"]}[how]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n[1, 2]\n", "")
    assert sys.modules["__main__"].__name__ == "__main__"


LEAVING = """
import atexit
from concurrent.futures import wait
from multiprocessing.util import Finalize
from g2d_bench.processes import deaf_to_interrupts, worker_pool

with worker_pool(1) as pool:
    with deaf_to_interrupts():
        tasks = [
            pool.submit(Finalize, None, print, args=("put away",), exitpriority=0),
            pool.submit(print, "said", end=""),
            pool.submit(atexit.register, print, "taken apart"),
        ]
    wait(tasks)
print("on")
"""


def test_a_process_puts_away_what_it_has_and_is_not_taken_apart() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "saidput away\non\n", "")


def threads_of_numpy() -> list[int]:
    import numpy as np

    np.ones((2, 2)) @ np.ones((2, 2))
    libraries = importlib.import_module("threadpoolctl").threadpool_info()
    return [library["num_threads"] for library in libraries if library["user_api"] == "blas"]


def test_processes_of_one_thread_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    with worker_pool(1, one_thread_each) as pool:
        with deaf_to_interrupts():
            task = pool.submit(threads_of_numpy)
        assert set(task.result()) <= {1}
    assert os.environ["OPENBLAS_NUM_THREADS"] == "2"


SCATTERED = """
import ctypes
import os
from g2d_bench.processes import give_back_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

kept = [(bytearray(100_000), bytearray(2_000)) for _ in range(1_000)]
full = resident()
kept = [small for _, small in kept]
freed = resident()
give_back_memory()
print(full, freed, resident())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc")
def test_memory_is_given_back_from_between_what_is_in_use() -> None:
    done = subprocess.run([sys.executable, "-c", SCATTERED], capture_output=True, text=True, check=True)
    full, freed, left = map(int, done.stdout.split())
    # The C library keeps what lies between the small ones.
    assert freed > full - 20
    assert left < full - 80


def test_a_system_that_cannot_give_memory_back_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    give_back_memory()


def test_free_memory_is_that_of_the_narrowest_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, limit, use = (tmp_path / name for name in ("meminfo", "max", "current"))
    monkeypatch.setattr(processes, "_MEMINFO", machine)
    monkeypatch.setattr(processes, "_CGROUPS", ((limit, use),))
    assert free_memory() is None
    machine.write_bytes(b"MemTotal:  9000 kB\nMemAvailable:   8000 kB\nOdd\xff: 1 kB\n")
    assert free_memory() == 8000 * 1024
    limit.write_text("max\n")
    use.write_text("5\n")
    assert free_memory() == 8000 * 1024
    limit.write_text("1000000\n")
    assert free_memory() == 999_995
    use.write_text("2000000\n")
    assert free_memory() == 0


def test_the_first_ctrl_c_is_noted_and_the_second_acts(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with patient_interrupts() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert capfd.readouterr().err.count("Ctrl-C again stops at once") == 1


def test_whoever_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with patient_interrupts() as interrupted:
            signal.raise_signal(signal.SIGINT)
            assert not interrupted()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("word", ["gpu7", "cuda:1", "cpu,cuda", "0"])
def test_a_device_that_is_none_is_refused(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DEVICE, word)
    with pytest.raises(InputError, match=rf"^{DEVICE}: '{word}' is neither cpu nor cuda"):
        accelerator_forbidden()
