"""The honest comparison of medical vision-language pre-training on chest X-rays.

    import g2d_bench as gb

    results = gb.evaluate(model, ["rsna-cls", "siim-seg"], spec=gb.ImageSpec(224), fractions=[0.01, 0.1])
    results.frame()

What is named here is the public surface; everything else may move.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from g2d_bench.api.evaluate import EvaluationError, evaluate, probe
    from g2d_bench.api.model import ImageTextModel
    from g2d_bench.api.results import Results, load_results
    from g2d_bench.api.spec import ImageSpec
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.encoders.load import Encoder, load_encoder
    from g2d_bench.errors import InputError
    from g2d_bench.metrics.registry import measure, metric_names
    from g2d_bench.registry import Registry

_PLACES = {
    "Catalogue": "g2d_bench.cards.catalogue",
    "Encoder": "g2d_bench.encoders.load",
    "EvaluationError": "g2d_bench.api.evaluate",
    "ImageSpec": "g2d_bench.api.spec",
    "ImageTextModel": "g2d_bench.api.model",
    "InputError": "g2d_bench.errors",
    "Registry": "g2d_bench.registry",
    "Results": "g2d_bench.api.results",
    "evaluate": "g2d_bench.api.evaluate",
    "load_encoder": "g2d_bench.encoders.load",
    "load_results": "g2d_bench.api.results",
    "measure": "g2d_bench.metrics.registry",
    "metric_names": "g2d_bench.metrics.registry",
    "probe": "g2d_bench.api.evaluate",
}
"""Where the public names live; imported when they are asked for, or the command line would be slow."""

__all__ = [
    "Catalogue",
    "Encoder",
    "EvaluationError",
    "ImageSpec",
    "ImageTextModel",
    "InputError",
    "Registry",
    "Results",
    "__version__",
    "evaluate",
    "load_encoder",
    "load_results",
    "measure",
    "metric_names",
    "probe",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
