"""Records of strangers: every command answers in a line, and what `verify` passes can be shown by all."""

from __future__ import annotations

import copy
import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forging import packed, replace_predictions, save

from g2d_bench.cells.verify import verify
from g2d_bench.plain import visible
from g2d_bench.records.record import Record, read_predictions, read_record
from g2d_bench.report.formats import FORMATS

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = ROOT / "results" / "phantom"
Cli = Callable[..., Any]
Raw = dict[str, Any]


def answers(cli: Cli, *arguments: object) -> Any:
    """Call a command; whatever is wrong it says in lines, without a traceback and without acting."""
    result = cli(*arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), arguments
    assert result.exit_code in (0, 1, 2)
    for text in (result.stdout, result.stderr):
        assert visible(text.replace("\n", "").replace("\t", "")) == text.replace("\n", "").replace("\t", "")
    return result


def show(cli: Cli, style: str, *, figure: bool) -> list[Any]:
    """Call every command that shows or copies the records in ./runs."""
    shutil.rmtree("small", ignore_errors=True)
    shutil.rmtree("site", ignore_errors=True)
    results = [
        answers(cli, "table", "--format", style),
        answers(cli, "table", "--summary", "--format", style),
        answers(cli, "compare", "--to", "runs"),
        answers(cli, "compact", "runs", "small"),
        answers(cli, "leaderboard", "--out", "site"),
    ]
    return [*results, *([answers(cli, "figure", "curves", "--out", "x.svg")] if figure else [])]


def deep(path: Path) -> None:
    path.write_text('{"schema_version": 1, "notes": ' + "[" * 100_000 + "]" * 100_000 + "}")


def rather_deep(path: Path) -> None:
    raw = json.loads(path.read_text())
    raw["notes"]["x"] = json.loads("[" * 100 + "]" * 100)
    path.write_text(json.dumps(raw))


def a_seed_of_5000_digits(path: Path) -> None:
    path.write_text(path.read_text().replace('"seed": 0', '"seed": ' + "9" * 5000))


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def folder_in_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


def large(path: Path) -> None:
    path.write_bytes(b" " * (5 << 20) + path.read_bytes())


def infinite(path: Path) -> None:
    path.write_text(path.read_text().replace('"fraction": 0.01', '"fraction": Infinity'))


def surrogate(path: Path) -> None:
    path.write_text(path.read_text().replace('"commit": "', '"commit": "\\ud800'))


def not_utf8(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"g2d-bench run", b"g2d-bench \xff"))


def field(where: str, value: Any) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        raw = json.loads(path.read_text())
        *parents, name = where.split("/")
        part = raw
        for parent in parents:
            part = part[parent]
        part[name] = value
        save(path, raw)

    return change


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (deep, "nested deeper than"),
        (rather_deep, "nested deeper than"),
        (a_seed_of_5000_digits, "not a readable JSON record"),
        (fifo, "is no regular file"),
        (device, "is no regular file"),
        (folder_in_place, "is no regular file"),
        (large, "is larger than the 4 MiB"),
        (infinite, "cell.fraction: is no finite number"),
        (surrogate, "commit: holds half of a surrogate pair"),
        (not_utf8, "not a readable JSON record"),
        (field("schema_version", True), "schema_version: is true"),
        (field("schema_version", 1.0), "schema_version: is 1.0"),
        (field("cell/seed", 1 << 70), "cell.seed: is a whole number out of range"),
        (field("cell/seed", True), "cell.seed"),
        (field("cell/seed", "0"), "cell.seed"),
        (field("cell/fraction", 0), "cell.fraction"),
        (field("cell/fraction", 1.5), "cell.fraction"),
        (field("cell/task", "../../x"), "cell.task: must be a name"),
        (field("cell/encoder", ".."), "cell.encoder: must be a name"),
        (field("cell/encoder", ""), "cell.encoder"),
        (field("data/images", {}), "data.images: must count train, val, test"),
        (field("data/images", 1e30), "data.images"),
        (field("data/positive", {}), "data.positive: must count train, val, test"),
        (field("data/images/test", 1e30), "data.images.test"),
        (field("data/positive/val", 41), "data: 41 of 40 val images are positive"),
        (field("metrics", {}), "metrics"),
        (field("metrics/dice_positive", 1e300), "metrics.dice_positive"),
        (field("references", {"all-empty": []}), "references.all-empty"),
        (field("notes", {"n/a": {}}), "notes: n/a must be a text"),
        (field("notes", {"split_defects": 5}), "notes: split_defects must be a list of texts"),
        (field("digest", "x"), "digest"),
        (field("predictions/sha256", "x"), "predictions.sha256"),
        (field("predictions/file", "../../x.npz"), "predictions.file: '../../x.npz' is no .npz file beside"),
        (field("predictions/file", "/etc/passwd"), "predictions.file: '/etc/passwd' is no .npz file beside"),
        (field("predictions/file", ""), "predictions.file: '' is no .npz file beside"),
        (field("predictions/file", "."), "predictions.file: '.' is no .npz file beside"),
        (field("kind", "guessing"), "kind: 'guessing' is no kind of task"),
        (field("signature", "x"), "signature: 'x' is none of this suite"),
    ],
)
def test_one_line_and_the_rest_goes_on(
    folder: Any, cli: Cli, harm: Callable[[Path], None], said: str
) -> None:
    path = folder.add("g2d").path
    folder.add("mgca")
    harm(path)
    checked = verify(folder.root)
    assert checked.records == 2
    (problem,) = checked.problems
    assert problem.startswith(f"{path}: ")
    assert said in problem
    result = answers(cli, "verify", folder.root)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (1, problem)
    for shown in show(cli, "text", figure=False):
        if shown.exit_code:
            assert len(shown.stderr.splitlines()) == 1
            assert path.stem in shown.stderr or "--allow-mixed" in shown.stderr


