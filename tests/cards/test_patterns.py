"""Regular expressions of cards that come to an end."""

from __future__ import annotations

import re
import time

import pytest

from g2d_bench.cards.patterns import BRANCHES, LONGEST, REPEATS, require_tame


@pytest.mark.parametrize(
    "pattern",
    [
        r"(denselayer\d+\.(?:norm|conv))\.([12])\.",
        r"^layers\.2\.downsample\.",
        r"^blocks\.(\d+)\.(\d+)\.(.*)",
        r"(?:module\.)?x",
        r"(ab){2}[(+*|\])]\(\+",
        r"(?P<n>\d+)(?=x)(?<!y)",
        r"x{",
    ],
)
def test_what_renames_weights_is_allowed(pattern: str) -> None:
    require_tame(pattern)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a+)+$", "repeats a group in which something is repeated or left open"),
        ("(a|aa)*$", "repeats a group"),
        ("((a*)?)*$", "repeats a group"),
        ("(?:x(?:a|a))+$", "repeats a group"),
        ("(a?){30}a{30}", "repeats a group"),
        ("(?P<n>a*)*?b", "repeats a group"),
        ("[)](a+){2,}", "repeats a group"),
        (".*.*.*.*x", f"has 4 repeats, {REPEATS} are allowed"),
        ("a?" * 30 + "a" * 30, "has 30 repeats"),
        ("(a|a)" * 20, f"has 21 alternatives, {BRANCHES + 1} are allowed"),
        ("(?x)(a+) +", "holds flags, comments or conditions"),
        ("(a)(?(1)b|c)", "holds flags, comments or conditions"),
        ("a(?#+)b", "holds flags, comments or conditions"),
        ("a" * (LONGEST + 1), "has more than the 200 characters"),
        ("(", "is no regular expression"),
        ("a{99999999999}", "is no regular expression"),
    ],
)
def test_what_may_search_for_hours_is_refused(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        require_tame(pattern)


def test_the_slowest_that_is_allowed_ends() -> None:
    from g2d_bench.encoders.checkpoint import LONGEST_NAME

    for pattern in (".*.*.*\\n", "(.*|.*)(.|.*)x"):
        require_tame(pattern)
        start = time.process_time()
        assert re.search(pattern, "a" * LONGEST_NAME) is None
        assert time.process_time() - start < 10
