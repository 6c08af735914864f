from __future__ import annotations

import torch
import torchvision
from torch import nn

from g2d_bench.encoders.converters.torchvision_sequential import convert


def test_children_of_a_cut_resnet_get_their_names() -> None:
    with torch.device("meta"):
        whole = torchvision.models.resnet18()
        cut = nn.Sequential(*list(whole.children())[:-2])
    got = convert(cut.state_dict())
    wanted = {name: value for name, value in whole.state_dict().items() if not name.startswith("fc.")}
    assert got.keys() == wanted.keys()
    assert all(got[name].shape == tensor.shape for name, tensor in wanted.items())


def test_other_entries_keep_their_names() -> None:
    assert list(convert({"fc.weight": torch.zeros(1), "12.weight": torch.zeros(1)})) == [
        "fc.weight",
        "12.weight",
    ]
