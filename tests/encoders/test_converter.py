from __future__ import annotations

from pathlib import Path

import pytest
import torch

from g2d_bench.cards.encoder import Layout
from g2d_bench.cards.library import CONVERTERS
from g2d_bench.encoders.converter import converted
from g2d_bench.errors import InputError

FILE = Path("some.pth")


def test_the_four_are_there() -> None:
    assert {"openai-clip", "dinov2-chunked", "eva", "torchvision-sequential"} <= set(CONVERTERS.names)


def test_only_what_stands_under_a_prefix_is_converted() -> None:
    layout = Layout(layout="x", prefix=["a.", "b."], convert="torchvision-sequential", expect=1)
    state = {"a.0.weight": torch.zeros(1), "b.1.weight": torch.zeros(1), "0.weight": torch.zeros(1)}
    assert set(converted(state, layout, FILE)) == {"a.conv1.weight", "b.bn1.weight", "0.weight"}


def test_an_entry_of_another_form_is_one_line() -> None:
    layout = Layout(layout="x", convert="dinov2-chunked", expect=1)
    with pytest.raises(InputError, match=r"some.pth: checkpoint.convert: dinov2-chunked: .* are both"):
        converted({"blocks.0.1.a": torch.zeros(1), "blocks.1.a": torch.zeros(1)}, layout, FILE)
