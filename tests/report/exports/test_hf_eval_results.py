"""Hugging Face's own classes read what is written for its hub."""

from __future__ import annotations

from typing import Any

import huggingface_hub
import pytest
import yaml

from g2d_bench.records.selection import select
from g2d_bench.report.exports import EXPORTS
from g2d_bench.report.exports.base import Request


def test_the_hub_reads_it(folder: Any) -> None:
    if not hasattr(huggingface_hub, "EvalResultEntry"):
        pytest.skip("this huggingface_hub knows no .eval_results")
    from huggingface_hub import eval_result_entries_to_yaml
    from huggingface_hub._eval_results import parse_eval_result_entries

    folder.grid({"g2d": 0.6, "mgca": 0.5}, (0.01, 0.1), seeds=2)
    folder.add("g2d", task="rsna-seg")
    request = Request(
        select(folder.root), dataset="us/g2d-bench", source="https://example.org", intervals=False
    )
    files = EXPORTS["hf-eval-results"].write(request)
    assert sorted(files) == [
        "g2d/.eval_results/rsna-seg.yaml",
        "g2d/.eval_results/siim-seg.yaml",
        "mgca/.eval_results/siim-seg.yaml",
    ]
    written = yaml.safe_load(files["g2d/.eval_results/siim-seg.yaml"])
    entries = parse_eval_result_entries(written)
    assert [one.task_id for one in entries] == ["phantom-siim-seg-1pct-clean", "phantom-siim-seg-10pct-clean"]
    assert {one.dataset_id for one in entries} == {"us/g2d-bench"}
    assert all(50 < one.value < 70 and "GENERATED" in str(one.notes) for one in entries)
    assert eval_result_entries_to_yaml(entries) == written


def test_without_an_address_there_is_no_source(folder: Any) -> None:
    folder.add("g2d")
    (data,) = EXPORTS["hf-eval-results"].write(Request(select(folder.root), dataset="us/x")).values()
    assert "source" not in yaml.safe_load(data)[0]
    assert EXPORTS["hf-eval-results"].asks == ("dataset",)