"""320 MiB of zeros in 320 kB."""


def test_a_fifo_beside_a_record_is_not_waited_for(folder: Any) -> None:
    path = folder.add("g2d").path.with_suffix(".npz")
    path.unlink()
    os.mkfifo(path)
    (problem,) = verify(folder.root).problems
    assert problem.endswith(f"{path.name}: is no regular file")


ESCAPES = "a\x1b[31mred\x1b]0;title\x07\x9b2J\u202eevil\u2066\r\nall as recorded\u2028\x7f"


def test_escape_sequences_are_shown_and_not_obeyed(folder: Any, cli: Cli, tmp_path: Path) -> None:
    name = ESCAPES
    folder.grid({"random": 0.4, name: 0.6}, seeds=1)
    found = folder.add("mgca", notes={"n/a": f"no {ESCAPES}"}, commit=ESCAPES, command=ESCAPES)
    record = found.record.model_copy(
        update={"metrics": dict.fromkeys(found.record.metrics), "references": {}, "predictions": None}
    )
    folder.store.save(found.path, record, {})
    leaky = folder.add("gloria").path
    field("data/leaks", ESCAPES)(leaky)
    field("command", f"g2d-bench run --allow-leaks {shlex.quote(ESCAPES)}")(leaky)
    for style in FORMATS:
        result = answers(cli, "table", "--format", style)
        assert result.exit_code == 0
        assert "[31m" in result.stdout
        if style == "json":
            names = {row["name"] for row in json.loads(result.stdout)[0]["rows"]}
            assert name in names
        answers(cli, "table", "--format", style, "--out", "table.txt")
        written = (tmp_path / "table.txt").read_text().replace("\n", "")
        assert visible(written) == written
    for shown in show(cli, "text", figure=True):
        assert shown.exit_code == 0
    page = (tmp_path / "site" / "index.html").read_text()
    assert r"\x1b[31m" in page
    for text in (
        page,
        (tmp_path / "site" / "leaderboard.json").read_text(),
        (tmp_path / "x.svg").read_text(),
    ):
        bare = text.replace("\n", "").replace("\t", "")
        assert visible(bare) == bare
    # In what is refused, too.
    field("metrics/dice_positive", 0.9)(leaky)
    assert answers(cli, "verify").stdout.count("\n") == 2
    assert answers(cli, "table", "--encoder", "\x1b[31mnobody").exit_code == 2
    for style in ("text", "github", "junit"):
        answers(cli, "compare", "--to", folder.root, "--format", style)


EXTREMES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 1 << 40, 1 << 52, 10**30, 0.0, -0.5, 1e-12, 0.3333, 1e29, 1e308),
    *("", "x", "0", "../x", "/etc/x", "a|b", "x" * 190, "\x1b[2J", "\u202ex", "\ud800", "n/a", "{}", "\x00"),
    *([], {}, [[]], [None], {"": 0}, {"a": {"b": []}}, ["text"], [0] * 50),
)


