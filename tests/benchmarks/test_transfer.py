"""The yardstick's command, and what it makes of scores."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import transfer


def call(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["transfer.py", *words])
    return transfer.main()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--real", "{}/nowhere"], "/nowhere: --real: no such folder"),
        (["--real", "{}", "--parts", "a,x"], "--parts: unknown 'x'; allowed: a, b, c, d"),
        (["--real", "{}", "--films", "covid"], "--films: unknown 'covid'; did you mean 'covid-cxr'?"),
        (["--real", "{}", "--decoders", "mcga"], "--decoders: unknown 'mcga'; did you mean 'mgca'?"),
        (["--real", "{}", "--seeds", "0"], "--seeds: 0, want 1 or more"),
        (["--real", "{}", "--parts", "c", "--show"], "no folder covid-cxr/"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(transfer, "RECORD", tmp_path / "transfer.json")
    assert call(monkeypatch, *(word.format(tmp_path) for word in words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("transfer.py: ")
    assert complaint in err
    assert not (tmp_path / "transfer.json").exists()


def score(encoder: str, training: int, value: float, fraction: float = 1.0) -> dict[str, Any]:
    return {"encoder": encoder, "training": training, "fraction": fraction, "value": value}


def everybody(values: list[float], **more: Any) -> list[dict[str, Any]]:
    names = [("random", 0), ("random", 1), ("convirt", 0), ("gloria", 0), ("mgca", 0), ("g2d", 0)]
    return [score(*name, value, **more) for name, value in zip(names, values, strict=True)]


def test_orders_are_compared_kind_by_kind() -> None:
    up, down = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.1, 0.2, 0.6, 0.5, 0.4, 0.3]
    linear = everybody(up, fraction=0.1) + everybody(up)
    real = {"linear": everybody(up, fraction=0.1) + everybody(down), "zero-shot": everybody(down)[2:]}
    generated = {"linear": linear, "zero-shot": everybody(up)[2:], "lungs": everybody(up)}
    rows = transfer.part_d({"a": real, "b": {"head": everybody(up)}}, generated)
    found = {(row["kind"], row["encoders"]): row for row in rows}
    assert [row["count"] for row in rows] == [6, 4, 6, 4, 4, 6, 4]
    assert found["a linear head, 10 % of the labels", "all"]["spearman"] == pytest.approx(1)
    assert found["a linear head, 100 % of the labels", "trained"]["kendall"] == pytest.approx(-1)
    assert found["zero-shot", "trained"]["spearman"] == pytest.approx(-1)
    assert found["lungs, linear head", "all"]["kendall_interval"] == pytest.approx((1, 1))
