"""mmengine, mmseg and mmdet without the optional libraries of models that nothing here builds.

mmengine asks for transformers, for one optimiser; mmdet for transformers, for detectors that read text, and
for scikit-learn, to track objects in films of many pictures; mmseg for mmdet, for the heads of Mask2Former.
Each does without where they are absent. Importing all of them takes 1.6 of 3.5 seconds and 170 MiB, in every
process that measures a dense cell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNUSED = ("transformers", "sklearn")
UNUSED_BY_MMSEG = ("mmdet",)


@contextmanager
def without(names: tuple[str, ...]) -> Iterator[None]:
    """Let imports of packages fail as if they were not installed; those that are imported already stay.

    Args:
        names: of top-level packages. They can be imported again afterwards; what was imported in between
            goes on without them.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
