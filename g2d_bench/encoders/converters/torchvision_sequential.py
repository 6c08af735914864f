"""A ResNet of torchvision that was cut into a sequence, as ``nn.Sequential(*list(resnet.children())[:-1])``.

MedKLIP, KAD and MAVL keep their image encoders so: 0 is the stem's convolution, 1 its normalisation, 4 to 7
are the stages. A DenseNet of torchvision keeps its names under ``features``; its classifier is no part of it.
"""

from __future__ import annotations

import re

from torch import Tensor

from g2d_bench.encoders.converter import State

_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_CHILD = re.compile(r"^(\d+)\.")


def convert(state: State) -> dict[str, Tensor]:
    """Give children their names; entries without a number keep theirs."""
    return {
        _CHILD.sub(lambda match: _CHILDREN.get(match[1], match[1]) + ".", name): tensor
        for name, tensor in state.items()
    }


CONVERTER = convert
