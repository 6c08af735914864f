"""Cells on a real Ray cluster of two nodes, one of which dies; and the sender at Ray's public face."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from g2d_bench.cells.executors import EXECUTORS
from g2d_bench.cells.executors import ray as module
from g2d_bench.cells.executors.away import Parcel
from g2d_bench.cells.executors.base import Wishes, WorkerDied
from g2d_bench.cells.executors.needs import Needs
from g2d_bench.cells.sharing import Unit
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell

ROOT = Path(__file__).resolve().parents[3]


class RayError(Exception):
    """As Ray's."""


class RayTaskError(RayError):
    """As Ray's."""

    cause: object = None


class FakeRay:
    """What the executor uses of Ray; tasks are kept, not run."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self, *nodes: dict[str, float]) -> None:
        self.given: dict[str, Any] = {}
        self.options: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {}
        self.cancelled: list[str] = []
        self._nodes = [
            {"NodeID": f"node{n}", "Alive": True, "Resources": node} for n, node in enumerate(nodes)
        ]

    def nodes(self) -> list[dict[str, Any]]:
        return self._nodes

    def put(self, thing: object) -> object:
        return thing

    def remote(self, **given: Any) -> Any:
        self.given = given

        def options(**more: Any) -> Any:
            self.options.append(more)
            return SimpleNamespace(remote=lambda *_: f"task{len(self.options)}")

        return lambda _: SimpleNamespace(options=options)

    def wait(self, out: list[str], **_: Any) -> tuple[list[str], list[str]]:
        ready = [one for one in out if one in self.answers]
        return ready, [one for one in out if one not in ready]

    def get(self, one: str) -> Any:
        if isinstance(self.answers[one], BaseException):
            raise self.answers[one]
        return self.answers[one]

    def cancel(self, one: str, *, force: bool) -> None:
        assert force
        self.cancelled.append(one)


UNIT: Unit = (Cell("rsna-cls", 1.0, "clean", 0, "g2d"),)
NODE = {"CPU": 4.0, "memory": 8.0 * 2**30}


def sender(ray: FakeRay, wishes: Wishes | None = None) -> Any:
    wishes = wishes or Wishes()
    return module._Sender(ray, wishes, 2, "order", Needs([], 1 << 30))  # type: ignore[arg-type]


def test_what_a_unit_asks_of_a_node() -> None:
    ray = FakeRay(NODE, NODE | {"GPU": 2.0})
    sender(ray, Wishes(per_gpu=4)).send([UNIT])
    [asked] = ray.options
    assert (asked["num_cpus"], asked["num_gpus"]) == (1, 0.25)
    assert asked["memory"] == Needs([], 1 << 30).memory(UNIT)
    assert ray.given["max_retries"] == 2
    assert set(ray.given["retry_exceptions"]) == set(module.PASSING)
    ray = FakeRay(NODE)
    sender(ray, Wishes(options={"num_cpus": "0.5", "memory_gb": "100"})).send([UNIT])
    [asked] = ray.options
    assert (asked["num_cpus"], asked["num_gpus"]) == (0.5, 0)
    assert asked["memory"] == NODE["memory"], "no node has more, and Ray would wait for one for ever"


def test_answers_and_losses() -> None:
    ray = FakeRay(NODE)
    brings = sender(ray)
    first, second, third, fourth = brings.send([UNIT] * 4)
    failed = RayTaskError()
    failed.cause = InputError("no such folder")
    ray.answers = {first: Parcel("host", "node0"), second: RayError("the node died\nat noon"), third: failed}
    answers = dict(brings.arrived([first, second, third, fourth]))
    assert answers[first] == Parcel("host", "node0")
    assert isinstance(answers[second], WorkerDied)
    assert str(answers[second]) == "its process or node was lost 3 times (RayError: the node died)"
    assert answers[third] is failed.cause
    brings.close()
    assert ray.cancelled == [fourth]


def test_a_node_that_lacks_something_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    ray = FakeRay(NODE, NODE)
    brings = sender(ray)
    lacks = Parcel("host", "node1", lacks="/data: data root: not there, or not readable")
    assert brings.elsewhere(lacks)
    assert brings.elsewhere(lacks)
    assert capsys.readouterr().err.count("host (node1) is left out: /data: data root: not there") == 1
    brings.send([UNIT])
    assert ray.options[-1]["label_selector"] == {"ray.io/node-id": "!in(node1)"}
    assert not brings.elsewhere(Parcel("host", "node0", lacks="the same"))


@pytest.mark.parametrize("options", [{"num_cpu": "1"}, {"memory_gb": "much"}, {"num_gpus": "-1"}])
def test_wrong_options(options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="--executor-option"):
        EXECUTORS["ray"](Wishes(options=options))


def test_an_address_where_nothing_answers_is_one_line() -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(InputError, match=rf"^--address: no Ray cluster at {address}: .*refused"):
        module._require_answer(address)
    with pytest.raises(InputError, match="no Ray cluster"):
        module._require_answer("ray://127.0.0.1:99999")
    module._require_answer("auto")


SEEDS = 6
BEGUN = re.compile(r"seed (\d+): begun on \S+ (\w{8})")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def family(process: int) -> list[int]:
    """Return a process and all that it has started, directly or not."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


