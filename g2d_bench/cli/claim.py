"""The command that holds a sentence of a paper against numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.options import folders, results_option, settings, split
from g2d_bench.errors import InputError

if TYPE_CHECKING:
    from g2d_bench.records.selection import Found
    from g2d_bench.report.claims import Claim, Verdict

CLAIMS = ("label-efficiency",)
ON = ("measured", "quoted")
FORMATS = ("text", "json")
ALL = "all"


def _share(_: click.Context, option: click.Parameter, value: str) -> float:
    from g2d_bench.data.splits import parse_fraction

    try:
        return parse_fraction(value)
    except InputError as error:
        raise InputError(str(error).removeprefix("fraction: "), field=option.opts[0]) from None


@click.command()
@click.argument("what", type=click.Choice(CLAIMS))
@click.option(
    "--encoder", required=True, metavar="NAME", help="Whose claim; asked alone and with its decoder."
)
@click.option("--at", default="1%", show_default=True, callback=_share, help="Its share of the labels.")
@click.option(
    "--against", multiple=True, callback=split, default=(ALL,), show_default=True, help="The others, or all."
)
@click.option("--at-peers", default="100%", show_default=True, callback=_share, help="Their share.")
@click.option("--on", type=click.Choice(ON), multiple=True, help="Which numbers.  [default: both]")
@click.option("--format", "style", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--task", "tasks", multiple=True, callback=split, help="Only these tasks.")
@click.option("--protocol", "protocols", multiple=True, callback=split, help="Only these protocols.")
@click.option("--signature", default="", help="Only signatures that contain this text.")
@results_option
def claim(
    what: str,
    encoder: str,
    at: float,
    against: Sequence[str],
    at_peers: float,
    on: Sequence[str],
    style: str,
    tasks: Sequence[str],
    protocols: Sequence[str],
    signature: str,
    results: Sequence[Path],
) -> None:
    """Ask per task whether an encoder with few labels beats others with many.

    Measured numbers: paired bootstrap over patients and seeds, Holm over all comparisons of the claim. Quoted
    numbers: the printed digits, within one table of one paper. It is reported as it comes out; the exit code
    is 0 whatever that is. Example:
    g2d-bench claim label-efficiency --encoder g2d --at 1% --against all --at-peers 100%
    """
    from g2d_bench.records.quoted import load_reported
    from g2d_bench.report import claims

    rivals = () if ALL in against else tuple(against)
    asked = claims.Claim(encoder, at, rivals, at_peers)
    wanted = on or ON
    measured: list[Verdict] | None = None
    told = ""
    quoted: list[Verdict] | None = None
    filters = {"tasks": tasks, "protocols": protocols, "signature": signature}
    if "measured" in wanted:
        measured, told = _measured(asked, filters, results, required="measured" in on)
    if "quoted" in wanted:
        cells = [one for one in load_reported() if not tasks or one.task in tasks]
        quoted = claims.quoted(asked, cells)
    if style == "json":
        click.echo(_json(asked, measured, quoted, told))
        return
    click.echo(f"claim: {asked.sentence}")
    for line in _lines(measured, quoted, told):
        click.echo(line)


def _measured(
    asked: Claim, filters: dict[str, Any], results: Sequence[Path], *, required: bool
) -> tuple[list[Verdict] | None, str]:
    """Ask measured numbers; None, with a line, where there are none and they were not asked for by name.

    Returns:
        Verdicts, and what the encoders are.
    """
    from g2d_bench.cells.ahead import drawn_ahead
    from g2d_bench.cli.records import chosen, main_metrics, row_order
    from g2d_bench.records.record import Record
    from g2d_bench.report import claims
    from g2d_bench.report.origin import origins, sentence
    from g2d_bench.report.site.board import sampled_columns
    from g2d_bench.report.table import main_metric

    configured = settings({"results": results})
    roots = folders(results) or [configured.results]
    if not required and not any(root.exists() for root in roots):
        click.echo(f"no measured numbers: {roots[0]} is not there", err=True)
        return None, ""
    found: list[Found] = chosen(roots, {"encoders": (), "fractions": (), "seeds": (), **filters})
    main, order = main_metrics(found, configured), row_order(found)

    def names(record: Record) -> Sequence[str]:
        return [main_metric(record, main)]

    columns = drawn_ahead(
        lambda evidence: sampled_columns(found, order, main, evidence), found, names, settings=configured
    )
    return claims.measured(asked, columns), sentence(origins(found))


def _lines(measured: Sequence[Verdict] | None, quoted: Sequence[Verdict] | None, told: str) -> Iterator[str]:
    from g2d_bench.plain import visible
    from g2d_bench.report.claims import WORDS, summary
    from g2d_bench.report.model import GENERATED

    for heading, verdicts in (
        ("measured", measured),
        ("quoted from papers (real data, published models; not measured here)", quoted),
    ):
        if verdicts is None:
            continue
        yield ""
        yield f"{heading}: {summary(verdicts)}"
        if any("generated data" in verdict.where for verdict in verdicts):
            yield GENERATED
        if heading == "measured":
            yield visible(told)
        for verdict in verdicts:
            number = "" if verdict.mean != verdict.mean else f" {verdict.mean:.1f}"
            outcome = WORDS[verdict.outcome].upper()
            yield visible(f"  {verdict.task}, {verdict.shown}, {verdict.metric}{number}: {outcome}")
            yield visible(f"    {verdict.words} ({verdict.where})")
            if verdict.remark:
                yield visible(f"    {verdict.remark}")


def _json(
    asked: Claim, measured: Sequence[Verdict] | None, quoted: Sequence[Verdict] | None, told: str
) -> str:
    import json

    from g2d_bench.plain import in_json
    from g2d_bench.report.model import GENERATED
    from g2d_bench.report.site.numbers import verdict_data

    generated = any("generated data" in verdict.where for verdict in measured or ())
    data = {
        "claim": asked.sentence,
        "data": GENERATED if generated else "real data",
        "encoders": told,
        "measured": None if measured is None else [verdict_data(one) for one in measured],
        "quoted": None if quoted is None else [verdict_data(one) for one in quoted],
    }
    return in_json(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False))
