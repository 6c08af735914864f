from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from g2d_bench.encoders.library import Library, Plan, as_map, library_of, spaced
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_code
from g2d_bench.registry import Registry


def test_blocks_are_spaced_evenly_and_end_with_the_last() -> None:
    assert spaced(12) == (2, 5, 8, 11)
    assert spaced(24) == (5, 11, 17, 23)
    assert spaced(3) == (0, 1, 2)
    assert all(spaced(depth)[-1] == depth - 1 for depth in range(1, 41))


def test_tokens_become_a_map_row_by_row() -> None:
    tokens = torch.arange(2 * 7 * 3).reshape(2, 7, 3).float()
    got = as_map(tokens, (2, 3), prefix=1)
    assert got.shape == (2, 3, 2, 3)
    assert torch.equal(got[0, :, 1, 2], tokens[0, 6])
    assert torch.equal(got[1, :, 0, 1], tokens[1, 2])


def test_every_library_names_its_version() -> None:
    import open_clip
    import timm
    import transformers

    for package in (open_clip, timm, transformers):
        assert library_of(package.__name__).version() == package.__version__


def test_a_library_of_others_is_named_by_its_source() -> None:
    class Other(Library):
        build = plan = features = cast(Any, None)

    assert Other().version() == digest_code(__name__)


def test_maps_of_one_size_are_tokens() -> None:
    assert Plan((8,) * 4, (14,) * 4, 8, None).tokens
    assert not Plan((8, 16), (4, 8), 16, None).tokens


def test_a_library_is_called_as_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    assert library_of("open_clip") is library_of("open-clip")

    def gone(self: object, name: str) -> object:
        raise ModuleNotFoundError("No module named 'open_clip'")

    monkeypatch.setattr(Registry, "__getitem__", gone)
    with pytest.raises(
        InputError, match=r"image.library: open_clip is not installed .*g2d-bench\[encoders\]"
    ):
        library_of("open_clip")
