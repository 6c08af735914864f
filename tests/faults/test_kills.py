"""Commands that are killed at a random moment and asked for again: nothing lost, nothing torn, nothing left.

After the repeat the whole folder (cache, data, results, page, run of a training) must hold the files of a run
that nobody killed, no more and no fewer, and the same bytes in them. Times in records and the like are left
out.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from g2d_bench.kept import read_kept

Tally = Callable[..., None]
Run = Callable[..., dict[str, Any]]

VOLATILE = ("created", "seconds", "peak_memory_mb", "digest", "versions", "hardware", "commit")
"""Fields of records that say how, not what."""


@dataclass(frozen=True)
class Phase:
    """A command that is killed.

    Attributes:
        command: its arguments; ``@`` is the folder of the trial.
        before: commands that make what it starts from.
        kills: how often it is killed in the whole campaign.
        once: folder that it makes, and refuses to make again.
    """

    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    kills: int = 12
    once: str = ""


def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


DATA = words("data phantom rsna --count 40 --size 64 --out @/root --workers 1")
FROZEN = (
    "run --data-root @/root --task rsna-cls,rsna-zeroshot,rsna-ground --encoder random,convirt --seed 0,1 "
)
FROZEN += "--fraction 100% --results @/results"
RUN = words(f"{FROZEN} --jobs 1")
GRID = "--task covid-cxr-seg --encoder random --fraction 100% --protocol quick"
SEGMENT = words(
    f"run --data-root @/tiny --protocols-dir @/protocols {GRID} --seed 0,1,2 --results @/results --jobs 1"
)
OWN = words("data phantom folder --count 40 --size 64 --out @/own")
IMPORT = words("data import @/own/folder/films --csv @/own/folder/films.csv --name ours --out @/ours-bench")
PHASES = {
    "generation": Phase(words("data phantom rsna siim covidx --count 12 --size 64 --out @/root --workers 1")),
    "generation, two processes": Phase(
        words("data phantom rsna siim --count 12 --size 64 --out @/root --workers 2"), kills=3
    ),
    "manifest, pixels, features, frozen cells": Phase(RUN, (DATA,), kills=20),
    "masks, trained cells": Phase(SEGMENT, kills=14),
    "frozen cells, two jobs": Phase(words(f"{FROZEN} --jobs 2"), (DATA,), kills=3),
    "table": Phase(words("table --results @/results"), (DATA, RUN), kills=10),
    "leaderboard": Phase(words("leaderboard --results @/results --out @/site"), (DATA, RUN), kills=10),
    "leaderboard over an old one": Phase(
        words("leaderboard --results @/results --out @/site --title Anew"),
        (DATA, RUN, words("leaderboard --results @/results --out @/site")),
        kills=6,
    ),
    "export-images": Phase(
        words("export-images rsna-zeroshot --data-root @/root --out @/films"), (DATA,), kills=6, once="films"
    ),
    "data import": Phase(IMPORT, (OWN,), kills=6),
    "data import over an old one": Phase((*IMPORT, "--label", "Effusion"), (OWN, IMPORT), kills=6),
    "submit": Phase(
        words("submit @/results --encoder convirt --partial trial --data-root @/root --out @/bundle"),
        (DATA, RUN),
        kills=6,
        once="bundle",
    ),
    "compact": Phase(words("compact @/results @/small"), (DATA, RUN), kills=6),
    "compare --run": Phase(
        words(
            f"compare --to @/results --results @/again --run --data-root @/tiny "
            f"--protocols-dir @/protocols {GRID} --seed 0,1 --jobs 1"
        ),
        (SEGMENT,),
        kills=8,
    ),
    "pretrain": Phase(
        words(
            "pretrain --encoder convirt --data @/pairs --out @/pretrained --set steps=8 --set batch=4 "
            "--save-every 2 --device cpu"
        ),
        kills=14,
    ),
}
"""Over a hundred kills in all."""


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The process that runs commands; see forker.py."""
    folder = tmp_path_factory.mktemp("forker")
    with (folder / "stderr").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    assert process.stdout is not None
    ready = process.stdout.readline()
    assert ready, (folder / "stderr").read_text()
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def run(forker: Any, tmp_path: Path) -> Run:
    """Run a command in a trial's folder and return how it ended and what it said."""

    def call(command: tuple[str, ...], place: Path, **more: Any) -> dict[str, Any]:
        order = {
            "args": [word.replace("@", str(place)) for word in command],
            "cwd": str(place),
            "env": {
                "G2D_BENCH_CACHE": str(place / "cache"),
                "G2D_BENCH_RESULTS": None,
                "G2D_BENCH_DATA": None,
            },
            "out": str(tmp_path / "stdout"),
            "err": str(tmp_path / "stderr"),
            **more,
        }
        forker.stdin.write(json.dumps(order) + "\n")
        forker.stdin.flush()
        ended: dict[str, Any] = json.loads(forker.stdout.readline())
        said = {name: (tmp_path / name).read_text(errors="replace") for name in ("stdout", "stderr")}
        return ended | said

    return call


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, tiny_root: Path, quick_protocols: Path) -> Path:
    """What trials start from: films, protocols, and films with reports."""
    folder = tmp_path_factory.mktemp("base")
    shutil.copytree(tiny_root, folder / "tiny")
    shutil.copytree(quick_protocols, folder / "protocols")
    (folder / "pairs").mkdir()
    noise = np.random.default_rng(0)
    for number in range(24):
        film = noise.integers(0, 256, (64, 64), dtype=np.uint8)
        Image.fromarray(film).save(folder / "pairs" / f"f{number}.png")
        (folder / "pairs" / f"f{number}.txt").write_text(
            f"FINDINGS: Opacity number {number} in the left lung. The heart is normal.\n"
        )
    return folder


