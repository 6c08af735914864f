from __future__ import annotations

import math
import statistics as standard
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from g2d_bench.metrics import resample as statistics
from g2d_bench.metrics.registry import metric_spec
from g2d_bench.metrics.resample import (
    LEAST,
    Candidate,
    against_best,
    best_set,
    clusters,
    deviation,
    general_replicates,
    holm,
    interval,
    mean_replicates,
    mean_sd,
    paired_p,
    patient_weights,
    rank_intervals,
    ratio_replicates,
    two_sided,
)
from g2d_bench.metrics.spec import weighted_mean

Array = npt.NDArray[Any]


def _patients(samples: int, count: int, seed: int = 0) -> Array:
    return np.array([f"p{n}" for n in np.random.default_rng(seed).integers(0, count, samples)])


def test_draws_are_multinomial() -> None:
    weights = patient_weights(40, 4000)
    assert (weights.sum(axis=1) == 40).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(40), abs=0.08)
    assert weights.var() == pytest.approx(1 - 1 / 40, abs=0.02)
    assert np.cov(weights[:, 0], weights[:, 1])[0, 1] == pytest.approx(-1 / 40, abs=0.06)


def test_draws_depend_on_arguments_only_and_more_of_them_begin_alike() -> None:
    first = patient_weights(17, 50).copy()
    patient_weights.cache_clear()
    np.random.default_rng(1).random(9)
    assert (patient_weights(17, 80)[:50] == first).all()
    assert (patient_weights(17, 50, seed=1) != first).any()
    with pytest.raises(ValueError, match="read-only"):
        patient_weights(17, 50)[0, 0] = 3


