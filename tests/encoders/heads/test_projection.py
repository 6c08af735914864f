"""The layers of projections, and the names of their entries."""

from __future__ import annotations

import pytest
import torch

from g2d_bench.encoders.heads.projection import along, projection
from g2d_bench.errors import InputError


@pytest.mark.parametrize(
    ("options", "entries"),
    [
        ({"kind": "none", "dim": 6}, []),
        ({"kind": "linear"}, ["weight", "bias"]),
        ({"kind": "linear", "bias": False}, ["weight"]),
        ({"kind": "linear", "transposed": True}, ["weight"]),
        ({"kind": "mlp"}, ["0.weight", "0.bias", "2.weight", "2.bias"]),
        ({"kind": "mlp", "bias": False, "activation": "gelu"}, ["0.weight", "2.weight"]),
    ],
)
def test_entries(options: dict[str, object], entries: list[str]) -> None:
    made = projection(**{"width": 6, "dim": 4, **options})  # type: ignore[arg-type]
    assert list(made.state_dict()) == entries
    assert made(torch.zeros(2, 6)).shape[1] == options.get("dim", 4)


def test_a_perceptron_with_norms_is_written_out() -> None:
    torch.manual_seed(0)
    made = projection("mlp", 3, 2, hidden=5, norm="batch").eval()
    state = made.state_dict()
    assert "4.weight" not in state, "the last normalisation has no scale"
    x = torch.randn(7, 3)
    hidden = x @ state["0.weight"].T + state["0.bias"]
    hidden = (hidden - state["1.running_mean"]) / (state["1.running_var"] + 1e-5).sqrt()
    hidden = (hidden * state["1.weight"] + state["1.bias"]).clamp(min=0)
    expected = hidden @ state["3.weight"].T + state["3.bias"]
    expected = (expected - state["4.running_mean"]) / (state["4.running_var"] + 1e-5).sqrt()
    torch.testing.assert_close(made(x), expected)


def test_a_transposed_map_is_the_matrix_itself() -> None:
    made = projection("linear", 3, 2, transposed=True)
    assert made.state_dict()["weight"].shape == (3, 2)
    torch.testing.assert_close(made(torch.eye(3)), made.state_dict()["weight"])


def test_cells_pass_one_by_one() -> None:
    torch.manual_seed(1)
    made, cells = projection("linear", 3, 2), torch.randn(2, 3, 4, 5)
    found = along(made, cells)
    assert found.shape == (2, 2, 4, 5)
    torch.testing.assert_close(found[1, :, 2, 3], made(cells[1, :, 2, 3]))


@pytest.mark.parametrize("options", [{"kind": "cubic"}, {"norm": "layer"}, {"activation": "sin"}])
def test_words_that_are_none(options: dict[str, str]) -> None:
    with pytest.raises(InputError, match="must be one of"):
        projection(**{"kind": "mlp", "width": 3, "dim": 2, **options})  # type: ignore[arg-type]
    with pytest.raises(InputError, match="width stays 3, not 2"):
        projection("none", 3, 2)
