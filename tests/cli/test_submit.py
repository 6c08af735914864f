"""The way in, as a submitter and a reviewer walk it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hanging import hang

WHOLE = (0.01, 0.1, 1.0)


@pytest.fixture
def submitted(folder: Any, other: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle of a shipped encoder's cells; ``other`` is the repository."""
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.records.record import EncoderPart, read_predictions

    other.grid({"random": 0.4}, WHOLE, seeds=1)
    card = Catalogue.open().encoders["g2d"]
    part = EncoderPart(card_hash=card.digest, weights="a" * 64)
    for fraction in WHOLE:
        found = folder.add("g2d", fraction=fraction)
        arrays = read_predictions(found.path, found.record)
        folder.store.save(found.path, found.record.model_copy(update={"encoder": part}), arrays)
    result = cli("submit", "runs", "--out", "bundle", "--against", other.root, "--note", "hello")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("wrote bundle: g2d-")
    return Path("bundle").resolve()


def test_from_runs_to_a_comment(
    submitted: Path, other: Any, cli: Callable[..., Any], refused: Callable[..., None]
) -> None:
    result = cli("review", "bundle", "--against", other.root, "--out", "review.md")
    assert result.exit_code == 0, result.output
    assert "No problem found" in Path("review.md").read_text()
    refused(cli("submit", "runs", "--out", "bundle"), "is there already")
    refused(cli("submit", "runs", "--out", "x", "--against", "nowhere"), "--against: no such folder")
    refused(cli("review", "nowhere", "--against", other.root), "nowhere: no such folder")
    refused(cli("review", "bundle", "--against", "nowhere"), "no such folder")
    refused(cli("review", "bundle", "--against", other.root, "--out", "no/x.md"), "--out")


def test_a_hostile_bundle_is_refused_and_nothing_hangs(
    submitted: Path, other: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    record = next(submitted.rglob("0.01-*.json"))
    kept = shutil.copytree(submitted, submitted.with_name("kept"))
    for harm, said in (
        (lambda path: os.mkfifo(path), "is no regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a link"),
        (lambda path: path.write_text("[" * 100_000), "nested deeper"),
        (lambda path: path.write_text('{"schema_version": 1}'), "another file than the one"),
    ):
        record.unlink()
        harm(record)
        result = cli("review", "bundle", "--against", other.root, "--timeout", "120")
        assert result.exit_code == 1, result.output
        assert "**Refused: " in result.stdout
        assert said in result.stdout
    shutil.rmtree(submitted)
    kept.rename(submitted)
    # A quick machine reviews this bundle within the second.
    monkeypatch.setattr("g2d_bench.cells.review.review", hang)
    late = cli("review", "bundle", "--against", other.root, "--timeout", "1")
    assert late.exit_code == 1
    assert "took longer than 1 s" in late.stdout
