"""Cards, encoders and scores of the yardstick's cells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transfer_cells import (
    LINEAR,
    LUNGS,
    NEAR,
    ZERO_SHOT,
    Candidate,
    Runner,
    at_hand,
    by_candidate,
    candidates,
    equal_grey,
    lungs,
    pneumonia,
    write_cards,
)

from g2d_bench import Catalogue
from g2d_bench.cells.bench import Bench
from g2d_bench.cells.settings import Settings
from g2d_bench.data.splits import read_id_list
from g2d_bench.phantom import ensure
from g2d_bench.readers.registry import open_dataset


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films")
    for name in ("nih1k", "covid-cxr"):
        ensure(name, root=root, count=200, size=64)
    return root


def test_cards_are_cards_and_their_splits_are_by_patient(films: Path, tmp_path: Path) -> None:
    write_cards(tmp_path, films, 3)
    tasks = Catalogue.open((tmp_path,)).tasks
    names = [LINEAR.format(seed) for seed in range(3)]
    assert [tasks[name].kind for name in names] == ["classification"] * 3
    assert tasks[ZERO_SHOT].kind == "zero-shot"
    across = tasks[LUNGS].test
    assert across is not None
    assert (across.training, across.dataset, across.split) == ("phantom", "covid-cxr", None)
    owners = {sample.id: sample.patient for sample in open_dataset("nih1k", films).samples()}
    splits = [read_id_list(tmp_path / f"{name}.csv") for name in names]
    assert len({split.test for split in splits}) == 3
    for split in [*splits, read_id_list(tmp_path / f"{ZERO_SHOT}.csv")]:
        people = [{owners[name] for name in ids} for ids in split.parts.values()]
        assert sum(map(len, people)) == len(set.union(*people))
        assert set().union(*split.parts.values()) == set(owners)
    assert len(read_id_list(tmp_path / f"{ZERO_SHOT}.csv").test) > 0.9 * len(owners)


def test_shipped_encoders_are_the_first_training(tmp_path: Path) -> None:
    assert at_hand(tmp_path) == 1
    found = candidates(1, 2, tmp_path)
    assert [one.name for one in found[:2]] == ["random 0", "random 1"]
    assert {one.encoder for one in found[2:]} == {"convirt", "gloria", "mgca", "g2d"}
    assert all(one.weights is not None and one.weights.is_file() for one in found[2:])


def test_scores_are_averaged_over_what_is_not_asked_for() -> None:
    def score(encoder: str, training: int, fraction: float, value: float) -> dict[str, object]:
        return {"encoder": encoder, "training": training, "fraction": fraction, "value": value}

    scores = [score("g2d", 0, 0.1, 0.6), score("g2d", 0, 0.1, 0.8), score("g2d", 0, 1.0, 0.9)]
    scores.append(score("g2d", 1, 0.1, 0.5))
    assert by_candidate(scores, fraction=0.1) == {("g2d", 0): pytest.approx(0.7), ("g2d", 1): 0.5}


def test_cells_are_run_once(films: Path, tmp_path: Path) -> None:
    """On generated films in the place of real ones, which a card divides by its ratios."""
    write_cards(tmp_path / "cards", films, 2)
    runner = Runner(tmp_path / "runs", films, tmp_path / "cards", 1)
    shipped = next(one for one in candidates(1, 1, tmp_path) if one.encoder == "mgca")
    everybody = [Candidate("random", 0), Candidate("random", 1), shipped]
    found = pneumonia(everybody, 2, runner)
    assert len(found["linear"]) == 3 * 2 * 2
    assert [(one["encoder"], one["seed"]) for one in found["linear"] if one["fraction"] == 1][:4] == [
        ("random", 0),
        ("random", 0),
        ("random", 1),
        ("random", 1),
    ]
    assert all(one["equal_grey"] is None or 0 <= one["equal_grey"] <= 1 for one in found["linear"])
    asked = found["zero-shot"][0]
    assert (asked["encoder"], set(asked["views"])) == ("mgca", {"AP", "PA"})
    assert asked["interval"][0] <= asked["value"] <= asked["interval"][1]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.json")}
    assert pneumonia(everybody, 2, runner) == found
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.json")} == before


def test_films_of_equal_grey_are_compared_pair_by_pair(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    ill, scores = generator.random(60) < 0.4, generator.integers(0, 6, 60).astype(float)
    greys = generator.uniform(80, 120, 60)
    ids = [f"n{place}" for place in range(60)]
    path = tmp_path / "kept.npz"
    np.savez(path, id=np.array(ids), scores=scores[:, None], targets=ill[:, None].astype(float))
    found = []
    for one in np.flatnonzero(ill):
        for other in np.flatnonzero(~ill):
            if abs(greys[one] - greys[other]) <= NEAR:
                found.append((scores[one] > scores[other]) + (scores[one] == scores[other]) / 2)
    by_id = dict(zip(ids, greys.tolist(), strict=True))
    assert equal_grey(path, by_id) == {"equal_grey": pytest.approx(np.mean(found))}
    assert equal_grey(path, {name: 1000.0 * place for place, name in enumerate(ids)}) == {"equal_grey": None}


def test_scores_that_lack_what_is_averaged_do_not_count() -> None:
    scores = [
        {"encoder": "g2d", "training": 0, "value": 0.5, "equal_grey": alike} for alike in (0.2, None, 0.4)
    ]
    assert by_candidate(scores, of="equal_grey") == {("g2d", 0): pytest.approx(0.3)}
    assert by_candidate([scores[1]], of="equal_grey") == {}


def test_decoders_are_trained_for_those_asked_for(tmp_path: Path) -> None:
    planned: list[str] = []

    class Noting(Runner):
        def __call__(self, plans, details=None):  # type: ignore[no-untyped-def]
            planned.extend(f"{cell.protocol} {one.name}" for one, cells in plans for cell in cells)
            return []

    everybody = [Candidate("random", 0), Candidate("random", 1), Candidate("g2d", 0, tmp_path)]
    lungs(everybody, Noting(tmp_path, None), ["random", "g2d"])
    assert planned == [
        *("clean-linear random 0", "clean-linear random 1", "clean-linear g2d 0"),
        *("clean random 0", "clean g2d 0"),
    ]


def test_lungs_train_on_generated_films(films: Path, tmp_path: Path) -> None:
    write_cards(tmp_path, films, 1)
    bench = Bench(Settings(data_root=films, task_dirs=(tmp_path,)))
    task = bench.catalogue.tasks[LUNGS]
    assert task.data_name == "phantom-covid-cxr-to-covid-cxr"
