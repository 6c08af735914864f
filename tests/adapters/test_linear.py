from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, logsumexp
from sklearn.linear_model import LogisticRegression

from g2d_bench.adapters.linear import fit_heads


def _data(seed: int, n: int = 120, d: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(n, d, generator=generator) * torch.linspace(0.1, 30, d) + 5
    truth = (features - 5) @ torch.randn(d, 3, generator=generator) / 30
    labels = (truth + torch.randn(n, 3, generator=generator) > 0.5).double()
    return features, labels


def _reference(
    features: npt.NDArray[Any], labels: npt.NDArray[Any], penalty: float
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """scikit-learn minimises C · sum of losses + |w|² / 2, so C = 1 / (n · penalty)."""
    mean, scale = features.mean(0), features.std(0)
    model = LogisticRegression(C=1 / (len(features) * penalty), tol=1e-10, max_iter=10_000)
    model.fit((features - mean) / scale, labels)
    return model.coef_.T, model.intercept_


@pytest.mark.parametrize("penalty", [1e-3, 0.1, 3.0])
def test_independent_labels_equal_sklearn(penalty: float) -> None:
    features, labels = _data(0)
    rows = torch.ones(1, len(features), dtype=torch.bool)
    heads = fit_heads(features, labels, rows, torch.tensor([penalty]), exclusive=False, tolerance=1e-9)
    for label in range(3):
        weight, bias = _reference(features.double().numpy(), labels[:, label].numpy(), penalty)
        np.testing.assert_allclose(heads.weight[0, :, label], weight[:, 0], rtol=2e-4, atol=1e-5)
        np.testing.assert_allclose(heads.bias[0, label], bias[0], rtol=2e-4, atol=1e-5)


def test_exclusive_classes_equal_sklearn() -> None:
    features, labels = _data(1)
    classes = labels.argmax(1)
    rows = torch.ones(1, len(features), dtype=torch.bool)
    heads = fit_heads(features, classes, rows, torch.tensor([0.05]), exclusive=True, tolerance=1e-9)
    weight, bias = _reference(features.double().numpy(), classes.numpy(), 0.05)
    np.testing.assert_allclose(heads.weight[0], weight, rtol=2e-4, atol=1e-5)
    # The bias is not penalised, so it is determined up to a constant.
    np.testing.assert_allclose(heads.bias[0] - heads.bias[0].mean(), bias - bias.mean(), rtol=2e-4, atol=1e-5)


def test_together_as_one_by_one() -> None:
    features, labels = _data(2)
    generator = torch.Generator().manual_seed(5)
    rows = (
        torch.rand(6, len(features), generator=generator)
        < torch.tensor([0.1, 0.2, 0.5, 0.9, 1.1, 0.05])[:, None]
    )
    rows[:, 0] = True
    penalties = torch.tensor([1e-4, 1e-2, 1.0, 1e-3, 0.1, 10.0])
    together = fit_heads(features, labels, rows, penalties, exclusive=False)
    for k in range(6):
        alone = fit_heads(features, labels, rows[k : k + 1], penalties[k : k + 1], exclusive=False)
        torch.testing.assert_close(together.weight[k], alone.weight[0], rtol=1e-6, atol=1e-8)
        torch.testing.assert_close(
            together.logits(features, k), alone.logits(features, 0), rtol=1e-6, atol=1e-7
        )


def test_unknown_labels_and_constant_features_are_left_out() -> None:
    features, labels = _data(3)
    features = torch.cat([features, torch.full((len(features), 1), 4.0)], 1)
    hidden = labels.clone()
    hidden[::2, 1] = torch.nan
    rows = torch.ones(1, len(features), dtype=torch.bool)
    penalty = torch.tensor([0.1])
    heads = fit_heads(features, hidden, rows, penalty, exclusive=False, tolerance=1e-9)
    known = fit_heads(features, labels, rows, penalty, exclusive=False, tolerance=1e-9)
    assert heads.weight.isfinite().all()
    assert heads.weight[0, -1].abs().max() < 1e-12
    torch.testing.assert_close(heads.weight[0, :, 0], known.weight[0, :, 0], rtol=1e-5, atol=1e-7)
    assert not torch.allclose(heads.weight[0, :, 1], known.weight[0, :, 1], rtol=1e-2)


def test_separable_data_do_not_diverge() -> None:
    features = torch.tensor([[-1.0], [-2.0], [1.0], [2.0]])
    labels = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    heads = fit_heads(
        features, labels, torch.ones(1, 4, dtype=torch.bool), torch.tensor([0.0]), exclusive=False
    )
    assert heads.weight.isfinite().all()
    assert ((heads.logits(features, 0) > 0) == labels.bool()).all()


def test_a_head_without_rows_is_refused() -> None:
    features, labels = _data(4)
    with pytest.raises(ValueError, match="no row"):
        fit_heads(
            features,
            labels,
            torch.zeros(1, len(features), dtype=torch.bool),
            torch.tensor([1.0]),
            exclusive=False,
        )


@pytest.mark.parametrize("apart", [False, True])
def test_heads_with_other_rows_do_not_move_a_bit(apart: bool) -> None:
    features, labels = _data(6)
    generator = torch.Generator().manual_seed(7)
    sets = torch.rand(4, len(features), generator=generator) < torch.tensor([0.1, 0.4, 0.4, 2.0])[:, None]
    grid = torch.tensor([1e-4, 1e-2, 1.0])
    together = fit_heads(
        features, labels, sets.repeat_interleave(3, 0), grid.repeat(4), exclusive=False, apart=apart
    )
    for n in range(4):
        alone = fit_heads(features, labels, sets[n : n + 1].expand(3, -1), grid, exclusive=False)
        for k in range(3):
            assert torch.equal(together.weight[3 * n + k], alone.weight[k])
            assert torch.equal(together.logits(features, 3 * n + k), alone.logits(features, k))
        assert alone.converged.all()


def test_a_class_without_rows_keeps_its_column() -> None:
    features, labels = _data(8)
    classes = labels[:, :2].argmax(1)
    rows = torch.ones(1, len(features), dtype=torch.bool)
    heads = fit_heads(features, classes, rows, torch.tensor([0.1]), exclusive=True, classes=4)
    chances = heads.logits(features, 0).softmax(1)
    assert chances.shape == (len(features), 4)
    assert chances[:, 2:].max() < 0.01


def test_in_turns_or_side_by_side_is_the_same() -> None:
    features, labels = _data(8)
    generator = torch.Generator().manual_seed(9)
    sets = torch.rand(3, len(features), generator=generator) < torch.tensor([0.2, 0.5, 2.0])[:, None]
    # Heads of one set of rows need not stand side by side.
    rows, penalties = sets.repeat(2, 1), torch.tensor([1e-3, 0.1, 1.0, 0.01, 1.0, 1e-4])
    one, other = (
        fit_heads(features, labels, rows, penalties, exclusive=False, apart=apart) for apart in (False, True)
    )
    torch.testing.assert_close(one.weight, other.weight, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(one.mean, other.mean, rtol=0, atol=0)
    torch.testing.assert_close(one.loss, other.loss, rtol=1e-9, atol=1e-12)
    assert torch.equal(one.converged, other.converged)


def _optimum(
    rows: npt.NDArray[Any],
    truth: npt.NDArray[Any],
    penalty: float,
    start: npt.NDArray[Any],
    *,
    exclusive: bool,
) -> tuple[npt.NDArray[Any], float]:
    """Minimise the objective by scipy as far as the arithmetic goes: weights [D, C] and value."""
    count, dim = rows.shape
    classes = truth.shape[1]

    def objective(point: npt.NDArray[Any]) -> tuple[float, npt.NDArray[Any]]:
        weight, bias = point[: dim * classes].reshape(dim, classes), point[dim * classes :]
        logits = rows @ weight + bias
        if exclusive:
            log = logits - logsumexp(logits, 1, keepdims=True)
            loss, error = -(log * truth).sum() / count, (np.exp(log) - truth) / count
        else:
            loss = (np.logaddexp(0, logits) - logits * truth).sum() / count
            error = (expit(logits) - truth) / count
        value = loss + penalty / 2 * (weight**2).sum()
        return float(value), np.concatenate([(rows.T @ error + penalty * weight).ravel(), error.sum(0)])

    options = {"maxiter": 20_000, "maxfun": 40_000, "ftol": 0, "gtol": 1e-12, "maxcor": 30}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    return found.x[: dim * classes].reshape(dim, classes), float(found.fun)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("count", [12, 40, 200])
def test_few_rows_and_a_weak_penalty_reach_the_optimum(count: int, exclusive: bool) -> None:
    """Fewer rows than features are separable: the gradient is below the penalty long before the optimum."""
    generator = torch.Generator().manual_seed(count)
    features = torch.randn(count, 60, generator=generator) @ torch.randn(60, 60, generator=generator)
    labels = torch.randn(count, 3, generator=generator)
    targets = labels.argmax(1) if exclusive else (labels > 0.5).double()
    penalties = torch.tensor([1e-5, 1e-3, 1.0], dtype=torch.float64)
    heads = fit_heads(
        features, targets, torch.ones(3, count, dtype=torch.bool), penalties, exclusive=exclusive, classes=3
    )
    assert heads.converged.all()
    rows = ((features.double() - heads.mean[0]) / heads.scale[0]).numpy()
    truth = (torch.nn.functional.one_hot(targets.long(), 3) if exclusive else targets).double().numpy()
    for k, penalty in enumerate(penalties.tolist()):
        found = heads.weight[k].numpy()
        start = np.concatenate([found.ravel(), heads.bias[k].numpy()])
        weight, value = _optimum(rows, truth, penalty, start, exclusive=exclusive)
        assert np.linalg.norm(found - weight) <= 1e-4 * np.linalg.norm(weight)
        assert float(heads.loss[k]) - value <= 1e-9 * value


def test_what_is_not_done_does_not_say_so() -> None:
    features, labels = _data(11, n=6)
    rows = torch.ones(1, 6, dtype=torch.bool)
    short = fit_heads(features, labels, rows, torch.tensor([1e-5]), exclusive=False, max_steps=5)
    assert not short.converged.any()
    assert fit_heads(features, labels, rows, torch.tensor([1e-5]), exclusive=False).converged.all()


def test_a_label_of_one_class_has_no_weights() -> None:
    features, labels = _data(12)
    labels[:, 1], labels[:, 2] = 0, 1
    labels[::2, 2] = torch.nan
    rows = torch.ones(1, len(features), dtype=torch.bool)
    heads = fit_heads(features, labels, rows, torch.tensor([1e-3]), exclusive=False)
    alone = fit_heads(features, labels[:, :1], rows, torch.tensor([1e-3]), exclusive=False)
    assert heads.converged.all()
    assert (heads.weight[0, :, 1:] == 0).all()
    chances = heads.logits(features, 0).sigmoid()
    torch.testing.assert_close(chances[:, 1], torch.full((120,), 0.5 / 121, dtype=torch.float64))
    torch.testing.assert_close(chances[:, 2], torch.full((120,), 60.5 / 61, dtype=torch.float64))
    torch.testing.assert_close(chances[:, 0], alone.logits(features, 0).sigmoid()[:, 0], rtol=1e-4, atol=1e-6)
