"""Groups of the test images of records that keep none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.cells.groups import GroupsOfData
from g2d_bench.cells.settings import Settings
from g2d_bench.data.manifest import Manifest
from g2d_bench.readers.registry import open_dataset
from g2d_bench.records.selection import Found


def _record(folder: Any, root: Path, ids: list[str], **changes: Any) -> Found:
    manifest = Manifest.open(open_dataset("covid-cxr", root))
    found = folder.add("g2d", task="covid-cxr-seg", data_kind="real", images=len(ids))
    data = found.record.data.model_copy(
        update={"dataset": "covid-cxr", "hash": manifest.content_hash, **changes}
    )
    arrays = {"id": np.array(ids), "patient": np.array(ids), "true": np.ones(len(ids), int)}
    record = found.record.model_copy(update={"data": data})
    return Found(folder.store.save(found.path, record, arrays), found.path)


def test_the_very_data_tell_the_groups(folder: Any, tiny_root: Path, own_cache: Path) -> None:
    lookup = GroupsOfData(Settings(data_root=tiny_root))
    ids = [sample.id for sample in Manifest.open(open_dataset("covid-cxr", tiny_root)).samples][:4]
    arrays = lookup(_record(folder, tiny_root, ids))
    assert {name: set(array.tolist()) for name, array in arrays.items()} == {
        "group_sex": {"M"}, "group_age": {"50"}, "group_view": {"PA"},
    }  # fmt: skip


def test_other_data_tell_nothing(folder: Any, tiny_root: Path, own_cache: Path) -> None:
    lookup = GroupsOfData(Settings(data_root=tiny_root))
    ids = [sample.id for sample in Manifest.open(open_dataset("covid-cxr", tiny_root)).samples][:4]
    assert lookup(_record(folder, tiny_root, ids, hash="0" * 64)) == {}
    assert lookup(_record(folder, tiny_root, [*ids, "strange"])) == {}
    assert lookup(_record(folder, tiny_root, ids, dataset="rsna")) == {}
    assert lookup(_record(folder, tiny_root, ids, kind="phantom")) == {}
    assert GroupsOfData(Settings(data_root=None))(_record(folder, tiny_root, ids)) == {}
