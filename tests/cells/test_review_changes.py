"""What a change takes away from a repository of results, and what it puts in the place of what is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import record_of, sealed_again

from g2d_bench.cells.review import Review, review
from g2d_bench.cells.review_changes import gone
from g2d_bench.cells.review_text import render
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.submit import Wishes, submit
from g2d_bench.records.record import read_record, sealed, to_json
from g2d_bench.records.selection import Found, select


def into(folder: Path, bundle: Path) -> None:
    """Copy a bundle into a repository, as its README says."""
    for name in ("records", "cards", "submissions"):
        shutil.copytree(bundle / name, folder / name, dirs_exist_ok=True)


@pytest.fixture
def repository(bundle: Path, other: Any, tmp_path: Path) -> Path:
    """A repository of results, in which the bundle is."""
    made = tmp_path / "repository"
    shutil.copytree(other.root, made / "records")
    into(made, bundle)
    (made / "LICENSE").write_text("CC0")
    (made / ".github").mkdir()
    (made / ".github" / "check.yml").write_text("on: pull_request")
    (made / ".git").mkdir()
    (made / ".git" / "HEAD").write_text("not looked at")
    return made


@pytest.fixture
def head(repository: Path, tmp_path: Path) -> Path:
    """A copy of the repository, to be changed."""
    shutil.copytree(repository, tmp_path / "head", ignore=shutil.ignore_patterns(".git"))
    return tmp_path / "head"


def look(head: Path, repository: Path) -> Review:
    return review(head, repository, Settings(), True)


def test_nothing_is_gone_of_a_copy(head: Path, repository: Path) -> None:
    assert gone(head, repository) == []
    assert (look(head, repository).problems, look(head, repository).removed) == ((), ())


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("LICENSE", "what is no part of a submission is gone"),
        (".github/check.yml", "what is no part of a submission is gone"),
        ("cards/mine.toml", "the card of an encoder is gone"),
        ("submissions/*.json", "an earlier submission is gone"),
        ("records/phantom/random/*/*/0.1-*.json", "a record, in whose place nothing stands, is gone"),
        (
            "records/phantom/mine/*/*/0.1-*.npz",
            "the predictions of a record, in whose place nothing stands, is",
        ),
    ],
)
def test_every_deletion_is_named_and_refused(head: Path, repository: Path, what: str, said: str) -> None:
    (path,) = head.glob(what)
    path.unlink()
    found = look(head, repository)
    place = path.relative_to(head).as_posix()
    assert found.removed == (place,)
    assert any(line.startswith(f"{place}: {said}") for line in found.problems), found.problems
    assert "**Refused: " in render(found)


def test_a_folder_in_the_place_of_a_file_is_no_file(head: Path, repository: Path) -> None:
    (head / "LICENSE").unlink()
    (head / "LICENSE").mkdir()
    assert gone(head, repository) == ["LICENSE"]


@pytest.fixture
def renewed(
    folder: Any, cards: Path, measured: Callable[..., Found], head: Path, repository: Path, tmp_path: Path
) -> Path:
    """The change of a submitter who measured all cells again, with another signature, and replaces them."""
    shutil.rmtree(folder.root)
    for fraction in (0.01, 0.1, 1.0):
        measured(0.6, fraction=fraction, version="1.1")
    submit(select(folder.root), tmp_path / "renewed", Settings(encoder_dirs=(cards,)), Wishes())
    shutil.rmtree(head / "records" / "phantom" / "mine" / "siim-seg@1.0")
    into(head, tmp_path / "renewed")
    return head


def test_a_submitter_may_replace_his_own_records(renewed: Path, repository: Path) -> None:
    found = look(renewed, repository)
    assert found.problems == ()
    assert len(found.new) == 3
    assert len(found.removed) == 6
    assert all("stands in its place" in line for line in found.removed)
    assert [line.state for line in found.moved] == ["signature"] * 3
    assert "not comparable, signatures differ: siim-seg@1.0" in render(found)


def test_that_holds_for_another_key_of_the_same_signature(
    folder: Any, cards: Path, measured: Callable[..., Found], head: Path, repository: Path, tmp_path: Path
) -> None:
    """A key may change where the signature does not; beside the old record it is one too many."""
    shutil.rmtree(folder.root)
    for n, fraction in enumerate((0.01, 0.1, 1.0)):
        measured(0.56, fraction=fraction, key=f"{n}" * 64)
    submit(select(folder.root), tmp_path / "renewed", Settings(encoder_dirs=(cards,)), Wishes())
    before = head / "records" / "phantom" / "mine" / "siim-seg@1.0"
    kept = tmp_path / "kept"
    shutil.move(before, kept)
    into(head, tmp_path / "renewed")
    found = look(head, repository)
    assert (found.problems, len(found.again)) == ((), 3)
    assert all("stands in its place" in line for line in found.removed)
    assert {line.state for line in found.moved} == {"moved"}
    shutil.copytree(kept, before, dirs_exist_ok=True)
    found = look(head, repository)
    assert sum("one cell can have one record only" in line for line in found.problems) == 3


def test_nobody_else_may(renewed: Path, repository: Path) -> None:
    """Other weights are another model, whatever they call themselves."""
    for path in (repository / "records" / "phantom" / "mine").rglob("*.json"):
        record = read_record(path)
        part = record.encoder.model_copy(update={"weights": "e" * 64})
        path.write_bytes(to_json(sealed(record.model_copy(update={"encoder": part}))))
    found = look(renewed, repository)
    assert sum("in whose place nothing stands, is gone" in line for line in found.problems) == 6


def test_every_change_of_a_number_is_said_with_its_amount(bundle: Path, other: Any) -> None:
    """Tolerances drawn from seeds are none here: among these, ten points would pass."""
    there = other.root / record_of(bundle).relative_to(bundle / "records")
    record = read_record(record_of(bundle))
    dice = record.metrics["dice_positive"]
    assert dice is not None
    for n, quality in enumerate((0.2, 0.9)):
        other.add("g2d", quality, seed=5 + n)
    for by, said in ((-0.10, "(+10.00 points)"), (0.08, "(-8.00 points)"), (1e-7, "(-1.0e-05 points)")):
        metrics = {**record.metrics, "dice_positive": dice + by}
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(
            to_json(sealed(record.model_copy(update={"metrics": metrics, "predictions": None})))
        )
        found = review(bundle, other.root, Settings())
        assert [line.metric for line in found.moved] == ["dice_positive"]
        text = render(found)
        assert said in text
        assert "1 cells are there already; 1 of their numbers changed." in text


def test_predictions_that_are_there_stay(bundle: Path, other: Any) -> None:
    shutil.copytree(bundle / "records", other.root, dirs_exist_ok=True)
    path = record_of(bundle)
    record = read_record(path)
    path.with_suffix(".npz").unlink()
    path.write_bytes(to_json(sealed(record.model_copy(update={"predictions": None}))))
    (stated,) = (bundle / "submissions").glob("*.json")
    raw = json.loads(stated.read_text())
    del raw["files"][path.with_suffix(".npz").relative_to(bundle).as_posix()]
    stated.write_text(json.dumps(raw))
    sealed_again(bundle)
    found = review(bundle, other.root, Settings())
    place = path.relative_to(bundle).as_posix()
    (line,) = found.problems
    assert line.startswith(f"{place}: has no predictions, and the record that is there has: keep them")
    # The other way round it is said, and no problem.
    there = other.root / path.relative_to(bundle / "records")
    shutil.copy(there.with_suffix(".npz"), path.with_suffix(".npz"))
    path.write_bytes(there.read_bytes())
    bare = sealed(record.model_copy(update={"predictions": None}))
    there.write_bytes(to_json(bare))
    raw["files"][path.with_suffix(".npz").relative_to(bundle).as_posix()] = ""
    stated.write_text(json.dumps(raw))
    sealed_again(bundle)
    found = review(bundle, other.root, Settings())
    assert (found.problems, found.predictions) == ((), (f"{place}: has predictions now",))
    assert f"- `{place}: has predictions now`" in render(found)
