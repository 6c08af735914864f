"""What is asked is taken in the types of numpy, too, and refused in one line where it is something else."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from g2d_bench.api.asked import (
    folder_of,
    fractions_of,
    jobs_of,
    seeds_of,
    sets_of,
    shots_of,
    tasks_of,
    word,
)
from g2d_bench.errors import InputError


def test_shares_of_few_bits_are_those_that_are_written() -> None:
    given = [np.float32(0.1), np.float64(0.1), np.float16(0.1), Fraction(1, 10), 0.1, 1]
    assert fractions_of(given) == [0.1, 0.1, 0.1, 0.1, 0.1, 1.0]
    assert set(map(type, fractions_of(given))) == {float}


@pytest.mark.parametrize("given", [2, np.int64(2), [0, 1], np.arange(2), range(2)])
def test_seeds_are_how_many_or_which(given: Any) -> None:
    assert seeds_of(given) == [0, 1]


def test_names_folders_and_processes() -> None:
    assert tasks_of("a") == tasks_of(("a",)) == ["a"]
    assert sets_of(("rsna",)) == ["rsna"]
    assert folder_of("runs", "results") == Path("runs")
    assert folder_of(None, "results") is None
    assert jobs_of(np.int64(3)) == 3
    assert shots_of(np.array([4])) == [4]


@pytest.mark.parametrize(
    ("ask", "given", "text"),
    [
        *((seeds_of, given, "seeds: must be how many") for given in (1.5, None, "2", True, [1.5], [True], 0)),
        *((tasks_of, given, "tasks: must be a list of names, not") for given in (None, 3)),
        (tasks_of, [1], "tasks: must be one name, not 1"),
        (tasks_of, [], "tasks: names none"),
        *((jobs_of, given, "jobs: must be a number of processes") for given in (0, -1, "2", 1.0, None, 2000)),
        (fractions_of, None, "fractions: must be a list of numbers, not None"),
        *((fractions_of, [given], "fractions: ") for given in (0, 2.0, "0.1", True, float("nan"), None)),
        *((shots_of, [given], "shots: ") for given in (0, 1.5, "4", True, 10**6)),
        (sets_of, None, "pretraining: must be a list of names, not None"),
        (sets_of, [3], "pretraining: must be one name, not 3"),
        (lambda given: word(given, "protocol"), None, "protocol: must be one name, not None"),
        (lambda given: folder_of(given, "results"), 3, "results: must be the path of a folder, not 3"),
    ],
)
def test_what_is_something_else_is_refused(ask: Callable[[Any], Any], given: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        ask(given)
    assert str(caught.value).startswith(text)
