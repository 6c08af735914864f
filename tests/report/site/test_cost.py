"""What an encoder costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_cost_is_what_cards_and_records_say(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    folder.add("g2d", 0.6, seconds={"train and predict": 8.0}, notes={"images_per_second": 120.0})
    folder.add("g2d.r50", 0.6, seconds={"train and predict": 80.0})
    folder.add("nobody-knows", 0.5, seconds={"data": 1.0})
    made()
    text = (tmp_path / "site" / "curves.html").read_text()
    rows = {
        part.split('"')[0]: part.split("</tr>")[0]
        for part in text.split('class="measured" data-encoder="')[1:]
    }
    cells = {name: [cell.split("<")[0] for cell in row.split(">")] for name, row in rows.items()}
    assert {"1.29", "0.107", "128", "120", "8"} <= set(cells["g2d"])
    assert {"23.5", "80"} <= set(cells["g2d.r50"])
    assert cells["nobody-knows"].count("n/a") == 5
    assert "median seconds of a cell" in text
    figures = text.split("<h2>Cost</h2>")[1]
    assert figures.count("<figure>") == 3, "weights, work and seconds differ; one speed makes no chart"


def test_seconds_are_of_the_cells_that_all_have(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    for encoder, few, many in (("g2d", 8.0, 10.0), ("mgca", 16.0, 20.0)):
        folder.add(encoder, 0.6, fraction=0.1, seconds={"train and predict": few})
        folder.add(encoder, 0.6, fraction=1.0, seconds={"train and predict": many})
    folder.add("g2d+decoder", 0.6, fraction=1.0, seconds={"train and predict": 11.0})
    made()
    figures = (tmp_path / "site" / "curves.html").read_text().split("<h2>Cost</h2>")[1]
    rows = [part.split("</tr>")[0] for part in figures.split('class="measured" data-encoder="')[1:]]
    last = {row.split('"')[0]: row.split("<td")[-1].split(">")[1].split("<")[0] for row in rows}
    assert last == {"g2d": "10", "mgca": "20", "g2d+decoder": "11"}


def test_speeds_of_unlike_machines_are_not_laid_side_by_side(
    folder: Any, made: Callable[..., Any], tmp_path: Path
) -> None:
    def on(threads: int, accelerator: str = "none") -> dict[str, Any]:
        return {"machine": "x86_64", "threads": threads, "accelerator": accelerator}

    folder.add("g2d", 0.6, notes={"images_per_second": 120.0}, hardware=on(1))
    folder.add("g2d.r50", 0.6, notes={"images_per_second": 13.0}, hardware=on(1))
    folder.add("random", 0.5, notes={"images_per_second": 7777.0}, hardware=on(8, "Some GPU"))
    made()
    text = (tmp_path / "site" / "curves.html").read_text()
    figures = text.split("<h2>Cost</h2>")[1]
    assert "made on x86_64 processor, threads: 1" in figures
    assert "120</td>" in figures
    assert "13</td>" in figures
    assert "78e+03" not in figures
    assert "images per second, x86_64 processor, threads: 1" in figures


def test_two_processors_are_two_machines(folder: Any, made: Callable[..., Any], tmp_path: Path) -> None:
    def on(processor: str) -> dict[str, Any]:
        return {"machine": "x86_64", "processor": processor, "threads": 1, "accelerator": "none"}

    for encoder, speed in (("g2d", 120.0), ("g2d.r50", 13.0)):
        folder.add(encoder, 0.6, notes={"images_per_second": speed}, hardware=on("Slow 9000"))
    folder.add("random", 0.5, notes={"images_per_second": 7777.0}, hardware=on("Fast 1"))
    made()
    figures = (tmp_path / "site" / "curves.html").read_text().split("<h2>Cost</h2>")[1]
    assert "made on Slow 9000, threads: 1" in figures
    assert "78e+03" not in figures
