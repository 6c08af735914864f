from __future__ import annotations

import sys
from subprocess import run

import pytest
from pydantic import ValidationError

from g2d_bench.cards.image import ImageInput
from g2d_bench.cards.library import CONVERTERS, LIBRARIES, known


def test_the_three_libraries_are_found_by_name() -> None:
    assert set(LIBRARIES.names) >= {"timm", "transformers", "open_clip"}
    assert known("open_clip") in LIBRARIES
    assert all(name in LIBRARIES and LIBRARIES[name] is LIBRARIES[known(name)] for name in LIBRARIES)
    with pytest.raises(ValidationError, match="unknown library 'hf'; allowed: open_clip, timm, transformers"):
        ImageInput(library="hf", model="vit", size=64)
    assert "eva" in CONVERTERS


def test_their_names_cost_no_import() -> None:
    code = (
        "import sys; from g2d_bench.cards.library import LIBRARIES, CONVERTERS; "
        "LIBRARIES.names; CONVERTERS.names; "
        "assert not {'torch', 'timm', 'transformers', 'open_clip'} & sys.modules.keys()"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0
