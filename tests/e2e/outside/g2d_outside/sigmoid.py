"""An objective: each pair of image and text on its own (after SigLIP), with ConVIRT's heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from g2d_bench.encoders.heads.base import Embeddings, unit
from g2d_bench.encoders.heads.convirt import ConVIRTHeads
from g2d_bench.pretrain.objective import Objective


class SigmoidHeads(ConVIRTHeads):
    """ConVIRT's heads under the name of this objective."""

    method = "sigmoid"


class Sigmoid(Objective):
    """``-mean_ij log sigma(z_ij (10 cos_ij - 10))`` with z = 1 for pairs and -1 for all others."""

    name = "sigmoid"
    phantom: ClassVar[Mapping[str, Any]] = {"heads": {"dim": 32}}

    def losses(self, embeddings: Embeddings) -> dict[str, Tensor]:
        """Compute ``loss``."""
        cosines = unit(embeddings.image_global) @ unit(embeddings.text_global).T
        signs = 2 * torch.eye(len(cosines), device=cosines.device) - 1
        return {"loss": -logsigmoid(signs * (10 * cosines - 10)).mean()}


HEADS = SigmoidHeads
OBJECTIVE = Sigmoid
