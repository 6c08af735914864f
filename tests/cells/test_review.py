"""A review says what a bundle would change, and finds what in it is not true."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import record_of, sealed_again

from g2d_bench.cells.review import Review, review
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.submit import Wishes, submit
from g2d_bench.records.record import read_record, sealed, to_json
from g2d_bench.records.selection import select


def look(bundle: Path, other: Any, *, whole: bool = False) -> Review:
    return review(bundle, other.root, Settings(), whole)


def change(path: Path, how: Callable[[dict[str, Any]], None]) -> None:
    raw = json.loads(path.read_text())
    how(raw)
    path.write_text(json.dumps(raw))


def arrays(path: Path, **new: Any) -> None:
    """Write other predictions; ``None`` takes an array away."""
    with np.load(path.with_suffix(".npz")) as there:
        made = dict(there) | new
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: array for name, array in made.items() if array is not None})
    path.with_suffix(".npz").write_bytes(buffer.getvalue())


def test_an_honest_bundle(bundle: Path, other: Any) -> None:
    found = look(bundle, other)
    assert found.problems == ()
    assert (len(found.new), found.again, found.kept, found.missing) == (3, (), 0, ())
    assert found.metrics == 12
    assert {one.encoder for one in found.standings} == {"mine", "random"}
    assert found.encoders["mine"].licence == "MIT"


def test_the_first_numbers_of_a_repository(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = review(bundle, tmp_path / "empty", Settings())
    assert found.problems == ()
    assert found.unlike[0].endswith("the first numbers on phantom data")


def metric(bundle: Path) -> None:
    change(record_of(bundle), lambda raw: raw["metrics"].update(dice_positive=0.9))


def metric_sealed(bundle: Path) -> None:
    metric(bundle)
    sealed_again(bundle)


def predictions(bundle: Path) -> None:
    with np.load(record_of(bundle).with_suffix(".npz")) as there:
        better = there["true"]
    arrays(record_of(bundle), intersection=better, predicted=better)
    sealed_again(bundle)


def ids(bundle: Path) -> None:
    """Another test set: the same numbers of other images."""
    with np.load(record_of(bundle).with_suffix(".npz")) as there:
        names = np.array([f"other-{n}" for n in range(len(there["id"]))])
    arrays(record_of(bundle), id=names)
    sealed_again(bundle)


def truth(bundle: Path) -> None:
    """Easier images, with metrics and trivial predictors that fit them."""
    with np.load(record_of(bundle).with_suffix(".npz")) as there:
        smaller = np.minimum(there["true"], 100)
    arrays(record_of(bundle), true=smaller, intersection=smaller, predicted=smaller)

    def fit(raw: dict[str, Any]) -> None:
        raw["metrics"].update(dict.fromkeys(("dice_positive", "iou_positive"), 1.0))
        raw["metrics"].update(dict.fromkeys(("specificity_empty", "dice_legacy"), 1.0))

    change(record_of(bundle), fit)
    sealed_again(bundle)


def pixels(bundle: Path) -> None:
    arrays(record_of(bundle), film=np.zeros((60, 8, 8), np.uint8))
    sealed_again(bundle)


def licence(bundle: Path) -> None:
    (path,) = (bundle / "submissions").glob("*.json")
    change(path, lambda raw: raw["encoders"]["mine"].update(licence="public domain"))


def pretraining(bundle: Path) -> None:
    (path,) = (bundle / "submissions").glob("*.json")
    change(path, lambda raw: raw["encoders"]["mine"].update(pretraining=["nothing of interest"]))


def weights(bundle: Path) -> None:
    change(record_of(bundle), lambda raw: raw["encoder"].update(weights="c" * 64))
    sealed_again(bundle)


def shipped_name(bundle: Path) -> None:
    card = bundle / "cards" / "mine.toml"
    card.rename(card.with_name("mgca.toml"))
    (path,) = (bundle / "submissions").glob("*.json")
    change(path, lambda raw: raw["files"].update({"cards/mgca.toml": raw["files"].pop("cards/mine.toml")}))


def unlisted(bundle: Path) -> None:
    (bundle / "cards" / "extra.toml").write_text((bundle / "cards" / "mine.toml").read_text())


def lost(bundle: Path) -> None:
    record_of(bundle).with_suffix(".npz").unlink()


def no_submission(bundle: Path) -> None:
    shutil.rmtree(bundle / "submissions")


def moved_file(bundle: Path) -> None:
    place = record_of(bundle)
    for path in (place, place.with_suffix(".npz")):
        path.rename(bundle / "records" / path.name)
    (stated,) = (bundle / "submissions").glob("*.json")
    old = place.parent.relative_to(bundle).as_posix()
    stated.write_text(stated.read_text().replace(f"{old}/0.01-", "records/0.01-"))


def card_broken(bundle: Path) -> None:
    (bundle / "cards" / "mine.toml").write_text("[[[")
    sealed_again(bundle)


def seed_missing(bundle: Path) -> None:
    (stated,) = (bundle / "submissions").glob("*.json")
    for path in (record_of(bundle), record_of(bundle).with_suffix(".npz")):
        name = path.relative_to(bundle).as_posix()
        change(stated, lambda raw, name=name: raw["files"].pop(name))  # type: ignore[misc]
        if path.suffix == ".npz":
            path.unlink()
    record_of(bundle).unlink()


LIES: list[tuple[Callable[[Path], None], str]] = [
    (metric, "is another file than the one that was submitted"),
    (metric, "metrics.dice_positive: says 0.9, the predictions give"),
    (metric_sealed, "metrics.dice_positive: says 0.9, the predictions give"),
    (predictions, "metrics."),
    (ids, "ids and patients: 8 other records of the same signature differ"),
    (truth, "truth: 8 other records of the same signature differ"),
    (pixels, "holds film, which no metric reads"),
    (licence, "licence of mine: the card says 'MIT', the submission 'public domain'"),
    (pretraining, "encoder.pretraining: the record says ('mimic-cxr',)"),
    (weights, "encoder.weights: cccccccc are not among those of the submission"),
    (shipped_name, "takes the name of an encoder that ships with the suite"),
    (unlisted, "cards/extra.toml: is listed by no submission"),
    (lost, "is listed and is not there"),
    (no_submission, "nothing there says who was measured"),
    (moved_file, "lies where no record does"),
    (card_broken, "cards/mine.toml: not valid TOML"),
    (seed_missing, "rows are not complete, and no submission says why"),
]


@pytest.mark.parametrize(
    ("lie", "said"), LIES, ids=[f"{lie.__name__}-{n}" for n, (lie, _) in enumerate(LIES)]
)
def test_a_lie_is_found(bundle: Path, other: Any, lie: Callable[[Path], None], said: str) -> None:
    lie(bundle)
    problems = look(bundle, other).problems
    assert any(said in line for line in problems), problems
    assert not any(str(bundle) in line for line in problems)


def test_a_name_that_is_taken(bundle: Path, other: Any, measured: Any, cards: Path, tmp_path: Path) -> None:
    other.add("mine", 0.7, weights="d" * 64, fraction=0.01)
    problems = look(bundle, other).problems
    assert any("the name mine is taken by other weights (dddddddd)" in line for line in problems)


def test_the_shipped_weights_under_another_name(
    bundle: Path, other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from g2d_bench.cells import review_encoders

    monkeypatch.setattr(review_encoders, "_shipped_weights", lambda: {"a" * 64: "convirt"})
    problems = look(bundle, other).problems
    assert any("these are the weights of convirt" in line for line in problems)


def test_what_is_there_already(bundle: Path, other: Any, tmp_path: Path) -> None:
    """A copy of the repository with the bundle in it says the same, and what it lost or changed elsewhere."""
    repository = tmp_path / "repository"
    shutil.copytree(other.root, repository / "records")
    (repository / "README.md").write_text("results")
    change_set = tmp_path / "change"
    shutil.copytree(repository, change_set)
    shutil.copytree(
        bundle, change_set, dirs_exist_ok=True, ignore=lambda _, names: {"README.md"} & set(names)
    )
    found = review(change_set, repository, Settings(), True)
    assert (found.problems, len(found.new), found.kept, found.removed) == ((), 3, 6, ())
    gone = next((change_set / "records").rglob("random/*/*/*.json"))
    gone.unlink()
    (change_set / "run.sh").write_text("rm -rf /")
    found = review(change_set, repository, Settings(), True)
    lost = gone.relative_to(change_set).as_posix()
    assert found.removed == (lost,)
    assert found.problems == (
        "run.sh: is no part of a submission, and is changed or added",
        f"{lost}: a record, in whose place nothing stands, is gone",
    )


def test_a_number_that_moved(bundle: Path, other: Any, folder: Any, tmp_path: Path) -> None:
    shutil.copytree(bundle / "records", other.root, dirs_exist_ok=True)
    shutil.copytree(bundle / "cards", other.root.parent / "cards2")
    found = look(bundle, other)
    assert found.kept == 3
    path = record_of(other.root.parent / "bundle").relative_to(bundle / "records")
    there = read_record(other.root / path)
    worse = there.model_copy(update={"metrics": dict.fromkeys(there.metrics, 0.1), "predictions": None})
    (other.root / path).write_bytes(to_json(sealed(worse)))
    found = look(bundle, other)
    assert len(found.again) == 1
    assert {line.metric for line in found.moved} == set(there.metrics)


def test_another_signature_stands_beside_nothing(
    folder: Any, other: Any, cards: Path, measured: Any, tmp_path: Path
) -> None:
    other.grid({"g2d": 0.6}, (0.01, 0.1, 1.0), seeds=1)
    for fraction in (0.01, 0.1, 1.0):
        measured(fraction=fraction, version="2.0")
    submit(select(folder.root), tmp_path / "bundle", Settings(encoder_dirs=(cards,)), Wishes())
    found = look(tmp_path / "bundle", other)
    assert "siim-seg@2.0#aaaa in the place of siim-seg@1.0#aaaa" in found.unlike[0]
    assert found.problems == ()
