"""How each method is trained: as published, or small and on equal terms.

``paper`` takes optimiser, schedule, batch and input of each method from its paper or released code: its
objective says them. ``phantom`` is one recipe for all: what differs between them is the objective alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.errors import InputError, did_you_mean
from g2d_bench.pretrain.augment import PHANTOM as PHANTOM_AUGMENT
from g2d_bench.pretrain.augment import Augment
from g2d_bench.pretrain.objective import VARIANTS, Objective, Variant
from g2d_bench.pretrain.recipe_check import changed

PRESETS = ("paper", "phantom")


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that determines a pre-training run but data and seed.

    Attributes:
        method: the objective.
        variant: ``paper`` or ``released``, where the two differ.
        model: timm name of the image encoder.
        options: of the image encoder.
        pretrained: start the image encoder from timm's ImageNet weights.
        size: side of the input, pixels.
        store: side of the decoded square from which it is cropped, pixels.
        resize_inside: upsampling inside of the image encoder.
        mean: subtracted from grey values in [0, 1], per channel.
        std: then divided by, per channel.
        standardise: each image less its own mean, over its own deviation, in the place of both.
        text: ``small`` (a new BERT and a tokenizer trained on the reports), ``hf-hub:NAME`` or
            ``local-dir:PATH``.
        text_options: of the small BERT.
        text_layers: layers used of a given BERT; all if None.
        frozen_layers: first layers of a given BERT that do not train.
        freeze_embeddings: whether its embeddings do not train either.
        max_length: longest text, tokens.
        heads: options of the projection heads.
        constants: options of the objective.
        optimiser: ``adam`` or ``adamw``.
        lr: peak learning rate.
        betas: of the optimiser.
        weight_decay: of the optimiser.
        schedule: ``cosine`` (linear warm-up, half a cosine to ``min_lr``), ``restarts`` (cosine from the
            peak, anew every ``period`` steps) or ``plateau`` (halved when the validation loss has not
            improved for more than ``patience`` epochs).
        warmup: share of the steps.
        min_lr: last learning rate of the cosine.
        period: steps between restarts.
        patience: epochs before the plateau schedule halves the rate.
        early_stop: epochs without a better validation loss after which training ends; None or 0 to go on.
        batch: pairs per optimiser step, over all devices.
        accumulate: parts into which each device's share of a batch is cut; negatives come from one part.
        epochs: length of the training; 0 where ``steps`` gives it.
        steps: length of the training; 0 where ``epochs`` gives it.
        clip: largest norm of the gradient; None for no limit.
        amp: half precision on an accelerator.
        augment: of the images.
    """

    method: str
    variant: str
    model: str = "resnet50"
    options: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool = True
    size: int = 224
    store: int = 256
    resize_inside: int | None = None
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    standardise: bool = False
    text: str = "hf-hub:emilyalsentzer/Bio_ClinicalBERT"
    text_options: Mapping[str, Any] = field(default_factory=dict)
    text_layers: int | None = None
    frozen_layers: int = 0
    freeze_embeddings: bool = False
    max_length: int = 112
    heads: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    optimiser: Literal["adam", "adamw"] = "adamw"
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["cosine", "restarts", "plateau"] = "cosine"
    warmup: float = 0.0
    min_lr: float = 0.0
    period: int = 0
    patience: int = 0
    early_stop: int | None = None
    batch: int = 64
    accumulate: int = 1
    epochs: int = 0
    steps: int = 0
    clip: float | None = None
    amp: bool = True
    augment: Augment = field(default_factory=Augment)

    def as_json(self) -> dict[str, Any]:
        """Return the recipe as JSON values; what came later is left out where it says what held before."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return {name: value for name, value in values.items() if name != "standardise" or value}


# The backbone of the shipped cards; see baselines/*.toml.
_NARROW = {
    "channels": [16, 32, 64, 192],
    "stem_type": "deep",
    "stem_width": 8,
    "avg_down": True,
    "zero_init_last": False,
}

_PHANTOM: Mapping[str, Any] = {
    "model": "resnet18",
    "options": _NARROW,
    "pretrained": False,
    "size": 128,
    "store": 144,
    "standardise": True,
    "text": "small",
    "text_options": {"hidden": 128, "layers": 2, "heads": 4, "intermediate": 384, "positions": 128},
    "max_length": 96,
    "optimiser": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup": 0.1,
    "batch": 64,
    "steps": 1000,
    "clip": 1.0,
    "amp": False,
    "augment": PHANTOM_AUGMENT,
}
"""One recipe for all methods; rate and steps were chosen on the validation pairs, for all alike."""


def recipe(
    method: str,
    *,
    preset: str = "phantom",
    variant: str = "paper",
    overrides: Mapping[str, Any] | None = None,
) -> Recipe:
    """Return the recipe of a method.

    Args:
        method: an objective.
        preset: ``paper`` or ``phantom``.
        variant: ``paper`` or ``released``.
        overrides: fields of :class:`Recipe` to change (batch, steps, text, ...).

    Raises:
        InputError: unknown method, preset, variant or field, or a value that a field cannot have.
    """
    for word, allowed, name in (
        (method, OBJECTIVES.names, "--objective"),
        (preset, PRESETS, "--preset"),
        (variant, VARIANTS, "--variant"),
    ):
        if word not in allowed:
            raise InputError(f"unknown {word!r}; {did_you_mean(word, allowed)}", field=name)
    objective: type[Objective] = OBJECTIVES[method]
    fields = (
        {**_PHANTOM, **objective.phantom}
        if preset == "phantom"
        else objective.published(cast(Variant, variant))
    )
    final: Recipe = changed(Recipe(method, variant, **fields), overrides or {})
    return final
