"""Hugging Face's own classes read the front matter of a model card."""

from __future__ import annotations

from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from g2d_bench.records.selection import select
from g2d_bench.report.exports import EXPORTS
from g2d_bench.report.exports.base import Request


def test_a_model_card_reads_it(folder: Any) -> None:
    folder.grid({"g2d": 0.6}, (0.01, 0.1), seeds=2)
    request = Request(
        select(folder.root), titles={"g2d": "G2D"}, source="https://example.org", intervals=False
    )
    files = EXPORTS["model-index"].write(request)
    assert list(files) == ["g2d/README.md"]
    card = ModelCard(files["g2d/README.md"].decode())
    data: Any = card.data
    results = data.eval_results
    assert results is not None
    assert data.model_name == "G2D [scale unknown]"
    assert results[0].metric_name == "Dice (%) [scale unknown]"
    assert any("GENERATED" in line for line in results[0].metric_args["caveats"])
    assert [one.dataset_config for one in results] == [
        "phantom-siim-seg-1pct-clean",
        "phantom-siim-seg-10pct-clean",
    ]
    assert {one.task_type for one in results} == {"image-segmentation"}
    assert all(one.dataset_type == "phantom-siim" and "GENERATED" in one.dataset_name for one in results)
    assert results[0].metric_args["seeds"] == [0, 1]
    name, again = model_index_to_eval_results(eval_results_to_model_index("G2D", results))
    assert (name, len(again)) == ("G2D", 2)