def test_patients_are_drawn_whole_and_their_order_does_not_matter() -> None:
    patients = _patients(60, 9)
    _, count = clusters(patients)
    assert count == len(set(patients.tolist()))
    seen: list[Array] = []

    def spy(weights: Array) -> Array:
        seen.append(weights)
        return np.asarray(weights.sum(axis=1))

    general_replicates(spy, patients, 30)
    for weights in np.concatenate(seen):
        assert all(len(set(weights[patients == name].tolist())) == 1 for name in set(patients.tolist()))
    values = np.random.default_rng(3).random(60)
    shuffled = np.random.default_rng(4).permutation(60)
    assert mean_replicates(values, patients, 30) == pytest.approx(
        mean_replicates(values[shuffled], patients[shuffled], 30), abs=1e-12
    )


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 12))
def test_means_equal_literal_loops(seed: int, samples: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    patients = _patients(samples, count, seed)
    values = np.where(generator.random(samples) < 0.3, np.nan, generator.random(samples))
    index, found = clusters(patients)
    wanted = []
    for row in patient_weights(found, 7):
        drawn = [v for v, p in zip(values.tolist(), index, strict=True) for _ in range(int(row[p]))]
        drawn = [v for v in drawn if not math.isnan(v)]
        wanted.append(sum(drawn) / len(drawn) if drawn else math.nan)
    assert mean_replicates(values, patients, 7) == pytest.approx(wanted, nan_ok=True, abs=1e-12)
    assert general_replicates(weighted_mean(values), patients, 7) == pytest.approx(
        wanted, nan_ok=True, abs=1e-12
    )


def test_ratio_is_that_of_the_sums() -> None:
    patients = np.array(["a", "a", "b", "c"])
    above, below = np.array([1.0, 2, 3, 0]), np.array([2.0, 2, 4, 0])
    weights = patient_weights(3, 20).astype(float)[:, [0, 0, 1, 2]]
    with np.errstate(invalid="ignore"):
        wanted = (weights @ above) / (weights @ below)
    assert ratio_replicates(above, below, patients, 20) == pytest.approx(wanted, nan_ok=True)


@pytest.mark.parametrize("chunk", [1, 500, 1 << 22])
def test_auroc_draws_equal_sklearn_on_repeated_samples(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "CHUNK", chunk)
    generator = np.random.default_rng(0)
    patients = _patients(150, 60)
    targets = (generator.random((150, 2)) < 0.3).astype(float)
    scores = np.round(targets + generator.normal(0, 1, (150, 2)), 1)
    stored = {"id": np.arange(150), "scores": scores, "targets": targets}
    found = general_replicates(metric_spec("auroc").statistic(stored), patients, 12)
    index, count = clusters(patients)
    for value, row in zip(found, patient_weights(count, 12), strict=True):
        drawn = np.repeat(np.arange(150), row[index].astype(int))
        wanted = roc_auc_score(targets[drawn], scores[drawn], average="macro")
        assert value == pytest.approx(wanted, abs=1e-12)


def test_interval_holds_what_it_promises_only_when_patients_are_drawn() -> None:
    """Six images per patient, almost alike: an interval that draws images is far too narrow."""
    generator = np.random.default_rng(5)
    patients = np.repeat([f"p{n}" for n in range(40)], 6)
    covered = {"patients": 0, "images": 0}
    trials = 200
    for _ in range(trials):
        values = np.repeat(generator.normal(0, 1, 40), 6) + generator.normal(0, 0.2, 240)
        for name, units in (("patients", patients), ("images", np.arange(240).astype(str))):
            low, high = interval(mean_replicates(values, units, 300))
            covered[name] += low <= 0 <= high
    assert 0.87 <= covered["patients"] / trials <= 0.99
    assert covered["images"] / trials < 0.75


def test_interval_and_deviation_leave_out_undefined_draws() -> None:
    draws = np.array([math.nan, *range(101)])
    assert interval(draws, 0.9) == pytest.approx((5, 95))
    assert deviation(draws) == pytest.approx(standard.stdev(range(101)))
    for few in (np.array([math.nan]), np.array([1.0, math.nan])):
        assert all(math.isnan(limit) for limit in interval(few))
        assert math.isnan(deviation(few))


def test_bounds_of_an_interval_are_numpys_quantiles() -> None:
    generator = np.random.default_rng(8)
    for number in range(400):
        draws = generator.normal(size=int(generator.integers(2, 1200))) * 10 ** generator.uniform(-5, 5)
        if number % 3 == 0:
            draws = np.round(draws, 1)
        before = draws.copy()
        for level in (0.95, 0.5, 1.0, float(generator.random())):
            assert interval(draws, level) == tuple(np.quantile(draws, [(1 - level) / 2, (1 + level) / 2]))
        assert np.array_equal(draws, before)


def test_draws_that_are_often_undefined_tell_nothing() -> None:
    """AUROC of four positive patients is undefined where none of them is drawn: in one draw of 50."""
    draws = np.random.default_rng(0).normal(5, 1, 2000)
    some = draws.copy()
    some[:20] = math.nan
    assert interval(some) == interval(draws[20:])
    assert paired_p(some, np.zeros(2000)) < 0.01
    some[:21] = math.nan
    assert all(math.isnan(number) for number in (*interval(some), deviation(some)))
    assert math.isnan(paired_p(some, np.zeros(2000)))
    rows = {"best": Candidate(5.0, some), "worst": Candidate(0.0, np.zeros(2000))}
    assert against_best(rows) == {}, "an untested row is no equal of the best"
    assert best_set(rows) == set()
    assert [(r.rank, r.low, r.high) for r in rank_intervals(rows).values()] == [(1, 1, 2), (2, 1, 2)]


def test_paired_p() -> None:
    generator = np.random.default_rng(0)
    draws = generator.normal(0, 1, 999)
    assert paired_p(draws, draws) == 1
    assert paired_p(draws + 9, draws) == paired_p(draws, draws + 9) == pytest.approx(2 / 1000)
    other = draws + generator.normal(0.5, 1, 999)
    assert paired_p(draws, other) == pytest.approx(paired_p(other, draws))
    wanted = 2 * (1 + sum(d <= 0 for d in (other - draws).tolist())) / 1000
    assert paired_p(other, draws) == pytest.approx(wanted)
    assert math.isnan(paired_p(np.full(5, math.nan), np.ones(5)))


def _means(values: npt.NDArray[np.float64], count: int, seed: int) -> npt.NDArray[np.float64]:
    """Bootstrap a mean, [count]."""
    generator = np.random.default_rng(seed)
    even = np.full(len(values), 1 / len(values))
    return generator.multinomial(len(values), even, size=count) @ values / len(values)


@pytest.mark.parametrize("patients", [15, 60])
@pytest.mark.parametrize("shape", ["even", "skewed", "skewed to zero", "sparse"])
def test_p_beyond_all_draws_is_not_too_small(shape: str, patients: int) -> None:
    """Against the share of 100,000 draws: 2,000 say at most twice too little, whatever is drawn from."""
    generator = np.random.default_rng(patients)
    heavy = generator.lognormal(0, 1.2, patients)
    values = {
        "even": generator.normal(size=patients),
        "skewed": heavy,
        "skewed to zero": -heavy,
        "sparse": np.where(generator.random(patients) < 0.2, generator.normal(size=patients), 0),
    }[shape]
    off = values - values.mean()
    beyond = 0
    for distance in (3.8, 4.5, 5.2):
        draws = _means(off + distance * off.std() / math.sqrt(patients), 100_000, 7)
        wanted = 2 * ((draws <= 0).sum() + 1) / (len(draws) + 1)
        parts = draws.reshape(-1, 2000)
        p = two_sided(parts)
        told = p[p < 2 / 2001]
        assert (told > wanted / 2).all()
        beyond += len(told)
    assert beyond > 50


def test_p_beyond_all_draws_falls_with_the_distance_and_ends_somewhere() -> None:
    draws = np.random.default_rng(0).normal(0, 1, (1, 500))
    p = [float(two_sided(draws + distance)[0]) for distance in (3, 4, 5, 6, 8, 80)]
    assert p == sorted(p, reverse=True)
    assert p[1] < 2 / 501
    assert p[-1] == LEAST
    assert two_sided(-draws - 5) == pytest.approx(two_sided(draws + 5))
    # One draw, none, or draws that are all the same tell nothing of a spread.
    assert two_sided(np.full((1, 999), 0.3)) == 2 / 1000
    assert two_sided(np.ones((1, 1))) == two_sided(np.ones((1, 0))) == 1


def test_a_difference_beyond_doubt_is_found_among_hundreds() -> None:
    draws = np.random.default_rng(1).normal(0, 1, (300, 2000))
    assert max(holm(two_sided(draws + 7).tolist())) < 0.01
    assert min(holm(two_sided(draws + 2).tolist())) > 0.05


def test_paired_p_of_equal_encoders_is_rarely_small() -> None:
    """Two encoders without a difference: at most about one in twenty comparisons is significant."""
    generator = np.random.default_rng(2)
    patients = np.array([f"p{n}" for n in range(120)])
    small = 0
    for _ in range(200):
        shared = generator.normal(0, 1, 120)
        first, second = (
            mean_replicates(shared + generator.normal(0, 0.5, 120), patients, 400) for _ in range(2)
        )
        small += paired_p(first, second) < 0.05
    assert small / 200 < 0.1


def test_pairing_finds_a_difference_that_intervals_hide() -> None:
    generator = np.random.default_rng(1)
    patients = np.array([f"p{n}" for n in range(150)])
    shared = generator.normal(0, 1, 150)
    worse = mean_replicates(shared, patients, 1000)
    better = mean_replicates(shared + 0.1 + generator.normal(0, 0.1, 150), patients, 1000)
    assert interval(better)[0] < interval(worse)[1]
    assert paired_p(better, worse) < 0.01


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_against_its_definition(p: list[float]) -> None:
    """Adjusted p of the k-th smallest: the largest (m - j + 1) p_j over all j up to k, at most 1."""
    ordered = sorted(p)
    wanted = {}
    for k, value in enumerate(ordered):
        wanted[value] = min(1.0, max((len(p) - j) * ordered[j] for j in range(k + 1)))
    # Equal p values share the smallest correction of their run or a larger one that is at its limit.
    adjusted = holm(p)
    for value, found in zip(p, adjusted, strict=True):
        assert value <= found + 1e-15
        assert found <= min(1.0, len(p) * value) + 1e-15
        assert found == pytest.approx(wanted[value])


def test_mean_and_deviation_over_seeds() -> None:
    values = [0.71, 0.69, 0.74]
    assert mean_sd(values) == pytest.approx((standard.fmean(values), standard.stdev(values)))
    mean, sd = mean_sd([0.5])
    assert mean == 0.5
    assert math.isnan(sd)
    assert all(math.isnan(part) for part in mean_sd([]))


def _rows(points: dict[str, float], noise: float, seed: int = 0) -> dict[str, Candidate]:
    generator = np.random.default_rng(seed)
    return {name: Candidate(p, p + generator.normal(0, noise, 500)) for name, p in points.items()}


def test_best_set() -> None:
    rows = _rows({"a": 0.70, "b": 0.695, "c": 0.5, "d": math.nan}, 0.02)
    assert best_set(rows) == {"a", "b"}
    assert best_set(dict(reversed(rows.items()))) == {"a", "b"}
    assert best_set(rows, higher_is_better=False) == {"c"}
    assert best_set(_rows({"a": 0.70, "b": 0.69, "c": 0.5}, 0.0001)) == {"a"}
    assert best_set({"a": rows["a"]}) == best_set({}) == best_set({"a": rows["a"], "d": rows["d"]}) == set()


def test_best_set_corrects_for_the_number_of_comparisons() -> None:
    """A p of 0.02 singles a row out alone, but not as one of twenty alike."""
    draws = np.zeros(999)
    slightly = np.where(np.arange(999) < 9, 1.0, -1.0)
    assert paired_p(draws, slightly) == pytest.approx(0.02)
    worse = {f"w{n}": Candidate(-1.0, slightly) for n in range(20)}
    assert best_set({"best": Candidate(0.0, draws), "w0": worse["w0"]}) == {"best"}
    assert best_set({"best": Candidate(0.0, draws), **worse}) == {"best", *worse}


def test_rank_intervals() -> None:
    rows = _rows({"a": 0.9, "b": 0.71, "c": 0.70, "d": 0.1, "none": math.nan}, 0.02)
    ranks = rank_intervals(rows)
    assert {name: (r.rank, r.low, r.high) for name, r in ranks.items()} == {
        "a": (1, 1, 1),
        "b": (2, 2, 3),
        "c": (3, 2, 3),
        "d": (4, 4, 4),
    }
    assert rank_intervals(rows, higher_is_better=False)["d"].rank == 1
    assert rank_intervals({}) == {}


def test_ranks_by_literal_count_and_shared_ranks() -> None:
    generator = np.random.default_rng(0)
    table = {name: generator.integers(0, 4, 199).astype(float) for name in "abcd"}
    ranks = rank_intervals({name: Candidate(1.0, draws) for name, draws in table.items()}, level=0.5)
    assert all(r.rank == 1 for r in ranks.values())
    for name, found in ranks.items():
        each = sorted(1 + sum(table[o][n] > table[name][n] for o in "abcd") for n in range(199))
        # The smallest rank that at least a quarter (three quarters) of the draws do not exceed.
        low = next(r for r in each if sum(e <= r for e in each) >= 0.25 * 199)
        high = next(r for r in each if sum(e <= r for e in each) >= 0.75 * 199)
        assert (found.low, found.high) == (low, high)


def test_nothing_is_known_of_ranks_without_draws() -> None:
    unknown = np.full(5, math.nan)
    ranks = rank_intervals({"a": Candidate(2.0, unknown), "b": Candidate(1.0, np.ones(5))})
    assert [(r.rank, r.low, r.high) for r in ranks.values()] == [(1, 1, 2), (2, 1, 2)]


def test_a_statistic_of_some_rows_sees_the_same_drawn_patients() -> None:
    patients = np.array([f"p{n // 3}" for n in range(30)])
    rows = np.array([2, 3, 11, 29])
    seen: list[Any] = []

    def spy(weights: Any) -> Any:
        seen.append(weights)
        return weights.sum(axis=1)

    whole = general_replicates(spy, patients, 40)
    part = general_replicates(spy, patients, 40, rows)
    np.testing.assert_array_equal(seen[1], seen[0][:, rows])
    assert len(whole) == len(part) == 40