class Cluster:
    """Two nodes of one CPU each, with a home and a token of their own, and caches that they do not share."""

    def __init__(self, folder: Path, version_of_b: str = "") -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.folder = folder
        # A socket's path has about a hundred bytes.
        self.session = Path(tempfile.mkdtemp(prefix="g2d-ray-"))
        self.environment = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
        self.environment |= {
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "0f" * 32,
            "RAY_USAGE_STATS_ENABLED": "0",
            "G2D_BENCH_CACHE": str(folder / "here"),
        }
        port = self.address.rpartition(":")[2]
        self.head = self._node("a", "--head", f"--port={port}", "--include-dashboard=false")
        self._await("a")
        if version_of_b:
            (folder / "sitecustomize.py").write_text(
                f"import g2d_bench; g2d_bench.__version__ = {version_of_b!r}"
            )
            self.environment["PYTHONPATH"] += f":{folder}"
        self.worker = self._node("b", f"--address={self.address}")
        self.environment["PYTHONPATH"] = str(ROOT)
        self._await("b")

    def _node(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        common = ("--num-cpus=1", "--object-store-memory=80000000", "--memory=4000000000", "--block")
        place = [f"--temp-dir={self.session}"] if "--head" in options else []
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [Path(sys.executable).with_name("ray"), "start", *options, *common, *place],
                env=self.environment | {"G2D_BENCH_CACHE": str(self.folder / name)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _await(self, name: str) -> None:
        for _ in range(1200):
            if "Ray runtime started" in (self.folder / f"{name}.log").read_text():
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / f"{name}.log").read_text())

    def begun(self) -> list[tuple[int, str]]:
        """Return the seed and the node of each cell that a process has begun, from Ray's own logs."""
        logs = self.session.glob("session_2*/logs/worker-*.err")
        return [(int(seed), node) for log in logs for seed, node in BEGUN.findall(log.read_text())]

    @staticmethod
    def kill(node: subprocess.Popen[bytes]) -> None:
        """Kill a node with all its processes, as a cut power cord would."""
        if node.poll() is None:
            for number in (signal.SIGSTOP, signal.SIGKILL):
                for one in family(node.pid):
                    os.kill(one, number)
        node.wait(60)

    def end(self) -> None:
        """Kill what is left, and remove what it wrote outside of the folder."""
        for node in (self.worker, self.head):
            self.kill(node)
        shutil.rmtree(self.session)


@pytest.fixture
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    pytest.importorskip("ray")
    if not Path("/proc/self/stat").is_file():
        pytest.skip("a node's processes are found by /proc")
    found = Cluster(tmp_path, getattr(request, "param", ""))
    yield found
    found.end()


@pytest.fixture
def run(cluster: Cluster, tiny_root: Path, quick_protocols: Path) -> list[str]:
    """The command of six units, but for the folder of results and the executor."""
    words = [sys.executable, "-m", "g2d_bench", "run", "--task", "covid-cxr-seg", "--encoder", "random"]
    words += ["--fraction", "1", "--seed", f"0-{SEEDS - 1}", "--protocol", "quick"]
    return [*words, "--data-root", str(tiny_root), "--protocols-dir", str(quick_protocols), "--results"]


