"""Options that several commands share; importing this is quick."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.paths import MAX_NAME, expanded, shipped_results
from g2d_bench.terminal import neutral_output

if TYPE_CHECKING:
    from g2d_bench.cells.bench import Bench
    from g2d_bench.cells.settings import Settings

    NameChoice = click.Choice[str]
else:
    # Older versions of click have no parameter there.
    NameChoice = click.Choice

F = TypeVar("F", bound=Callable[..., Any])
OBJECTS = 200_000
"""So many new objects, fewer those let go, before Python looks for unused cycles; 700 by default."""


class _UserPath(click.Path):
    """A path; ``~`` is the home folder, also where the shell leaves it, as in ``--out=~/x``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read one path."""
        path = expanded(value, param.opts[0] if param is not None else "path")
        longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
        if longest > MAX_NAME:
            raise InputError(
                f"has a name of {longest} bytes; {MAX_NAME} are possible",
                file=f"{str(path)[:60]}...",
                field=param.opts[0] if param is not None else None,
            )
        return super().convert(path, param, ctx)


PATH = _UserPath(path_type=Path)
SEED = click.IntRange(0, 2**32 - 1)
"""What every generator takes for a seed."""
MAX_SEEDS = 1000
JOBS = click.IntRange(1, 1024)


class Named(NameChoice):
    """One of the names of a registry, which are looked up when they are needed.

    Args:
        names: returns them.
    """

    def __init__(self, names: Callable[[], Sequence[str]]) -> None:
        self._names = names
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """All names."""
        return tuple(self._names())


def _formats() -> Sequence[str]:
    from g2d_bench.report.formats import FORMATS

    return FORMATS.names


def _executors() -> Sequence[str]:
    from g2d_bench.cells.executors import EXECUTORS

    return EXECUTORS.names


def _exports() -> Sequence[str]:
    from g2d_bench.report.exports import EXPORTS

    return EXPORTS.names


def _trackers() -> Sequence[str]:
    from g2d_bench.report.trackers import TRACKERS

    return TRACKERS.names


FORMAT = Named(_formats)
TRACKER = Named(_trackers)
EXPORT = Named(_exports)
EXECUTOR = Named(_executors)


class Group(click.Group):
    """Prints what is wrong in one line and exits with 2; ends quietly with 130 when interrupted."""

    def main(self, *arguments: Any, **more: Any) -> Any:
        """Parse and run; nothing that is printed acts on the terminal."""
        with neutral_output():
            try:
                return super().main(*arguments, **more)
            except OSError as error:
                from g2d_bench.files import MACHINE, machine_error

                if error.errno not in MACHINE:
                    raise
                click.echo(f"g2d-bench: {machine_error(error)}", err=True)
                sys.exit(2)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        for stream in (sys.stdout, sys.stderr):
            # Names of files may be no UTF-8.
            with suppress(AttributeError, ValueError):
                stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"g2d-bench: {error}", err=True)
            ctx.exit(2)
        except click.UsageError as error:
            # Newer versions of click ask for a command's help with an error.
            if type(error).__name__ == "NoArgsIsHelpError" or error.ctx is None:
                raise
            message = " ".join(error.format_message().split())
            click.echo(f"g2d-bench: {message} (see g2d-bench {_command(error.ctx)}--help)", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            # The terminal has echoed ^C on the line.
            click.echo("\ng2d-bench: interrupted; the same command takes up what is not finished", err=True)
            ctx.exit(130)


def _command(ctx: click.Context) -> str:
    """Name the command of a context as it is typed after ``g2d-bench``, with a blank at the end."""
    return f"{_command(ctx.parent)}{ctx.info_name} " if ctx.parent is not None else ""


def split(_: click.Context, option: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """Options that repeat also take commas."""
    found: list[str] = []
    for value in values:
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not parts:
            raise InputError("is empty", field=option.opts[0])
        found += parts
    return tuple(found)


def fractions(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[float, ...]:
    """Read ``0.01`` or ``1%``."""
    from g2d_bench.data.splits import parse_fraction

    return tuple(parse_fraction(text) for text in split(ctx, param, values))


def shots(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[int, ...]:
    """Read ``1,4,16``."""
    found = split(ctx, param, values)
    for text in found:
        if not re.fullmatch(r"[1-9][0-9]{0,5}", text):
            raise InputError(f"{text[:40]!r} is no number of images per class; write 1,4,16", field="--shots")
    return tuple(dict.fromkeys(int(text) for text in found))


def seeds(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[int, ...]:
    """Read ``0``, ``0,1,2`` or ``0-4``."""
    found: list[int] = []
    for text in split(ctx, param, values):
        match = re.fullmatch(r"([0-9]{1,10})(?:-([0-9]{1,10}))?", text)
        shown = repr(text if len(text) <= 40 else f"{text[:40]}...")
        if match is None:
            raise InputError(
                f"{shown} is not a seed; write 0, 0,1,2 or 0-4, up to {SEED.max}", field="--seed"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if max(first, last) > (SEED.max or 0):
            raise InputError(f"{shown} is above {SEED.max}", field="--seed")
        if last < first:
            raise InputError(f"{shown} ends before it begins", field="--seed")
        if len(found) + last - first >= MAX_SEEDS:
            raise InputError(f"{shown} makes more than {MAX_SEEDS} seeds", field="--seed")
        found.extend(range(first, last + 1))
    return tuple(dict.fromkeys(found))


def checkpoints(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> dict[str, Path]:
    """Read ``NAME=FILE``."""
    files = {}
    for text in values:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise InputError(f"{text!r} is not NAME=FILE", field="--checkpoint")
        if name in files:
            raise InputError(f"{name} is given twice", field="--checkpoint")
        files[name] = PATH.convert(path, param, ctx)
    return files


def few_collections(function: F) -> F:
    """Have Python look for unused cycles seldom while a command runs that keeps to its end what it makes.

    Pages of thousands of records are millions of small objects; to look at them again and again takes a
    twelfth of the time and finds nothing.
    """

    @wraps(function)
    def wrapped(*arguments: Any, **given: Any) -> Any:
        before = gc.get_threshold()
        gc.set_threshold(OBJECTS, *before[1:])
        try:
            return function(*arguments, **given)
        finally:
            gc.set_threshold(*before)

    return cast(F, wrapped)


def options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Bundle options into one decorator."""

    def wrap(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return wrap


_settings = (
    click.option(
        "--data-root",
        type=PATH,
        help="Folder with real data, one sub-folder per data set (or G2D_BENCH_DATA).",
    ),
    click.option("--phantom", is_flag=True, help="Use generated data, whatever is configured."),
    click.option(
        "--tasks-dir", "task_dirs", type=PATH, multiple=True, help="Folder with your own task cards."
    ),
    click.option(
        "--encoders-dir",
        "encoder_dirs",
        type=PATH,
        multiple=True,
        help="Folder with your own encoder cards.",
    ),
    click.option(
        "--protocols-dir",
        "protocol_dirs",
        type=PATH,
        multiple=True,
        help="Folder with your own protocol cards.",
    ),
    click.option(
        "--checkpoint",
        "checkpoints",
        multiple=True,
        metavar="NAME=FILE",
        callback=checkpoints,
        help="Weights of an encoder.",
    ),
    click.option(
        "--weights-dir", type=PATH, help="Folder with weights named after encoders (or G2D_BENCH_WEIGHTS)."
    ),
)
results_option = click.option(
    "--results",
    type=PATH,
    multiple=True,
    help="Folder of records; several stand side by side (or G2D_BENCH_RESULTS).  [default: runs]",
)
"""Of commands that read records; :func:`folders` says what was meant."""
settings_options = options(
    *_settings,
    click.option("--results", type=PATH, help="Folder of records (or G2D_BENCH_RESULTS).  [default: runs]"),
)
reading_options = options(*_settings, results_option)
"""Those of :data:`settings_options`, of a command that reads several folders and writes into the first."""
filter_options = options(
    click.option("--task", "tasks", multiple=True, callback=split, help="Only these tasks."),
    click.option("--encoder", "encoders", multiple=True, callback=split, help="Only these encoders."),
    click.option("--fraction", "fractions", multiple=True, callback=fractions, help="Only these fractions."),
    click.option("--shots", multiple=True, callback=shots, help="Only these numbers of images per class."),
    click.option("--seed", "seeds", multiple=True, callback=seeds, help="Only these seeds: 0, 0,1,2 or 0-4."),
    click.option("--protocol", "protocols", multiple=True, callback=split, help="Only these protocols."),
)
"""Which records of a folder; :func:`g2d_bench.records.selection.Filter` takes them."""
hide_option = click.option(
    "--hide-contaminated",
    "hide",
    is_flag=True,
    help="Leave out cells whose encoder saw the data set in its pre-training.",
)


def settings(given: dict[str, Any]) -> Settings:
    """Combine the options of :data:`settings_options` with environment and config file."""
    from g2d_bench.cells.settings import resolve

    names = (
        *("data_root", "phantom", "results", "task_dirs", "encoder_dirs", "protocol_dirs"),
        *("checkpoints", "weights_dir"),
    )
    values = {name: given[name] for name in names if name in given}
    if isinstance(values.get("results"), tuple):
        values["results"] = next(iter(folders(values["results"])), None)
    return resolve(**values)


def folders(named: Sequence[Path]) -> list[Path]:
    """Return folders of records; ``results/...`` is among what ships with the suite where it is not here."""
    return [shipped_results(path) for path in named]


def bench(given: dict[str, Any], **run_options: Any) -> Bench:
    """Open what cells share, from the options of :data:`settings_options`."""
    from g2d_bench.cells.bench import Bench, Options

    found = settings(given)
    opened = Bench(found, Options(**run_options))
    known = opened.catalogue.encoders.names if opened.settings.checkpoints else []
    for name in opened.settings.checkpoints:
        if name not in known:
            raise InputError(f"unknown encoder {name!r}; {did_you_mean(name, known)}", field="--checkpoint")
    return opened
