"""Commands that read records put several folders side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.selection import read_folders


def test_table_figure_and_page_show_both(folder: Any, other: Any, cli: Callable[..., Any]) -> None:
    folder.add("mine", 0.5)
    other.add("g2d", 0.6)
    both = ("--results", folder.root, "--results", other.root)
    text = cli("table", *both).stdout
    assert "mine" in text
    assert "g2d" in text
    assert cli("figure", "curves", *both, "--metric", "dice_positive", "--out", "x.svg").exit_code == 0
    page = cli("leaderboard", *both, "--out", "site")
    assert page.exit_code == 0, page.output
    copies = sorted(path.name for path in Path("site/records").rglob("*.json"))
    assert len(copies) == 2
    checked = cli("verify", folder.root, other.root)
    assert f"{folder.root}: 1 record" in checked.stdout
    assert f"{other.root}: 1 record" in checked.stdout
    assert cli("verify", *both).stdout == checked.stdout


def test_compare_reads_both(folder: Any, other: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    reference = type(folder)(tmp_path / "reference")
    for encoder in ("g2d", "mgca"):
        reference.add(encoder, 0.6)
    folder.add("g2d", 0.6)
    other.add("mgca", 0.6)
    one = cli("compare", "--to", reference.root, "--results", folder.root)
    both = cli("compare", "--to", reference.root, "--results", folder.root, "--results", other.root)
    assert one.exit_code == 1
    assert both.exit_code == 0, both.output


def test_the_same_record_in_two_folders_counts_once(folder: Any, other: Any, cli: Callable[..., Any]) -> None:
    folder.add("g2d", 0.6)
    other.add("g2d", 0.6)
    [found] = read_folders([folder.root, other.root])
    assert found.path is not None
    assert found.path.is_relative_to(folder.root)
    assert read_folders([folder.root, folder.root])[0].path == found.path
    assert cli("table", "--results", folder.root, "--results", other.root).exit_code == 0


def test_two_records_of_one_cell_that_differ_are_one_line(
    folder: Any, other: Any, cli: Callable[..., Any]
) -> None:
    mine, theirs = folder.add("g2d", 0.6), other.add("g2d", 0.5)
    result = cli("table", "--results", folder.root, "--results", other.root)
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert "two records for one cell" in line
    assert str(mine.path) in line
    assert str(theirs.path) in line


def test_a_missing_folder_is_named(folder: Any) -> None:
    folder.add("g2d")
    with pytest.raises(InputError, match="no such folder"):
        read_folders([folder.root, folder.root.parent / "none"])


def test_a_filter_that_nothing_passes_names_the_folders(
    folder: Any, other: Any, cli: Callable[..., Any]
) -> None:
    folder.add("g2d")
    other.add("mgca")
    result = cli("table", "--results", folder.root, "--results", other.root, "--encoder", "gloria")
    assert result.exit_code == 2
    assert str(folder.root) in result.stderr
    assert str(other.root) in result.stderr


def test_shipped_records_are_found_from_anywhere(folder: Any, cli: Callable[..., Any]) -> None:
    result = cli("explain", "--help")
    assert result.exit_code == 0
    result = cli("verify", "results/none")
    assert "no such folder" in result.stderr
    assert len(read_folders([_shipped()])) > 0


def _shipped() -> Path:
    from g2d_bench.paths import shipped_results

    found = shipped_results(Path("results/phantom"))
    assert found.is_dir()
    assert shipped_results(Path("runs")) == Path("runs")
    return found / "random" / "rsna-cls@1.0"
