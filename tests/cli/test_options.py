"""What every command takes: numbers have ranges, names are known, paths can be."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from g2d_bench.cli import options
from g2d_bench.cli.main import main
from g2d_bench.errors import InputError

PLAN = ("plan", "--task", "siim-seg", "--encoder", "random")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    for name in ("DATA", "RESULTS", "WEIGHTS", "CONFIG"):
        monkeypatch.delenv(f"G2D_BENCH_{name}", raising=False)
    (tmp_path / "weights.pt").write_bytes(b"x")


def refused(*arguments: str) -> str:
    """The one line with which a call ends."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    assert result.stdout == ""
    assert line.startswith("g2d-bench: ")
    return line.removeprefix("g2d-bench: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("²", "'²' is not a seed"),
        ("٣", "'٣' is not a seed"),
        ("1" * 5001, f"'{'1' * 40}...' is not a seed"),
        ("1" + "0" * 30, "'1000000000000000000000000000000' is not a seed"),
        ("-1", "'-1' is not a seed"),
        ("1e3", "'1e3' is not a seed"),
        ("0-99999999", "'0-99999999' makes more than 1000 seeds"),
        ("5-2", "'5-2' ends before it begins"),
        ("4294967296", "'4294967296' is above 4294967295"),
        ("0-500,1000-1600", "'1000-1600' makes more than 1000 seeds"),
    ],
)
@pytest.mark.parametrize("call", [PLAN, ("table",)], ids=["plan", "table"])
def test_seeds(call: tuple[str, ...], text: str, message: str) -> None:
    assert refused(*call, "--seed", text).startswith(f"--seed: {message}")


def test_seeds_that_are() -> None:
    result = CliRunner().invoke(main, [*PLAN, "--fraction", "1", "--seed", " 3 ,0-2,4294967295"])
    assert result.exit_code == 0
    assert "5 cells" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nosuch=weights.pt",), "--checkpoint: unknown encoder 'nosuch'; "),
        (("g2d+decoder=weights.pt",), "--checkpoint: unknown encoder 'g2d+decoder'; "),
        (("g2d=weights.pt", "g2d=weights.pt"), "--checkpoint: g2d is given twice"),
        (("g2d=~nosuchuser/x",), "~nosuchuser/x: --checkpoint: no such home folder"),
        (("g2d=" + "x" * 300,), "--checkpoint: has a name of 300 bytes; 255 are possible"),
    ],
)
def test_checkpoints(arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(*PLAN, *(word for one in arguments for word in ("--checkpoint", one)))


def test_unknown_names_in_the_config_file() -> None:
    Path("g2d-bench.toml").write_text('[checkpoints]\nmcga = "weights.pt"\n')
    assert "unknown encoder 'mcga'; did you mean 'mgca'?" in refused(*PLAN)


@pytest.mark.parametrize("name", ["CACHE", "RESULTS", "DATA", "WEIGHTS", "CONFIG"])
def test_nobodys_home_in_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"G2D_BENCH_{name}", "~nosuchuser/x")
    assert refused(*PLAN) == f"~nosuchuser/x: G2D_BENCH_{name}: no such home folder"


@pytest.mark.parametrize(
    "key", ["data_root", "results", "weights_dir", "tasks_dir", "encoders_dir", "protocols_dir"]
)
def test_nobodys_home_in_the_config_file(key: str) -> None:
    value = (
        '["~nosuchuser/x"]' if key in ("tasks_dir", "encoders_dir", "protocols_dir") else '"~nosuchuser/x"'
    )
    Path("g2d-bench.toml").write_text(f"{key} = {value}\n")
    assert refused(*PLAN) == f"~nosuchuser/x: g2d-bench.toml: {key}: no such home folder"


def test_home_is_found_where_the_shell_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert f"{tmp_path}/home/none: --data-root: no such folder" in refused(*PLAN, "--data-root=~/none")


def test_results_that_cannot_be_written_are_refused_first(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ("run", *PLAN[1:], "--fraction", "1%")
    assert "--results: has a name of 300 bytes; 255 are possible" in refused(*run, "--results", "r" * 300)
    assert refused(*run, "--results", "r\udcff") == "'r\\udcff': results: is not UTF-8"
    assert "results: has a name of 200 bytes in 4," in refused(*run, "--results", "/".join(["r" * 200] * 21))
    monkeypatch.setenv("G2D_BENCH_RESULTS", "é" * 128)
    assert "results: has a name of 256 bytes" in refused(*run)
    assert not Path("cache").exists()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EMFILE])
def test_what_the_machine_refuses_is_one_line(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), "somewhere")

    monkeypatch.setattr("g2d_bench.cells.bench.Bench.catalogue", property(refuse))
    assert refused(*PLAN) == f"somewhere: {os.strerror(code)}"
    monkeypatch.setattr("g2d_bench.cells.bench.Bench.catalogue", property(_fault))
    assert isinstance(CliRunner().invoke(main, PLAN).exception, KeyError), "a fault keeps its traceback"


def _fault(_: object) -> None:
    raise KeyError("a fault of the program")


def _numbers(group: click.Group, name: str) -> Iterator[tuple[str, click.Parameter]]:
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _numbers(command, f"{name} {word}")
        for parameter in command.params:
            if isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType):
                yield f"{name} {word} {parameter.opts[0]}", parameter


def test_every_number_has_a_range() -> None:
    found = list(_numbers(main, "g2d-bench"))
    assert len(found) > 8
    for where, parameter in found:
        kind = parameter.type
        assert isinstance(kind, click.IntRange | click.FloatRange), where
        assert kind.min is not None, where
        assert kind.max is not None, where


def test_every_path_knows_home() -> None:
    def paths(group: click.Group) -> Iterator[click.Parameter]:
        for command in group.commands.values():
            if isinstance(command, click.Group):
                yield from paths(command)
            yield from (one for one in command.params if isinstance(one.type, click.Path))

    kinds = {type(parameter.type) for parameter in paths(main)}
    assert len(kinds) == 1
    assert kinds != {click.Path}


def test_few_collections_last_as_long_as_the_command() -> None:
    before = gc.get_threshold()

    @options.few_collections
    def command(number: int, *, wrong: bool = False) -> tuple[int, int]:
        """Say what holds."""
        if wrong:
            raise InputError("is wrong")
        return number, gc.get_threshold()[0]

    assert command(3) == (3, options.OBJECTS)
    assert command.__doc__ == "Say what holds."
    assert gc.get_threshold() == before
    with pytest.raises(InputError, match="is wrong"):
        command(3, wrong=True)
    assert gc.get_threshold() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
@pytest.mark.parametrize("option", ["--version", "--help"])
def test_no_room_for_what_is_printed(option: str) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        ended = subprocess.run(
            [sys.executable, "-m", "g2d_bench", option],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (ended.returncode, ended.stderr) == (2, "g2d-bench: No space left on device\n")
