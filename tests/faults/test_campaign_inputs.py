"""Cards, settings and records from strangers, by the hundred: one line and exit code 2, in seconds."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.readers.reports import clean, sentences

Tally = Callable[..., None]
Cli = Callable[..., Any]

ROOT = Path(__file__).resolve().parents[2]
CARDS = {
    "--tasks-dir": ROOT / "tasks" / "rsna-cls.toml",
    "--encoders-dir": ROOT / "baselines" / "random.toml",
    "--protocols-dir": ROOT / "tasks" / "protocols" / "clean.toml",
}
VALUES = (
    *("-1", "0", "1e999", "nan", "-inf", "10" * 400, "true", '""', '"\\u0000"', '"\\u001b[31m"', "[]", "{}"),
    *(
        '[[[["a"]]]]',
        "[" * 60 + "1" + "]" * 60,
        "[" * 5000 + "]" * 5000,
        '"' + "a" * 100_000 + '"',
        '"../../x"',
    ),
    *(
        "2020-01-01",
        '["a", 1]',
        "{a = {b = {c = 1}}}",
        '"' + "a-" * 20_000 + '!"',
        "'\ud7ff'",
        "0x" + "f" * 300,
    ),
)
SECONDS = 20.0


def spoilt(text: str, chance: random.Random) -> str:
    """Give one key another value, drop it, double it, or cut the card."""
    lines = text.splitlines()
    keys = [number for number, line in enumerate(lines) if re.match(r"[a-z_]+ *=", line)]
    at = chance.choice(keys)
    way = chance.randrange(8)
    if way == 0:
        return "\n".join(lines[:at] + lines[at + 1 :])
    if way == 1:
        return "\n".join([*lines, lines[at]])
    if way == 2:
        return text[: chance.randrange(len(text))]
    lines[at] = lines[at].split("=")[0] + "= " + chance.choice(VALUES)
    return "\n".join(lines)


def tried(cli: Cli, tally: Tally, test: str, *arguments: object) -> None:
    """Call a command that may succeed or refuse, but nothing else."""
    start = time.monotonic()
    ended = cli(*arguments)
    raised = not (ended.exception is None or isinstance(ended.exception, SystemExit))
    slow = time.monotonic() - start > SECONDS
    tally(test, tracebacks=int(raised), hangs=int(slow))
    assert not raised, (arguments, ended.exception)
    assert not slow, arguments
    assert ended.exit_code in (0, 1, 2), arguments
    assert "\x1b" not in ended.output, arguments
    if ended.exit_code == 2:
        assert ended.output.strip(), arguments


@pytest.mark.parametrize("count", [10, pytest.param(150, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("option", CARDS)
def test_cards(option: str, count: int, cli: Cli, tally: Tally, tmp_path: Path) -> None:
    chance, folder = random.Random(f"{option} {count}"), tmp_path / "cards"
    folder.mkdir()
    for _ in range(count):
        card = folder / "mine.toml"
        card.write_text(spoilt(CARDS[option].read_text(), chance), errors="surrogatepass")
        what = {"--tasks-dir": "tasks", "--encoders-dir": "encoders", "--protocols-dir": "protocols"}[option]
        tried(cli, tally, f"hostile cards: {what}", "list", what, option, folder)
        tried(cli, tally, f"hostile cards: {what}", "show", "mine", option, folder)


@pytest.mark.parametrize(
    "name", ["a" * 250, "-", "..", "a b", "\x1b[31m", "é", "=1+1", "CON", "a" * 60 + "!" * 60]
)
def test_names_of_cards(name: str, cli: Cli, tally: Tally, tmp_path: Path) -> None:
    for option, card in CARDS.items():
        folder = tmp_path / option.strip("-")
        folder.mkdir()
        (folder / f"{name}.toml").write_text(card.read_text())
        tried(cli, tally, "names of cards", "list", "tasks", option, folder)


@pytest.mark.parametrize("count", [20, pytest.param(400, marks=pytest.mark.campaign)])
def test_configuration(
    count: int, cli: Cli, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, path = random.Random(count), tmp_path / "config.toml"
    monkeypatch.setenv("G2D_BENCH_CONFIG", str(path))
    for _ in range(count):
        key = chance.choice(
            ["data_root", "results", "cache", "tasks_dir", "weights", "checkpoint", "x", "device"]
        )
        path.write_text(f"{key} = {chance.choice(VALUES)}\n", errors="surrogatepass")
        tried(cli, tally, "hostile configuration", "list", "protocols")


def changed(thing: Any, chance: random.Random) -> Any:
    """Change something at a random depth of a JSON value."""
    if isinstance(thing, dict) and thing and chance.random() < 0.85:
        key = chance.choice(list(thing))
        if chance.random() < 0.1:
            return {name: value for name, value in thing.items() if name != key}
        return {**thing, key: changed(thing[key], chance)}
    if isinstance(thing, list) and thing and chance.random() < 0.7:
        at = chance.randrange(len(thing))
        return [*thing[:at], changed(thing[at], chance), *thing[at + 1 :]]
    deep: Any = 1
    for _ in range(chance.choice([3, 20, 200])):
        deep = [deep]
    odd: tuple[Any, ...] = (
        None,
        True,
        -1,
        0,
        2**70,
        1e308,
        "",
        "\x1b]0;x\x07",
        "../../../etc/passwd",
        "=cmd",
        "<script>",
        [],
        {},
        deep,
    )
    return chance.choice(odd)


@pytest.mark.parametrize("count", [12, pytest.param(300, marks=pytest.mark.campaign)])
def test_records(count: int, cli: Cli, folder: Any, tally: Tally, tmp_path: Path) -> None:
    folder.grid({"g2d": 0.6, "random": 0.4}, seeds=2)
    path = sorted(folder.root.rglob("*.json"))[0]
    whole, chance = json.loads(path.read_bytes()), random.Random(count)
    commands = [
        ("verify", folder.root),
        ("table", "--results", folder.root),
        ("table", "--results", folder.root, "--format", "csv"),
        ("leaderboard", "--results", folder.root, "--out", tmp_path / "site"),
        ("compact", folder.root, tmp_path / "small"),
        ("compare", "--to", folder.root, "--results", folder.root),
        ("figure", "curves", "--results", folder.root, "--task", "siim-seg", "--out", tmp_path / "a.png"),
    ]
    for number in range(count):
        path.write_text(json.dumps(changed(whole, chance)))
        tried(cli, tally, "hostile records", *commands[number % len(commands)])


PIECES = (
    *(
        "__a",
        "__ ",
        " ",
        "\n",
        "[**",
        "[**a**]",
        "XXXX ",
        "XXXX/",
        "A, ",
        "AB CHEST",
        "1. A",
        ".",
        "e.g. ",
        "<br>",
    ),
    *(
        "&amp;",
        "\\n",
        "**a",
        "**FINDINGS ",
        "FINDINGS ",
        "findings ",
        "Dr. ",
        "- a\n",
        "#",
        "__on ",
        "no. ",
        "a.m. ",
    ),
    *("PA CHEST, ", "on the of ", "<div ", "](", "X", "_", "---\n", "reason for "),
)


@pytest.mark.parametrize("piece", PIECES)
def test_reports_that_repeat_themselves(piece: str, tally: Tally) -> None:
    start = time.monotonic()
    for end in ("", "x", ".\n"):
        text = piece * (20_000 // len(piece)) + end
        sentences(text)
        clean(text)
    slow = time.monotonic() - start > SECONDS
    tally("reports that repeat themselves", hangs=int(slow))
    assert not slow
