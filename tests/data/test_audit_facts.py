"""What an audit finds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from g2d_bench.data.audit_facts import Audit, SharedFacts, SplitAudit

NOTHING = SharedFacts(("train", "test"), 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("field", ["ids", "patients", "files", "near_duplicates"])
def test_anything_shared_is_a_leak(field: str) -> None:
    assert not NOTHING.leaks
    assert not replace(NOTHING, files=None, near_duplicates=None).leaks
    assert replace(NOTHING, **cast(Any, {field: 1})).leaks


@pytest.mark.parametrize(
    ("leak", "list_as_computed", "published", "fails"),
    [
        (False, None, False, False),
        (False, True, False, False),
        (True, None, False, True),
        (False, False, False, True),
        (True, False, True, False),  # a published split is repeated with its defects
    ],
)
def test_which_splits_fail(leak: bool, list_as_computed: bool | None, published: bool, fails: bool) -> None:
    split = SplitAudit("siim", ["siim-seg"], "clean", "", published, list_as_computed=list_as_computed)
    split.shared = [NOTHING, replace(NOTHING, ids=int(leak))]
    assert split.fails == fails
    assert Audit(splits=[SplitAudit("rsna", [], "clean", ""), split]).fails == fails


def test_a_split_without_a_task_is_named_by_its_data_set() -> None:
    assert SplitAudit("siim", ["a", "b"], "clean", "").title == "a, b (clean)"
    assert SplitAudit("siim", [], "release", "").title == "siim (release)"
