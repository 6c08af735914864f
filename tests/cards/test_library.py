from __future__ import annotations

import sys
from subprocess import run

from g2d_bench.cards.library import CONVERTERS, LIBRARIES, known


def test_the_three_libraries_are_found_by_name() -> None:
    assert set(LIBRARIES.names) >= {"timm", "transformers", "open-clip"}
    assert known("open_clip") in LIBRARIES
    assert "eva" in CONVERTERS


def test_their_names_cost_no_import() -> None:
    code = (
        "import sys; from g2d_bench.cards.library import LIBRARIES, CONVERTERS; "
        "LIBRARIES.names; CONVERTERS.names; "
        "assert not {'torch', 'timm', 'transformers', 'open_clip'} & sys.modules.keys()"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
