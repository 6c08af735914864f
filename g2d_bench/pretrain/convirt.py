"""ConVIRT (Zhang et al., 2020): one random sentence against the image, image-to-text weighted threefold."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor, nn

from g2d_bench.encoders.heads.base import Embeddings
from g2d_bench.pretrain.augment import Augment
from g2d_bench.pretrain.objective import Objective, TextRecipe, Variant, alignment_loss, gather

TEMPERATURE = 0.1
"""tau, by which cosines are divided (section 4)."""
IMAGE_WEIGHT = 0.75
"""lambda, the weight of image-to-text (section 4)."""


def convirt_loss(
    image: Tensor, text: Tensor, *, temperature: float = TEMPERATURE, image_weight: float = IMAGE_WEIGHT
) -> Tensor:
    """Compute ``1/N sum_i [lambda l_i(v->u) + (1 - lambda) l_i(u->v)]`` (section 3, equations 2 to 4).

    Args:
        image: v, projected images [N, d].
        text: u, projected texts [N, d].
        temperature: tau.
        image_weight: lambda.

    Returns:
        A scalar.
    """
    return alignment_loss(
        image,
        text,
        temperature=temperature,
        image_to_text=image_weight,
        text_to_image=1.0 - image_weight,
    )


class ConVIRT(Objective):
    """ConVIRT's objective. No code was released: both variants are the paper's.

    Args:
        heads: :class:`~g2d_bench.encoders.heads.convirt.ConVIRTHeads`.
        temperature: tau.
        image_weight: lambda.
        gather_negatives: contrast with the pairs of all processes; the paper's batch lies on one device.
    """

    name = "convirt"
    text: ClassVar[TextRecipe] = TextRecipe(frozen_layers=6, freeze_embeddings=True)
    # Optimiser, plateau and epochs: the LoVT re-implementation; lambda, tau and lr agree with vilmedic's.
    recipe: ClassVar[Mapping[Variant, Mapping[str, Any]]] = {
        "paper": {
            "optimiser": "adam",
            "lr": 1e-4,
            "weight_decay": 1e-6,
            "batch": 32,
            "schedule": "plateau",
            "patience": 12,
            "early_stop": 15,
            "epochs": 500,
        }
    }
    # Section 4 (crop ratio, flip, affine, jitter, blur); the LoVT and vilmedic re-implementations confirm the
    # flip and the jitter.
    augment: ClassVar[Mapping[Variant, Augment]] = {
        "paper": Augment(
            crop=(0.6, 1.0),
            flip=0.5,
            rotate=20,
            shift=0.1,
            scale=(0.95, 1.05),
            brightness=(0.6, 1.4),
            contrast=(0.6, 1.4),
            blur=(0.1, 3.0),
            blur_p=1.0,
        )
    }
    # Embeddings of 128 numbers for all (GLoRIA's are as wide as its text encoder, which is 128 too).
    phantom: ClassVar[Mapping[str, Any]] = {"heads": {"dim": 128}}

    def __init__(
        self,
        heads: nn.Module,
        *,
        temperature: float = TEMPERATURE,
        image_weight: float = IMAGE_WEIGHT,
        gather_negatives: bool = True,
    ) -> None:
        super().__init__(heads)
        self.temperature, self.image_weight = temperature, image_weight
        self.gather_negatives = gather_negatives

    def choose_text(self, sentences: Sequence[str], rng: np.random.Generator) -> str:
        """Draw one sentence."""
        return sentences[int(rng.integers(len(sentences)))]

    def phase(self) -> Hashable | None:
        """One phase."""
        return 0

    def losses(self, embeddings: Embeddings) -> dict[str, Tensor]:
        """Compute ``loss``, which has no parts."""
        image, text = embeddings.image_global, embeddings.text_global
        if self.gather_negatives:
            image, text = gather(image), gather(text)
        loss = convirt_loss(image, text, temperature=self.temperature, image_weight=self.image_weight)
        return {"loss": loss}


OBJECTIVE = ConVIRT