def places(thing: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List all places in a JSON value."""
    below = thing.items() if isinstance(thing, dict) else enumerate(thing) if isinstance(thing, list) else ()
    return [at, *(place for key, value in below for place in places(value, (*at, key)))]


def mutated(rng: np.random.Generator, raw: Raw) -> Raw:
    """Delete, replace, copy or rename something in a record, once or several times."""
    raw = copy.deepcopy(raw)
    for _ in range(rng.integers(1, 4)):
        spots = [place for place in places(raw) if place]
        *parents, name = spots[rng.integers(len(spots))]
        part: Any = raw
        for parent in parents:
            part = part[parent]
        action = rng.integers(4)
        if action == 0:
            del part[name]
        elif action == 1 and isinstance(part, dict):
            part[f"{name}{EXTREMES[rng.integers(17, 30)]}"] = part.pop(name)
        elif action == 2:
            other: Any = raw
            for key in spots[rng.integers(len(spots))]:
                try:
                    other = other[key]
                except (KeyError, IndexError, TypeError):
                    break
            part[name] = copy.deepcopy(other)
        else:
            part[name] = EXTREMES[rng.integers(len(EXTREMES))]
    return raw


def mutated_arrays(rng: np.random.Generator, arrays: dict[str, Any]) -> dict[str, Any]:
    """Change values, types, lengths or names of stored arrays."""
    arrays = dict(arrays)
    for _ in range(rng.integers(1, 3)):
        name = sorted(arrays)[rng.integers(len(arrays))]
        array = arrays[name]
        action = rng.integers(7)
        if action == 0:
            del arrays[name]
        elif action == 1:
            arrays[name] = rng.permutation(array)
        elif action == 2:
            arrays[name] = array[: rng.integers(len(array) + 1)]
        elif action == 3:
            arrays[name] = np.concatenate([array, array[:1]])
        elif action == 4 and array.dtype.kind in "iuf":
            array = array.astype(np.float64)
            array.flat[rng.integers(array.size or 1) if array.size else slice(0)] = rng.choice(
                [np.nan, np.inf, -1.0, 1e300, 2**40, 0.5]
            )
            arrays[name] = array
        elif action == 5:
            arrays[name] = (
                array.astype(rng.choice(["f8", "f2", "i8", "u1", "U3"]))
                if array.dtype.kind in "iuf"
                else np.zeros(len(array))
            )
        else:
            arrays[name] = array[..., None]
        if not arrays:
            break
    return arrays


def fuzz(cli: Cli, path: Path, others: list[Path], rng: np.random.Generator, *, figure: bool) -> bool:
    """Mutate one record and call every command; returns whether `verify` passed it."""
    before = {one: one.read_bytes() for one in (path, path.with_suffix(".npz"))}
    raw = json.loads(before[path])
    try:
        if rng.random() < 0.3:
            arrays = mutated_arrays(rng, read_predictions(path, read_record(path)))
            replace_predictions(path, packed(**arrays))
        else:
            save(path, mutated(rng, raw))
        passed = bool(answers(cli, "verify").exit_code == 0)
        for shown in show(cli, FORMATS.names[rng.integers(len(FORMATS.names))], figure=figure and passed):
            assert not passed or shown.exit_code == 0, (shown.stderr, path.read_text())
        return passed
    finally:
        for one, data in before.items():
            one.write_bytes(data)


def kinds() -> list[str]:
    """One committed task of each kind, small ones."""
    return ["siim-seg", "rsna-det", "rsna-cls", "siim-zeroshot", "siim-ground", "covid-cxr-phrase"]


@pytest.fixture
def committed(tmp_path: Path) -> Callable[[str], list[Path]]:
    """Copies of two committed records of a task, in ./runs."""

    def take(task: str) -> list[Path]:
        if not COMMITTED.is_dir():
            pytest.skip("no reference records here; `make reference` makes them")
        taken = []
        for encoder in ("convirt", "g2d"):
            path = min(COMMITTED.glob(f"{encoder}/{task}@*/clean/*-s0-*.json"))
            target = tmp_path / "runs" / "phantom" / path.relative_to(COMMITTED)
            target.parent.mkdir(parents=True)
            for suffix in (".json", ".npz"):
                shutil.copy(path.with_suffix(suffix), target.with_suffix(suffix))
            taken.append(target)
        return taken

    return take


@pytest.mark.parametrize("task", kinds())
def test_what_verify_passes_all_commands_show(
    task: str, committed: Callable[[str], list[Path]], cli: Cli
) -> None:
    path, *others = committed(task)
    rng = np.random.default_rng(len(task))
    passed = [fuzz(cli, path, others, rng, figure=False) for _ in range(8)]
    assert not all(passed), "some mutation has to be noticed"


@pytest.mark.slow
@pytest.mark.parametrize("task", kinds())
@pytest.mark.parametrize("seed", range(5))
def test_what_verify_passes_all_commands_show_at_length(
    task: str, seed: int, committed: Callable[[str], list[Path]], cli: Cli
) -> None:
    path, *others = committed(task)
    rng = np.random.default_rng([seed, len(task)])
    passed = [fuzz(cli, path, others, rng, figure=True) for _ in range(100)]
    assert any(passed)
    assert not all(passed)


def test_free_fields_pass_and_are_shown(folder: Any, cli: Cli) -> None:
    """What proves nothing may say anything, and is shown as it is."""
    path = folder.add("g2d").path
    folder.add("mgca")
    for where, value in (
        ("commit", ESCAPES),
        ("created", ""),
        ("command", "x" * 100_000),
        ("versions", {}),
        ("hardware", {"": (1 << 62), ESCAPES: "\x00"}),
        ("seconds", {"x": 1e29, "y": -1e29}),
        ("peak_memory_mb", 1 << 52),
        ("data/leaks", "$x$ <b>\\end{table}" + ESCAPES),
        ("notes", {"x": [[[{}]]], "": None, "left_out_of_predictions": [ESCAPES]}),
    ):
        field(where, value)(path)
    assert isinstance(read_record(path), Record)
    assert verify(folder.root).problems == ()
    for style in FORMATS:
        for shown in show(cli, style, figure=style == "text"):
            assert shown.exit_code == 0, shown.stderr
