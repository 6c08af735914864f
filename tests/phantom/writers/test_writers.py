"""Raw layouts: each is read by the reader of the real data, and has the real data's traps."""

from __future__ import annotations

from typing import Any

import pytest

from g2d_bench.errors import InputError
from g2d_bench.phantom import PROFILES
from g2d_bench.phantom.writers import WRITERS, writer_of
from g2d_bench.readers.registry import dataset_class, dataset_names


def test_there_is_a_writer_for_every_data_set() -> None:
    assert set(WRITERS) == set(dataset_names()) == set(PROFILES)
    with pytest.raises(InputError, match="'siim'"):
        writer_of("siimm")


@pytest.mark.parametrize("name", sorted(WRITERS))
def test_reader_reads_it(name: str, make: Any) -> None:
    folder = make(name)
    dataset = dataset_class(name)(folder)
    samples = dataset.samples()
    assert dataset.kind == "phantom"
    # Some films of MS-CXR have no phrase; most visits of Open-i have a lateral film, too.
    between = {"ms-cxr": (10, 24), "openi": (36, 48)}.get(name, (make.count(name),) * 2)
    assert between[0] <= len(samples) <= between[1]
    assert len({sample.id for sample in samples}) == len(samples)
    for sample in samples:
        image = dataset.read_image(sample)
        assert max(image.shape) == make.size
        assert min(image.shape) > 0.7 * make.size
        assert image.std() > 5
        for box in sample.boxes:
            assert 0 <= box.x < box.x + box.w <= make.size
            assert 0 <= box.y < box.y + box.h <= make.size
