"""What a task asks; the export itself is tested with the embeddings that are made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.data.export_images import asked, export_images
from g2d_bench.data.source import Source
from g2d_bench.errors import InputError


def test_the_texts_are_all_prompts_once() -> None:
    tasks = Catalogue.open().tasks
    assert asked(tasks["rsna-cls"], "other") == []
    task = tasks["cxr14-zeroshot"]
    texts = asked(task, "other")
    assert len(texts) == len(set(texts))
    assert task.prompts is not None
    for label in task.labels:
        prompts, _ = task.prompts.of(label, "other")
        assert set(prompts.positive) | set(prompts.negative) <= set(texts)


def test_nothing_is_left_of_an_export_that_failed(tiny_root: Path, tmp_path: Path) -> None:
    cards = Catalogue.open()
    task, protocol = cards.tasks["covid-cxr-seg"], cards.protocols["clean"]
    dataset, manifest = Source(tiny_root, tmp_path).opened("covid-cxr")
    gone = manifest.samples[3].path
    kept = gone.read_bytes()
    gone.unlink()
    try:
        with pytest.raises(InputError):
            export_images(task, protocol, dataset, manifest, tmp_path / "out")
    finally:
        gone.write_bytes(kept)
    assert not list(tmp_path.glob("*out*"))
    made = export_images(task, protocol, dataset, manifest, tmp_path / "out", size=32)
    assert made["images"] == 40
    assert len(list((tmp_path / "out" / "images").glob("*.png"))) == 40
    with pytest.raises(InputError, match="no such folder"):
        export_images(task, protocol, dataset, manifest, tmp_path / "no" / "out")
