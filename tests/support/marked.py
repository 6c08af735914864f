"""Records of which something has to be said wherever they are shown."""

from __future__ import annotations

from typing import Any

from g2d_bench.records.record import EncoderPart, read_predictions
from g2d_bench.records.selection import Found, select


def fill(folder: Any, marks: set[str]) -> list[Found]:
    """Write records of two encoders, ``whole`` and ``toy``, of which some things have to be said.

    Args:
        folder: a results folder of :mod:`tests.conftest`.
        marks: of ``generated``, ``scale`` (toy is small), ``pre-training`` (toy saw labels), ``leak``,
            ``defects``.
    """
    for name, quality in (("whole", 0.5), ("toy", 0.6)):
        for fraction in (0.01, 1.0):
            saw = ("siim:labels",) if "pre-training" in marks else ()
            scale: Any = "phantom" if "scale" in marks else "published"
            more: dict[str, Any] = {}
            if "leak" in marks:
                more["command"] = "g2d-bench run --task siim-seg --allow-leaks 'known twins'"
            if "defects" in marks:
                more["notes"] = {"split_defects": ["three films are in two parts"]}
            part = EncoderPart(
                card_hash="e" * 64,
                weights="a" * 64,
                scale=scale if name == "toy" else "published",
                pretraining=saw if name == "toy" else (),
            )
            kind = "phantom" if "generated" in marks else "real"
            one = folder.add(name, quality, fraction=fraction, data_kind=kind, **more)
            leaks = "known twins" if "leak" in marks else ""
            data = one.record.data.model_copy(update={"leaks": leaks})
            record = one.record.model_copy(update={"data": data, "encoder": part})
            folder.store.save(one.path, record, read_predictions(one.path, one.record))
    order = {"whole": 0, "toy": 1}
    return sorted(select(folder.root), key=lambda one: order[one.cell.encoder])