def start(command: list[str], cluster: Cluster, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as stream:
        return subprocess.Popen(command, env=cluster.environment, stdout=stream, stderr=subprocess.STDOUT)


def wait_for(what: Callable[[], bool], driver: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(3000):
        if what():
            return
        assert driver.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.mark.slow
def test_a_node_that_dies_costs_one_repetition(cluster: Cluster, run: list[str], tmp_path: Path) -> None:
    local = [*run, str(tmp_path / "local"), "--jobs", "1"]
    alone = subprocess.run(local, env=cluster.environment, check=True, capture_output=True, text=True)
    log = tmp_path / "driver.log"
    far = [*run, str(tmp_path / "ray"), "--executor", "ray", "--address", cluster.address]
    driver = start(far, cluster, log)
    wait_for(lambda: len({node for _, node in cluster.begun()}) == 2, driver, log)
    cluster.kill(cluster.worker)
    assert driver.wait(600) == 0, log.read_text()
    text = log.read_text()
    print(text, *cluster.begun(), sep="\n")
    begun = Counter(seed for seed, _ in cluster.begun())
    assert sorted(begun.values()) == [1] * (SEEDS - 1) + [2], "the lost unit once more, the others once"
    assert "is lost; what it was at is run once more elsewhere" in text
    names = sorted(path.relative_to(tmp_path / "local") for path in (tmp_path / "local").rglob("*.npz"))
    assert len(names) == SEEDS
    for name in names:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()
        assert (tmp_path / "ray" / name).with_suffix(".json").is_file()
    assert not list((tmp_path / "ray").rglob("*.failed.json"))
    again = subprocess.run(far, env=cluster.environment, check=True, capture_output=True, text=True)
    assert f"{SEEDS} of {SEEDS} cells were finished before" in again.stdout
    assert alone.stdout.splitlines()[:5] == again.stdout.splitlines()[:5], "the same table"
    assert not (tmp_path / ".ray").exists(), "no token is written into the home"


@pytest.mark.slow
@pytest.mark.parametrize("cluster", ["0.0"], indirect=True)
def test_a_driver_that_is_killed_goes_on_and_a_wrong_node_is_left_out(
    cluster: Cluster, run: list[str], tmp_path: Path
) -> None:
    log, results = tmp_path / "driver.log", tmp_path / "ray"
    far = [*run, str(results), "--executor", "ray", "--address", cluster.address]
    driver = start(far, cluster, log)
    wait_for(lambda: len(list(results.rglob("*.json"))) >= 2, driver, log)
    driver.kill()
    driver.wait()
    first = log.read_text()
    assert first.count("is left out: has g2d-bench 0.0;") == 1
    finished = len(list(results.rglob("*.json")))
    before = len(cluster.begun())
    driver = start(far, cluster, log)
    assert driver.wait(600) == 0, log.read_text()
    print(first, log.read_text(), *cluster.begun(), sep="\n")
    assert f"{finished} of {SEEDS} cells were finished before" in log.read_text()
    assert len(cluster.begun()) - before == SEEDS - finished
    assert len(list(results.rglob("*.json"))) == SEEDS
    assert len({node for _, node in cluster.begun()}) == 1


@pytest.mark.slow
def test_a_cluster_of_its_own_leaves_nothing_behind(
    tiny_root: Path, quick_protocols: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    command = [sys.executable, "-m", "g2d_bench", "run", "--task", "covid-cxr-seg", "--encoder", "random"]
    command += ["--fraction", "1", "--protocol", "quick", "--protocols-dir", str(quick_protocols)]
    command += ["--data-root", str(tiny_root), "--results", str(tmp_path / "runs")]
    temporary = Path(tempfile.mkdtemp(prefix="g2d-ray-"))
    clean = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
    clean |= {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    done = subprocess.run(
        [*command, "--executor", "ray", "--jobs", "1"], env=clean, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ray: 1 node, 1 CPUs" in done.stderr
    assert len(list((tmp_path / "runs").rglob("*.npz"))) == 1
    assert not list(temporary.glob("g2d-ray-*")), "torch keeps a folder of its own there"
    assert not (tmp_path / ".ray").exists()
    shutil.rmtree(temporary)