def content(folder: Path) -> dict[str, str]:
    """Return each file's place to a digest of what must not depend on how it came about."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        name, data = path.relative_to(folder).as_posix(), path.read_bytes()
        if path.suffix == ".json" and b'"schema_version"' in data:
            record = {key: value for key, value in json.loads(data).items() if key not in VOLATILE}
            record.get("notes", {}).pop("images_per_second", None)
            record.get("notes", {}).pop("cells_together", None)
            data = json.dumps(record, sort_keys=True).encode()
        if path.parent.name == "manifests" and path.suffix == ".gz":  # keyed by the files' times
            manifest = json.loads(gzip.decompress(read_kept(path) or b""))
            del manifest["fingerprint"]
            data = json.dumps(manifest, sort_keys=True).encode()
        if name.startswith("cache/manifests/folder-"):  # keyed by the path of an import's draft
            continue
        if path.parent.name == "submissions":
            data = json.dumps({**json.loads(data), "made": ""}).encode()
        if path.name == "leaderboard.json":
            assert json.loads(data)
        if path.suffix == ".safetensors":  # what it says of itself holds times, too; the tensors do not
            data = data[8 + int.from_bytes(data[:8], "little") :]
        if path.suffix in (".jsonl", ".html", ".pt") or path.name in ("leaderboard.json", "result.json"):
            data = b""  # they hold times
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def torn(place: Path) -> list[str]:
    """Return the records that cannot be read, or whose predictions are not whole."""
    found = []
    for folder in ("results", "small", "again"):
        for path in sorted((place / folder).rglob("[!.]*.json")):
            try:
                record = json.loads(path.read_bytes())
                kept = record.get("predictions")
                if kept:
                    data = path.with_name(kept["file"]).read_bytes()
                    assert hashlib.sha256(data).hexdigest() == kept["sha256"]
            except (OSError, ValueError, AssertionError) as error:
                found.append(f"{path}: {error}")
    return found


def half(place: Path, start: Path, wanted: dict[str, str]) -> list[str]:
    """Say what is wrong with a leaderboard right after a kill: it must be that of before, or the new one."""
    site = place / "site"
    if not site.exists():
        return [] if not (start / "site").exists() else ["the earlier leaderboard is gone"]
    there, before = (
        {path for path in content(folder) if path.startswith("site/")} for folder in (place, start)
    )
    after = {path for path in wanted if path.startswith("site/")}
    if there not in ([before, after] if before else [after]):
        return ["files of half a leaderboard"]
    anew = {"Anew" in page.read_text() for page in sorted(site.rglob("*.html"))}
    return ["pages of two leaderboards"] if before and len(anew) != 1 else []


def survives(name: str, kills: int, seed: int, base: Path, run: Run, tmp_path: Path, tally: Tally) -> None:
    phase, chance = PHASES[name], random.Random(f"{name} {seed}")
    place, start = tmp_path / "place", tmp_path / "start"
    shutil.copytree(base, place)
    for command in phase.before:
        made = run(command, place)
        assert made["code"] == 0, made
    if name == "table":  # the run drew nothing yet; whatever it kept goes
        shutil.rmtree(place / "cache" / "draws", ignore_errors=True)
    place.rename(start)
    shutil.copytree(start, place)
    whole = run(phase.command, place)
    assert whole["code"] == 0, whole
    wanted = content(place)
    faults: list[str] = []
    for number in range(kills):
        shutil.rmtree(place)
        shutil.copytree(start, place)
        moment = chance.uniform(0.02, 1.0) * whole["seconds"]
        killed = run(phase.command, place, kill=moment)
        where = f"{name}, kill {number} after {moment:.2f} of {whole['seconds']:.2f} s"
        broken = torn(place) + half(place, start, wanted)
        done = phase.once and (place / phase.once).exists()
        again = killed | {"code": 0} if done else run(phase.command, place, limit=60 + 20 * whole["seconds"])
        found = content(place)
        lost = sorted(set(wanted) - set(found)) + [one for one in wanted if found.get(one, "") != wanted[one]]
        left = sorted(set(found) - set(wanted))
        spoke = [run["stderr"] for run in (killed, again) if "Traceback" in run["stderr"]]
        tally(
            f"SIGKILL: {name}",
            torn=len(broken),
            lost=len(lost) if again["code"] == 0 else 1,
            left=len(left),
            tracebacks=len(spoke),
            hangs=int(again["code"] is None),
        )
        if broken or lost or left or spoke or again["code"] != 0:
            faults.append(f"{where}: {broken=} {lost=} {left=} {again}")
    assert not faults, "\n".join(faults)


@pytest.mark.campaign
@pytest.mark.parametrize("name", PHASES)
def test_kills_at_random_moments(name: str, base: Path, run: Run, tmp_path: Path, tally: Tally) -> None:
    survives(name, PHASES[name].kills, 0, base, run, tmp_path, tally)


@pytest.mark.parametrize(
    "name",
    [
        "manifest, pixels, features, frozen cells",
        "generation",
        "leaderboard over an old one",
        "export-images",
    ],
)
def test_a_kill(name: str, base: Path, run: Run, tmp_path: Path, tally: Tally) -> None:
    survives(name, 2, 1, base, run, tmp_path, tally)


@pytest.mark.campaign
@pytest.mark.parametrize("count", [6])
@pytest.mark.parametrize(
    "numbers", [(signal.SIGTERM,), (signal.SIGINT,), (signal.SIGINT, signal.SIGINT), (signal.SIGHUP,)]
)
def test_signals(
    numbers: tuple[int, ...], count: int, base: Path, run: Run, tmp_path: Path, tally: Tally
) -> None:
    """A run that is asked to end ends at once, whatever it is at, and another takes up its work."""
    chance, place = random.Random(f"{numbers} {count}"), tmp_path / "place"
    shutil.copytree(base, place)
    whole = run(SEGMENT, place)
    assert whole["code"] == 0, whole
    wanted = content(place)
    for _ in range(count):
        shutil.rmtree(place)
        shutil.copytree(base, place)
        moment = chance.uniform(0.1, 0.9) * whole["seconds"]
        ended = run(SEGMENT, place, signals=[(moment + 0.05 * n, number) for n, number in enumerate(numbers)])
        again = run(SEGMENT, place, limit=60 + 20 * whole["seconds"])
        spoke = "Traceback" in ended["stderr"] + again["stderr"]
        hangs = ended["code"] is None or ended["seconds"] > moment + 20 or again["code"] is None
        lost = again["code"] != 0 or content(place) != wanted
        name = " and ".join(signal.Signals(number).name for number in numbers)
        tally(name, torn=len(torn(place)), lost=int(lost), tracebacks=int(spoke), hangs=int(hangs))
        faults = [spoke, hangs, lost]
        assert not any(faults), (ended, again)


@pytest.mark.campaign
@pytest.mark.parametrize("count", [6])
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_in_pretrain(
    times: int, count: int, base: Path, run: Run, tmp_path: Path, tally: Tally
) -> None:
    """Once or twice, beside checkpoints or before the first: the same command ends with the same weights."""
    command, chance = PHASES["pretrain"].command, random.Random(f"{times} {count}")
    place = tmp_path / "place"
    shutil.copytree(base, place)
    whole = run(command, place)
    assert whole["code"] == 0, whole
    wanted = content(place)
    for _ in range(count):
        shutil.rmtree(place)
        shutil.copytree(base, place)
        moment = chance.uniform(0.2, 0.95) * whole["seconds"]
        signals = [(moment + 0.02 * n, int(signal.SIGINT)) for n in range(times)]
        ended = run(command, place, signals=signals)
        again = run(command, place, limit=60 + 20 * whole["seconds"])
        spoke = "Traceback" in ended["stderr"] + again["stderr"]
        hangs = ended["code"] is None or again["code"] is None
        lost = again["code"] != 0 or content(place) != wanted
        tally(f"SIGINT, {times} in pretrain", lost=int(lost), tracebacks=int(spoke), hangs=int(hangs))
        assert ended["code"] in (0, 130), ended
        assert not spoke, (ended, again)
        assert not hangs, (ended, again)
        assert not lost, (ended, again)


@pytest.mark.campaign
def test_a_clock_set_back(base: Path, run: Run, tmp_path: Path, tally: Tally) -> None:
    """Files from the future and from 1970, as after a wrong clock: nothing is made again, nothing waits."""
    place = tmp_path / "place"
    shutil.copytree(base, place)
    assert run(SEGMENT, place)["code"] == 0
    wanted = content(place)
    for moment in (4e9, 0.0):
        for path in place.rglob("*"):
            os.utime(path, (moment, moment))
        again = run(SEGMENT, place, limit=120)
        tally("clock set back", lost=int(content(place) != wanted), hangs=int(again["code"] is None))
        assert again["code"] == 0, again
        assert content(place) == wanted


@pytest.mark.campaign
def test_a_worker_that_is_killed(start: Any, grid: Any, tmp_path: Path, tally: Tally) -> None:
    """With two jobs, one of them shot: the run ends, says so, and another finishes it."""
    arguments = grid("0-5", "--jobs", "2")
    process = start(*arguments, cache=tmp_path / "c", results=tmp_path / "r")
    deadline, shot = time.monotonic() + 120, False
    while not shot and time.monotonic() < deadline and process.poll() is None:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                time.sleep(4)
                os.kill(int(child), signal.SIGKILL)
                shot = True
                break
        time.sleep(0.1)
    assert shot
    _, said = process.communicate(timeout=300)
    tally("worker killed", tracebacks=int("Traceback" in said))
    assert "Traceback" not in said, said
    again = start(*arguments, cache=tmp_path / "c", results=tmp_path / "r")
    _, said = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert len(list((tmp_path / "r").rglob("*.json"))) == 6


@pytest.mark.parametrize("command", [("list", "labels"), ("list", "tasks"), ("show", "rsna-cls")])
def test_a_reader_that_goes_away(command: tuple[str, ...], start: Any, tmp_path: Path, tally: Tally) -> None:
    """As with ``| head -1``."""
    process = start(*command, cache=tmp_path / "c", results=tmp_path / "r")
    process.stdout.close()
    process.stdout = None
    _, said = process.communicate(timeout=120)
    tally("| head -1", tracebacks=int("Traceback" in said or "Exception" in said))
    assert "Traceback" not in said
    assert "Exception" not in said
