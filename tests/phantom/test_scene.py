"""Scenes: random numbers by name, prevalences, company of findings, patients."""

from __future__ import annotations

from collections import Counter

import numpy as np

from g2d_bench.phantom.scene import BLOCK, locate


def test_patients_fill_blocks() -> None:
    shares = (0.6, 0.25, 0.15)
    placed = [locate("cxr14", 0, index, shares) for index in range(20 * BLOCK)]
    per_patient = Counter(number for number, _, _ in placed)
    for number, order, images in placed:
        assert order < images == per_patient[number] <= len(shares)
    assert all(number // BLOCK == index // BLOCK for index, (number, _, _) in enumerate(placed))
    assert 1.3 < np.mean(list(per_patient.values())) < 1.8
    assert locate("siim", 0, 77, (1.0,)) == (77, 0, 1)
