"""The figure: what is drawn, that it says what it shows, and that it is the same file again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.records.record import EncoderPart
from g2d_bench.records.selection import select
from g2d_bench.report.curves import SUFFIXES, curves, draw, remarks, write
from g2d_bench.report.model import GENERATED
from g2d_bench.report.origin import EXPLAINED


def texts(figure: Any) -> str:
    axes = figure.axes[0]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    title = axes.get_title(loc="left")
    stamp = figure.get_suptitle().replace("\n", " ")
    return "\n".join([*legend, title, axes.get_ylabel(), stamp])


def test_points_intervals_and_words(folder: Any) -> None:
    folder.grid({"random": 0.4, "a_b $x$ <i>": 0.6}, (0.01, 0.1, 1.0))
    points = curves(select(folder.root), "dice_positive", ["random"])
    assert [list(column.values) for column in points] == [["random", "a_b $x$ <i>"]] * 3
    figure = draw([points])
    axes = figure.axes[0]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1 %", "10 %", "100 %"]
    containers: list[Any] = list(axes.containers)
    drawn = [list(bar.lines[0].get_ydata()) for bar in containers]
    assert drawn == [[column.values[name].mean for column in points] for name in ("random", "a_b $x$ <i>")]
    (bars,) = containers[0].lines[2]
    low, high = bars.get_segments()[0][:, 1]
    value = points[0].values["random"]
    assert (low, high) == pytest.approx((value.low, value.high))
    said = texts(figure)
    assert GENERATED in said
    assert "a_b $x$ <i>" in said
    assert "all-empty (no encoder): 0.0, off the axis" in said
    assert "mean over 3 seeds" in said
    assert "dice_positive in %" in said


def test_encoders_of_one_fraction_stand_together(folder: Any) -> None:
    folder.grid({"random": 0.4, "mgca": 0.5, "g2d": 0.6}, (0.1,))
    axes = draw([curves(select(folder.root), "dice_positive")]).axes[0]
    low, high = axes.transData.transform([(x, 0) for x in axes.get_xlim()])[:, 0]
    containers: list[Any] = list(axes.containers)
    drawn = [bar.lines[0].get_xdata()[0] for bar in containers]
    first, *_, last = axes.transData.transform([(x, 0) for x in drawn])[:, 0]
    assert first < last
    assert abs((first + last) / 2 - (low + high) / 2) < 0.02 * (high - low)
    assert last - first < 0.1 * (high - low)


def test_a_reference_near_the_points_is_drawn(folder: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 1.0))
    figure = draw([curves(select(folder.root), "dice_legacy")])
    assert "off the axis" not in texts(figure)
    assert any(line.get_linestyle() == ":" for line in figure.axes[0].lines)


def test_real_data_bear_no_stamp_and_incomplete_cells_no_point(folder: Any) -> None:
    folder.grid({"random": 0.4}, (0.01, 1.0), seeds=2, data_kind="real")
    folder.add("late", fraction=1.0, data_kind="real")
    figure = draw([curves(select(folder.root), "dice_positive")])
    assert "GENERATED" not in texts(figure)
    assert "late" not in texts(figure)


def test_tasks_are_panels_in_which_an_encoder_looks_the_same(folder: Any) -> None:
    folder.grid({"random": 0.4, "g2d": 0.6}, (0.01, 1.0), seeds=2)
    folder.grid({"g2d": 0.5}, (0.01, 1.0), seeds=2, task="rsna-seg")
    found = select(folder.root)
    panels = [
        curves([one for one in found if one.cell.task == task], "dice_positive", ["random", "g2d"])
        for task in ("siim-seg", "rsna-seg")
    ]
    figure = draw(panels)
    first, second = figure.axes
    assert first.get_title(loc="left").startswith("siim-seg, ")
    assert second.get_title(loc="left").startswith("rsna-seg, ")
    drawn: list[list[Any]] = [list(axes.containers) for axes in (first, second)]
    assert [len(bars) for bars in drawn] == [2, 1]
    assert drawn[0][1].lines[0].get_color() == drawn[1][0].lines[0].get_color()
    assert drawn[0][0].lines[0].get_color() != drawn[1][0].lines[0].get_color()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:2] == ["random", "g2d"]
    assert legend[2].startswith("siim-seg: all-empty (no encoder)")
    assert GENERATED in texts(figure)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_points_make_the_same_file(folder: Any, tmp_path: Path, suffix: str) -> None:
    folder.grid({"g2d": 0.6}, (0.01, 0.1), seeds=1)
    contents = []
    for n in range(2):
        path = tmp_path / f"{n}{suffix}"
        write(draw([curves(select(folder.root), "dice_positive")]), path)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    assert len(contents[0]) > 5_000


def below(figure: Any) -> str:
    return str(figure.get_supxlabel()).replace("\n", " ")


def test_what_has_no_point_is_named_with_its_reason(folder: Any, cli: Callable[..., Any]) -> None:
    folder.grid({"random": 0.4, "g2d": 0.5}, (0.01, 0.1, 1.0), seeds=2)
    folder.add("late", fraction=0.01, seed=1)
    folder.add("late", fraction=1.0, seed=1)
    points = curves(select(folder.root), "dice_positive", ["random", "g2d"])
    lines = [
        "not drawn: late in siim-seg at 1 %, 100 % (lacks seed 0)",
        "not drawn: late in siim-seg at 10 % (not measured)",
    ]
    assert remarks([points])[-2:] == lines
    said = below(draw([points]))
    assert all(line in said for line in lines)
    result = cli("figure", "curves", "--results", folder.root, "--encoder", "random,late,nobody")
    assert result.exit_code == 0
    told = result.stderr.splitlines()
    assert told[0].startswith("--encoder: no record of encoder nobody; ")
    assert told[-2:] == lines


def test_a_figure_says_what_its_encoders_are(folder: Any) -> None:
    for encoder, scale, seen in (("g2d", "phantom", ("phantom",)), ("mgca.r50", "published", ("mimic-cxr",))):
        said_so = {"scale": scale, "pretraining": seen}
        part = EncoderPart.model_validate({"card_hash": "e" * 64, "weights": "a" * 64, **said_so})
        found = folder.add(encoder, data_kind="real")
        folder.store.save(found.path, found.record.model_copy(update={"encoder": part}), {})
    figure = draw([curves(select(folder.root), "dice_positive")])
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[:2] == ["g2d [phantom-scale]", "mgca.r50"]
    said = below(figure)
    assert (
        "g2d (phantom-scale, pre-trained on phantom); mgca.r50 (full-scale, pre-trained on mimic-cxr)" in said
    )
    assert EXPLAINED["phantom-scale"] in said


def test_many_remarks_are_cut_short_in_the_figure_only(folder: Any) -> None:
    folder.grid({"random": 0.4}, seeds=2)
    for n in range(20):
        folder.add(f"late{n:02d}", seed=1)
    points = [curves(select(folder.root), "dice_positive")]
    assert len(remarks(points)) == 21
    assert "late05" in below(draw(points))
    assert "late19 in" not in below(draw(points))
    assert "and 14 more remarks, see the table" in below(draw(points))


def test_a_line_joins_only_what_was_measured_alike(folder: Any) -> None:
    """Shares of the labels are no part of a signature: two of them are two sets of films, or two codes."""
    few = folder.add("g2d", 0.5, fraction=0.1)
    folder.add("g2d", 0.7, fraction=1.0, signature=few.record.signature.replace("#bbbbbbbb|", "#dddddddd|"))
    with pytest.raises(
        InputError, match=r"different signatures cannot share a line \(they differ in phantom:"
    ):
        curves(select(folder.root), "dice_positive")
    assert len(curves(select(folder.root), "dice_positive", allow_mixed=True)) == 2
