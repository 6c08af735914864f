"""Groups of the test images of records that keep none, from the data that they were measured on."""

from __future__ import annotations

from collections.abc import Mapping

from g2d_bench.cells.settings import Settings
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.readers.registry import dataset_class, open_dataset
from g2d_bench.records.groups import Texts, group_arrays
from g2d_bench.records.record import read_predictions
from g2d_bench.records.selection import Found


class GroupsOfData:
    """Looks up the groups of a record's test images, where its very data are at hand.

    Nothing is generated for it; data that were not read before are hashed, with progress, as by `run`.

    Args:
        settings: where data lie.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._opened: dict[tuple[str, str], Manifest | None] = {}

    def __call__(self, found: Found) -> Mapping[str, Texts]:
        """Return the arrays of a record's groups, in the order of its predictions; none without its data."""
        record = found.record
        place = (record.data.dataset, record.data.kind)
        if place not in self._opened:
            self._opened[place] = self._find(*place)
        manifest = self._opened[place]
        if manifest is None or manifest.content_hash != record.data.hash or found.path is None:
            return {}
        ids = read_predictions(found.path, record)["id"].tolist()
        index = manifest.index
        if any(name not in index for name in ids):
            return {}
        return group_arrays([manifest.samples[index[name]].meta for name in ids])

    def _find(self, name: str, kind: str) -> Manifest | None:
        try:
            if kind == "phantom":
                folder = self._settings.phantom_root / name
                return Manifest.open(dataset_class(name)(folder)) if folder.is_dir() else None
            if self._settings.data_root is None:
                return None
            return Manifest.open(open_dataset(name, self._settings.data_root))
        except InputError:
            return None
