"""A card with a list of ids beside it."""

from __future__ import annotations

from g2d_bench.data.splits import Split

SPLIT = Split("clean", ("a", "b", "c", "d"), ("e", "f"), ("g", "h"))
CARD = """
version = "1.0"
title = "x"
kind = "classification"
dataset = "rsna"
labels = ["Pneumonia"]
metrics = ["auroc"]
main = "auroc"
[split.clean]
ratios = [0.5, 0.25, 0.25]
ids = "splits/own.csv.gz"
"""
